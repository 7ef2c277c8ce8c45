/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the whole heap of a process says about its call sites. Blocks allocated before the probes
 * were attached belong to no call site; when they are freed, the blocks allocated in their place
 * look like growth. The kernel side counts all blocks, known or not (struct mb_heap_net): if the
 * number of blocks in a size class does not grow, the call sites that allocate such blocks do not
 * leak.
 */
#ifndef MB_LEAKS_HEAP_NET_H
#define MB_LEAKS_HEAP_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "memblame/abi.h"

/* Outstanding blocks of known call sites by size class, scaled up from the sample. */
struct mb_heap_known {
	double count[MB_HEAP_CLASSES];
	double bytes[MB_HEAP_CLASSES];
};

/* State of one process that is carried from tick to tick. */
struct mb_heap_lows {
	uint64_t since_ns; /* start of the kernel side's account; if it changes, the account was restarted */
	bool incomplete; /* the account was restarted, so earlier blocks are not in it */
	double low[MB_HEAP_CLASSES + 1]; /* lowest count of each class; last entry: of all classes together */
	uint64_t low_ns[MB_HEAP_CLASSES + 1];
};

/* Result of mb_heap_share(). */
struct mb_heap_shares {
	bool known; /* there is a complete account */
	/* by size class, from the allocator's size words; else all classes have the same share */
	bool by_class;
	/* 0 .. 1: share of the known call sites' blocks that is growth of the heap */
	double share[MB_HEAP_CLASSES];
	/* variance of that growth, from freed blocks of no known call site, in bytes^2 */
	double variance
		[MB_HEAP_CLASSES];
	double known_bytes[MB_HEAP_CLASSES]; /* bytes of known call sites that were compared */
	double unknown_count, unknown_bytes; /* freed blocks that have no known call site */
	/* standard error of unknown_bytes; 0: by size words, and all blocks are recorded */
	double unknown_error;
	double net_bytes; /* allocated minus freed; without size words estimated from the mean size */
};

/*
 * Number of blocks that one sampled block of this size stands for. mean: average bytes between
 * samples; up to 1: every block is sampled.
 */
double mb_heap_weight(double size, uint64_t mean);

/*
 * Compare the counters of all blocks with the known blocks. Call once per tick. mean: average bytes
 * between samples, by which known was scaled up; 1: all blocks are recorded. lows is updated.
 */
void mb_heap_share(const struct mb_heap_net *net, const struct mb_heap_known *known, uint64_t mean, uint64_t t_ns,
		   struct mb_heap_lows *lows, struct mb_heap_shares *out);

#endif
