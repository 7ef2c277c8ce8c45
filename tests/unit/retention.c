// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A recording that is kept: within its limits over sessions, kills, full disks and damage, and exact throughout. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "memblame/sink.h"
#include "record/recorder.h"
#include "record/replay.h"
#include "record/report.h"
#include "record/system.h"

#define PROCESSES 150
#define STEP_NS (10 * MB_NS_PER_S)
#define MIB (1024.0 * 1024)

static char dir[64], path[96];

/* A session of the test: its model changes with each moment in a way that its number (serial) tells. */
struct world {
	struct mb_recorder *r;
	struct mb_model m;
	uint64_t serial; /* of the next moment; never the same twice */
	uint64_t since;
	uint64_t boot_ns; /* moments of a later boot begin again */
	uint64_t start_ns; /* of its processes */
};

static void on_forget(void *arg, struct mb_model *m, struct mb_process *p)
{
	(void)m;
	mb_recorder_forget(arg, p);
}

static void begin_at(struct world *w, const char *file, uint64_t serial, const struct mb_retention *keep,
		     const char *boot)
{
	struct mb_err e = { 0 };

	memset(w, 0, sizeof(*w));
	if (mb_recorder_open_kept(&w->r, file, keep, &e))
		fail_msg("%s", e.text);
	mb_recorder_info(w->r, "kernel", boot);
	mb_recorder_info(w->r, "boot_id", boot);
	mb_recorder_hook(w->r, "fault", "end", "test", "full", NULL);
	mb_model_init(&w->m);
	mb_recorder_watch(w->r, &w->m);
	w->m.on_forget = on_forget;
	w->m.on_forget_arg = w->r;
	w->serial = serial;
	w->start_ns = 5;
}

static void begin(struct world *w, uint64_t serial, const struct mb_retention *keep)
{
	begin_at(w, path, serial, keep, "boot-a");
}

/* Faults of a process in the moment of that number. */
static uint64_t faults(uint64_t serial, uint64_t process)
{
	return (serial * 7 + process * 3) % 1000 + 1;
}

static const struct mb_field *faults_field(const char *name)
{
	const struct mb_family *f = mb_family_by_name("fault");

	for (size_t i = 0; i < f->n_fields; i++) {
		if (f->fields[i].group && !strcmp(f->fields[i].group, "faults") && !strcmp(f->fields[i].name, name))
			return &f->fields[i];
	}
	fail_msg("no field %s", name);
	return NULL;
}

/* Counters of the machine are since boot. */
static void set_system(struct world *w, uint64_t t_ns)
{
	mb_system_init(&w->m.system.now);
	w->m.system.known = true;
	w->m.system.now.t_ns = t_ns;
	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		w->m.system.now.values[i] = t_ns / STEP_NS * 100;
	w->m.system.now.n_nodes = 1;
	for (int i = 0; i < MB_NUMA_COUNTS; i++)
		w->m.system.now.nodes[0].counts[i] = t_ns / STEP_NS * 10;
}

/* A process that came and went between two moments. */
static void short_life(struct world *w)
{
	struct mb_process *p = mb_model_process(&w->m, 100000 + (uint32_t)w->serial, w->serial + 10);

	p->minor = faults(w->serial, PROCESSES);
	p->exited = true;
	mb_model_forget_ended(&w->m, 0);
}

static void moment(struct world *w, unsigned int processes)
{
	struct mb_moment at = { .t_ns = (w->serial + 1) * STEP_NS - w->boot_ns };
	struct mb_err e = { 0 };

	for (uint32_t i = 0; i < processes; i++) {
		struct mb_process *p = mb_model_process(&w->m, 1000 + i, w->start_ns);

		snprintf(p->comm, sizeof(p->comm), "p%u", i);
		p->has_memory = true;
		p->rss_pages[1] = w->serial + i;
		p->minor += faults(w->serial, i);
		for (unsigned int s = 0; s < mb_slots(); s += 4)
			p->values[s] += faults(w->serial, i + s) * 1000;
		p->values[mb_slot(faults_field("minor"))] = p->minor;
		if (i < 3)
			mb_process_hist_add(p, faults_field("latency"), 1000 * (1 + w->serial % 8), 1, 1);
	}
	short_life(w);
	set_system(w, at.t_ns);
	w->since += STEP_NS;
	at.since_start_ns = w->since;
	mb_utc_shift("2026-01-01T00:00:00.000Z", (int64_t)(w->serial * STEP_NS), at.time, sizeof(at.time));
	if (mb_recorder_tick(w->r, &w->m, &at, &e))
		fail_msg("%s", e.text);
	w->serial++;
}

