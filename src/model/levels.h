/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Trace levels over time (enum mb_level), from the governor's events. */
#ifndef MB_MODEL_LEVELS_H
#define MB_MODEL_LEVELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"

struct mb_levels {
	uint64_t from_ns; /* time before this does not count; 0: all time counts */
	uint64_t since_ns; /* time of the last event */
	uint64_t partial_ns; /* when hooks on hot paths were first detached; 0: never */
	uint64_t ns[MB_LEVELS]; /* up to since_ns */
	/* per level: since when tracing has been at this level or above; 0: it is below */
	uint64_t off_since_ns[MB_LEVELS];
	uint32_t now; /* enum mb_level */
	uint32_t tick_divisor; /* threads are read every N ticks */
	bool governed; /* a budget is set */
};

/* Process an event; events arrive in order, the first one at the start of the trace. */
void mb_levels_add(struct mb_levels *l, const struct mb_level_event *e);

/* Time spent at a level up to now_ns, in ns. */
uint64_t mb_levels_ns(const struct mb_levels *l, enum mb_level level, uint64_t now_ns);

/*
 * Time spent at a level or above, up to now_ns, in ns: how long data that is off from that level on
 * was not traced.
 */
uint64_t mb_levels_off_ns(const struct mb_levels *l, enum mb_level from, uint64_t now_ns);

/* "full", "sampled", "counts", "iterator"; by enum mb_level. */
extern const char *const mb_level_names[MB_LEVELS];

#endif
