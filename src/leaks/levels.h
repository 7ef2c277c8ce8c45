/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The levels on which memory is accounted for (enum mb_leak_level): a table of what differs between them. */
#ifndef MB_LEAKS_LEVELS_H
#define MB_LEAKS_LEVELS_H

#include "leaks/leaks.h"
#include "leaks/verdict.h"

/* Each function may be NULL. */
struct mb_leak_level_info {
	const char *name; /* in the output */
	bool of_process; /* its memory is gone when the process is; without a stack, it is from before tracing */
	bool from_caller; /* rows are the same call site from the caller of the allocator on */
	/* All events of this family are for this level; NULL: its events change other levels, too (leaks.c). */
	uint32_t family;
	void (*event)(struct mb_leaks_session *l, const struct mb_event *e);
	/* What the memory of a group is, e.g. a slab cache; NULL: nothing special. */
	const char *(*what)(const struct mb_leaks_session *l, const struct mb_leak_key *key);
	/* How much a group's growth counts in the order of rows; NULL: 1. */
	double (*weight)(const struct mb_leak_key *key);
	/* Why the leaks on this level may not be real, according to the whole process; NULL: not checked. */
	enum mb_missing (*unproven)(const struct mb_leak_space *sp, const struct mb_leak_sum *leaks);
};

/* The row of a level. */
const struct mb_leak_level_info *mb_leak_level_info(enum mb_leak_level level);

#endif