static long long ask(const char *sql);

static void wait_for(struct world *w, bool (*is)(const struct mb_recorder_state *st, uint64_t n), uint64_t n)
{
	struct mb_recorder_state st;

	for (int i = 0; i < 10000; i++) {
		mb_recorder_state(w->r, &st);
		if (is(&st, n))
			return;
		usleep(1000);
	}
	fail_msg("it does not come to that: %llu bytes, %llu waiting, '%s'", (unsigned long long)st.bytes,
		 (unsigned long long)st.waiting_bytes, st.message);
}

static bool waits_less(const struct mb_recorder_state *st, uint64_t n)
{
	return st->waiting_bytes <= n;
}

static bool is_shorter(const struct mb_recorder_state *st, uint64_t n)
{
	return !st->waiting_bytes && st->bytes <= n;
}

/* What goes, goes after what comes has been written. */
static bool has_ticks(const struct mb_recorder_state *st, uint64_t n)
{
	return st->ticks == (n ? n : (uint64_t)ask("SELECT count(*) FROM tick"));
}

static bool has_failed(const struct mb_recorder_state *st, uint64_t n)
{
	(void)n;
	return st->failed;
}

static void moments(struct world *w, unsigned int n, unsigned int processes)
{
	while (n--) {
		moment(w, processes);
		wait_for(w, waits_less, 2 << 20);
	}
	wait_for(w, waits_less, 0);
}

static void end(struct world *w)
{
	struct mb_err e = { 0 };

	if (mb_recorder_close(w->r, &e))
		fail_msg("%s", e.text);
	mb_model_free(&w->m);
}

/* ---- what is in the file ---- */

static sqlite3 *open_db(const char *file)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL))
		fail_msg("%s: %s", file, sqlite3_errmsg(db));
	return db;
}

static long long ask(const char *sql)
{
	sqlite3 *db = open_db(path);
	sqlite3_stmt *s = NULL;
	long long v;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) || sqlite3_step(s) != SQLITE_ROW)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

static long long size_of(const char *suffix)
{
	char name[128];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) ? 0 : st.st_size;
}

static double on_disk(void)
{
	return (double)(size_of("") + size_of("-wal") + size_of("-shm"));
}

