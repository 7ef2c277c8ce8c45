// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Values that are negative, missing or very large in a recording stay so in every view: no number wraps around,
 * none becomes 0. Each column of each process is set to one of `values` in the file.
 */
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/recorder.h"
#include "record/report.h"
#include "unit.h"

#define HUGE_ONE (1ll << 56)
#define LIMIT (1ull << 62)

/* The value for the process with this index; the last process had longer stalls before, so its maximum is missing. */
static const struct {
	const char *sql;
	long long value;
	bool null, null_max;
} values[] = {
	{ "-1", -1, false, false },
	{ "-1099511627776", -1099511627776ll, false, false },
	{ "NULL", 0, true, true },
	{ "72057594037927936", HUGE_ONE, false, false },
	{ "0", 0, false, false },
	{ "7", 7, false, true },
};

#define PROCESSES (sizeof(values) / sizeof(values[0]))

static char dir[64], first[96], second[96];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mb-numbers-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(first, sizeof(first), "%s/a.db", dir);
	snprintf(second, sizeof(second), "%s/b.db", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(first);
	unlink(second);
	return rmdir(dir);
}

/* PROCESSES processes, from pid 1 on, each of its own program. */
static void record(const char *path)
{
	struct mb_sample_meta at = { .t_ns = 2000000000, .since_start_ns = 1000000000, .self_rss_bytes = MB_UNKNOWN };
	struct mb_recorder *r = NULL;
	struct mb_err e = { 0 };
	struct mb_model m;

	mb_model_init(&m);
	assert_int_equal(mb_recorder_open(&r, path, false, &e), 0);
	mb_recorder_watch(r, &m);
	for (uint32_t i = 0; i < PROCESSES; i++) {
		struct mb_process *p = mb_model_process(&m, i + 1, i + 1);

		assert_non_null(p);
		snprintf(p->comm, sizeof(p->comm), "p%u", i);
	}
	snprintf(at.time, sizeof(at.time), "2026-01-01T10:00:00Z");
	assert_int_equal(mb_recorder_tick(r, &m, &at, &e), 0);
	assert_int_equal(mb_recorder_close(r, &e), 0);
	mb_model_free(&m);
}

static void set_columns(const char *path, size_t shift)
{
	static const char *const memory[] = { "rss_bytes",   "rss_peak_bytes", "anon_bytes", "file_bytes",
					      "shmem_bytes", "swap_bytes",     "vm_bytes",   "pss_bytes",
					      "uss_bytes",   "minor",	       "major" };
	size_t n;
	const struct mb_column *c = mb_columns(&n);
	sqlite3 *db = NULL;
	char sql[256];

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	for (size_t i = 0; i < PROCESSES; i++) {
		size_t v = (i + shift) % PROCESSES;

		for (size_t j = 0; j < n; j++) {
			snprintf(sql, sizeof(sql), "UPDATE account SET %s = %s WHERE process = %zu", c[j].name,
				 c[j].is_max && values[v].null_max ? "NULL" : values[v].sql, i + 1);
			if (sqlite3_exec(db, sql, NULL, NULL, NULL))
				fail_msg("%s: %s", sql, sqlite3_errmsg(db));
		}
		for (size_t j = 0; j < sizeof(memory) / sizeof(memory[0]); j++) {
			snprintf(sql, sizeof(sql), "UPDATE account SET %s = %s WHERE process = %zu", memory[j],
				 values[v].sql, i + 1);
			assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
		}
	}
	sqlite3_close(db);
}

static struct mb_reader *open_reader(const char *path)
{
	struct mb_reader *r = NULL;
	struct mb_err e = { 0 };

	if (mb_reader_open(&r, path, &e))
		fail_msg("%s", e.text);
	return r;
}

/* What a view writes for the first recording, or for both; the caller frees it. */
enum view { SUMMARY, SUMMARY_JSON, TIMELINE, TIMELINE_JSON, DIFF, DIFF_JSON, CSV, VIEWS };

