/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Log-linear histogram: each power of two is divided into MB_HIST_SUB equal buckets, so a value is known to within
 * 1/MB_HIST_SUB of itself, from 1 ns to 18 minutes, in a fixed 1.2 KiB.
 */
#ifndef MB_BASE_HIST_H
#define MB_BASE_HIST_H

#include <stdint.h>

#define MB_HIST_SUB 4
#define MB_HIST_OCTAVES 38
#define MB_HIST_BUCKETS (MB_HIST_SUB * MB_HIST_OCTAVES)

struct mb_hist {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[MB_HIST_BUCKETS];
};

/* Add v weight times. Values beyond the last bucket are counted in it; max stays exact. */
void mb_hist_add(struct mb_hist *h, uint64_t v, uint64_t weight);

/* The bucket index of v, and the largest value that falls into a bucket. */
unsigned int mb_hist_bucket(uint64_t v);
uint64_t mb_hist_upper(unsigned int bucket);

/*
 * The value at or below which the fraction q (0..1) of all values lies: the upper edge of its bucket, but never above
 * max. Returns 0 if the histogram is empty.
 */
uint64_t mb_hist_quantile(const struct mb_hist *h, double q);

#endif
