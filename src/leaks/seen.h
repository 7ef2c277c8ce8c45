/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Since when the blocks of each process are seen. A command that is held is probed before its first instruction; others
 * have a heap by then, of which only the size is known, and one that is forked has its parent's.
 */
#ifndef MB_LEAKS_SEEN_H
#define MB_LEAKS_SEEN_H

#include "leaks/leaks.h"
#include "leaks/view.h"

struct mb_leak_seen_process;

/* Probe the allocators of a process. held: it has not run any code of what it has mapped since the last time. */
void mb_leak_seen_probe(struct mb_leaks_session *l, uint32_t tgid, bool held);

/* An event has been taken: a program that begins, a process that is forked, code that is mapped. Probes where need be. */
void mb_leak_seen_event(struct mb_leaks_session *l, const struct mb_event *e);

/* A tick: what is known of processes that have ended goes. */
void mb_leak_seen_tick(struct mb_leaks_session *l);

/* What is to be said of a process. */
void mb_leak_seen_of(const struct mb_leaks_session *l, uint32_t tgid, struct mb_leak_heap_seen *out);

void mb_leak_seen_free(struct mb_leaks_session *l);

#endif
