// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Every query of docs/recording.md runs on the golden recordings and on one of this build, and returns rows
 * for at least one of them. Golden recordings older than a table skip the queries on it.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sqlite3.h>
#include <unistd.h>

#include "record/recorder.h"
#include "record/system.h"
#include "scratch.h"
#include "unit.h"

/* These queries return nothing when all is well. */
static const char *const may_be_empty[] = { "FROM lost" };

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mb-recording-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

/* The path is valid until the next call. */
static const char *make_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* Makes a recording as an older build would have written it. */
static const char *make_old(const char *path)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) ||
	    sqlite3_exec(db, "DROP TABLE system; DROP TABLE zone; DROP TABLE node;", NULL, NULL, NULL))
		fail_msg("%s: %s", path, sqlite3_errmsg(db));
	sqlite3_close(db);
	return path;
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 65536);

	if (!f || !text)
		fail_msg("cannot read %s", path);
	assert_in_range(fread(text, 1, 65535, f), 1, 65534);
	fclose(f);
	return text;
}

static bool has_system(sqlite3 *db)
{
	return !sqlite3_table_column_metadata(db, NULL, "system", "tick", NULL, NULL, NULL, NULL, NULL);
}

/* The number of rows of the query on one recording; fails if SQLite does not understand the query. */
static int rows(const char *path, const char *sql)
{
	char uri[512];
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int n = 0, code;

	/* immutable: SQLite must not write files next to it */
	snprintf(uri, sizeof(uri), "file:%s?immutable=1", path);
	if (sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL))
		fail_msg("%s: %s", path, sqlite3_errmsg(db));
	if (strstr(sql, "system") && !has_system(db)) {
		sqlite3_close(db);
		return 0;
	}
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL))
		fail_msg("%s: %s: %s", path, sql, sqlite3_errmsg(db));
	while ((code = sqlite3_step(s)) == SQLITE_ROW)
		n++;
	if (code != SQLITE_DONE)
		fail_msg("%s: %s: %s", path, sql, sqlite3_errmsg(db));
	sqlite3_finalize(s);
	sqlite3_close(db);
	return n;
}

/* The machine at a moment: every value grows with the moment. */
static void make_system(struct mb_system *s, uint64_t moment)
{
	mb_system_init(s);
	s->t_ns = (moment + 1) * 1000000000;
	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		s->values[i] = i == MB_SYS_thp_fault_alloc ? MB_UNKNOWN :
							     (1000 + (uint64_t)i) * (moment + 1);
	mb_system_parse_zoneinfo(s, "Node 0, zone   Normal\n  pages free     9\n        min      2\n"
				    "        low      4\n        managed  100\n"
				    "Node 1, zone   Normal\n  pages free     7\n");
	mb_system_parse_buddyinfo(s, "Node 0, zone   Normal      1      2      1 \n");
	mb_system_parse_numastat(s, 1, "numa_hit 10\nother_node 3\n");
	s->nodes[0].counts[MB_NUMA_HIT] *= moment + 1;
	s->zones_left_out = (uint32_t)moment;
}

/* A recording of this build: four ticks of a machine without processes. `m` is the model it recorded. */
static void record(const char *path, struct mb_model *m)
{
	struct mb_ingest ingest = { .model = m };
	struct mb_recorder *r = NULL;
	struct mb_err e = { 0 };

	mb_model_init(m);
	if (mb_recorder_open(&r, path, false, &e))
		fail_msg("%s", e.text);
	mb_recorder_watch(r, m);
	for (uint64_t i = 0; i < 4; i++) {
		struct mb_sample_meta at = { .t_ns = (i + 1) * 1000000000, .since_start_ns = i * 1000000000 };
		struct mb_system s;

		snprintf(at.time, sizeof(at.time), "2026-01-01T10:00:0%dZ", (int)i);
		make_system(&s, i);
		mb_ingest(&ingest, MB_INGEST_SYSTEM, &s, sizeof(s));
		if (mb_recorder_tick(r, m, &at, &e))
			fail_msg("%s", e.text);
	}
	if (mb_recorder_close(r, &e))
		fail_msg("%s", e.text);
}

static struct mb_reader *open_reader(const char *path)
{
	struct mb_reader *r = NULL;
	struct mb_err e = { 0 };

	if (mb_reader_open(&r, path, &e))
		fail_msg("%s", e.text);
	return r;
}

static void same_moment(const struct mb_system *got, const struct mb_system *want)
{
	assert_memory_equal(got, want, sizeof(*got));
}

/* Any window returns the values written to the tables: those at its end and at its beginning. */
static void test_system(void **state)
{
	const char *path = make_path("system.db");
	struct mb_system_state got = { 0 };
	struct mb_system want;
	struct mb_err e = { 0 };
	struct mb_reader *r;
	struct mb_model m;

	(void)state;
	record(path, &m);
	r = open_reader(path);
	assert_int_equal(mb_system_report(r, &(struct mb_window){ 0, 3, true }, &got, &e), 0);
	assert_true(got.known);
	same_moment(&got.now, &m.system.now);
	same_moment(&got.first, &m.system.first);
	assert_int_equal(mb_system_report(r, &(struct mb_window){ 2, 2, false }, &got, &e), 0);
	make_system(&want, 2);
	same_moment(&got.now, &want);
	make_system(&want, 1);
	same_moment(&got.first, &want);
	mb_reader_close(r);
	/* older recordings have no such table */
	r = open_reader(make_old(path));
	assert_int_equal(mb_system_report(r, &(struct mb_window){ 0, 3, true }, &got, &e), 0);
	assert_false(got.known);
	mb_reader_close(r);
	mb_model_free(&m);
}

