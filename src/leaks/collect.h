/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Reads the state of processes for leak detection: mappings, resident pages, the heap's counters. In a replay it is as
 * it was read then (source.h).
 */
#ifndef MB_LEAKS_COLLECT_H
#define MB_LEAKS_COLLECT_H

#include "leaks/leaks.h"

/* Reads the mappings into sp->regions. Returns false if the process is gone or has no address space. */
bool mb_leak_collect_maps(struct mb_leak_space *sp);

/*
 * Checks which pages that sp->pages follows still exist, and finds others. find: search also where it takes time. The
 * pages found first were allocated before tracing; later ones belong to the stack that mapped their region.
 */
void mb_leak_collect_pages(struct mb_leak_space *sp, bool find);

/* The peak resident memory of the process so far, in bytes; 0: not known. */
uint64_t mb_leak_collect_peak(struct mb_leak_space *sp);

/* The counters of all blocks of the process. Returns false if there are none. */
bool mb_leak_collect_heap_net(struct mb_leak_space *sp, struct mb_heap_net *net);

/* Does the kernel side still track the block at this address? */
bool mb_leak_collect_has_block(struct mb_leak_space *sp, uint64_t addr);

#endif
