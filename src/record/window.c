// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Finds the ticks of a window. Ticks are ordered by the boot-time clock. UTC, which users give, can be set back or
 * forward during a recording.
 */
#include <errno.h>
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

/* "10:00" has no day: find all points in time that it can mean. */
static void find_clock(const struct ticks *t, int64_t of_day_ms, struct readings *through, struct readings *prev,
		       struct reading *near)
{
	int64_t least = INT64_MAX, most = INT64_MIN, nearest = INT64_MAX;

	for (size_t i = 0; i < t->n; i++) {
		int64_t ms = t->at[i].ms;

		least = ms != NO_TIME && ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	if (most == INT64_MIN || most - least > 100000 * DAY_MS)
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

/*
 * Choose among several matches in a retained recording: the last one; for the end of a window, the first one after
 * its start, or NULL if there is none yet.
 */
static const struct reading *choose(const struct readings *of, const struct reading *after)
{
	const struct reading *last = &of->at[0], *first = NULL;

	for (size_t i = 0; i < of->n; i++) {
		const struct reading *at = &of->at[i];

		last = at->before > last->before ? at : last;
		if (after && at->before > after->before && (!first || at->before < first->before))
			first = at;
	}
	return after ? first : last;
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

/* Parse a point in time. after is the start of the window if its end is parsed, else NULL. */
static int read_moment(const struct ticks *t, const char *what, const struct reading *after, struct reading *to,
		       struct mb_err *e)
{
	struct readings through = { .n = 0 }, prev = { .n = 0 };
	int64_t ms;

	*to = (struct reading){ .before = t->n, .ms = NO_TIME };
	if (*what == '+' && !read_seconds(t, what, to))
		return 0;
	if (mb_utc_read(what, &ms)) {
		find_passes(t, ms, &through, &prev);
		outside(t, ms, to);
	} else if (mb_utc_read_clock(what, &ms)) {
		find_clock(t, ms, &through, &prev, to);
		if (t->retained && through.n) {
			const struct reading *chosen = choose(&through, after);

			*to = chosen ? *chosen : (struct reading){ .before = t->n, .ms = ms };
			return 0;
		}
	} else {
		return mb_err_set(e, MB_EXIT_USAGE, 0,
				  "'%s' is no time: 10:00, 10:00:05 (UTC), 10:00+02:00, 2026-01-02T10:00:00Z or +SECONDS",
				  what);
	}
	if (through.n > 1)
		return ambiguous(t, what, &through.at[0], &through.at[1], e);
	if (!through.n && to->ms == NO_TIME && prev.n > 1)
		return ambiguous(t, what, &prev.at[0], &prev.at[1], e);
	if (through.n || (to->ms == NO_TIME && prev.n))
		*to = through.n ? through.at[0] : prev.at[0];
	return 0;
}

/* ---- the window ---- */

/* A window of zero length at the end of a tick means that tick. */
static bool is_at_end(const struct ticks *t, const struct reading *from, const struct reading *to)
{
	const struct tick *over = to->before ? &t->at[to->before - 1] : NULL;

	return over && from->before == to->before && from->ms != NO_TIME && from->ms == to->ms &&
	       over->ms <= to->ms + late_ms(over) && to->ms - over->ms <= late_ms(over);
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
	if (first.before >= last.before)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "nothing lies between %s and %s", from ? from : "the start",
				  to ? to : "the end");
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
