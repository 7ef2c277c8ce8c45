// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* record, report and replay: the same numbers in three ways, and a file that survives whatever happens. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live.h"
#include "sandbox.h"

static struct sandbox_fs fs;

static long long sql_int(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	long long v;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) ||
	    sqlite3_prepare_v2(db, sql, -1, &s, NULL) || sqlite3_step(s) != SQLITE_ROW)
		live_fail("%s: %s: %s", path, sql, sqlite3_errmsg(db));
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

static void sql_run(const char *path, const char *sql)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) ||
	    sqlite3_exec(db, sql, NULL, NULL, NULL))
		live_fail("%s: %s: %s", path, sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* A path without a file: record never overwrites a recording. */
static const char *fresh(const char *dir)
{
	static unsigned int n;
	char *path;

	assert_true(asprintf(&path, "%s/trace%u.db", dir, n++) > 0);
	return path;
}

static struct live_result *ok(const char *const *args)
{
	struct live_result *r = live_memblame(args);

	if (r->status)
		live_fail("memblame %s: status %d, %s", args[0], r->status, r->err);
	return r;
}

/* Checks that the file is consistent and readable. raw: it has frames to replay. */
static void check_file(const char *path, bool raw)
{
	live_equal("integrity_check is ok",
		   sql_int(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
		   1);
	live_equal("ticks without a hole", sql_int(path, "SELECT count(*) FROM tick"),
		   sql_int(path, "SELECT ifnull(max(tick) + 1, 0) FROM tick"));
	live_equal("accounts of ticks that there are not",
		   sql_int(path, "SELECT count(*) FROM account WHERE tick NOT IN (SELECT tick FROM tick)"),
		   0);
	if (!sql_int(path, "SELECT count(*) FROM tick"))
		return; /* too early to have any data */
	live_result_free(ok(LIVE_ARGV("report", path)));
	if (raw)
		live_result_free(ok(LIVE_ARGV("replay", path, "run")));
}

/* --- the same numbers: live, from the tables, and in a replay --- */

static void test_three_ways(void **state)
{
	const char *path = fresh(live_tmp());
	struct live_result *r = ok(LIVE_ARGV("record", "--raw", "--json", "-o", path, "--",
					     live_workload("faulter"), "anon", "20000"));
	char *summary = strchr(r->out, '\n');
	json_t *workload, *live, *p;
	struct live_result *again;
	char sql[160];
	struct stat st;
	pid_t pid;

	(void)state;
	assert_non_null(summary);
	*summary++ = '\0';
	workload = live_json(r->out);
	live = live_json(summary);
	pid = (pid_t)live_int(workload, "pid");
	p = live_process(live, pid);
	live_equal("minor", live_int(p, "faults.minor"), live_int(workload, "minflt"));
	snprintf(sql, sizeof(sql),
		 "SELECT sum(minor) FROM accounts WHERE pid = %d AND comm = 'faulter'", (int)pid);
	live_equal("minor in SQL", sql_int(path, sql), live_int(workload, "minflt"));
	snprintf(sql, sizeof(sql), "SELECT sum(faults_anon) FROM accounts WHERE pid = %d", (int)pid);
	live_equal("anon in SQL", sql_int(path, sql), live_int(p, "faults.anon"));
	again = ok(LIVE_ARGV("replay", path, "run", "--json"));
	assert_string_equal(again->out, summary);
	live_result_free(again);
	again = ok(LIVE_ARGV("report", "--json", path));
	assert_string_equal(again->out, summary);
	live_result_free(again);
	assert_int_equal(stat(path, &st), 0);
	live_equal("mode", st.st_mode & 07777, 0600);
	check_file(path, true);
	json_decref(live);
	json_decref(workload);
	live_result_free(r);
}

/* --- report -p, -c and -f: the numbers of a part are those that the whole has of it --- */

static json_t *reported(const char *option, const char *value, const char *path)
{
	struct live_result *r = ok(LIVE_ARGV("report", "--json", option, value, path));
	json_t *document = live_json(r->out);

	live_result_free(r);
	return document;
}

static void test_selection(void **state)
{
	const char *path = fresh(live_tmp()), *csv = live_path("part.csv");
	struct live_result *r = ok(LIVE_ARGV("record", "--quiet", "--json", "-o", path, "--", "sh", "-c",
					     "\"$0\" anon 3000; \"$0\" anon 500", live_workload("faulter")));
	char *second = strchr(r->out, '\n'), pid[16];
	json_t *first, *part, *whole;

	(void)state;
	assert_non_null(second);
	*second++ = '\0';
	first = live_json(r->out);
	snprintf(pid, sizeof(pid), "%lld", live_int(first, "pid"));
	part = reported("-p", pid, path);
	live_equal("processes of -p", (long long)json_array_size(live_get(part, "processes")), 1);
	live_equal("minor of -p", live_int(live_process(part, atoi(pid)), "faults.minor"), live_int(first, "minflt"));
	json_decref(part);
	part = reported("-c", "/", path);
	whole = reported("--to", "+100", path);
	live_equal("processes of -c /", (long long)json_array_size(live_get(part, "processes")),
		   (long long)json_array_size(live_get(whole, "processes")));
	json_decref(part);
	part = reported("-f", "vma", path);
	assert_true(live_null(live_process(part, atoi(pid)), "faults.anon"));
	live_equal("mmap calls of -f vma", live_int(live_process(part, atoi(pid)), "vma.mmap_calls"),
		   live_int(live_process(whole, atoi(pid)), "vma.mmap_calls"));
	json_decref(part);
	json_decref(whole);
	live_result_free(ok(LIVE_ARGV("report", "-p", pid, "--csv", csv, path)));
	live_result_free(r);
	r = live_exec(LIVE_ARGV("sh", "-c", "cut -d, -f3 \"$0\" | sort -u | grep -v pid", csv), NULL);
	r->out[strcspn(r->out, "\n")] = '\0';
	assert_string_equal(r->out, pid);
	live_result_free(r);
	r = live_memblame(LIVE_ARGV("report", "-p", "999999", path));
	live_equal("no such process", r->status, 1);
	assert_non_null(strstr(live_one_line(r), "no process 999999 in the recording"));
	live_result_free(r);
	r = live_memblame(LIVE_ARGV("report", "-c", "/none/such", path));
	live_equal("no such cgroup", r->status, 1);
	live_result_free(r);
	r = live_memblame(LIVE_ARGV("report", "--from", "+1", path, path));
	live_equal("a window of two", r->status, 2);
	live_result_free(r);
	json_decref(first);
}

/* Every fault of the stream is in the file and is part of the replay. */
static void test_trace_again(void **state)
{
	const char *path = fresh(live_tmp());
	long long faults = 0;
	struct live_result *r;
	json_t *workload;
	char sql[96];

	(void)state;
	r = ok(LIVE_ARGV("record", "--raw", "--quiet", "-o", path, "-f", "fault", "--",
			 live_workload("faulter"), "anon", "3000"));
	r->out[strcspn(r->out, "\n")] = '\0';
	workload = live_json(r->out);
	live_result_free(r);
	r = ok(LIVE_ARGV("replay", path, "trace", "-f", "fault", "--json"));
	for (char *line = strtok(r->out, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *e = live_json(line);

		faults += !strcmp(live_str(e, "kind"), "event") &&
			  strcmp(live_str(e, "class"), "failed") &&
			  live_int(e, "pid") == live_int(workload, "pid");
		json_decref(e);
	}
	snprintf(sql, sizeof(sql), "SELECT sum(minor + major - faults_other) FROM accounts");
	/* faults without an exception count as "other" and produce no events */
	assert_in_range(faults, sql_int(path, sql), live_int(workload, "minflt") +
							    live_int(workload, "majflt"));
	json_decref(workload);
	live_result_free(r);
}

static void test_window(void **state)
{
	const char *path = fresh(live_tmp());
	struct live_bg *bg = live_spawn(LIVE_ARGV(live_workload("faulter"), "storm", "1", "3"));
	struct live_result *r = ok(LIVE_ARGV("record", "-o", path, "-d", "2", "-i", "0.2", "-f", "fault"));
	long long first, last, sum = 0;
	json_t *report, *p;
	char sql[128];
	size_t i;

	(void)state;
	live_result_free(r);
	kill(bg->pid, SIGKILL);
	live_result_free(live_wait(bg));
	first = sql_int(path, "SELECT min(tick) FROM tick WHERE since_start_ns >= 500000000");
	last = sql_int(path, "SELECT max(tick) FROM tick WHERE since_start_ns <= 1500000000");
	assert_true(last > first);
	r = ok(LIVE_ARGV("report", "--json", "--from", "+0.5", "--to", "+1.5", path));
	report = live_json(r->out);
	json_array_foreach(live_get(report, "processes"), i, p)
		sum += live_int(p, "faults.minor");
	snprintf(sql, sizeof(sql), "SELECT sum(minor) FROM account WHERE tick BETWEEN %lld AND %lld",
		 first, last);
	assert_true(sum > 1000);
	live_equal("minor of the window", sum, sql_int(path, sql));
	assert_in_range(live_int(report, "duration_ns"), 800000000, 1300000000);
	json_decref(report);
	live_result_free(r);
	check_file(path, false);
}

#define QUIET_BYTES (64 << 20)

static char *volatile quiet;

static void take_memory(void)
{
	quiet = malloc(QUIET_BYTES);
	memset(quiet, 1, QUIET_BYTES);
}

/*
 * A process that is idle within a window is still in that window, with the kernel's figures for it, and in
 * the CSV.
 */
static void test_quiet_in_window(void **state)
{
	const char *path = fresh(live_tmp()), *csv = live_path("quiet.csv");
	pid_t pid = live_fork_holding(take_memory);
	struct live_result *r = ok(LIVE_ARGV("record", "-o", path, "-d", "2", "-i", "0.2", "-f", "fault"));
	long long rss = live_proc_status(pid, "VmRSS");
	char line[64], *text;
	json_t *report;

	(void)state;
	live_result_free(r);
	live_fork_end(pid);
	unlink(csv);
	r = ok(LIVE_ARGV("report", "--json", "--from", "+1", "--to", "+1.5", "--csv", csv, path));
	report = live_json(r->out);
	live_near("rss_bytes", live_int(live_process(report, pid), "memory.rss_bytes"), rss * 1024, 1 << 20);
	live_equal("minor", live_int(live_process(report, pid), "faults.minor"), 0);
	assert_true(live_null(live_process(report, pid), "memory.rss_peak_bytes"));
	assert_true(live_int(report, "overhead.self_cpu_ns") < sql_int(path, "SELECT max(self_cpu_ns) FROM tick"));
	text = live_slurp(csv, NULL);
	snprintf(line, sizeof(line), ",%d,", (int)pid);
	assert_non_null(strstr(text, line));
	free(text);
	json_decref(report);
	live_result_free(r);
}

/* --- mishaps of a recorder --- */

static struct live_bg *start(const char *path)
{
	return live_spawn(LIVE_ARGV(live_bin("memblame"), "record", "--raw", "--quiet", "-i", "0.05",
				    "-f", "fault", "-o", path, "--", live_workload("faulter"), "storm",
				    "1", "60"));
}

/*
 * Does the file have a tick that is visible to readers? The recorder is still writing, so the file may not be
 * a database yet.
 */
static bool has_tick(const char *path)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	bool has = !access(path, F_OK) && !sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) &&
		   !sqlite3_prepare_v2(db, "SELECT 1 FROM tick WHERE EXISTS (SELECT 1 FROM raw)", -1, &s, NULL) &&
		   sqlite3_step(s) == SQLITE_ROW;

	sqlite3_finalize(s);
	sqlite3_close(db);
	return has;
}

static void wait_for_tick(const struct live_bg *bg, const char *path)
{
	while (!has_tick(path)) {
		if (!live_proc_alive(bg->pid))
			live_fail("the recorder has ended");
		usleep(5000);
	}
}

/* Kills the recorder at any time: while it starts and, in every second run, once there is data to lose. */
static void test_killed(void **state)
{
	int times = live_emulated() ? 4 : 200;

	(void)state;
	srand(1);
	for (int i = 0; i < times; i++) {
		const char *path = fresh(live_tmp());
		struct live_bg *bg = start(path);
		bool ticked = i % 2;

		if (ticked)
			wait_for_tick(bg, path);
		usleep((useconds_t)(rand() % (live_emulated() ? 1000000 : 200000)));
		kill(bg->pid, SIGKILL);
		live_result_free(live_wait(bg));
		live_check_no_orphans("after the recorder was killed");
		if (ticked) {
			assert_true(has_tick(path));
		} else if (access(path, F_OK) || sql_int(path, "PRAGMA user_version") != 1 ||
			   sql_int(path, "SELECT count(*) FROM sqlite_master WHERE name = 'accounts'") != 1) {
			unlink(path); /* the recorder was killed before it wrote a tick */
			continue;
		}
		check_file(path, sql_int(path, "SELECT count(*) FROM raw") > 0);
		unlink(path);
	}
}

/* A recording that a signal ends is complete. */
static void test_interrupted(void **state)
{
	const char *path = fresh(live_tmp());
	struct live_bg *bg = live_start(LIVE_ARGV("record", "--raw", "-f", "fault", "-o", path));
	struct live_result *r;

	(void)state;
	usleep(100000);
	r = live_stop(bg);
	live_equal("status", r->status, 0);
	live_result_free(r);
	r = ok(LIVE_ARGV("replay", path, "run"));
	assert_string_equal(r->err, ""); /* not cut off */
	live_result_free(r);
	live_equal("the end", sql_int(path, "SELECT count(*) FROM info WHERE key = 'end_time'"), 1);
	check_file(path, true);
}

static void copy_file(const char *from, const char *to)
{
	struct live_result *r = live_exec(LIVE_ARGV("cp", from, to), NULL);

	live_result_free(r); /* the log may be deleted at any time */
}

/* As after a power failure: the file and its log as of some moment. */
static void test_copied(void **state)
{
	const char *path = fresh(live_tmp());
	struct live_bg *bg = start(path);
	char wal[256], copy_wal[256];

	(void)state;
	snprintf(wal, sizeof(wal), "%s-wal", path);
	wait_for_tick(bg, path);
	for (int i = 0; i < 5; i++) {
		const char *copy = fresh(live_tmp());

		snprintf(copy_wal, sizeof(copy_wal), "%s-wal", copy);
		kill(bg->pid, SIGSTOP); /* copy both as of the same moment */
		copy_file(path, copy);
		copy_file(wal, copy_wal);
		kill(bg->pid, SIGCONT);
		check_file(copy, false);
		assert_true(sql_int(copy, "SELECT count(*) FROM tick") > 0);
		unlink(copy);
		usleep(70000);
	}
	live_result_free(live_stop(bg));
}

static int close_fs(void **state)
{
	(void)state;
	if (fs.dir[0])
		sandbox_fs_close(&fs);
	fs.dir[0] = '\0';
	return 0;
}

static void test_disk_full(void **state)
{
	const char *reason = sandbox_fs_open(&fs, 8, 0), *path, *copy = fresh(live_tmp());
	char wal[256], copy_wal[256];
	struct live_result *r;

	(void)state;
	if (reason)
		live_skip("%s", reason);
	path = fresh(fs.dir);
	r = live_wait(start(path));
	live_equal("status", r->status, 1);
	assert_non_null(strstr(live_one_line(r), path));
	live_result_free(r);
	live_check_no_orphans("after the disk was full");
	/* elsewhere: SQLite maps a file next to the one it reads, and a full disk has no room for it */
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(copy_wal, sizeof(copy_wal), "%s-wal", copy);
	copy_file(path, copy);
	copy_file(wal, copy_wal);
	check_file(copy, true);
	assert_true(sql_int(copy, "SELECT count(*) FROM tick") > 2);
}

/* The disk accepts no data for a while. The traced processes do not wait for it, and losses are counted. */
static void test_slow_disk(void **state)
{
	const char *path = fresh(live_tmp());
	struct live_bg *bg = live_spawn(LIVE_ARGV(live_bin("memblame"), "record", "--raw", "--quiet",
						  "--json", "-f", "fault", "-o", path, "--",
						  live_workload("faulter"), "storm", "2",
						  live_emulated() ? "count:100000" : "count:2500000"));
	struct live_result *r;
	sqlite3 *db = NULL;
	json_t *workload;
	char sql[96];

	(void)state;
	while (access(path, F_OK) || sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) ||
	       sqlite3_exec(db, "SELECT * FROM tick; BEGIN IMMEDIATE", NULL, NULL, NULL)) {
		sqlite3_close(db);
		db = NULL;
		usleep(10000);
	}
	/* until the workload has ended; its summary waits for the file, too */
	assert_true(live_wait_text(bg->out_path, "faults_made"));
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	r = live_wait(bg);
	live_equal("status", r->status, 0);
	r->out[strcspn(r->out, "\n")] = '\0';
	workload = live_json(r->out);
	live_result_free(r);
	snprintf(sql, sizeof(sql), "SELECT sum(minor) FROM accounts WHERE pid = %lld",
		 live_int(workload, "pid"));
	live_equal("minor", sql_int(path, sql), live_int(workload, "minflt"));
	if (!live_emulated()) { /* 5 million faults exceed the queue */
		assert_true(sql_int(path, "SELECT sum(count) FROM lost WHERE family = 'record'") > 0);
		r = ok(LIVE_ARGV("replay", path, "run"));
		assert_non_null(strstr(live_one_line(r), "missing"));
		live_result_free(r);
	}
	json_decref(workload);
	check_file(path, true);
}

