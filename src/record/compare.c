// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reports that compare numbers: a window in steps, and two recordings. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "record/report.h"
#include "sinks/text.h"

#define STEPS 20
#define DIFF_ROWS 40 /* rows shown in a diff */
#define DIFF_MAX 65532 /* rows compared: a multiple of QUANTITIES */

struct sql {
	char text[8192];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct sql *sql, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	sql->len += (size_t)vsnprintf(sql->text + sql->len, sizeof(sql->text) - sql->len, format, ap);
	va_end(ap);
	if (sql->len >= sizeof(sql->text))
		sql->len = sizeof(sql->text) - 1; /* truncated, so SQLite rejects it */
}

/* Whether the column is the stalled time of a kind of stall. */
static bool is_stalled(const struct mb_column *c)
{
	const char *end = c->name + strlen(c->name);

	return !strncmp(c->name, "stalls_", 7) && !c->is_max && !strcmp(end - 3, "_ns");
}

/* Find the kinds of stall that the recording counts. counts is indexed by column. */
static int find_stalls(struct mb_reader *r, bool *counts, struct mb_err *e)
{
	struct sql sql = { .len = 0 };
	sqlite3_stmt *s = NULL;
	size_t n;
	const struct mb_column *c = mb_columns(&n);
	int code;

	add(&sql, "SELECT 0");
	for (size_t i = 0; i < n; i++) {
		counts[i] = is_stalled(&c[i]) && mb_reader_has(r, "account", c[i].name);
		if (counts[i])
			add(&sql, ", max(%s IS NOT NULL)", c[i].name);
	}
	add(&sql, " FROM account");
	code = sqlite3_prepare_v2(mb_reader_sqlite(r), sql.text, -1, &s, NULL);
	if (!code)
		code = sqlite3_step(s);
	for (size_t i = 0, column = 1; i < n && code == SQLITE_ROW; i++) {
		if (counts[i])
			counts[i] = sqlite3_column_int(s, (int)column++);
	}
	sqlite3_finalize(s);
	return code == SQLITE_ROW ? 0 : mb_reader_damaged(r, e);
}

/*
 * Add an expression for the total stalled time of a row of account a, over the kinds in counts; NULL if none of them
 * is known.
 */
static void add_stalled(struct sql *sql, const bool *counts)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	add(sql, "CASE WHEN coalesce(NULL, NULL");
	for (size_t i = 0; i < n; i++) {
		if (counts[i])
			add(sql, ", a.%s", c[i].name);
	}
	add(sql, ") IS NOT NULL THEN 0");
	for (size_t i = 0; i < n; i++) {
		if (counts[i])
			add(sql, " + ifnull(a.%s, 0)", c[i].name);
	}
	add(sql, " END");
}

static uint64_t value(sqlite3_stmt *s, int column)
{
	return sqlite3_column_type(s, column) == SQLITE_NULL ? MB_NO_VALUE :
							       (uint64_t)sqlite3_column_int64(s, column);
}

/* ---- step by step ---- */

static void put_step(struct mb_out *out, bool json, sqlite3_stmt *s)
{
	const char *time = (const char *)sqlite3_column_text(s, 0);
	uint64_t minor = value(s, 1), major = value(s, 2), stalled = value(s, 3);
	uint64_t unknown_ns = (uint64_t)sqlite3_column_int64(s, 4);
	char a[MB_UNITS_LEN], b[MB_UNITS_LEN], c[MB_UNITS_LEN], least[MB_UNITS_LEN + 2];

	if (json) {
		mb_json_object(out, NULL);
		mb_json_str(out, "time", time);
		mb_json_number(out, "minor", minor);
		mb_json_number(out, "major", major);
		mb_json_number(out, "stalled_ns", stalled);
		mb_json_u64(out, "stalled_unknown_ns", unknown_ns);
		mb_json_object_end(out);
		return;
	}
	snprintf(least, sizeof(least), "%s%s", unknown_ns && stalled != MB_NO_VALUE ? ">=" : "",
		 mb_format_number(c, MB_UNIT_NS, stalled));
	mb_out_printf(out, "%-24s %12s %10s %12s\n", time ? time : "", mb_format_number(a, MB_UNIT_COUNT, minor),
		      mb_format_number(b, MB_UNIT_COUNT, major), least);
}

