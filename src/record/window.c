// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Finds the ticks of a window. Ticks are ordered by the boot-time clock. UTC, which users give, can be set back or
 * forward during a recording.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "record/report.h"

#define DAY_MS 86400000ll
#define NO_TIME INT64_MIN

/* A tick that ends late by less than this part of its length still belongs to the time before. */
#define LATE_PART 20
/* If UTC and the boot-time clock advance by amounts that differ by more than this between two ticks, UTC was set. */
#define SET_MS 1000

struct tick {
	sqlite3_int64 tick;
	int64_t ms; /* UTC, since 1970; NO_TIME */
	int64_t boot_ms; /* CLOCK_BOOTTIME */
	int64_t traced_ns; /* traced time from the start of the recording to the end of the tick */
	int64_t length_ns;
	bool begins; /* first tick of a session */
};

/* All ticks of the recording; at least one. */
struct ticks {
	struct tick *at;
	size_t n;
	bool retained;
};

/* A requested point in time, as the number of ticks that have ended by then. */
struct reading {
	size_t before;
	int64_t ms; /* UTC; NO_TIME for "+SECONDS" */
};

#define READINGS 8

struct readings {
	struct reading at[READINGS];
	size_t n;
};

/* ---- ticks ---- */

static sqlite3_stmt *query_ticks(struct mb_reader *r)
{
	sqlite3_stmt *s = NULL;
	const char *sql =
		/* with several sessions, it is the traced time */
		mb_reader_is_retained(r) ?
			"SELECT tick, time, t_ns, sum(interval_ns) OVER (ORDER BY tick), interval_ns,"
			" tick IN (SELECT first_tick FROM session) FROM tick ORDER BY tick" :
			"SELECT tick, time, t_ns, since_start_ns, since_start_ns - lag(since_start_ns, 1, 0) OVER"
			" (ORDER BY tick), 0 FROM tick ORDER BY tick";

	return sqlite3_prepare_v2(mb_reader_sqlite(r), sql, -1, &s, NULL) ? NULL : s;
}

static bool add_tick(struct ticks *t, size_t *room, sqlite3_stmt *s)
{
	const char *time = (const char *)sqlite3_column_text(s, 1);
	struct tick *bigger, *to;

	if (t->n == *room) {
		bigger = realloc(t->at, (*room + 1024) * sizeof(*t->at));
		if (!bigger)
			return false;
		t->at = bigger;
		*room += 1024;
	}
	to = &t->at[t->n++];
	to->tick = sqlite3_column_int64(s, 0);
	if (!time || !mb_utc_read(time, &to->ms))
		to->ms = NO_TIME;
	to->boot_ms = sqlite3_column_int64(s, 2) / 1000000;
	to->traced_ns = sqlite3_column_int64(s, 3);
	to->length_ns = sqlite3_column_int64(s, 4);
	to->begins = sqlite3_column_int(s, 5);
	return true;
}

static int load(struct mb_reader *r, struct ticks *t, struct mb_err *e)
{
	sqlite3_stmt *s = query_ticks(r);
	int code = SQLITE_ERROR;
	size_t room = 0;

	while (s && (code = sqlite3_step(s)) == SQLITE_ROW) {
		if (!add_tick(t, &room, s)) {
			sqlite3_finalize(s);
			return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
		}
	}
	sqlite3_finalize(s);
	if (code != SQLITE_DONE)
		return mb_reader_damaged(r, e);
	t->retained = mb_reader_is_retained(r);
	return t->n ? 0 : mb_err_set(e, MB_EXIT_FAILED, 0, "nothing was recorded");
}

/* ---- points in time ---- */

static int64_t late_ms(const struct tick *t)
{
	return t->length_ns > 0 ? t->length_ns / LATE_PART / 1000000 : 0;
}

static bool is_over(const struct tick *t, int64_t ms)
{
	return t->ms - late_ms(t) <= ms;
}

static void add_reading(struct readings *to, size_t before, int64_t ms)
{
	if (to->n < READINGS)
		to->at[to->n++] = (struct reading){ .before = before, .ms = ms };
}

/* Whether UTC was set between two consecutive ticks. Across sessions, only a step backwards is known to be that. */
static bool was_set(const struct tick *before, const struct tick *t)
{
	int64_t off = (t->ms - before->ms) - (t->boot_ms - before->boot_ms);

	if (t->begins)
		return t->ms < before->ms;
	return off > SET_MS || off < -SET_MS;
}

/* Find where UTC passes through a time, and where it was set past it. */
static void find_passes(const struct ticks *t, int64_t ms, struct readings *through, struct readings *prev)
{
	const struct tick *before = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct tick *at = &t->at[i];

		if (at->ms == NO_TIME)
			continue;
		if (before && is_over(before, ms) && !is_over(at, ms))
			add_reading(was_set(before, at) ? prev : through, i, ms);
		before = at;
	}
}

