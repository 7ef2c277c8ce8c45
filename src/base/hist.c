// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Log-linear histogram with a known relative error. */
#include "base/hist.h"

unsigned int mb_hist_bucket(uint64_t v)
{
	unsigned int octave, sub;

	if (v < MB_HIST_SUB) /* these buckets hold one value each */
		return (unsigned int)v;
	octave = 63 - (unsigned int)__builtin_clzll(v);
	sub = (unsigned int)(v >> (octave - 2)) & (MB_HIST_SUB - 1);
	octave = (octave - 1) * MB_HIST_SUB + sub;
	return octave < MB_HIST_BUCKETS ? octave : MB_HIST_BUCKETS - 1;
}

uint64_t mb_hist_upper(unsigned int bucket)
{
	unsigned int octave = bucket / MB_HIST_SUB + 1;
	uint64_t sub = bucket % MB_HIST_SUB;

	if (bucket < MB_HIST_SUB)
		return bucket;
	return ((MB_HIST_SUB + sub + 1) << (octave - 2)) - 1;
}

void mb_hist_add(struct mb_hist *h, uint64_t v, uint64_t weight)
{
	h->buckets[mb_hist_bucket(v)] += weight;
	h->count += weight;
	if (v > h->max)
		h->max = v;
}

uint64_t mb_hist_quantile(const struct mb_hist *h, double q)
{
	uint64_t want = (uint64_t)(q * (double)h->count + 0.5), seen = 0;

	if (!h->count)
		return 0;
	if (want < 1)
		want = 1;
	for (unsigned int i = 0; i < MB_HIST_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= want)
			return mb_hist_upper(i) < h->max ? mb_hist_upper(i) : h->max;
	}
	return h->max;
}
