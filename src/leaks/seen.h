/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Since when the blocks of each process are traced. A command that memblame starts is stopped and
 * probed before its first instruction. Other processes already have a heap of which only the size
 * is known, and a forked process has the heap of its parent.
 */
#ifndef MB_LEAKS_SEEN_H
#define MB_LEAKS_SEEN_H

#include "leaks/leaks.h"
#include "leaks/view.h"

struct mb_leak_seen_process;

/*
 * Probe the allocators of a process. held: the process is stopped and has not yet run any of the
 * code that it mapped since the last call.
 */
void mb_leak_seen_probe(struct mb_leaks_session *l, uint32_t tgid, bool held);

/* Call when an event is consumed (exec, fork, code mapped): attaches probes where needed. */
void mb_leak_seen_event(struct mb_leaks_session *l, const struct mb_event *e);

/* A tick: forget processes that have ended. */
void mb_leak_seen_tick(struct mb_leaks_session *l);

/* Fill *out with what is known about a process. */
void mb_leak_seen_of(const struct mb_leaks_session *l, uint32_t tgid, struct mb_leak_heap_seen *out);

/* Free l->seen. */
void mb_leak_seen_free(struct mb_leaks_session *l);

#endif
