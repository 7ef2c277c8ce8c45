/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What of a window was counted. With a budget, fields are not counted while tracing is at a level that leaves them out
 * (docs/overhead.md), so 0 in an account is a count only if its tick was counted at least in part. The recorded
 * steps of the level say when that was.
 */
#ifndef MB_RECORD_COVERAGE_H
#define MB_RECORD_COVERAGE_H

#include "model/levels.h"
#include "record/report.h"

struct mb_coverage_tick {
	sqlite3_int64 tick;
	/* from the start of the window to the end of this tick */
	uint64_t ns;
	uint64_t off_ns[MB_LEVELS]; /* time at this level or above */
};

/* The part of a session that lies in the window. */
struct mb_coverage_session {
	sqlite3_int64 first, last; /* its ticks in the recording */
	bool governed; /* it has a budget */
	bool *known; /* by column: a process has a value; NULL: no session of the window has a budget */
};

struct mb_coverage {
	struct mb_coverage_tick *ticks;
	size_t n, room;
	struct mb_coverage_session *sessions;
	size_t n_sessions;
	struct mb_levels levels; /* time at each level in the window; all else as of its end */
	bool rest_unknown; /* hooks were off in a session of the window, so that remainders of totals are not known */
	uint64_t *other_ns; /* by column: time that was not counted for other reasons than the level */
};

/* Returns 0 or -errno with *e set. Call mb_coverage_free() in either case. */
int mb_coverage_load(struct mb_coverage *c, struct mb_reader *r, const struct mb_window *w,
		     struct mb_err *e);
void mb_coverage_free(struct mb_coverage *c);

/* The level from which on a column has no value; MB_LEVEL_FULL: it has one at all levels. */
enum mb_level mb_coverage_off_from(const struct mb_column *column);

/* Whether a level leaves the column out, and no other column counts instead what it lacks. */
bool mb_coverage_left_out(const struct mb_column *column);

/* Whether a column (an index) was counted at any time within these ticks of the window. Needs a budget. */
bool mb_coverage_counted(const struct mb_coverage *c, size_t column, sqlite3_int64 first,
			 sqlite3_int64 last);

/* Whether a session of the window has values of a column at some time, if it has a budget. */
bool mb_coverage_known(const struct mb_coverage *c, size_t column);

/* Time at a level or above within these ticks of the window. */
uint64_t mb_coverage_off_ns(const struct mb_coverage *c, enum mb_level level, sqlite3_int64 first,
			    sqlite3_int64 last);

/*
 * Find the columns that are the stalled time of a kind of stall that the recording counts at any time. counts has an
 * element per column. Returns 0 or -errno with *e set.
 */
int mb_coverage_stalls(struct mb_reader *r, bool *counts, struct mb_err *e);

/* For how long of the window a column was not counted. */
uint64_t mb_coverage_uncounted_ns(const struct mb_coverage *c, size_t column);

#endif