/* --- files that are not recordings --- */

static void refused(const char *const *args, const char *what)
{
	struct live_result *r = live_memblame(args);

	if (r->status != 1)
		live_fail("%s: status %d, not 1: %s", what, r->status, r->err);
	assert_non_null(strstr(live_one_line(r), what));
	live_result_free(r);
}

static void put_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void test_foreign_files(void **state)
{
	const char *path = fresh(live_tmp()), *other = fresh(live_tmp());
	struct live_result *r;
	size_t len;
	char *text;

	(void)state;
	live_result_free(ok(LIVE_ARGV("record", "--raw", "-o", path, "--", "true")));
	refused(LIVE_ARGV("record", "-o", path, "--", "true"), "is there already");
	refused(LIVE_ARGV("report", "/no/such/file"), "/no/such/file");
	refused(LIVE_ARGV("report", "/etc/passwd"), "/etc/passwd");
	refused(LIVE_ARGV("replay", "/etc/passwd", "run"), "/etc/passwd");
	sql_run(path, "PRAGMA user_version = 99");
	refused(LIVE_ARGV("report", path), "newer memblame");
	sql_run(path, "PRAGMA user_version = 1; UPDATE layout SET event_bytes = 7");
	refused(LIVE_ARGV("replay", path, "run"), "another build");
	live_result_free(ok(LIVE_ARGV("report", path)));
	sql_run(path, "PRAGMA application_id = 1");
	refused(LIVE_ARGV("report", path), "no recording");
	/* truncated files and files with altered bytes may or may not cause an error, but never a crash */
	sql_run(path, "PRAGMA application_id = 1835166829");
	text = live_slurp(path, &len);
	for (size_t cut = 100; cut < len; cut += len / 8) {
		put_file(other, text, cut);
		r = live_memblame(LIVE_ARGV("report", other));
		assert_true(r->status == 0 || r->status == 1);
		live_result_free(r);
	}
	for (size_t at = 0; at < len; at += len / 16) {
		text[at] ^= 0x55;
		put_file(other, text, len);
		r = live_memblame(LIVE_ARGV("replay", other, "run"));
		assert_true(r->status == 0 || r->status == 1);
		live_result_free(r);
	}
	free(text);
}

static void test_without_raw(void **state)
{
	const char *path = fresh(live_tmp());

	(void)state;
	live_result_free(ok(LIVE_ARGV("record", "-o", path, "--", "true")));
	refused(LIVE_ARGV("replay", path, "run"), "--raw");
	check_file(path, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_ways),
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_trace_again),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_quiet_in_window),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_copied),
		cmocka_unit_test_teardown(test_disk_full, close_fs),
		cmocka_unit_test(test_slow_disk),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_without_raw),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