/* How far in ms a time is before or after the recording, and the corresponding reading. */
static int64_t outside(const struct ticks *t, int64_t ms, struct reading *to)
{
	const struct tick *first = t->at, *last = t->at + t->n - 1;

	if (first->ms != NO_TIME && !is_over(first, ms)) {
		*to = (struct reading){ .before = 0, .ms = ms };
		return first->ms - ms;
	}
	if (last->ms != NO_TIME && is_over(last, ms)) {
		*to = (struct reading){ .before = t->n, .ms = ms };
		return ms - last->ms;
	}
	return INT64_MAX;
}

/* The range of UTC in the recording. Returns false if it has no times, or absurd ones. */
static bool find_range(const struct ticks *t, int64_t *least, int64_t *most)
{
	*least = INT64_MAX;
	*most = INT64_MIN;
	for (size_t i = 0; i < t->n; i++) {
		int64_t ms = t->at[i].ms;

		*least = ms != NO_TIME && ms < *least ? ms : *least;
		*most = ms > *most ? ms : *most;
	}
	return *most != INT64_MIN && *most - *least <= 100000 * DAY_MS;
}

/* "10:00" has no day: find all points in time that it can mean. */
static void find_clock(const struct ticks *t, int64_t of_day_ms, struct readings *through, struct readings *prev,
		       struct reading *near)
{
	int64_t least, most, nearest = INT64_MAX;

	if (!find_range(t, &least, &most))
		return;
	for (int64_t day = least / DAY_MS - 1; day <= most / DAY_MS + 1; day++) {
		int64_t ms = day * DAY_MS + of_day_ms, far;
		struct reading at;

		find_passes(t, ms, through, prev);
		far = outside(t, ms, &at);
		if (far < nearest) {
			nearest = far;
			*near = at;
		}
	}
}

/* The latest day on which UTC passes through a time of the day. Returns false if there is none. */
static bool latest(const struct ticks *t, int64_t of_day_ms, int64_t *ms)
{
	int64_t least, most;

	if (!find_range(t, &least, &most))
		return false;
	for (int64_t day = most / DAY_MS + 1; day >= least / DAY_MS - 1; day--) {
		struct readings through = { .n = 0 }, prev = { .n = 0 };

		*ms = day * DAY_MS + of_day_ms;
		find_passes(t, *ms, &through, &prev);
		if (through.n)
			return true;
	}
	return false;
}

/* The first such time of the day after the start of the window. Returns false if the start has no UTC. */
static bool first_after(const struct ticks *t, int64_t of_day_ms, const struct reading *start, int64_t *ms)
{
	int64_t from = start->ms;

	if (from == NO_TIME && start->before < t->n && t->at[start->before].ms != NO_TIME)
		from = t->at[start->before].ms - t->at[start->before].length_ns / 1000000;
	if (from == NO_TIME)
		return false;
	*ms = from - from % DAY_MS + of_day_ms;
	while (*ms - DAY_MS >= from)
		*ms -= DAY_MS;
	while (*ms < from)
		*ms += DAY_MS;
	return true;
}

static int ambiguous(const struct ticks *t, const char *what, const struct reading *a, const struct reading *b,
		     struct mb_err *e)
{
	char x[32], y[32];

	mb_utc_print(a->ms, x, sizeof(x));
	mb_utc_print(b->ms, y, sizeof(y));
	return mb_err_set(e, MB_EXIT_USAGE, 0,
			  "'%s' is more than one moment of the recording: %s (+%.1f) and %s (+%.1f): give %s", what, x,
			  (double)t->at[a->before ? a->before - 1 : 0].traced_ns / 1e9, y,
			  (double)t->at[b->before ? b->before - 1 : 0].traced_ns / 1e9,
			  a->ms == b->ms ? "+SECONDS" : "the day, or +SECONDS");
}

/* Parse "+SECONDS" of traced time. */
static int read_seconds(const struct ticks *t, const char *what, struct reading *to)
{
	char *end;
	double s = strtod(what + 1, &end);

	if (end == what + 1 || *end || !(s >= 0) || s > 1e9)
		return -EINVAL;
	*to = (struct reading){ .ms = NO_TIME };
	while (s > 0 && to->before < t->n &&
	       t->at[to->before].traced_ns - late_ms(&t->at[to->before]) * 1000000 <= (int64_t)(s * 1e9))
		to->before++;
	return 0;
}

/* One of the readings, or those that contradict each other in *e. */
static int choose(const struct ticks *t, const char *what, const struct readings *through, const struct readings *prev,
		  struct reading *to, struct mb_err *e)
{
	if (through->n > 1)
		return ambiguous(t, what, &through->at[0], &through->at[1], e);
	if (!through->n && to->ms == NO_TIME && prev->n > 1)
		return ambiguous(t, what, &prev->at[0], &prev->at[1], e);
	if (through->n || (to->ms == NO_TIME && prev->n))
		*to = through->n ? through->at[0] : prev->at[0];
	return 0;
}

