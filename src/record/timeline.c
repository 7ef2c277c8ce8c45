// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The report that shows a window in steps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "record/coverage.h"
#include "record/report.h"
#include "sinks/text.h"

#define STEPS 20

/*
 * Add an expression for the total stalled time of a row of account a, over the kinds in counts; NULL if none of them
 * is known.
 */
static void add_stalled(sqlite3_str *sql, const bool *counts)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	sqlite3_str_appendf(sql, "CASE WHEN coalesce(NULL, NULL");
	for (size_t i = 0; i < n; i++) {
		if (counts[i])
			sqlite3_str_appendf(sql, ", a.%s", c[i].name);
	}
	sqlite3_str_appendf(sql, ") IS NOT NULL THEN 0");
	for (size_t i = 0; i < n; i++) {
		if (counts[i])
			sqlite3_str_appendf(sql, " + ifnull(a.%s, 0)", c[i].name);
	}
	sqlite3_str_appendf(sql, " END");
}

/* Some ticks of the window. */
struct step {
	char time[32]; /* of the last one */
	uint64_t minor, major, stalled; /* stalled: MB_NO_VALUE if it is not known in any tick */
	uint64_t unknown_ns; /* time in which some kind of stall was not counted */
};

struct steps {
	struct step at[STEPS];
	size_t n;
	enum mb_level some_off,
		all_off; /* the levels from which on some or all kinds of stall are off; 0: none */
};

static void put_step(struct mb_out *out, bool json, const struct step *s)
{
	char a[MB_UNITS_LEN], b[MB_UNITS_LEN], c[MB_UNITS_LEN], least[MB_UNITS_LEN + 2];

	if (json) {
		mb_json_object(out, NULL);
		mb_json_str(out, "time", s->time);
		mb_json_number(out, "minor", s->minor);
		mb_json_number(out, "major", s->major);
		mb_json_number(out, "stalled_ns", s->stalled);
		mb_json_u64(out, "stalled_unknown_ns", s->unknown_ns);
		mb_json_object_end(out);
		return;
	}
	snprintf(least, sizeof(least), "%s%s",
		 s->unknown_ns && s->stalled != MB_NO_VALUE ? ">=" : "",
		 mb_format_number(c, MB_UNIT_NS, s->stalled));
	mb_out_printf(out, "%-24s %12s %10s %12s\n", s->time,
		      mb_format_number(a, MB_UNIT_COUNT, s->minor),
		      mb_format_number(b, MB_UNIT_COUNT, s->major), least);
}

/* Which levels leave stalls out, of those that the recording counts. */
static void find_levels(struct steps *steps, const bool *counts)
{
	enum mb_level most = MB_LEVEL_FULL;
	bool always = false;
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t i = 0; i < n; i++) {
		enum mb_level from = mb_coverage_off_from(&c[i]);

		if (!counts[i])
			continue;
		always |= !from;
		most = from > most ? from : most;
		if (from && (!steps->some_off || from < steps->some_off))
			steps->some_off = from;
	}
	steps->all_off = always ? MB_LEVEL_FULL : most;
}

/* Per tick: its step, the sums, and whether a process did not know a value. */
static int query_ticks(struct mb_reader *r, const struct mb_window *w, struct steps *steps,
		       sqlite3_stmt **s, struct mb_err *e)
{
	const char *length = mb_reader_has(r, "tick", "interval_ns") ? "t.interval_ns" : "0";
	sqlite3_str *sql;
	char *text;
	bool *counts;
	size_t n;
	int err;

	mb_columns(&n);
	counts = calloc(n + 1, sizeof(*counts));
	if (!counts)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	err = mb_coverage_stalls(r, counts, e);
	sql = sqlite3_str_new(mb_reader_sqlite(r));
	find_levels(steps, counts);
	sqlite3_str_appendf(
		sql,
		"SELECT t.tick, t.time, %s, ifnull(sum(minor), 0), ifnull(sum(major), 0),"
		" CASE WHEN count(process) THEN sum(lost) ELSE 0 END, count(lost) < count(process),"
		" (t.tick - ?1) * %d / (?2 - ?1 + 1)"
		" FROM tick t LEFT JOIN (SELECT tick, process, minor, major, ",
		length, STEPS);
	add_stalled(sql, counts);
	sqlite3_str_appendf(
		sql,
		" AS lost FROM account a) USING (tick) WHERE t.tick BETWEEN ?1 AND ?2 GROUP BY t.tick ORDER BY t.tick");
	free(counts);
	text = sqlite3_str_finish(sql);
	if (!err && (!text || sqlite3_prepare_v2(mb_reader_sqlite(r), text, -1, s, NULL)))
		err = mb_reader_damaged(r, e);
	sqlite3_free(text);
	if (err)
		return err;
	sqlite3_bind_int64(*s, 1, w->first);
	sqlite3_bind_int64(*s, 2, w->last);
	return 0;
}

