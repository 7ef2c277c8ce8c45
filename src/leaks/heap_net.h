/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a process's whole heap says of its call sites. Blocks from before the probes are of no site; when they are freed,
 * what was allocated in their place seems to stay. The kernel side counts all blocks, known or not (struct mb_heap_net):
 * where blocks of a size class do not become more, the sites that allocate such blocks do not leak.
 */
#ifndef MB_LEAKS_HEAP_NET_H
#define MB_LEAKS_HEAP_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "memblame/abi.h"

/* Blocks of known sites that are outstanding, by class; scaled up from the sample. */
struct mb_heap_known {
	double count[MB_HEAP_CLASSES];
	double bytes[MB_HEAP_CLASSES];
};

/* What is remembered of a process from tick to tick. */
struct mb_heap_lows {
	uint64_t since_ns; /* of the account; another one: it has begun anew, and says nothing of before */
	bool incomplete; /* it has begun anew */
	double low[MB_HEAP_CLASSES + 1]; /* the least there was; last: of all classes, in blocks */
	uint64_t low_ns[MB_HEAP_CLASSES + 1];
};

/* What it says. */
struct mb_heap_shares {
	bool known; /* there is an account */
	bool by_class; /* by the allocator's size words; else all classes have the same share */
	double share[MB_HEAP_CLASSES]; /* 0 .. 1: of what known sites have there, so much is growth of the heap */
	double variance
		[MB_HEAP_CLASSES]; /* of what is growth there, for the blocks freed that are unknown, bytes^2 */
	double known_bytes[MB_HEAP_CLASSES]; /* as they were compared */
	double unknown_count, unknown_bytes; /* freed, though no site is known for them */
	double unknown_error; /* standard error of unknown_bytes; 0: by size words, and of all blocks */
	double net_bytes; /* allocated less freed; estimated from the mean size without size words */
};

/* How many blocks of this size stand behind one of a sample of one in mean bytes; mean up to 1: just that one. */
double mb_heap_weight(double size, uint64_t mean);

/*
 * Compare what all blocks say with what is known; at each tick, once. mean: one sample in so many bytes, of which what is
 * known is scaled up; 1: all are known.
 */
void mb_heap_share(const struct mb_heap_net *net, const struct mb_heap_known *known, uint64_t mean, uint64_t t_ns,
		   struct mb_heap_lows *lows, struct mb_heap_shares *out);

#endif
