/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * How soon does growing memory reach a limit? Computes the current growth rate from a series of
 * values, and which of several limits is reached first. Plain arithmetic; src/leaks/limits.c reads
 * the values.
 */
#ifndef MB_LEAKS_OUTLOOK_H
#define MB_LEAKS_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "leaks/trend.h"

/* The current growth of an amount of memory. */
struct mb_growth {
	bool known; /* false: too few values, or too short a time */
	int64_t slope_bytes_per_s; /* of the floor; 0: does not grow; never negative */
};

/* A limit and the memory charged to it. */
struct mb_limit {
	const char *kind; /* "cgroup", "address space", ...: see the list in docs/json.md */
	const char *path; /* path of the cgroup; NULL: not a cgroup limit */
	uint64_t bytes, usage_bytes; /* as reported by the kernel */
	/* part of usage_bytes that is reclaimed before the limit is hit, such as page cache */
	uint64_t reclaimable_bytes;
	uint64_t swap_bytes; /* memory that can still be swapped out instead */
};

/* The growth of a process or cgroup, and the limit that it reaches first. */
struct mb_outlook {
	struct mb_growth growth;
	bool limited; /* there is a limit */
	struct mb_limit limit; /* the limit reached first; if none is reached, the one with the least room */
	int64_t limit_slope_bytes_per_s; /* growth rate of all memory charged to this limit */
	bool eta_known;
	uint64_t eta_ns; /* time until the limit is reached at this rate */
};

/*
 * How fast the memory charged to a limit grows, by everything that grows in it. A process or cgroup
 * that was watched for less than half the time of the limit may soon end and free its memory, so
 * its growth counts only towards a limit that is near.
 */
struct mb_rate {
	int64_t lasting; /* largest slope of those watched for at least half the time */
	int64_t young; /* largest slope of the others... */
	uint64_t young_ns; /* ...and how long that one was watched */
};

/* The current growth rate of a series: over the longest recent part that grows evenly. */
void mb_growth_of(const struct mb_trend_series *s, struct mb_growth *g);

/* Bytes that can still be used before the limit is hit. */
uint64_t mb_limit_room(const struct mb_limit *l);

/*
 * Takes what grows at slope_bytes_per_s and was watched for watched_ns into the rate of a limit that
 * was watched for whole_ns.
 */
void mb_rate_take(struct mb_rate *r, int64_t slope_bytes_per_s, uint64_t watched_ns, uint64_t whole_ns);

/*
 * Rate at which the memory charged to l grows. The young part counts if l would be reached within 10
 * times the time for which that part was watched.
 */
int64_t mb_rate_towards(const struct mb_rate *r, const struct mb_limit *l);

/*
 * The same, for the time of a part of that memory, which grows at slope_bytes_per_s itself. 0
 * if the part does not grow, or if its growth is too young to count.
 */
int64_t mb_rate_of_part(const struct mb_rate *r, const struct mb_limit *l, int64_t slope_bytes_per_s);

/*
 * Use limit l for o if it is reached sooner than the one in o. slope: growth rate of the memory
 * charged to l (0 or less: it does not grow).
 */
void mb_outlook_take(struct mb_outlook *o, const struct mb_limit *l, int64_t slope_bytes_per_s);

#endif