static void add_tick(struct step *to, const struct steps *steps, const struct mb_coverage *cover,
		     sqlite3_stmt *s)
{
	sqlite3_int64 tick = sqlite3_column_int64(s, 0), length = sqlite3_column_int64(s, 2);
	const char *time = (const char *)sqlite3_column_text(s, 1);
	uint64_t stalled = (uint64_t)sqlite3_column_int64(s, 5),
		 ns = length > 0 ? (uint64_t)length : 0, unknown_ns = 0;

	if (sqlite3_column_type(s, 5) == SQLITE_NULL)
		stalled = MB_NO_VALUE;
	if (steps->some_off)
		unknown_ns = mb_coverage_off_ns(cover, steps->some_off, tick, tick);
	if (sqlite3_column_int(s, 6))
		unknown_ns = ns > unknown_ns ? ns : unknown_ns;
	/* nothing happened, but nothing was counted either */
	if (!stalled && steps->all_off &&
	    mb_coverage_off_ns(cover, steps->all_off, tick, tick) >= ns)
		stalled = MB_NO_VALUE;
	snprintf(to->time, sizeof(to->time), "%s", time ? time : "");
	to->minor += (uint64_t)sqlite3_column_int64(s, 3);
	to->major += (uint64_t)sqlite3_column_int64(s, 4);
	to->stalled = mb_values_sum(to->stalled, stalled);
	to->unknown_ns += unknown_ns;
}

static int load_steps(struct steps *steps, struct mb_reader *r, const struct mb_window *w,
		      struct mb_err *e)
{
	struct mb_coverage cover;
	sqlite3_stmt *s = NULL;
	int code = SQLITE_DONE, err;
	sqlite3_int64 last = -1;

	err = mb_coverage_load(&cover, r, w, e);
	if (!err)
		err = query_ticks(r, w, steps, &s, e);
	while (!err && (code = sqlite3_step(s)) == SQLITE_ROW) {
		if (sqlite3_column_int64(s, 7) != last && steps->n < STEPS)
			steps->at[steps->n++] = (struct step){ .stalled = MB_NO_VALUE };
		last = sqlite3_column_int64(s, 7);
		add_tick(&steps->at[steps->n - 1], steps, &cover, s);
	}
	if (!err && code != SQLITE_DONE)
		err = mb_reader_damaged(r, e);
	sqlite3_finalize(s);
	mb_coverage_free(&cover);
	return err;
}

int mb_report_timeline(struct mb_reader *r, const struct mb_window *w, bool json,
		       struct mb_out *out, struct mb_err *e)
{
	struct steps steps = { .n = 0 };
	int err = load_steps(&steps, r, w, e);

	if (err)
		return err;
	if (json) {
		mb_json_object(out, NULL);
		mb_json_u64(out, "schema", 1);
		mb_json_str(out, "kind", "timeline");
		mb_json_array(out, "steps");
	} else {
		mb_out_printf(out, "\n%-24s %12s %10s %12s\n", "UNTIL", "MINOR", "MAJOR",
			      "STALLED");
	}
	for (size_t i = 0; i < steps.n; i++)
		put_step(out, json, &steps.at[i]);
	if (json) {
		mb_json_array_end(out);
		mb_json_object_end(out);
		mb_json_end_line(out);
	}
	return 0;
}
