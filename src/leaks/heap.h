/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Blocks of allocators within leaks: events of the heap family become groups of level "alloc". */
#ifndef MB_LEAKS_HEAP_H
#define MB_LEAKS_HEAP_H

#include "leaks/leaks.h"

/* One event of the heap family, in order of time. */
void mb_leak_heap_event(struct mb_leaks_session *l, const struct mb_event *e);

/*
 * Events of this family were lost: the ends of blocks may be among them. Remove what the kernel side does not
 * follow any more.
 */
void mb_leak_heap_check(struct mb_leak_space *sp);

/* A tick: what all blocks of each process, known or not, leave of what grows at each place. Before mb_leaks_tick(). */
void mb_leak_heap_tick(struct mb_leaks_session *l, uint64_t t_ns);

/* The address space goes: so does what is known of its blocks (sp->blocks). */
void mb_leak_heap_free(struct mb_leak_space *sp);

/* Blocks of it that are followed. */
uint64_t mb_leak_heap_blocks(const struct mb_leak_space *sp);

#endif