/* Every tick that is there has exactly what the test did in that moment; nothing refers to what has gone. */
static void check_sums(void)
{
	sqlite3 *db = open_db(path);
	sqlite3_stmt *s = NULL;

	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT time, sum(minor), sum(pid >= 100000), sum(pid < 100000) FROM accounts"
					    " GROUP BY tick ORDER BY tick", -1, &s, NULL), SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		unsigned int d, h, m, sec;
		uint64_t serial, want = 0;

		assert_int_equal(sscanf((const char *)sqlite3_column_text(s, 0), "2026-01-%uT%u:%u:%u", &d, &h, &m,
					&sec), 4);
		serial = ((uint64_t)(d - 1) * 86400 + h * 3600 + m * 60 + sec) / 10;
		for (uint64_t i = 0; i < (uint64_t)sqlite3_column_int64(s, 3); i++)
			want += faults(serial, i);
		assert_int_equal(sqlite3_column_int(s, 2), 1);
		assert_int_equal(sqlite3_column_int64(s, 1), want + faults(serial, PROCESSES));
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	assert_int_equal(ask("SELECT count(*) FROM account WHERE tick NOT IN (SELECT tick FROM tick)"), 0);
	assert_int_equal(ask("SELECT count(*) FROM tick WHERE tick NOT IN (SELECT tick FROM account)"), 0);
	assert_int_equal(ask("SELECT count(*) FROM tick"), ask("SELECT max(tick) - min(tick) + 1 FROM tick"));
	assert_int_equal(ask("SELECT count(*) FROM process WHERE process NOT IN (SELECT process FROM account)"), 0);
	assert_int_equal(ask("SELECT count(*) FROM account WHERE process NOT IN (SELECT process FROM process)"), 0);
	assert_int_equal(ask("SELECT count(*) FROM detail WHERE process NOT IN (SELECT process FROM process)"), 0);
	assert_int_equal(ask("SELECT count(*) FROM hook WHERE session NOT IN (SELECT session FROM session)"), 0);
	assert_int_equal(ask("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

static json_t *report(const char *from, const char *to)
{
	struct mb_reader *r = NULL;
	struct mb_err e = { 0 };
	struct mb_window w;
	struct mb_out out = { 0 };
	char name[128];
	json_t *doc;

	snprintf(name, sizeof(name), "%s/report.json", dir);
	unlink(name);
	if (mb_reader_open(&r, path, &e) || mb_report_window(r, from, to, &w, &e) || mb_out_open(&out, name, &e) ||
	    mb_report_summary(r, &w, &mb_sink_json, &out, &e) || mb_out_close(&out, &e))
		fail_msg("%s", e.text);
	mb_reader_close(r);
	doc = json_load_file(name, 0, NULL);
	assert_non_null(doc);
	return doc;
}

static json_t *process_of(json_t *doc, int pid)
{
	json_t *p, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(doc, "processes"), i, p)
	{
		if (json_integer_value(json_object_get(p, "pid")) == pid) {
			assert_null(found);
			found = p;
		}
	}
	return found;
}

static long long minor_of(json_t *doc, int pid)
{
	return json_integer_value(json_object_get(json_object_get(process_of(doc, pid), "faults"), "minor"));
}

static uint64_t sum_of(uint64_t from, uint64_t to, uint64_t process)
{
	uint64_t sum = 0;

	for (uint64_t s = from; s < to; s++)
		sum += faults(s, process);
	return sum;
}

/* ---- tests ---- */

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mb-retention-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/kept.db", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char pattern[80];
	glob_t found;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/*", dir);
	if (!glob(pattern, 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	return rmdir(dir);
}

static void killed_writer(uint64_t serial, const struct mb_retention *keep)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct world w;

		begin(&w, serial, keep);
		moments(&w, 60, PROCESSES);
		moment(&w, PROCESSES); /* in the middle of this one, or before or after it */
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Filled several times over, by sessions that end well and one that is killed. */
static void by_size(void **state)
{
	struct mb_retention keep = { .max_bytes = 4 << 20 };
	struct mb_recorder_state st;
	uint64_t serial = 0;
	struct world w;

	(void)state;
	for (int session = 0; session < 4; session++) {
		if (session == 2) {
			killed_writer(serial, &keep);
			serial += 61;
			check_sums();
			continue;
		}
		begin(&w, serial, &keep);
		moments(&w, 160, PROCESSES);
		serial = w.serial;
		wait_for(&w, is_shorter, (uint64_t)(4.2 * MIB));
		assert_true(on_disk() <= 4.2 * MIB);
		mb_recorder_state(w.r, &st);
		assert_int_equal(st.lost, 0);
		wait_for(&w, has_ticks, 0);
		assert_int_equal(st.oldest[0], '2');
		end(&w);
		check_sums();
	}
	assert_true(ask("SELECT min(tick) FROM tick") > 0);
	assert_true((double)ask("SELECT (SELECT page_count FROM pragma_page_count) -"
				" (SELECT freelist_count FROM pragma_freelist_count)") * 4096 >= 3.8 * MIB);
	/* those that are there all along are the same ones all along */
	assert_int_equal(ask("SELECT count(*) FROM process WHERE pid < 100000"), PROCESSES);
	assert_int_equal(size_of("") % 4096, 0);
	/* another limit, while it runs: the file gets shorter */
	begin(&w, serial, &keep);
	moments(&w, 1, PROCESSES);
	mb_recorder_retain(w.r, &(struct mb_retention){ .max_bytes = 2 << 20 });
	wait_for(&w, is_shorter, (uint64_t)(2.1 * MIB));
	moments(&w, 5, PROCESSES);
	wait_for(&w, is_shorter, (uint64_t)(2.1 * MIB));
	end(&w);
	check_sums();
	assert_true((double)ask("SELECT page_count FROM pragma_page_count") * 4096 >= 1.85 * MIB);
}

static void by_age(void **state)
{
	struct mb_retention keep = { .max_age_ns = 100 * STEP_NS };
	struct world w;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 150, 5);
	wait_for(&w, has_ticks, 101);
	end(&w);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 101);
	/* after half an hour in which nobody recorded */
	begin(&w, 330, &keep);
	moments(&w, 250, 5);
	wait_for(&w, has_ticks, 101);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 101);
	assert_int_equal(ask("SELECT count(*) FROM session"), 1);
	/* the last moment, and it is 25 in all */
	mb_recorder_retain(w.r, &(struct mb_retention){ .max_age_ns = 24 * STEP_NS });
	moments(&w, 1, 5);
	wait_for(&w, has_ticks, 25);
	end(&w);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 25);
	check_sums();
}

