/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Memory totals of a process, which the verdicts of its groups are checked against. */
#ifndef MB_LEAKS_WHOLE_H
#define MB_LEAKS_WHOLE_H

#include "leaks/trend.h"

/* Zero point of the series of a heap's net bytes, which can become negative. */
#define MB_HEAP_NET_ZERO (1ull << 40)

/* Series and totals of one process. */
struct mb_leak_whole {
	struct mb_trend_series own; /* anonymous memory, including swap */
	struct mb_trend_series mapped; /* size of the address space */
	struct mb_trend_series net; /* net bytes of the heap, from size words, offset by MB_HEAP_NET_ZERO */
	uint64_t peak_before_bytes; /* peak resident memory before own begins */
	uint64_t rss_bytes; /* resident at the last tick, including files and shared memory */
};

#endif
