// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The report that compares two recordings. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "record/coverage.h"
#include "record/report.h"
#include "sinks/text.h"

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

/* ---- the programs of one recording ---- */

#define TERMS 64

/* A column that counts for a quantity. Stalled time is the sum of several; each has a time in which it was counted. */
struct term {
	size_t quantity;
	const char *column;
	bool there; /* the recording has the column */
	uint64_t counted_ns;
};

struct terms {
	struct term at[TERMS];
	size_t n;
	uint64_t unknown_ns[QUANTITIES]; /* the longest time for which one of the columns was not counted */
};

/* For how long of the window a column of account was not counted. Those that are not of a family always are. */
static uint64_t uncounted_ns(const struct mb_coverage *cover, const char *column)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(c[i].name, column))
			return mb_coverage_uncounted_ns(cover, i);
	}
	return 0;
}

static void add_term(struct terms *t, struct mb_reader *r, const struct mb_coverage *cover, size_t q, const char *column,
		     uint64_t ns)
{
	struct term *to = &t->at[t->n];
	uint64_t unknown_ns;

	if (t->n == TERMS)
		return;
	t->n++;
	*to = (struct term){ .quantity = q, .column = column, .there = mb_reader_has(r, "account", column) };
	unknown_ns = to->there ? uncounted_ns(cover, column) : ns;
	unknown_ns = unknown_ns < ns ? unknown_ns : ns;
	to->counted_ns = ns - unknown_ns;
	if (quantities[q].per_second && unknown_ns > t->unknown_ns[q])
		t->unknown_ns[q] = unknown_ns;
}

/* counts: the kinds of stall that make up the stalled time. */
static void find_terms(struct terms *t, struct mb_reader *r, const struct mb_coverage *cover, const bool *counts,
		       uint64_t ns)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t q = 0; q < QUANTITIES; q++) {
		size_t before = t->n;

		if (quantities[q].column)
			add_term(t, r, cover, q, quantities[q].column, ns);
		for (size_t i = 0; i < n && !quantities[q].column; i++) {
			if (counts[i])
				add_term(t, r, cover, q, c[i].name, ns);
		}
		if (t->n == before)
			t->unknown_ns[q] = ns;
	}
}

/* Per program, the sum of the known values of each term. */
static sqlite3_stmt *query_programs(struct mb_reader *r, const struct terms *t)
{
	struct sql sql = { .len = 0 };
	sqlite3_stmt *s = NULL;

	add(&sql, "SELECT p.comm");
	for (size_t i = 0; i < t->n; i++) {
		const char *take = quantities[t->at[i].quantity].is_max ? "max" : "sum";

		if (t->at[i].there)
			add(&sql, ", %s(a.%s)", take, t->at[i].column);
		else
			add(&sql, ", NULL");
	}
	add(&sql, " FROM account a JOIN process p USING (process) GROUP BY p.comm");
	return sqlite3_prepare_v2(mb_reader_sqlite(r), sql.text, -1, &s, NULL) ? NULL : s;
}

/* Add the value of a term. A rate is per second in which the term was counted. */
static void add_value(struct side *side, const struct term *t, sqlite3_stmt *s, int column)
{
	bool rate = quantities[t->quantity].per_second;

	if (sqlite3_column_type(s, column) == SQLITE_NULL || (rate && !t->counted_ns))
		return;
	side->known = true;
	side->value += sqlite3_column_double(s, column) * (rate ? 1e9 / (double)t->counted_ns : 1);
}

static int add_programs(struct diffs *d, struct mb_reader *r, bool is_after, const struct terms *t, struct mb_err *e)
{
	sqlite3_stmt *s = query_programs(r, t);
	int code;

	if (!s)
		return mb_reader_damaged(r, e);
	while ((code = sqlite3_step(s)) == SQLITE_ROW) {
		const char *program = (const char *)sqlite3_column_text(s, 0);
		struct diff *rows = program ? diffs_get(d, program) : NULL;

		for (size_t q = 0; rows && q < QUANTITIES; q++)
			*(is_after ? &rows[q].after : &rows[q].before) = (struct side){ .seen = true };
		for (size_t i = 0; rows && i < t->n; i++) {
			struct diff *row = &rows[t->at[i].quantity];

			add_value(is_after ? &row->after : &row->before, &t->at[i], s, 1 + (int)i);
		}
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? 0 : mb_reader_damaged(r, e);
}

/* Add the programs of one recording. counts holds the kinds of stall that both recordings count. */
static int add_recording(struct diffs *d, struct mb_reader *r, bool is_after, const bool *counts, struct mb_err *e)
{
	struct mb_coverage cover = { .n = 0 };
	struct terms terms = { .n = 0 };
	struct mb_window all;
	uint64_t ns = 0;
	int err;

	err = mb_report_window(r, NULL, NULL, &all, e);
	if (!err)
		err = mb_reader_duration(r, all.first, all.last, &ns, e);
	if (!err)
		err = mb_coverage_load(&cover, r, &all, e);
	if (!err) {
		find_terms(&terms, r, &cover, counts, ns);
		memcpy(d->unknown_ns[is_after], terms.unknown_ns, sizeof(terms.unknown_ns));
		err = add_programs(d, r, is_after, &terms, e);
	}
	mb_coverage_free(&cover);
	return err;
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

/* There is no percentage of 0, and none from a value below zero to one above it, or back. */
static bool has_percentage(const struct diff *row)
{
	int64_t before = (int64_t)number(&row->before), after = (int64_t)number(&row->after);

	return before && (before < 0) == (after < 0);
}

static void put_change(struct mb_out *out, const struct diff *row)
{
	double before = row->before.value, after = row->after.value;

	if (!row->before.seen || !row->after.seen)
		mb_out_printf(out, " %9s\n", change_name(row));
	else if (!row->before.known || !row->after.known)
		mb_out_printf(out, " %9s\n", "?");
	else if (!has_percentage(row))
		mb_out_printf(out, " %9s\n", "-");
	else if (fabs(before) * 1e6 < fabs(after - before))
		mb_out_printf(out, " %9s\n", "> 1000000%");
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
	int err = mb_coverage_stalls(before, counts, e);
	size_t n;

	mb_columns(&n);
	if (!err)
		err = mb_coverage_stalls(after, others, e);
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