/*
 * Per tick: the sums, and whether a process did not know a value. Per step: the time of its last tick, and the sums
 * of the ticks.
 */
static int query_steps(struct mb_reader *r, const struct mb_window *w, sqlite3_stmt **s, struct mb_err *e)
{
	const char *length = mb_reader_has(r, "tick", "interval_ns") ? "t.interval_ns" : "0";
	struct sql sql = { .len = 0 };
	bool *counts;
	size_t n;
	int err;

	mb_columns(&n);
	counts = calloc(n + 1, sizeof(*counts));
	if (!counts)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	err = find_stalls(r, counts, e);
	add(&sql, "SELECT time, sum(minor), sum(major), sum(stalled), sum(unknown * ns), max(tick) FROM (SELECT t.tick,"
		  " t.time, %s AS ns, ifnull(sum(minor), 0) AS minor, ifnull(sum(major), 0) AS major,"
		  " CASE WHEN count(process) THEN sum(lost) ELSE 0 END AS stalled, count(lost) < count(process) AS unknown"
		  " FROM tick t LEFT JOIN (SELECT tick, process, minor, major, ", length);
	add_stalled(&sql, counts);
	add(&sql, " AS lost FROM account a) USING (tick) WHERE t.tick BETWEEN ?1 AND ?2 GROUP BY t.tick)"
		  " GROUP BY (tick - ?1) * %d / (?2 - ?1 + 1) ORDER BY tick", STEPS);
	free(counts);
	if (!err && sqlite3_prepare_v2(mb_reader_sqlite(r), sql.text, -1, s, NULL))
		err = mb_reader_damaged(r, e);
	if (err)
		return err;
	sqlite3_bind_int64(*s, 1, w->first);
	sqlite3_bind_int64(*s, 2, w->last);
	return 0;
}

int mb_report_timeline(struct mb_reader *r, const struct mb_window *w, bool json,
		       struct mb_out *out, struct mb_err *e)
{
	sqlite3_stmt *s = NULL;
	int code, err = query_steps(r, w, &s, e);

