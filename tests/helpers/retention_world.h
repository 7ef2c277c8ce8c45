/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Sessions of a recording with retention. The data of every moment encodes its number, so tests can check
 * which data the file must contain.
 */
#ifndef MB_TESTS_RETENTION_WORLD_H
#define MB_TESTS_RETENTION_WORLD_H

#include "scratch.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
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
#include "session/replay.h"
#include "record/report.h"
#include "record/system.h"

#define PROCESSES 150
#define STEP_NS (10 * MB_NS_PER_S)
#define MIB (1024.0 * 1024)

static char dir[64], path[96];

/*
 * A session of the test. The model changes with each moment in a way that depends only on the moment's number
 * (serial).
 */
struct world {
	struct mb_recorder *r;
	struct mb_model m;
	uint64_t serial; /* number of the next moment; never reused */
	uint64_t since;
	uint64_t boot_ns; /* subtracted from timestamps, which start over after a reboot */
	uint64_t start_ns; /* start time of its processes */
	int64_t utc_off_ns; /* changes when the clock is set */
};

static inline void on_forget(void *arg, struct mb_model *m, struct mb_process *p)
{
	(void)m;
	mb_recorder_forget(arg, p);
}

static inline void begin_at(struct world *w, const char *file, uint64_t serial, const struct mb_retention *keep,
		     const char *boot)
{
	struct mb_err e = { 0 };

	memset(w, 0, sizeof(*w));
	if (mb_recorder_open_retained(&w->r, file, keep, &e))
		fail_msg("%s", e.text);
	mb_recorder_info(w->r, "kernel", boot);
	mb_recorder_info(w->r, "boot_id", boot);
	mb_recorder_info(w->r, "version", boot + strlen("boot-"));
	mb_recorder_hook(w->r, "fault", "end", "test", "full", NULL);
	mb_model_init(&w->m);
	mb_recorder_watch(w->r, &w->m);
	w->m.on_forget = on_forget;
	w->m.on_forget_arg = w->r;
	w->serial = serial;
	w->start_ns = 5;
}

static inline void begin(struct world *w, uint64_t serial, const struct mb_retention *keep)
{
	begin_at(w, path, serial, keep, "boot-a");
}

/* The faults of a process in the moment of that number. */
static inline uint64_t faults(uint64_t serial, uint64_t process)
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

/* The machine's counters are totals since boot. */
static inline void set_system(struct world *w, uint64_t t_ns)
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

/* A process that starts and ends between two moments. */
static inline void short_life(struct world *w)
{
	struct mb_process *p = mb_model_process(&w->m, 100000 + (uint32_t)w->serial, w->serial + 10);

	p->minor = faults(w->serial, PROCESSES);
	p->exited = true;
	mb_model_forget_ended(&w->m, 0);
}

static inline void sample_meta(struct world *w, unsigned int processes)
{
	struct mb_sample_meta at = { .t_ns = (w->serial + 1) * STEP_NS - w->boot_ns };
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
	mb_utc_shift("2026-01-01T00:00:00.000Z", (int64_t)(w->serial * STEP_NS) + w->utc_off_ns, at.time,
		     sizeof(at.time));
	if (mb_recorder_tick(w->r, &w->m, &at, &e))
		fail_msg("%s", e.text);
	w->serial++;
}

static inline long long ask(const char *sql);

static inline void wait_for(struct world *w, bool (*is)(const struct mb_recorder_state *st, uint64_t n), uint64_t n)
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

static inline bool waits_less(const struct mb_recorder_state *st, uint64_t n)
{
	return st->waiting_bytes <= n;
}

static inline bool is_shorter(const struct mb_recorder_state *st, uint64_t n)
{
	return !st->waiting_bytes && st->bytes <= n;
}

/* Old ticks are removed only after new ticks have been written. */
static inline bool has_ticks(const struct mb_recorder_state *st, uint64_t n)
{
	return st->ticks == (n ? n : (uint64_t)ask("SELECT count(*) FROM tick"));
}

static inline bool is_settled(const struct mb_recorder_state *st, uint64_t n)
{
	return st->failed || st->waiting_bytes <= n;
}

static inline bool has_failed(const struct mb_recorder_state *st, uint64_t n)
{
	(void)n;
	return st->failed;
}

static inline void moments(struct world *w, unsigned int n, unsigned int processes)
{
	while (n--) {
		sample_meta(w, processes);
		wait_for(w, waits_less, 2 << 20);
	}
	wait_for(w, waits_less, 0);
}

static inline void end(struct world *w)
{
	struct mb_err e = { 0 };

	if (mb_recorder_close(w->r, &e))
		fail_msg("%s", e.text);
	mb_model_free(&w->m);
}

/* ---- contents of the file ---- */

static inline sqlite3 *open_db(const char *file)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL))
		fail_msg("%s: %s", file, sqlite3_errmsg(db));
	return db;
}

static inline long long ask(const char *sql)
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

static inline long long size_of(const char *suffix)
{
	char name[128];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) ? 0 : st.st_size;
}

static inline double on_disk(void)
{
	return (double)(size_of("") + size_of("-wal") + size_of("-shm"));
}

/*
 * Checks that every tick in the file has exactly what the test did in that moment, and that no row refers to
 * a removed one.
 */
static inline void check_sums(void)
{
	sqlite3 *db = open_db(path);
	sqlite3_stmt *s = NULL;

	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT time, sum(minor), sum(pid >= 100000),"
					    " sum(pid < 100000) FROM accounts GROUP BY tick ORDER BY tick",
					    -1, &s, NULL), SQLITE_OK);
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

static inline json_t *report(const char *from, const char *to)
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

static inline json_t *process_of(json_t *doc, int pid)
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

static inline long long minor_of(json_t *doc, int pid)
{
	return json_integer_value(json_object_get(json_object_get(process_of(doc, pid), "faults"), "minor"));
}

static inline uint64_t sum_of(uint64_t from, uint64_t to, uint64_t process)
{
	uint64_t sum = 0;

	for (uint64_t s = from; s < to; s++)
		sum += faults(s, process);
	return sum;
}

static inline int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mb-retention-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/kept.db", dir);
	return 0;
}

static inline int remove_dir(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

#endif