static char *show(enum view view)
{
	struct mb_reader *a = open_reader(first), *b = open_reader(second);
	struct mb_window w = { 0, 0, false };
	struct mb_err e = { 0 };
	struct mb_out out;
	size_t len;
	char *text;
	int err = 0;

	assert_int_equal(mb_out_to_memory(&out), 0);
	if (view <= SUMMARY_JSON)
		err = mb_report_summary(a, &w, view == SUMMARY ? &mb_sink_text : &mb_sink_json, &out, &e);
	else if (view <= TIMELINE_JSON)
		err = mb_report_timeline(a, &w, view == TIMELINE_JSON, &out, &e);
	else if (view <= DIFF_JSON)
		err = mb_report_diff(a, b, view == DIFF_JSON, &out, &e);
	else
		err = mb_report_csv(a, &w, &out, &e);
	if (err)
		fail_msg("view %d: %s", view, e.text);
	mb_out_text(&out, "", 1);
	text = mb_out_take(&out, &len, &e);
	assert_non_null(text);
	mb_reader_close(a);
	mb_reader_close(b);
	return text;
}

static int set_up(void **state)
{
	(void)state;
	unlink(first);
	unlink(second);
	record(first);
	record(second);
	set_columns(first, 0);
	set_columns(second, 1);
	return 0;
}

/* Neither text nor JSON has a number that wrapped around. */
static void test_nothing_is_huge(void **state)
{
	(void)state;
	for (enum view v = 0; v < VIEWS; v++) {
		char *text = show(v);

		for (char *at = text; *at;) {
			size_t digits = strspn(at, "0123456789");
			char *end = at + digits;

			if (digits && strtoull(at, &end, 10) > LIMIT)
				fail_msg("view %d: %.30s", v, at);
			if (digits && strncmp(end, " PiB", 4) == 0 && strtoull(at, NULL, 10) > 1000)
				fail_msg("view %d: %.30s", v, at);
			at += digits ? digits : 1;
		}
		free(text);
	}
}

static const json_t *process(const json_t *summary, size_t i)
{
	const json_t *p = json_array_get(json_object_get(summary, "processes"), i);

	assert_int_equal(json_integer_value(json_object_get(p, "pid")), i + 1);
	return p;
}

static void check(const json_t *v, const char *name, size_t i, bool null)
{
	if (null ? !json_is_null(v) : !json_is_integer(v) || json_integer_value(v) != values[i].value)
		fail_msg("%s of p%zu: %s", name, i, v ? json_dumps(v, JSON_ENCODE_ANY) : "not there");
}

static void check_field(const json_t *p, const struct mb_field *f, size_t i)
{
	const json_t *v = json_object_get(json_object_get(p, f->group), f->name);
	bool null = values[i].null;

	if (f->kind == MB_FIELD_HIST || f->kind == MB_FIELD_ROWS)
		return;
	if (f->kind != MB_FIELD_STALL || null) {
		check(v, f->name, i, null);
		return;
	}
	check(json_object_get(v, "count"), f->name, i, false);
	check(json_object_get(v, "ns"), f->name, i, false);
	check(json_object_get(v, "max_ns"), f->name, i, values[i].null_max);
}

/* JSON has each column of a window exactly as the file has it. */
static void test_json_is_exact(void **state)
{
	char *text = show(SUMMARY_JSON);
	json_error_t je;
	json_t *summary = json_loads(text, 0, &je);
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	(void)state;
	assert_non_null(summary);
	assert_true(json_is_null(json_object_get(json_object_get(summary, "overhead"), "self_rss_bytes")));
	for (size_t p = 0; p < PROCESSES; p++) {
		const json_t *memory = json_object_get(process(summary, p), "memory");

		for (size_t i = 0; i < n; i++) {
			for (size_t j = 0; j < fam[i]->n_fields; j++) {
				if (fam[i]->fields[j].group)
					check_field(process(summary, p), &fam[i]->fields[j], p);
			}
		}
		assert_int_equal(json_is_null(json_object_get(memory, "anon_bytes")), values[p].null || values[p].value < 0);
		assert_int_equal(json_is_null(json_object_get(memory, "rss_peak_bytes")),
				 values[p].null || values[p].value < 4096);
	}
	json_decref(summary);
	free(text);
}