	if (err)
		return err;
	if (json) {
		mb_json_object(out, NULL);
		mb_json_u64(out, "schema", 1);
		mb_json_str(out, "kind", "timeline");
		mb_json_array(out, "steps");
	} else {
		mb_out_printf(out, "\n%-24s %12s %10s %12s\n", "UNTIL", "MINOR", "MAJOR", "STALLED");
	}
	while ((code = sqlite3_step(s)) == SQLITE_ROW)
		put_step(out, json, s);
	if (json) {
		mb_json_array_end(out);
		mb_json_object_end(out);
		mb_json_end_line(out);
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? 0 : mb_reader_damaged(r, e);
}

/* ---- two recordings ---- */

/* A number of a program in one of the two recordings. */
struct side {
	bool seen; /* the program is in the recording */
	bool known;
	double value;
};

struct diff {
	char program[64];
	const struct quantity *quantity;
	struct side before, after;
	double score; /* change as a share of the total of the quantity */
};

static const struct quantity {
	const char *name;
	const char *column; /* column of account a; NULL: stalled time */
	bool is_max;
	enum mb_unit unit;
	bool per_second;
} quantities[] = {
	{ "minor", "minor", false, MB_UNIT_COUNT, true },
	{ "major", "major", false, MB_UNIT_COUNT, true },
	{ "stalled_ns", NULL, false, MB_UNIT_NS, true },
	{ "mapped_bytes", "vma_mapped_bytes", false, MB_UNIT_BYTES, true },
	{ "dirtied_bytes", "writeback_dirtied_bytes", false, MB_UNIT_BYTES, true },
	{ "rss_peak_bytes", "rss_peak_bytes", true, MB_UNIT_BYTES, false },
};

#define QUANTITIES (sizeof(quantities) / sizeof(quantities[0]))

struct diffs {
	struct diff *rows;
	size_t n;
	size_t left_out; /* programs that did not fit */
	uint64_t unknown_ns[2][QUANTITIES]; /* index 0: recording before, 1: recording after; then by quantity */
};

/* The rows of a program are adjacent, in the order of quantities. */
static struct diff *diffs_get(struct diffs *d, const char *program)
{
	for (size_t i = 0; i < d->n; i += QUANTITIES) {
		if (strcmp(d->rows[i].program, program) == 0)
			return &d->rows[i];
	}
	if (d->n + QUANTITIES > DIFF_MAX) {
		d->left_out++;
		return NULL;
	}
	for (size_t q = 0; q < QUANTITIES; q++) {
		struct diff *row = &d->rows[d->n++];

		snprintf(row->program, sizeof(row->program), "%s", program);
		row->quantity = &quantities[q];
	}
	return &d->rows[d->n - QUANTITIES];
}

/* Add the expression for the value of a quantity in a row of account a. */
static void add_quantity(struct sql *sql, struct mb_reader *r, size_t q, const bool *counts)
{
	const char *column = quantities[q].column;

	if (!column)
		add_stalled(sql, counts);
	else if (!mb_reader_has(r, "account", column))
		add(sql, "NULL");
	else
		add(sql, "a.%s", column);
}

/* Per program, the sum of the known values of each quantity. */
static sqlite3_stmt *query_programs(struct mb_reader *r, const bool *counts)
{
	struct sql sql = { .len = 0 };
	sqlite3_stmt *s = NULL;

	add(&sql, "SELECT p.comm");
	for (size_t q = 0; q < QUANTITIES; q++) {
		add(&sql, ", %s(", quantities[q].is_max ? "max" : "sum");
		add_quantity(&sql, r, q, counts);
		add(&sql, ")");
	}
	add(&sql, " FROM account a JOIN process p USING (process) GROUP BY p.comm");
	return sqlite3_prepare_v2(mb_reader_sqlite(r), sql.text, -1, &s, NULL) ? NULL : s;
}

/* For how long each quantity was not counted: the time of the ticks in which some account has no value for it. */
static int find_unknown(struct mb_reader *r, const bool *counts, uint64_t unknown_ns[QUANTITIES], struct mb_err *e)
{
	struct sql sql = { .len = 0 };
	sqlite3_stmt *s = NULL;
	int code;

	memset(unknown_ns, 0, QUANTITIES * sizeof(*unknown_ns));
	if (!mb_reader_has(r, "tick", "interval_ns"))
		return 0;
	add(&sql, "SELECT 0");
	for (size_t q = 0; q < QUANTITIES; q++)
		add(&sql, ", sum(q%zu * interval_ns)", q);
	add(&sql, " FROM (SELECT tick");
	for (size_t q = 0; q < QUANTITIES; q++) {
		add(&sql, ", max((");
		add_quantity(&sql, r, q, counts);
		add(&sql, ") IS NULL) AS q%zu", q);
	}
	add(&sql, " FROM account a GROUP BY tick) JOIN tick USING (tick)");
	code = sqlite3_prepare_v2(mb_reader_sqlite(r), sql.text, -1, &s, NULL);
	if (!code)
		code = sqlite3_step(s);
	for (size_t q = 0; q < QUANTITIES && code == SQLITE_ROW; q++)
		unknown_ns[q] = quantities[q].per_second ? (uint64_t)sqlite3_column_int64(s, 1 + (int)q) : 0;
	sqlite3_finalize(s);
	return code == SQLITE_ROW ? 0 : mb_reader_damaged(r, e);
}

/* Add the programs of one recording. counts holds the kinds of stall that both recordings count. */
static int add_recording(struct diffs *d, struct mb_reader *r, bool is_after, const bool *counts, struct mb_err *e)
{
	uint64_t *unknown_ns = d->unknown_ns[is_after], ns = 0;
	struct mb_window all;
	sqlite3_stmt *s;
	int code, err;

	err = mb_report_window(r, NULL, NULL, &all, e);
	if (!err)
		err = mb_reader_duration(r, all.first, all.last, &ns, e);
	if (!err)
		err = find_unknown(r, counts, unknown_ns, e);
	if (err)
		return err;
	s = query_programs(r, counts);
	if (!s)
		return mb_reader_damaged(r, e);
	while ((code = sqlite3_step(s)) == SQLITE_ROW) {
		const char *program = (const char *)sqlite3_column_text(s, 0);
		struct diff *rows = program ? diffs_get(d, program) : NULL;

		for (size_t q = 0; rows && q < QUANTITIES; q++) {
			struct side *side = is_after ? &rows[q].after : &rows[q].before;
			bool rate = quantities[q].per_second;
			uint64_t counted_ns = ns > unknown_ns[q] ? ns - unknown_ns[q] : 0;

			side->seen = true;
			side->known = sqlite3_column_type(s, 1 + (int)q) != SQLITE_NULL && (counted_ns || !rate);
			side->value = !side->known ? 0 :
				      rate ? sqlite3_column_double(s, 1 + (int)q) * 1e9 / (double)counted_ns :
					     sqlite3_column_double(s, 1 + (int)q);
		}
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? 0 : mb_reader_damaged(r, e);
}

/* The value is also known for a program that was not in the recording: it did nothing. */
static bool is_known(const struct side *side)
{
	return side->known || !side->seen;
}

/* Round to an integer, since recordings sum integers. Clamp well below the overflow limit. */
static uint64_t number(const struct side *side)
{
	const double most = 4e18;

	if (!is_known(side))
		return MB_NO_VALUE;
	return (uint64_t)llround(fmin(fmax(side->value, -most), most));
}

static int by_score(const void *a, const void *b)
{
	const struct diff *x = a, *y = b;

	if (x->score < y->score || x->score > y->score)
		return x->score < y->score ? 1 : -1;
	return strcmp(x->program, y->program);
}

/* A value that is known in only one recording cannot be compared; such rows are sorted last. */
#define UNCOMPARED 1e-12

static void score(struct diffs *d)
{
	for (size_t q = 0; q < QUANTITIES; q++) {
		double all = 0;

		for (size_t i = q; i < d->n; i += QUANTITIES)
			all += fmax(fabs(d->rows[i].before.value), fabs(d->rows[i].after.value));
		for (size_t i = q; i < d->n; i += QUANTITIES) {
			struct diff *row = &d->rows[i];
			bool both = is_known(&row->before) && is_known(&row->after);

			if (both && number(&row->before) == number(&row->after))
				continue; /* the difference is below the shown precision */
			if (both && all > 0)
				row->score = fabs(row->after.value - row->before.value) / all;
			else if (!both && (row->before.value != 0 || row->after.value != 0))
				row->score = UNCOMPARED;
		}
	}
	qsort(d->rows, d->n, sizeof(*d->rows), by_score);
}

static const char *change_name(const struct diff *row)
{
	return !row->before.seen ? "new" : !row->after.seen ? "gone" : "changed";
}

static void put_number(struct mb_out *out, const struct diff *row, const struct side *side)
{
	char text[MB_UNITS_LEN];

	mb_format_number(text, row->quantity->unit, number(side));
	mb_out_printf(out, " %12s%s", text, row->quantity->per_second ? "/s" : "  ");
}

static void put_change(struct mb_out *out, const struct diff *row)
{
	double before = row->before.value, after = row->after.value;

	if (!row->before.seen || !row->after.seen)
		mb_out_printf(out, " %9s\n", change_name(row));
	else if (!row->before.known || !row->after.known)
		mb_out_printf(out, " %9s\n", "?");
	else if (fabs(before) * 1e6 < fabs(after - before))
		mb_out_printf(out, " %9s\n", before == 0 ? "from 0" : "> 1000000%");
	else
		mb_out_printf(out, " %+8.0f%%\n", 100 * (after - before) / fabs(before));
}

static void put_json(struct mb_out *out, const struct diffs *d, const struct diff *row)
{
	size_t q = (size_t)(row->quantity - quantities);

	mb_json_object(out, NULL);
	mb_json_str(out, "program", row->program);
	mb_json_str(out, "quantity", row->quantity->name);
	mb_json_bool(out, "per_second", row->quantity->per_second);
	mb_json_number(out, "before", number(&row->before));
	mb_json_number(out, "after", number(&row->after));
	mb_json_u64(out, "before_unknown_ns", d->unknown_ns[0][q]);
	mb_json_u64(out, "after_unknown_ns", d->unknown_ns[1][q]);
	mb_json_str(out, "change", change_name(row));
	mb_json_object_end(out);
}

static void put_diffs(struct mb_out *out, const struct diffs *d, bool json)
{
	size_t changes = 0;

	while (changes < d->n && d->rows[changes].score > 0)
		changes++;
	if (json) {
		mb_json_object(out, NULL);
		mb_json_u64(out, "schema", 1);
		mb_json_str(out, "kind", "diff");
		mb_json_array(out, "changes");
	} else {
		mb_out_printf(out, "%-16s %-16s %14s %14s %9s\n", "PROGRAM", "QUANTITY", "BEFORE",
			      "AFTER", "CHANGE");
	}
	for (size_t i = 0; i < changes && (json || i < DIFF_ROWS); i++) {
		const struct diff *row = &d->rows[i];

		if (json) {
			put_json(out, d, row);
			continue;
		}
		mb_text_name(out, row->program, 16);
		mb_out_printf(out, " %-16s", row->quantity->name);
		put_number(out, row, &row->before);
		put_number(out, row, &row->after);
		put_change(out, row);
	}
	changes += d->left_out * QUANTITIES;
	if (json) {
		mb_json_array_end(out);
		mb_json_u64(out, "more", d->left_out * QUANTITIES);
		mb_json_object_end(out);
		mb_json_end_line(out);
	} else if (changes > DIFF_ROWS) {
		mb_out_printf(out, "and %zu smaller changes\n", changes - DIFF_ROWS);
	}
}

/* The kinds of stall that both recordings count. A kind that only one of them counts is not a change. */
static int find_common(struct mb_reader *before, struct mb_reader *after, bool *counts, bool *others, struct mb_err *e)
{
	int err = find_stalls(before, counts, e);
	size_t n;

	mb_columns(&n);
	if (!err)
		err = find_stalls(after, others, e);
	for (size_t i = 0; i < n; i++)
		counts[i] &= others[i];
	return err;
}

int mb_report_diff(struct mb_reader *before, struct mb_reader *after, bool json,
		   struct mb_out *out, struct mb_err *e)
{
	struct diffs d = { .rows = calloc(DIFF_MAX, sizeof(struct diff)) };
	bool *counts;
	size_t n;
	int err;

	mb_columns(&n);
	counts = calloc(2 * n + 1, sizeof(*counts));
	err = d.rows && counts ? find_common(before, after, counts, counts + n, e) :
				 mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	if (!err)
		err = add_recording(&d, before, false, counts, e);
	if (!err)
		err = add_recording(&d, after, true, counts, e);
	if (!err) {
		score(&d);
		put_diffs(out, &d, json);
	}
	free(d.rows);
	free(counts);
	return err;
}