/*
 * A retained recording covers many days, so a time without one means the latest of them; as the end of a window, the
 * first one after its start. Returns false if it is on none of them.
 */
static bool find_day(const struct ticks *t, int64_t of_day_ms, const struct reading *after, int64_t *ms)
{
	if (!after)
		return latest(t, of_day_ms, ms);
	return first_after(t, of_day_ms, after, ms);
}

/* Parse a point in time. after is the start of the window if its end is parsed, else NULL. */
static int read_moment(const struct ticks *t, const char *what, const struct reading *after, struct reading *to,
		       struct mb_err *e)
{
	struct readings through = { .n = 0 }, prev = { .n = 0 };
	bool has_day;
	int64_t ms;

	*to = (struct reading){ .before = t->n, .ms = NO_TIME };
	if (*what == '+' && !read_seconds(t, what, to))
		return 0;
	has_day = mb_utc_read(what, &ms);
	if (!has_day && !mb_utc_read_clock(what, &ms))
		return mb_err_set(e, MB_EXIT_USAGE, 0,
				  "'%s' is no time: 10:00, 10:00:05 (UTC), 10:00+02:00, 2026-01-02T10:00:00Z or +SECONDS",
				  what);
	if (has_day || (t->retained && find_day(t, ms, after, &ms))) {
		find_passes(t, ms, &through, &prev);
		outside(t, ms, to);
	} else {
		find_clock(t, ms, &through, &prev, to);
	}
	return choose(t, what, &through, &prev, to, e);
}

/* ---- the window ---- */

/* A window of zero length at the end of a tick means that tick. */
static bool is_at_end(const struct ticks *t, const struct reading *from, const struct reading *to)
{
	const struct tick *over = to->before ? &t->at[to->before - 1] : NULL;

	return over && from->before == to->before && from->ms != NO_TIME && from->ms == to->ms &&
	       over->ms <= to->ms + late_ms(over) && to->ms - over->ms <= late_ms(over);
}

/*
 * "23:15" to "23:11" reaches into the next day. If the recording ends before that, the times are rather in the wrong
 * order than up to its end.
 */
static bool is_reversed(const struct ticks *t, const struct reading *from, const struct reading *to, const char *what)
{
	int64_t ms;

	if (!t->retained || to->before < t->n || from->ms == NO_TIME || to->ms == NO_TIME || !mb_utc_read_clock(what, &ms))
		return false;
	return from->ms / DAY_MS != to->ms / DAY_MS && to->ms - from->ms > DAY_MS / 2;
}

/* The times lie within one tick, or in a gap between two sessions. */
static int nothing_between(const struct ticks *t, const char *from, const char *to, const struct reading *first,
			   const struct reading *last, struct mb_err *e)
{
	const struct tick *over = &t->at[first->before];
	int64_t begin_ms = over->ms != NO_TIME ? over->ms - over->length_ns / 1000000 : NO_TIME;
	char why[64] = "";

	if (first->before == last->before && over->begins && first->ms < begin_ms && last->ms < begin_ms)
		snprintf(why, sizeof(why), ": memblame was not running then");
	else if (first->before == last->before)
		snprintf(why, sizeof(why), ": one tick of %.1f s covers it", (double)over->length_ns / 1e9);
	return mb_err_set(e, MB_EXIT_FAILED, 0, "nothing lies between %s and %s%s", from ? from : "the start",
			  to ? to : "the end", why);
}

static int find(const struct ticks *t, const char *from, const char *to, struct mb_window *w, struct mb_err *e)
{
	struct reading first = { .before = 0, .ms = NO_TIME }, last = { .before = t->n, .ms = NO_TIME };
	int err = from ? read_moment(t, from, NULL, &first, e) : 0;

	if (!err && to)
		err = read_moment(t, to, from ? &first : NULL, &last, e);
	if (err)
		return err;
	if (from && to && is_at_end(t, &first, &last))
		first.before--;
	if (first.before == t->n)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "the recording ends before %s", from);
	if (!last.before)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "the recording begins after %s", to);
	if (from && to && is_reversed(t, &first, &last, to))
		return mb_err_set(e, MB_EXIT_FAILED, 0, "nothing lies between %s and %s: the recording ends before that",
				  from, to);
	if (first.before >= last.before)
		return nothing_between(t, from, to, &first, &last, e);
	w->first = t->at[first.before].tick;
	w->last = t->at[last.before - 1].tick;
	w->whole = !from && !to;
	return 0;
}

int mb_report_window(struct mb_reader *r, const char *from, const char *to, struct mb_window *w,
		     struct mb_err *e)
{
	struct ticks t = { .n = 0 };
	int err = load(r, &t, e);

	if (!err)
		err = find(&t, from, to, w, e);
	free(t.at);
	return err;
}