/* Two sessions with a gap, and one after a reboot: sums, windows and durations are those of what was traced. */
static void over_sessions(void **state)
{
	struct mb_retention keep = { 0 };
	struct world w;
	json_t *doc;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 30, 5);
	end(&w);
	begin(&w, 90, &keep); /* ten minutes later */
	moments(&w, 30, 5);
	end(&w);
	doc = report(NULL, NULL);
	assert_int_equal(minor_of(doc, 1001), sum_of(0, 30, 1) + sum_of(90, 120, 1));
	assert_int_equal(json_integer_value(json_object_get(doc, "duration_ns")), 60 * STEP_NS);
	assert_int_equal(json_array_size(json_object_get(doc, "processes")), 5 + 60);
	assert_int_equal(json_integer_value(json_object_get(
		json_object_get(json_object_get(process_of(doc, 1001), "faults"), "latency"), "count")), 60);
	json_decref(doc);
	begin_at(&w, path, 200, &keep, "boot-b");
	w.boot_ns = 199 * STEP_NS; /* the clock of events has begun again */
	moments(&w, 10, 5);
	end(&w);
	assert_int_equal(ask("SELECT count(*) FROM process WHERE pid = 1001"), 2);
	/* 00:15:00 is moment 90; the window holds a gap */
	doc = report("2026-01-01T00:04:00Z", "00:16:05");
	assert_int_equal(minor_of(doc, 1001), sum_of(24, 30, 1) + sum_of(90, 97, 1));
	assert_int_equal(json_integer_value(json_object_get(doc, "duration_ns")), 13 * STEP_NS);
	assert_string_equal(json_string_value(json_object_get(doc, "kernel")), "boot-a");
	assert_null(process_of(doc, 100001));
	json_decref(doc);
	doc = report("+310", "+610"); /* of tracing: from the second session into the third */
	assert_string_equal(json_string_value(json_object_get(doc, "kernel")), "boot-b");
	assert_int_equal(json_integer_value(json_object_get(doc, "duration_ns")), 31 * STEP_NS);
	json_decref(doc);
	check_sums();
}

/* Counters since boot: what came while somebody looked, which a later boot with smaller ones does not hide. */
static void system_over_sessions(void **state)
{
	enum mb_system_number n = MB_SYS_paging_faults;
	struct mb_system_state got = { 0 };
	struct mb_retention keep = { 0 };
	struct mb_reader *r = NULL;
	struct mb_err e = { 0 };
	struct world w;

	(void)state;
	for (uint64_t session = 0; session < 3; session++) {
		begin_at(&w, path, session * 50, &keep, session < 2 ? "boot-a" : "boot-b");
		w.boot_ns = session < 2 ? 0 : 100 * STEP_NS;
		moments(&w, 20, 2);
		end(&w);
	}
	assert_int_equal(mb_reader_open(&r, path, &e), 0);
	assert_int_equal(mb_system_report(r, &(struct mb_window){ 0, 59, true }, &got, &e), 0);
	assert_int_equal(mb_system_growth(got.first.values[n], got.now.values[n]), 3 * 19 * 100);
	assert_int_equal(got.scope_ns, 3 * 19 * STEP_NS);
	assert_int_equal(got.now.t_ns, 20 * STEP_NS);
	assert_int_equal(mb_system_growth(got.first.nodes[0].counts[0], got.now.nodes[0].counts[0]), 3 * 19 * 10);
	assert_int_equal(mb_system_report(r, &(struct mb_window){ 10, 24, false }, &got, &e), 0);
	assert_int_equal(mb_system_growth(got.first.values[n], got.now.values[n]), (10 + 4) * 100);
	assert_int_equal(mb_system_report(r, &(struct mb_window){ 22, 24, false }, &got, &e), 0);
	assert_int_equal(mb_system_growth(got.first.values[n], got.now.values[n]), 3 * 100);
	mb_reader_close(r);
}

