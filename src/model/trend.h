/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Does an amount of memory grow for good? A series of its values over time, of bounded size, and what it
 * says: the slope of its floor, how sure that is, and a verdict. The method and its limits are in
 * docs/families/vma.md.
 */
#ifndef MB_MODEL_TREND_H
#define MB_MODEL_TREND_H

#include <stddef.h>
#include <stdint.h>

/* Points of a series. When it is full, two neighbours become one each: the series keeps its whole life. */
#define MB_TREND_POINTS 64u

struct mb_trend_point {
	uint64_t t_ns; /* the end of the step */
	uint64_t least; /* bytes: the least within the step */
	uint64_t last; /* at its end */
};

struct mb_trend_series {
	struct mb_trend_point points[MB_TREND_POINTS]; /* oldest first */
	uint32_t n;
	uint32_t step; /* values that make up one point; doubles each time the series is full */
	uint32_t in_step; /* values in the last point, if it is not complete; 0: it is */
	uint32_t pad;
};

enum mb_verdict {
	MB_VERDICT_STABLE = 0, /* does not grow, or does not any more */
	MB_VERDICT_GROWING = 1, /* grows, but too little is known to call it a leak */
	MB_VERDICT_LEAK = 2, /* what is never given back grows all the time */
};

struct mb_trend {
	int64_t slope_bytes_per_s; /* of the floor, where it grows; 0 while it is stable; never negative */
	double confidence; /* 0 .. 1: that it grows; at least 0.8 growing, 0.95 a leak; at most 0.5 stable */
	enum mb_verdict verdict;
};

/*
 * Add a value. least: the least since the value before, at most last. A series that is all zero is empty;
 * time does not go back (an earlier t_ns counts as the one before).
 */
void mb_trend_add(struct mb_trend_series *s, uint64_t t_ns, uint64_t least, uint64_t last);

/* Another series of the same ticks is added, value by value; either may begin later, or have longer steps. */
void mb_trend_merge(struct mb_trend_series *into, const struct mb_trend_series *more);

/*
 * What a series says; takes some microseconds. error_bytes: standard error of each value where it is scaled
 * up from a sample (0: exact). A change smaller than twice that is none; one that is small beside the value is
 * no leak below six times.
 */
void mb_trend_of(const struct mb_trend_series *s, uint64_t error_bytes, struct mb_trend *out);

/* "stable", "growing", "leak" */
const char *mb_verdict_name(enum mb_verdict v);

#endif
