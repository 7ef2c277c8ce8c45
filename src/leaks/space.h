/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The life of an address space (struct mb_leak_space); mb_leak_space_of() creates one. */
#ifndef MB_LEAKS_SPACE_H
#define MB_LEAKS_SPACE_H

#include "leaks/leaks.h"

/* Free it; its groups remain. */
void mb_leak_space_free(struct mb_leaks_session *l, struct mb_leak_space *sp);

/* The process is gone, or has called exec: everything it had is gone. */
void mb_leak_space_drop(struct mb_leaks_session *l, struct mb_leak_space *sp);

/* Has the process ended, according to the model? */
bool mb_leak_space_has_ended(const struct mb_leaks_session *l, const struct mb_leak_space *sp);

/*
 * The process has ended. If it was selected, its last state is shown until the end of the session; else it is
 * dropped.
 */
void mb_leak_space_ended(struct mb_leaks_session *l, struct mb_leak_space *sp);

/*
 * A process that has ended has no page map any more, but its last calls are known: drop the pages that are in none of
 * its mappings.
 */
void mb_leak_space_drop_unmapped(struct mb_leak_space *sp);

/* While there are too many ended processes, drop the one with the least memory. Not while iterating over them. */
void mb_leak_spaces_drop_least(struct mb_leaks_session *l);

/* Session: probe the allocators of a process, if blocks are traced. */
void mb_leak_probe_allocators(struct mb_leaks_session *l, uint32_t tgid);

/* The same, if the process has mapped code since its allocators were last searched for. */
void mb_leak_space_probe(struct mb_leak_space *sp);

#endif
