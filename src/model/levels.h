/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* At which level tracing was, and for how long (enum mb_level): what its events of the governor tell. */
#ifndef MB_MODEL_LEVELS_H
#define MB_MODEL_LEVELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"

struct mb_levels {
	uint64_t from_ns; /* what was before does not count; 0: all does */
	uint64_t since_ns; /* of the last event */
	uint64_t partial_ns; /* when hooks on hot paths were first taken off; 0: never */
	uint64_t ns[MB_LEVELS]; /* up to since_ns */
	uint64_t off_since_ns[MB_LEVELS]; /* by level: since when it has been that or one above; 0: it is not */
	uint32_t now; /* enum mb_level */
	uint32_t tick_divisor; /* each so many ticks threads are read */
	bool governed; /* there is a budget */
};

/* Take in an event; those of a trace come in order, the first one at its start. */
void mb_levels_add(struct mb_levels *l, const struct mb_level_event *e);

/* Time spent at a level up to now_ns. */
uint64_t mb_levels_ns(const struct mb_levels *l, enum mb_level level, uint64_t now_ns);

/* Time spent at a level or one above, up to now_ns: what is off from that level on was not traced so long. */
uint64_t mb_levels_off_ns(const struct mb_levels *l, enum mb_level from, uint64_t now_ns);

/* "full", "sampled", "counts", "iterator"; by enum mb_level. */
extern const char *const mb_level_names[MB_LEVELS];

#endif
