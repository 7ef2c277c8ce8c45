/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * How soon will what grows reach a limit? The rate at which an amount of memory grows now, out of a series of its
 * values, and the nearest in time of several limits. Plain arithmetic; src/leaks/limits.c reads the values.
 */
#ifndef MB_LEAKS_OUTLOOK_H
#define MB_LEAKS_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "leaks/trend.h"

struct mb_growth {
	bool known; /* false: too few values, or over too short a time */
	int64_t slope_bytes_per_s; /* of the floor; 0: it does not grow; never negative */
};

/* A limit and what is left below it. */
struct mb_limit {
	const char *kind; /* "cgroup", "address space", ...: docs/json.md has the list */
	const char *path; /* of the cgroup; NULL: it is not one's */
	uint64_t bytes, usage_bytes; /* as the kernel has them */
	uint64_t reclaimable_bytes; /* of usage_bytes: page cache and the like, which gives way before the limit is hit */
	uint64_t swap_bytes; /* what can still be swapped out instead */
};

struct mb_outlook {
	struct mb_growth growth;
	bool limited; /* there is a limit */
	struct mb_limit
		limit; /* the nearest in time; where none is reached, the one with the least room */
	int64_t limit_slope_bytes_per_s; /* of all that grows towards it */
	bool eta_known;
	uint64_t eta_ns; /* until it is reached, if this goes on */
};

/* The rate at which an amount grows now: of as much of its latest past as is even. */
void mb_growth_of(const struct mb_trend_series *s, struct mb_growth *g);

/* What can still come before the limit stops it. */
uint64_t mb_limit_room(const struct mb_limit *l);

/* Take a limit, towards which memory grows by slope (0 or less: it does not), if it is nearer than the one in o. */
void mb_outlook_take(struct mb_outlook *o, const struct mb_limit *l, int64_t slope_bytes_per_s);

#endif
