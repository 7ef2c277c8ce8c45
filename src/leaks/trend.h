/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Does an amount of memory grow for good? Holds a time series of bounded size and evaluates it: the
 * slope of its floor, the confidence, and a verdict. docs/families/vma.md describes the method and
 * its limits.
 */
#ifndef MB_LEAKS_TREND_H
#define MB_LEAKS_TREND_H

#include <stddef.h>
#include <stdint.h>

/*
 * Maximum points per series. When the series is full, each pair of neighbours is merged into one
 * point, so the series always covers its whole lifetime.
 */
#define MB_TREND_POINTS 64u

/* One point of a series; covers one step. */
struct mb_trend_point {
	uint64_t t_ns; /* end of the step */
	uint64_t least; /* lowest value within the step, in bytes */
	uint64_t last; /* value at the end of the step */
};

/* A time series of an amount of memory. */
struct mb_trend_series {
	struct mb_trend_point points[MB_TREND_POINTS]; /* oldest first */
	uint32_t n;
	uint32_t step; /* values per point; doubles each time the series is full */
	uint32_t in_step; /* values in the last point if it is incomplete; 0: it is complete */
	uint32_t pad;
};

/* Ordered by severity; output shows the highest first. */
enum mb_verdict {
	MB_VERDICT_STABLE = 0, /* does not grow, or no longer grows */
	MB_VERDICT_UNKNOWN = 1, /* not enough data to decide */
	MB_VERDICT_GROWING = 2, /* grows, but not enough is known to call it a leak */
	MB_VERDICT_LEAK = 3, /* memory that is never freed grows all the time */
};

/* Why a verdict is not stronger or more certain. */
enum mb_missing {
	MB_MISSING_NOTHING = 0,
	MB_MISSING_VALUES = 1, /* too early: few values */
	MB_MISSING_TIME = 2, /* little growth compared to the total, or late growth: needs a longer observation */
	MB_MISSING_RISES = 3, /* few rises, or no more than chance would produce */
	MB_MISSING_EVENNESS = 4, /* the rate declines, or it grew in leaps: typical of something that fills up */
	MB_MISSING_HEIGHT = 5, /* the growth is within its own fluctuation, or within the sampling error */
	MB_MISSING_OWN_GROWTH = 6, /* the process's own memory does not grow as much */
	MB_MISSING_ROOM = 7, /* it fills memory that was mapped before */
	MB_MISSING_BLOCKS = 8, /* the allocator's blocks do not grow: fragmentation or the allocator's caches */
	/* many call sites grow together and unevenly: typical of a cache or store that fills up */
	MB_MISSING_ONE_SITE = 9,
	MB_MISSING_AGE = 10, /* the process, or its growth, is young: warming up looks the same */
	MB_MISSING_STACK = 11, /* other code of the process leaks, and this memory has no known stack */
	MB_MISSING_PRIVATE = 12, /* it starts to use shared memory that is already mapped */
	MB_MISSING_NEW_HEIGHT = 13, /* the process had as much memory before */
	MB_MISSING_COLLECTION = 14, /* a garbage-collected heap that has not had to collect yet */
};

/* What a series says, see mb_trend_of(). */
struct mb_trend {
	int64_t slope_bytes_per_s; /* of the floor; never negative; 0 if stable or unknown */
	double confidence; /* 0 .. 1 that it grows; at least 0.8 if growing; at most 0.5 if stable or unknown */
	enum mb_verdict verdict;
	enum mb_missing missing;
	uint32_t values; /* number of values seen; a leak or stable needs at least MB_TREND_VALUES */
	double growth_bytes; /* of the floor since from_ns; 0 if stable or unknown */
	uint64_t from_ns, to_ns; /* when the growth began, and the last value */
	double late_share; /* share of that growth in the second half of the time; 0.5: even */
	double rate_trend; /* rank statistic of the growth rates if there are enough; below 0: they decline */
};

/* With fewer values than this, the verdict is neither leak nor stable. */
#define MB_TREND_VALUES 10u

/*
 * Append a value. least: lowest value since the previous one, at most last. A series that is all
 * zero is empty. Time does not go back: an earlier t_ns counts as the time of the previous value.
 */
void mb_trend_add(struct mb_trend_series *s, uint64_t t_ns, uint64_t least, uint64_t last);

/* Add another series with the same ticks value by value. Either may start later or have longer steps. */
void mb_trend_merge(struct mb_trend_series *into, const struct mb_trend_series *more);

/*
 * Evaluate a series; takes a few microseconds. error_bytes: standard error of each value if it is
 * scaled up from a sample (0: exact). A change of less than twice that error counts as none; a
 * change that is small compared to the value is not a leak below six times the error.
 */
void mb_trend_of(const struct mb_trend_series *s, uint64_t error_bytes, struct mb_trend *out);

/* Index of the last point at or before t_ns; 0 if the series begins later. */
uint32_t mb_trend_index(const struct mb_trend_series *s, uint64_t t_ns);

/* Growth of the floor since from_ns, in bytes. */
double mb_trend_grown(const struct mb_trend_series *s, uint64_t from_ns);

/* "stable", "unknown", "growing", "leak" */
const char *mb_verdict_name(enum mb_verdict v);

/*
 * Explain what is missing ("too early: 3 of 10 values"). Returns NULL if nothing is missing, and
 * buf if the text contains numbers.
 */
const char *mb_missing_text(const struct mb_trend *t, char *buf, size_t size);

#endif
