/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Does an amount of memory grow for good? A series of its values over time, of bounded size, and what it
 * says: the slope of its floor, how sure that is, and a verdict. The method and its limits are in
 * docs/families/vma.md.
 */
#ifndef MB_LEAKS_TREND_H
#define MB_LEAKS_TREND_H

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

/* In the order in which they are shown, the last first. */
enum mb_verdict {
	MB_VERDICT_STABLE = 0, /* does not grow, or does not any more */
	MB_VERDICT_UNKNOWN = 1, /* too little was seen to say either */
	MB_VERDICT_GROWING = 2, /* grows, but too little is known to call it a leak */
	MB_VERDICT_LEAK = 3, /* what is never given back grows all the time */
};

/* Why a verdict is not a stronger or a surer one. */
enum mb_missing {
	MB_MISSING_NOTHING = 0,
	MB_MISSING_VALUES = 1, /* too early: few values */
	MB_MISSING_TIME =
		2, /* little growth on top of much, or late growth: it has to be seen for longer */
	MB_MISSING_RISES = 3, /* few rises, or such as chance makes */
	MB_MISSING_EVENNESS =
		4, /* its rate falls, or it grew by leaps: something that fills does */
	MB_MISSING_HEIGHT = 5, /* no more than what it falls by, or than the error of the sample */
	MB_MISSING_OWN_GROWTH = 6, /* the process's own memory does not grow as much */
	MB_MISSING_ROOM = 7, /* it fills memory that was mapped before */
	MB_MISSING_BLOCKS =
		8, /* the allocator's blocks do not grow: fragments or caches of its own */
	MB_MISSING_ONE_PLACE = 9, /* many places grow together, not evenly: a store that fills does */
	MB_MISSING_AGE =
		10, /* the process, or its growth, is young: what warms up looks the same */
	MB_MISSING_STACK = 11, /* other code of the process leaks, and of this nobody knows whose it is */
	MB_MISSING_PRIVATE = 12, /* it comes to use shared memory that is mapped already */
	MB_MISSING_NEW_HEIGHT = 13, /* the process had as much before */
	MB_MISSING_COLLECTION = 14, /* a heap with a collector, which has not had to collect */
};

struct mb_trend {
	int64_t slope_bytes_per_s; /* of the floor, where it grows; 0 while it is stable or unknown; never negative */
	double confidence; /* 0 .. 1: that it grows; at least 0.8 growing; at most 0.5 stable or unknown */
	enum mb_verdict verdict;
	enum mb_missing missing;
	uint32_t values; /* that were seen; MB_TREND_VALUES are the least for a leak, or for stable */
	double growth_bytes; /* of the floor, from from_ns on; 0 while it is stable or unknown */
	uint64_t from_ns, to_ns; /* when it began, and the last value */
	double late_share; /* of that growth, what came in the last half of the time; 0.5: evenly */
	double rate_trend; /* rank statistic of its rates, where there are many: below 0 they fall */
};

/* Below so many values nothing is a leak, nor stable. */
#define MB_TREND_VALUES 10u

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

/* The growth of a series' floor since then, in bytes. */
double mb_trend_grown(const struct mb_trend_series *s, uint64_t from_ns);

/* "stable", "unknown", "growing", "leak" */
const char *mb_verdict_name(enum mb_verdict v);

/* What is missing, in words ("too early: 3 of 10 values"); NULL: nothing. Points to buf where it has numbers. */
const char *mb_missing_text(const struct mb_trend *t, char *buf, size_t size);

#endif