/* Text has a minus sign for negative values, and "?" for missing ones. */
static void test_text(void **state)
{
	char *text = show(SUMMARY), *line, *end;

	(void)state;
	for (size_t i = 0; i < PROCESSES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%8zu p%zu ", i + 1, i);
		line = strstr(text, name);
		if (!values[i].null && !values[i].value) { /* the process did nothing */
			assert_null(line);
			continue;
		}
		if (!line)
			fail_msg("no row of p%zu in %s", i, text);
		end = strchr(line, '\n');
		assert_non_null(end);
		*end = '\0';
		assert_int_equal(strstr(line, " -1 ") != NULL, i == 0);
		assert_int_equal(strstr(line, "-1.0 TiB") != NULL, i == 1);
		assert_int_equal(strchr(line, '?') != NULL, values[i].null);
		*end = '\n';
	}
	assert_non_null(strstr(text, "(7 times, longest ?)"));
	assert_null(strstr(text, "longest 0 ns"));
	free(text);
}

/* Programs in only one recording are new or gone; values missing in one are not compared. */
static void test_diff(void **state)
{
	char *text = show(DIFF_JSON);
	json_error_t je;
	json_t *diff = json_loads(text, 0, &je), *row;
	size_t i, unknown = 0, negative = 0;

	(void)state;
	assert_non_null(diff);
	json_array_foreach(json_object_get(diff, "changes"), i, row) {
		const json_t *before = json_object_get(row, "before"), *after = json_object_get(row, "after");
		const char *program = json_string_value(json_object_get(row, "program"));
		size_t p = (size_t)atoi(program + 1);

		assert_string_equal(json_string_value(json_object_get(row, "change")), "changed");
		if (!strcmp(json_string_value(json_object_get(row, "quantity")), "mapped_bytes")) {
			check(before, program, p, values[p].null);
			check(after, program, (p + 1) % PROCESSES, values[(p + 1) % PROCESSES].null);
		}
		unknown += json_is_null(before) || json_is_null(after);
		negative += json_is_integer(before) && json_integer_value(before) < 0;
	}
	assert_true(unknown > 0 && negative > 0);
	json_decref(diff);
	free(text);
}

/* Each process has the value of the next one in the second recording. Across zero there is no percentage. */
static void test_percentages(void **state)
{
	char *text = show(DIFF);
	int rows = 0;

	(void)state;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		const char *change = strrchr(line, ' ') + 1;

		if (!strncmp(line, "PROGRAM", 7))
			continue;
		rows++;
		if (!strncmp(line, "p0 ", 3))
			assert_string_equal(change, "1000000%");
		else if (!strncmp(line, "p1 ", 3) || !strncmp(line, "p2 ", 3))
			assert_string_equal(change, "?");
		else if (!strncmp(line, "p3 ", 3))
			assert_string_equal(change, "-100%");
		else
			assert_string_equal(change, "-");
	}
	assert_int_equal(rows, 3 * PROCESSES);
	free(text);
}

static void test_new_and_gone(void **state)
{
	sqlite3 *db = NULL;
	char *text;

	(void)state;
	assert_int_equal(sqlite3_open(second, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE process SET comm = 'other' WHERE process = 4; DELETE FROM account"
					  " WHERE process < 4",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	text = show(DIFF);
	assert_non_null(strstr(text, "p3 "));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, "p3 ", 3) == 0 || strncmp(line, "p1 ", 3) == 0)
			assert_non_null(strstr(line, " gone"));
		if (strncmp(line, "other ", 6) == 0)
			assert_non_null(strstr(line, " new"));
	}
	free(text);
}

/* CSV has empty fields for missing values. */
static void test_csv(void **state)
{
	char *text = show(CSV), *line = text;

	(void)state;
	for (size_t i = 0; i < PROCESSES; i++) {
		char *end;

		line = strchr(line, '\n');
		assert_non_null(line++);
		end = strchr(line, '\n');
		assert_non_null(end);
		*end = '\0';
		assert_int_equal(strstr(line, ",,,,,,") != NULL, values[i].null);
		if (!values[i].null && !values[i].null_max) {
			char want[64];

			snprintf(want, sizeof(want), ",%s,%s,%s,%s,%s", values[i].sql, values[i].sql, values[i].sql,
				 values[i].sql, values[i].sql);
			assert_non_null(strstr(line, want));
		}
		*end = '\n';
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_is_huge, set_up),
		cmocka_unit_test_setup(test_json_is_exact, set_up),
		cmocka_unit_test_setup(test_text, set_up),
		cmocka_unit_test_setup(test_diff, set_up),
		cmocka_unit_test_setup(test_percentages, set_up),
		cmocka_unit_test_setup(test_new_and_gone, set_up),
		cmocka_unit_test_setup(test_csv, set_up),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
