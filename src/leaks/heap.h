/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Allocator blocks: turns events of the heap family into groups of level "alloc". */
#ifndef MB_LEAKS_HEAP_H
#define MB_LEAKS_HEAP_H

#include "leaks/leaks.h"

/* Process one event of the heap family. Events must arrive in time order. */
void mb_leak_heap_event(struct mb_leaks_session *l, const struct mb_event *e);

/* Events of this family were lost, possibly frees among them: remove blocks that the kernel side no longer tracks. */
void mb_leak_heap_check(struct mb_leak_space *sp);

/*
 * A tick: use the counters of all blocks of each process, known or not, to find how much of each
 * call site's growth is growth of the heap. Call before mb_leaks_tick().
 */
void mb_leak_heap_tick(struct mb_leaks_session *l, uint64_t t_ns);

/* The address space is about to be freed: free its blocks (sp->blocks) and the kernel side's entries for them. */
void mb_leak_heap_free(struct mb_leak_space *sp);

/* Number of blocks tracked in the address space. */
uint64_t mb_leak_heap_blocks(const struct mb_leak_space *sp);

#endif