/* Nobody else may write, nor is a recording of record written to, and there is nothing to play. */
static void refused(void **state)
{
	struct mb_retention keep = { 0 };
	struct mb_recorder *other = NULL;
	struct mb_reader *reader = NULL;
	struct mb_err e = { 0 };
	struct mb_out out = { 0 };
	int status = 0;
	struct world w;
	struct stat st;

	(void)state;
	begin(&w, 0, &keep);
	assert_true(mb_recorder_open_kept(&other, path, &keep, &e) < 0);
	assert_non_null(strstr(e.text, "another memblame"));
	assert_true(mb_recorder_close(other, &e) || e.text[0]);
	moments(&w, 2, 5);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	end(&w);
	memset(&e, 0, sizeof(e));
	assert_int_equal(mb_reader_open(&reader, path, &e), 0);
	assert_true(mb_replay(reader, &(struct mb_replay_config){ .sink = &mb_sink_json }, &out, &status, &e) < 0);
	assert_non_null(strstr(e.text, "report works"));
	mb_reader_close(reader);
	unlink(path);
	memset(&e, 0, sizeof(e));
	assert_int_equal(mb_recorder_open(&other, path, false, &e), 0);
	mb_recorder_close(other, &e);
	assert_true(mb_recorder_open_kept(&other, path, &keep, &e) < 0);
	assert_non_null(strstr(e.text, "memblame record"));
	mb_recorder_close(other, &e);
}

static size_t set_aside(void)
{
	char pattern[128];
	size_t n = 0;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s.corrupt-*Z*", path);
	if (glob(pattern, 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		n += !strstr(found.gl_pathv[i], "-wal") && !strstr(found.gl_pathv[i], "-shm");
	globfree(&found);
	return n;
}

static void overwrite(off_t at, size_t len)
{
	int fd = open(path, O_RDWR | O_CREAT, 0644);
	char rubbish[4096];

	memset(rubbish, 0xa5, sizeof(rubbish));
	for (; len; len -= sizeof(rubbish), at += (off_t)sizeof(rubbish))
		assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), at), sizeof(rubbish));
	close(fd);
}

/* No database at all; one with a damaged middle; one that is damaged under a session. */
static void damaged(void **state)
{
	struct mb_retention keep = { .max_bytes = 64 << 20 };
	struct world w;

	(void)state;
	mb_log_set_level(MB_LOG_QUIET);
	overwrite(0, 8192);
	begin(&w, 0, &keep);
	moments(&w, 20, PROCESSES);
	end(&w);
	assert_int_equal(set_aside(), 1);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 20);
	overwrite(65536, 65536);
	begin(&w, 40, &keep);
	moments(&w, 20, PROCESSES);
	assert_int_equal(set_aside(), 2);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 20);
	assert_int_equal(ask("SELECT count(*) FROM session"), 1);
	end(&w);
	check_sums();
	/* half of it is missing */
	assert_int_equal(truncate(path, 40960), 0);
	begin(&w, 80, &keep);
	moments(&w, 3, PROCESSES);
	end(&w);
	assert_int_equal(set_aside(), 3);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 3);
	check_sums();
	mb_log_set_level(MB_LOG_NORMAL);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Files cannot grow: what is there stays, what comes waits; with more than can wait, only moments are missing. */
