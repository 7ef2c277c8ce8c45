/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What a process as a whole has, beside which verdicts of its groups are looked at. */
#ifndef MB_LEAKS_WHOLE_H
#define MB_LEAKS_WHOLE_H

#include "leaks/trend.h"

/* Where the series of a heap's net bytes has its zero: they can be less than nothing. */
#define MB_HEAP_NET_ZERO (1ull << 40)

struct mb_leak_whole {
	struct mb_trend_series own; /* anonymous memory, swapped or not */
	struct mb_trend_series mapped; /* its address space */
	struct mb_trend_series net; /* of its heap, by size words, MB_HEAP_NET_ZERO up */
	uint64_t peak_before_bytes; /* the most that was resident, when own begins */
	uint64_t rss_bytes; /* resident at the last tick, files and shared memory too */
};

#endif
