// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reports that set numbers side by side: a window step by step, and two recordings. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "record/report.h"

#define STEPS 20
#define DIFF_ROWS 40 /* shown of a difference */
#define DIFF_MAX 65536 /* compared */

/* "0 + a.stalls_file_io_ns + ...": all time lost, as SQL. */
static void stalled_sql(char *sql, size_t size)
{
	size_t n, len = (size_t)snprintf(sql, size, "0");
	const struct mb_column *c = mb_columns(&n);

	for (size_t i = 0; i < n; i++) {
		const char *end = c[i].name + strlen(c[i].name);

		if (strncmp(c[i].name, "stalls_", 7) || c[i].is_max || strcmp(end - 3, "_ns"))
			continue;
		len += (size_t)snprintf(sql + len, size - len, " + ifnull(a.%s, 0)", c[i].name);
	}
}

/* ---- step by step ---- */

static void put_step(struct mb_out *out, bool json, sqlite3_stmt *s)
{
	const char *time = (const char *)sqlite3_column_text(s, 0);
	uint64_t minor = (uint64_t)sqlite3_column_int64(s, 1);
	uint64_t major = (uint64_t)sqlite3_column_int64(s, 2);
	uint64_t stalled = (uint64_t)sqlite3_column_int64(s, 3);
	char text[MB_UNITS_LEN];

	if (json) {
		mb_json_object(out, NULL);
		mb_json_str(out, "time", time);
		mb_json_u64(out, "minor", minor);
		mb_json_u64(out, "major", major);
		mb_json_u64(out, "stalled_ns", stalled);
		mb_json_object_end(out);
		return;
	}
	mb_out_printf(out, "%-24s %12llu %10llu %12s\n", time ? time : "",
		      (unsigned long long)minor, (unsigned long long)major,
		      mb_format(text, MB_UNIT_NS, stalled));
}

int mb_report_timeline(struct mb_reader *r, const struct mb_window *w, bool json,
		       struct mb_out *out, struct mb_err *e)
{
	char stalled[2048], sql[4096];
	sqlite3_stmt *s = NULL;
	int code;