static void write_error(void **state)
{
	struct mb_retention keep = { .max_bytes = 64 << 20 };
	uint64_t sum = 0, lost = 0;
	struct mb_recorder_state st;
	struct world w;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	begin(&w, 0, &keep);
	moments(&w, 10, PROCESSES);
	limit_files(8192);
	while (!lost) {
		moment(&w, PROCESSES);
		mb_recorder_state(w.r, &st);
		lost = st.lost;
	}
	wait_for(&w, has_failed, 0);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 10);
	for (int i = 0; i < 5; i++)
		moment(&w, PROCESSES);
	limit_files(RLIM_INFINITY);
	mb_recorder_retain(w.r, &keep); /* tries at once */
	wait_for(&w, waits_less, 0);
	moments(&w, 2, PROCESSES);
	mb_recorder_state(w.r, &st);
	assert_false(st.failed);
	assert_int_equal(st.lost, 6);
	for (uint64_t i = 0; i < PROCESSES; i++)
		sum += sum_of(0, w.serial, i);
	assert_int_equal(ask("SELECT sum(minor) FROM accounts WHERE pid < 100000"), sum);
	assert_int_equal(ask("SELECT sum(minor) FROM accounts WHERE pid >= 100000"), sum_of(0, w.serial, PROCESSES));
	assert_int_equal(ask("SELECT sum(interval_ns) FROM tick"), w.serial * STEP_NS);
	assert_int_equal(ask("SELECT sum(count) FROM lost WHERE family = 'record'"), 6);
	end(&w);
}

/* The same on a file system that is full, where this test may make one. */
static void full_disk(void)
{
	struct mb_retention keep = { .max_bytes = 64 << 20 };
	char mnt[80], filler[100];
	struct mb_recorder_state st;
	static char zeros[65536];
	struct world w;
	long long ticks;
	int fd;

	snprintf(mnt, sizeof(mnt), "%s/mnt", dir);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mkdir(mnt, 0700) ||
	    mount("none", mnt, "tmpfs", 0, "size=2m"))
		return;
	snprintf(path, sizeof(path), "%s/kept.db", mnt);
	snprintf(filler, sizeof(filler), "%s/filler", mnt);
	begin(&w, 0, &keep);
	moments(&w, 5, PROCESSES);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close(fd);
	do {
		moment(&w, PROCESSES);
		mb_recorder_state(w.r, &st);
		usleep(1000);
	} while (!st.failed);
	assert_string_equal(st.message, "no space left on device");
	ticks = ask("SELECT count(*) FROM tick");
	assert_true(ticks >= 5);
	assert_int_equal(unlink(filler), 0);
	mb_recorder_retain(w.r, &keep);
	moments(&w, 1, PROCESSES);
	assert_int_equal(ask("SELECT count(*) FROM tick"), w.serial);
	mb_recorder_state(w.r, &st);
	assert_int_equal(st.lost, 0);
	end(&w);
	check_sums();
	umount(mnt);
}

static void disk_is_full(void **state)
{
	pid_t pid = fork(); /* with mounts of its own */
	char mnt[80];
	int status;

	(void)state;
	if (!pid) {
		full_disk();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(mnt, sizeof(mnt), "%s/mnt", dir);
	rmdir(mnt);
}

/* Who reads sees one state of it, whatever is written and goes meanwhile. */
static void read_meanwhile(void **state)
{
	struct mb_retention keep = { .max_age_ns = 20 * STEP_NS };
	struct mb_reader *r = NULL;
	struct mb_window before, after;
	struct mb_err e = { 0 };
	struct world w;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 30, 5);
	assert_int_equal(mb_reader_open(&r, path, &e), 0);
	assert_int_equal(mb_report_window(r, NULL, NULL, &before, &e), 0);
	moments(&w, 30, 5);
	assert_int_equal(mb_report_window(r, NULL, NULL, &after, &e), 0);
	assert_int_equal(before.first, after.first);
	assert_int_equal(after.last, 29);
	mb_reader_close(r);
	end(&w);
	assert_int_equal(ask("SELECT max(tick) FROM tick"), 59);
	check_sums();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(by_size),	TEST(by_age),	   TEST(over_sessions), TEST(system_over_sessions), TEST(refused),
		TEST(damaged),	TEST(write_error), TEST(disk_is_full),	TEST(read_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