/* The number of ticks that a reader without any right to write sees; -1: it cannot read the recording. */
static int ticks_read_only(const char *path)
{
	int status = 0, ticks = -1;
	pid_t pid = fork();

	if (!pid) {
		struct mb_reader *r = NULL;
		struct mb_err e = { 0 };
		sqlite3_stmt *s = NULL;

		if (!getuid() && (setgid(65534) || setuid(65534)))
			_exit(255);
		if (!mb_reader_open(&r, path, &e) &&
		    !sqlite3_prepare_v2(mb_reader_sqlite(r), "SELECT count(*) FROM tick", -1, &s, NULL) &&
		    sqlite3_step(s) == SQLITE_ROW)
			ticks = sqlite3_column_int(s, 0);
		if (ticks < 0 && !strstr(e.text, "copy it, with the files beside it"))
			_exit(254);
		_exit(ticks < 0 ? 100 : ticks);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	ticks = WEXITSTATUS(status);
	return ticks == 100 ? -1 : ticks;
}

static void allow(const char *path, mode_t mode)
{
	if (chmod(path, mode) && errno != ENOENT)
		fail_msg("%s: %s", path, strerror(errno));
}

/* As memblame serve leaves it, or as a killed recorder does, whose last ticks are in the file beside it. */
static void record_retained(const char *path, bool killed)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct mb_sample_meta at = { .t_ns = 1000000000, .since_start_ns = 1000000000 };
		struct mb_retention keep = { 0 };
		struct mb_recorder_state st;
		struct mb_recorder *r = NULL;
		struct mb_err e = { 0 };
		struct mb_model m;

		mb_model_init(&m);
		if (mb_recorder_open_retained(&r, path, &keep, &e))
			_exit(1);
		mb_recorder_watch(r, &m);
		for (int i = 0; i < 5; i++, at.t_ns += 1000000000) {
			snprintf(at.time, sizeof(at.time), "2026-01-01T10:00:0%dZ", i);
			if (mb_recorder_tick(r, &m, &at, &e))
				_exit(1);
		}
		do
			mb_recorder_state(r, &st);
		while (st.ticks < 5);
		_exit(!killed && mb_recorder_close(r, &e));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
}

static bool is_in_wal_mode(const char *path)
{
	unsigned char head[20] = { 0 };
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_int_equal(fread(head, 1, sizeof(head), f), sizeof(head));
	fclose(f);
	return head[18] == 2;
}

/* A complete recording can be read where nothing can be written. Data beside the file is never left out silently. */
static void test_read_only(void **state)
{
	char plain[160], kept[160], killed[160], beside[176];
	struct mb_reader *r;
	struct mb_model m;
	sqlite3_stmt *s = NULL;

	(void)state;
	snprintf(plain, sizeof(plain), "%s/plain.db", dir);
	snprintf(kept, sizeof(kept), "%s/kept 100%% ?.db", dir); /* a name that means something in a URI */
	snprintf(killed, sizeof(killed), "%s/killed.db", dir);
	record(plain, &m);
	mb_model_free(&m);
	record_retained(kept, false);
	record_retained(killed, true);
	assert_false(is_in_wal_mode(plain));
	assert_true(is_in_wal_mode(kept));
	allow(plain, 0444);
	allow(kept, 0444);
	allow(killed, 0444);
	allow(dir, 0555);
	assert_int_equal(ticks_read_only(plain), 4);
	assert_int_equal(ticks_read_only(kept), 5);
	snprintf(beside, sizeof(beside), "%s-wal", killed);
	assert_int_equal(access(beside, F_OK), 0);
	assert_int_equal(ticks_read_only(killed), -1); /* only its owner may read the log */
	allow(dir, 0700);
	allow(killed, 0600);
	r = open_reader(killed);
	assert_int_equal(sqlite3_prepare_v2(mb_reader_sqlite(r), "SELECT count(*) FROM tick", -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(s, 0), 5);
	sqlite3_finalize(s);
	mb_reader_close(r);
}

static void test_queries(void **state)
{
	const char *own = make_path("queries.db");
	struct mb_model m;
	char *doc = slurp(DOCS_DIR "/recording.md"), *at = doc, *end;
	int queries = 0;
	glob_t found;

	(void)state;
	record(own, &m);
	mb_model_free(&m);
	assert_int_equal(glob(GOLDEN_DIR "/*.db", 0, NULL, &found), 0);
	while ((at = strstr(at, "```sql\n"))) {
		int n;

		at += strlen("```sql\n");
		end = strstr(at, "```");
		assert_non_null(end);
		*end = '\0';
		n = rows(own, at);
		for (size_t i = 0; i < found.gl_pathc; i++)
			n += rows(found.gl_pathv[i], at);
		for (size_t i = 0; i < sizeof(may_be_empty) / sizeof(may_be_empty[0]); i++)
			n += strstr(at, may_be_empty[i]) != NULL;
		if (!n)
			fail_msg("says nothing of any recording: %s", at);
		queries++;
		at = end + 1;
	}
	assert_true(queries >= 10);
	globfree(&found);
	free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_system),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_queries),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