	stalled_sql(stalled, sizeof(stalled));
	snprintf(sql, sizeof(sql),
		 "SELECT max(t.time), ifnull(sum(a.minor), 0), ifnull(sum(a.major), 0),"
		 " ifnull(sum(%s), 0) FROM tick t LEFT JOIN account a USING (tick)"
		 " WHERE t.tick BETWEEN ?1 AND ?2 GROUP BY (t.tick - ?1) * %d / (?2 - ?1 + 1)"
		 " ORDER BY min(t.tick)",
		 stalled, STEPS);
	if (sqlite3_prepare_v2(mb_reader_sqlite(r), sql, -1, &s, NULL))
		return mb_reader_damaged(r, e);
	sqlite3_bind_int64(s, 1, w->first);
	sqlite3_bind_int64(s, 2, w->last);
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

struct diff {
	char program[64];
	const char *quantity;
	enum mb_unit unit;
	bool per_second;
	double before, after;
	double score; /* share of all there is of the quantity that has changed */
};

struct diffs {
	struct diff *rows;
	size_t n;
};

static const struct quantity {
	const char *name;
	const char *sql; /* of account a; NULL: time lost */
	enum mb_unit unit;
	bool per_second;
} quantities[] = {
	{ "minor", "sum(a.minor)", MB_UNIT_COUNT, true },
	{ "major", "sum(a.major)", MB_UNIT_COUNT, true },
	{ "stalled_ns", NULL, MB_UNIT_NS, true },
	{ "mapped_bytes", "sum(a.vma_mapped_bytes)", MB_UNIT_BYTES, true },
	{ "dirtied_bytes", "sum(a.writeback_dirtied_bytes)", MB_UNIT_BYTES, true },
	{ "rss_peak_bytes", "max(a.rss_peak_bytes)", MB_UNIT_BYTES, false },
};

#define QUANTITIES (sizeof(quantities) / sizeof(quantities[0]))

static struct diff *diff_get(struct diffs *d, const char *program, const struct quantity *q)
{
	for (size_t i = 0; i < d->n; i++) {
		if (d->rows[i].quantity == q->name && strcmp(d->rows[i].program, program) == 0)
			return &d->rows[i];
	}
	if (d->n == DIFF_MAX)
		return NULL;
	snprintf(d->rows[d->n].program, sizeof(d->rows[0].program), "%s", program);
	d->rows[d->n].quantity = q->name;
	d->rows[d->n].unit = q->unit;
	d->rows[d->n].per_second = q->per_second;
	return &d->rows[d->n++];
}

/* Adds one recording's programs: to before or to after. */
static int add_recording(struct diffs *d, struct mb_reader *r, bool is_after, struct mb_err *e)
{
	char stalled[2048], sql[8192];
	struct mb_window all;
	sqlite3_stmt *s = NULL;
	double seconds;
	uint64_t ns = 0;
	size_t len;
	int code, err;

	err = mb_report_window(r, NULL, NULL, &all, e);
	if (!err)
		err = mb_reader_duration(r, all.first, all.last, &ns, e);
	if (err)
		return err;
	seconds = (double)ns / 1e9;
	stalled_sql(stalled, sizeof(stalled));
	len = (size_t)snprintf(sql, sizeof(sql), "SELECT p.comm");
	for (size_t q = 0; q < QUANTITIES; q++) {
		if (quantities[q].sql)
			len += (size_t)snprintf(sql + len, sizeof(sql) - len, ", %s",
						quantities[q].sql);
		else
			len += (size_t)snprintf(sql + len, sizeof(sql) - len, ", sum(%s)", stalled);
	}
	snprintf(sql + len, sizeof(sql) - len,
		 " FROM account a JOIN process p USING (process) GROUP BY p.comm");
	if (sqlite3_prepare_v2(mb_reader_sqlite(r), sql, -1, &s, NULL))
		return mb_reader_damaged(r, e);
	while ((code = sqlite3_step(s)) == SQLITE_ROW) {
		const char *program = (const char *)sqlite3_column_text(s, 0);

		for (size_t q = 0; program && q < QUANTITIES; q++) {
			double v = sqlite3_column_double(s, 1 + (int)q);
			struct diff *row = diff_get(d, program, &quantities[q]);

			if (quantities[q].per_second)
				v = seconds > 0 ? v / seconds : 0;
			if (row)
				*(is_after ? &row->after : &row->before) = v;
		}
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? 0 : mb_reader_damaged(r, e);
}

static int by_score(const void *a, const void *b)
{
	double x = ((const struct diff *)a)->score, y = ((const struct diff *)b)->score;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void score(struct diffs *d)
{
	for (size_t q = 0; q < QUANTITIES; q++) {
		double all = 0;

		for (size_t i = 0; i < d->n; i++) {
			if (d->rows[i].quantity == quantities[q].name)
				all += fmax(d->rows[i].before, d->rows[i].after);
		}
		for (size_t i = 0; i < d->n; i++) {
			struct diff *row = &d->rows[i];

			if (row->quantity == quantities[q].name && all > 0)
				row->score = fabs(row->after - row->before) / all;
		}
	}
	qsort(d->rows, d->n, sizeof(*d->rows), by_score);
}

static void put_number(struct mb_out *out, const struct diff *row, double v)
{
	char text[MB_UNITS_LEN];

	mb_format(text, row->unit, (uint64_t)(v + 0.5));
	mb_out_printf(out, " %12s%s", text, row->per_second ? "/s" : "  ");
}

static void put_diffs(struct mb_out *out, const struct diffs *d, bool json)
{
	if (json) {
		mb_json_object(out, NULL);
		mb_json_u64(out, "schema", 1);
		mb_json_str(out, "kind", "diff");
		mb_json_array(out, "changes");
	} else {
		mb_out_printf(out, "%-16s %-16s %14s %14s %9s\n", "PROGRAM", "QUANTITY", "BEFORE",
			      "AFTER", "CHANGE");
	}
	for (size_t i = 0; i < d->n && i < DIFF_ROWS && d->rows[i].score > 0; i++) {
		const struct diff *row = &d->rows[i];

		if (json) {
			mb_json_object(out, NULL);
			mb_json_str(out, "program", row->program);
			mb_json_str(out, "quantity", row->quantity);
			mb_json_bool(out, "per_second", row->per_second);
			mb_json_u64(out, "before", (uint64_t)(row->before + 0.5));
			mb_json_u64(out, "after", (uint64_t)(row->after + 0.5));
			mb_json_object_end(out);
			continue;
		}
		mb_out_printf(out, "%-16s %-16s", row->program, row->quantity);
		put_number(out, row, row->before);
		put_number(out, row, row->after);
		if (row->before > 0)
			mb_out_printf(out, " %+8.0f%%\n",
				      100 * (row->after - row->before) / row->before);
		else
			mb_out_printf(out, " %9s\n", "new");
	}
	if (json) {
		mb_json_array_end(out);
		mb_json_object_end(out);
		mb_json_end_line(out);
	}
}

int mb_report_diff(struct mb_reader *before, struct mb_reader *after, bool json,
		   struct mb_out *out, struct mb_err *e)
{
	struct diffs d = { .rows = calloc(DIFF_MAX, sizeof(struct diff)) };
	int err;

	if (!d.rows)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	err = add_recording(&d, before, false, e);
	if (!err)
		err = add_recording(&d, after, true, e);
	if (!err) {
		score(&d);
		put_diffs(out, &d, json);
	}
	free(d.rows);
	return err;
}
