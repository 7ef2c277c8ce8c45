// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* From tables to a model of a window, for the same sinks that show a live one. */
#include "record/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "record/system.h"

static sqlite3_stmt *query(struct mb_reader *r, const char *sql, const struct mb_window *w)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(mb_reader_sqlite(r), sql, -1, &s, NULL))
		return NULL;
	if (w) {
		sqlite3_bind_int64(s, 1, w->first);
		sqlite3_bind_int64(s, 2, w->last);
	}
	return s;
}

static const char *text(sqlite3_stmt *s, int column)
{
	return (const char *)sqlite3_column_text(s, column);
}

static uint64_t number(sqlite3_stmt *s, int column)
{
	return (uint64_t)sqlite3_column_int64(s, column);
}

/* ---- the window ---- */

/*
 * The day of "10:00": of a recording that is made once, the one on which it begins. Of one that is kept, the last
 * such time there is, or where after is not "" (the end of a window that begins there), the first one after that.
 */
static void put_day(struct mb_reader *r, const char *newest, const char *after, const char *clock, char *buf,
		    size_t size)
{
	const char *day = mb_reader_info(r, "start_time"), *until;
	char moved[32];

	if (mb_reader_kept(r))
		day = after[0] ? after : newest;
	until = after[0] ? after : newest;
	snprintf(buf, size, "%.11s%s", day ? day : newest, clock);
	if (!mb_reader_kept(r) || (after[0] ? strcmp(buf, until) >= 0 : strcmp(buf, until) <= 0))
		return;
	mb_utc_shift(buf, (after[0] ? 1 : -1) * (int64_t)(86400 * MB_NS_PER_S), moved, sizeof(moved));
	snprintf(buf, size, "%.23s", moved);
}

static void time_of_tick(struct mb_reader *r, sqlite3_int64 tick, char *buf, size_t size)
{
	sqlite3_stmt *s = query(r, "SELECT time FROM tick WHERE tick = ?", NULL);

	buf[0] = '\0';
	sqlite3_bind_int64(s, 1, tick);
	if (s && sqlite3_step(s) == SQLITE_ROW && text(s, 0))
		snprintf(buf, size, "%s", text(s, 0));
	sqlite3_finalize(s);
}

/* A time as SQL compares it: a value for tick.time or, where *seconds, of time traced. */
static int parse_time(struct mb_reader *r, const char *what, const struct mb_window *w, bool has_from, char *buf,
		      size_t size, bool *seconds, struct mb_err *e)
{
	char clock[16], newest[32], after[32] = "";
	int h, m, n = 0;
	double s = 0;
	char *end;

	*seconds = *what == '+';
	if (*seconds) {
		s = strtod(what + 1, &end);
		snprintf(buf, size, "%lld", (long long)(s * 1e9));
		if (end != what + 1 && !*end && s >= 0)
			return 0;
	} else if (strlen(what) >= 19 && what[4] == '-' && what[10] == 'T') {
		snprintf(buf, size, "%.*s", (int)strcspn(what, "Z"), what);
		return 0;
	} else if ((sscanf(what, "%2d:%2d%n", &h, &m, &n) == 2) &&
		   (!what[n] || sscanf(what + n, ":%lf%n", &s, &n) == 1) && h >= 0 && h < 24 && m >= 0 &&
		   m < 60 && s >= 0 && s < 60) {
		snprintf(clock, sizeof(clock), "%02d:%02d:%06.3f", h, m, s);
		time_of_tick(r, w->last, newest, sizeof(newest));
		if (has_from)
			time_of_tick(r, w->first, after, sizeof(after));
		put_day(r, newest, after, clock, buf, size);
		return 0;
	}
	return mb_err_set(e, MB_EXIT_USAGE, 0,
			  "'%s' is no time: 10:00, 10:00:05 (UTC), 2026-01-02T10:00:00Z or +SECONDS",
			  what);
}

/* w: all ticks there are; of the end of a window, from where it begins. */
static int find_tick(struct mb_reader *r, const char *what, bool from, bool has_from, struct mb_window *w,
		     struct mb_err *e)
{
	char value[64], sql[256];
	sqlite3_stmt *s;
	bool seconds;
	int err = parse_time(r, what, w, has_from, value, sizeof(value), &seconds, e);

	if (err)
		return err;
	snprintf(sql, sizeof(sql), "SELECT %s(tick) FROM %s WHERE %s %s ?", from ? "min" : "max",
		 /* of sessions one after the other, it is the time that was traced */
		 seconds && mb_reader_kept(r) ?
			 "(SELECT tick, sum(interval_ns) OVER (ORDER BY tick) AS since_start_ns FROM tick)" :
			 "tick",
		 seconds ? "since_start_ns" : "time", from ? ">=" : "<=");
	s = query(r, sql, NULL);
	if (!s)
		return mb_reader_damaged(r, e);
	if (seconds)
		sqlite3_bind_int64(s, 1, atoll(value));
	else
		sqlite3_bind_text(s, 1, value, -1, SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL)
		*(from ? &w->first : &w->last) = sqlite3_column_int64(s, 0);
	else
		err = mb_err_set(e, MB_EXIT_FAILED, 0, "the recording %s %s",
				 from ? "ends before" : "begins after", what);
	sqlite3_finalize(s);
	return err;
}

int mb_report_window(struct mb_reader *r, const char *from, const char *to, struct mb_window *w,
		     struct mb_err *e)
{
	sqlite3_stmt *s = query(r, "SELECT min(tick), max(tick) FROM tick", NULL);
	int err = 0;

	if (!s || sqlite3_step(s) != SQLITE_ROW)
		err = mb_reader_damaged(r, e);
	else if (sqlite3_column_type(s, 0) == SQLITE_NULL)
		err = mb_err_set(e, MB_EXIT_FAILED, 0, "nothing was recorded");
	if (!err) {
		w->first = sqlite3_column_int64(s, 0);
		w->last = sqlite3_column_int64(s, 1);
	}
	sqlite3_finalize(s);
	w->whole = !from && !to;
	if (!err && from)
		err = find_tick(r, from, true, false, w, e);
	if (!err && to)
		err = find_tick(r, to, false, from != NULL, w, e);
	if (!err && w->first > w->last)
		err = mb_err_set(e, MB_EXIT_FAILED, 0, "nothing lies between %s and %s",
				 from ? from : "the start", to ? to : "the end");
	return err;
}

/* ---- the model of the window ---- */

#define HEAD_COLUMNS 24

/* One row per process: who it is, its memory as of its last tick, sums of its numbers. */
static sqlite3_stmt *query_processes(struct mb_reader *r, const struct mb_window *w)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);
	size_t size = 2048 + n * 160, len;
	char *sql = malloc(size);
	sqlite3_stmt *s;

	if (!sql)
		return NULL;
	/* recordings of older builds lack some columns */
	len = (size_t)snprintf(sql, size,
			       "WITH s AS (SELECT process, max(tick) AS tick, sum(minor) AS minor,"
			       " sum(major) AS major");
	for (size_t i = 0; i < n; i++) {
		bool has = mb_reader_has(r, "account", c[i].name);

		len += (size_t)snprintf(sql + len, size - len, ", %s(%s) AS c%zu", c[i].is_max ? "max" : "sum",
					has ? c[i].name : "NULL", i);
	}
	len += (size_t)snprintf(
		sql + len, size - len,
		" FROM account WHERE tick BETWEEN ?1 AND ?2 GROUP BY process)"
		" SELECT s.tick, p.pid, p.ppid, p.start_t_ns, p.comm, p.exe, p.cgroup,"
		" p.exited AND p.last_tick <= ?2, p.exit_code, p.threads, s.minor, s.major,"
		" a.anon_bytes, a.file_bytes, a.shmem_bytes, a.swap_bytes, a.vm_bytes, a.rss_peak_bytes,"
		" p.process, %s, %s, %s",
		mb_reader_has(r, "account", "uss_bytes") ? "a.pss_bytes, a.uss_bytes" : "NULL, NULL",
		mb_reader_has(r, "process", "inner_pid") ? "p.container_name, p.inner_pid" : "NULL, NULL",
		mb_reader_has(r, "process", "first_tick") ? "p.first_tick" : "NULL");
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(sql + len, size - len, ", s.c%zu", i);
	snprintf(sql + len, size - len,
		 " FROM s JOIN process p USING (process) JOIN account a ON a.tick = s.tick AND"
		 " a.process = s.process ORDER BY p.process");
	s = query(r, sql, w);
	free(sql);
	return s;
}

static void take_memory(struct mb_process *p, sqlite3_stmt *s)
{
	p->peak_pages = number(s, 17) / MB_PAGE_SIZE;
	p->has_memory = sqlite3_column_type(s, 12) != SQLITE_NULL;
	p->rss_pages[1] = number(s, 12) / MB_PAGE_SIZE;
	p->rss_pages[0] = number(s, 13) / MB_PAGE_SIZE;
	p->rss_pages[3] = number(s, 14) / MB_PAGE_SIZE;
	p->rss_pages[2] = number(s, 15) / MB_PAGE_SIZE;
	p->total_vm_pages = number(s, 16) / MB_PAGE_SIZE;
	p->pss_bytes = sqlite3_column_type(s, 19) != SQLITE_NULL ? number(s, 19) : MB_UNKNOWN;
	p->uss_bytes = sqlite3_column_type(s, 20) != SQLITE_NULL ? number(s, 20) : MB_UNKNOWN;
}

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

static void take_values(struct mb_model *m, struct mb_process *p, sqlite3_stmt *s)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	p->minor = number(s, 10);
	p->major = number(s, 11);
	for (size_t i = 0; i < n; i++) {
		int column = HEAD_COLUMNS + (int)i;

		p->values[c[i].slot] = number(s, column);
		if (sqlite3_column_type(s, column) == SQLITE_NULL && !c[i].is_max)
			m->unknown_slots[c[i].slot / 64 % 4] |= 1ull << (c[i].slot % 64);
	}
}

static const struct mb_field *field_by_column(const char *name)
{
	size_t n, len;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];

			len = f->group ? strlen(f->group) : 0;
			if (len && strncmp(name, f->group, len) == 0 && name[len] == '_' &&
			    strcmp(name + len + 1, f->name) == 0)
				return f;
		}
	}
	return NULL;
}

/* Histograms and rows are kept for all that a process did, not by tick: nothing of it may have gone. */
static bool has_details(struct mb_reader *r, const struct mb_window *w, sqlite3_stmt *s)
{
	return w->whole && (!mb_reader_kept(r) || sqlite3_column_int64(s, 23) >= w->first);
}

static int take_details(struct mb_reader *r, struct mb_model *m, struct mb_process *p, sqlite3_int64 id,
			struct mb_err *e)
{
	sqlite3_stmt *s = query(r, "SELECT field, key, count, ns, max_ns FROM detail WHERE process = ?",
				NULL);

	if (!s)
		return mb_reader_damaged(r, e);
	sqlite3_bind_int64(s, 1, id);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const struct mb_field *f = field_by_column(text(s, 0) ? text(s, 0) : "");

		if (f && (f->kind == MB_FIELD_HIST || f->kind == MB_FIELD_STALL))
			mb_process_hist_set(p, f, (unsigned int)atoi(text(s, 1) ? text(s, 1) : ""),
					    number(s, 2), number(s, 4),
					    f->kind == MB_FIELD_STALL ? 1 : m->sample_1_in);
		else if (f && f->kind == MB_FIELD_ROWS && text(s, 1))
			mb_process_row_set(p, f, text(s, 1), number(s, 2), number(s, 3),
					   number(s, 4));
	}
	sqlite3_finalize(s);
	return 0;
}

static int take_processes(struct mb_reader *r, struct mb_model *m, const struct mb_window *w,
			  struct mb_err *e)
{
	sqlite3_stmt *s = query_processes(r, w);
	int code, err = 0;

	if (!s)
		return mb_reader_damaged(r, e);
	while (!err && (code = sqlite3_step(s)) == SQLITE_ROW) {
		struct mb_process *p = mb_model_process(m, (uint32_t)number(s, 1), number(s, 3));

		if (!p)
			continue; /* counted as evicted */
		p->ppid = (uint32_t)number(s, 2);
		snprintf(p->comm, sizeof(p->comm), "%s", text(s, 4) ? text(s, 4) : "");
		p->exe = copy(text(s, 5));
		p->cgroup_path = copy(text(s, 6));
		p->looked_up = true;
		snprintf(p->host_name, sizeof(p->host_name), "%s", text(s, 21) ? text(s, 21) : "");
		p->inner_tgid = (uint32_t)number(s, 22);
		p->exited = sqlite3_column_int(s, 7);
		p->exit_known = sqlite3_column_type(s, 8) != SQLITE_NULL;
		p->exit_code = (sqlite3_column_int(s, 8) & 255) << 8; /* as wait(2) has it */
		p->threads = (uint32_t)number(s, 9);
		take_memory(p, s);
		take_values(m, p, s);
		if (has_details(r, w, s))
			err = take_details(r, m, p, sqlite3_column_int64(s, 18), e);
	}
	if (!err && code != SQLITE_DONE)
		err = mb_reader_damaged(r, e);
	sqlite3_finalize(s);
	return err;
}

/* Rows of one family and reason come in order: they have the first time of the first, the last of the last. */
static void add_drop(struct mb_drop *d, sqlite3_stmt *s)
{
	if (!d->count)
		d->first_t_ns = number(s, 3);
	d->count += number(s, 2);
	d->last_t_ns = number(s, 4);
}

static int take_lost(struct mb_reader *r, struct mb_model *m, const struct mb_window *w,
		     struct mb_err *e)
{
	sqlite3_stmt *s = query(r,
				"SELECT family, reason, count, first_t_ns, last_t_ns FROM lost"
				" WHERE tick BETWEEN ?1 AND ?2 ORDER BY tick",
				w);

	if (!s)
		return mb_reader_damaged(r, e);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *family = text(s, 0), *reason = text(s, 1);
		const struct mb_family *f = family ? mb_family_by_name(family) : NULL;
		bool known = false;

		for (unsigned int i = 0; f && reason && i < MB_DROP_REASONS && !known; i++) {
			known = !strcmp(reason, mb_drop_reason_name(i));
			if (known)
				add_drop(&m->lost.kernel[f->id][i], s);
		}
		if (!known && reason && strcmp(reason, "process evicted") == 0)
			m->lost.processes_evicted += number(s, 2);
		else if (!known && reason && strcmp(reason, "thread evicted") == 0)
			m->lost.threads_evicted += number(s, 2);
		else if (!known && reason && strcmp(reason, "not blamed") == 0)
			m->lost.not_blamed += number(s, 2);
		else if (!known && family && strcmp(family, "record") == 0)
			m->lost.not_recorded += number(s, 2);
		else if (!known)
			m->lost.undecodable += number(s, 2);
	}
	sqlite3_finalize(s);
	return 0;
}

static int take_events(struct mb_reader *r, struct mb_model *m, const struct mb_window *w,
		       struct mb_err *e)
{
	sqlite3_stmt *s = query(r, "SELECT data FROM event WHERE tick BETWEEN ?1 AND ?2 ORDER BY event", w);

	if (!s)
		return mb_reader_damaged(r, e);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const struct mb_event *event = sqlite3_column_blob(s, 0);
		size_t size = (size_t)sqlite3_column_bytes(s, 0);

		if (event && size >= sizeof(*event) && event->size == size && mb_event_kind_of(event))
			mb_model_keep(m, event);
		else
			m->lost.undecodable++;
	}
	sqlite3_finalize(s);
	return 0;
}

/* At which levels tracing was in the window: what was before it says at which it began. */
static int take_levels(struct mb_reader *r, struct mb_model *m, const struct mb_window *w, uint64_t from_ns,
		       struct mb_err *e)
{
	sqlite3_stmt *s = query(r, "SELECT data, ?1 FROM event WHERE tick <= ?2 AND family = 'task'"
				   " AND name = 'level' ORDER BY event", w);

	if (!s)
		return mb_reader_damaged(r, e);
	m->levels.from_ns = from_ns;
	while (sqlite3_step(s) == SQLITE_ROW) {
		const struct mb_level_event *event = sqlite3_column_blob(s, 0);

		if (event && sqlite3_column_bytes(s, 0) == sizeof(*event))
			mb_levels_add(&m->levels, event);
	}
	sqlite3_finalize(s);
	return 0;
}

/* The machine, and the moment at which the window ends. */
static int take_frame(struct mb_reader *r, struct mb_model *m, const struct mb_window *w,
		      struct mb_setup *setup, struct mb_summary *sum, struct mb_err *e)
{
	sqlite3_stmt *s = query(r,
				"SELECT t_ns, time, self_cpu_ns, self_rss_bytes, bpf_ns, events FROM tick"
				" WHERE tick = ?2",
				w);
	const char *value;

	if (!s || sqlite3_step(s) != SQLITE_ROW) {
		sqlite3_finalize(s);
		return mb_reader_damaged(r, e);
	}
	sum->at.t_ns = number(s, 0);
	snprintf(sum->at.time, sizeof(sum->at.time), "%s", text(s, 1) ? text(s, 1) : "");
	sum->at.self_cpu_ns = number(s, 2);
	sum->at.self_rss_bytes = number(s, 3);
	sum->at.bpf_ns_known = sqlite3_column_type(s, 4) != SQLITE_NULL;
	sum->at.bpf_ns = number(s, 4);
	m->events = number(s, 5);
	sqlite3_finalize(s);
	if (mb_reader_duration(r, w->first, w->last, &sum->at.since_start_ns, e))
		return -EIO;
	value = mb_reader_session(r, w->last, "kernel");
	snprintf(setup->kernel, sizeof(setup->kernel), "%s", value ? value : "");
	value = mb_reader_session(r, w->last, "arch");
	snprintf(setup->arch, sizeof(setup->arch), "%s", value ? value : "");
	value = mb_reader_session(r, w->last, "sample_1_in");
	m->sample_1_in = value ? (uint32_t)strtoul(value, NULL, 10) : 1;
	value = mb_reader_session(r, w->last, "pss");
	m->pss = value && !strcmp(value, "1");
	value = w->whole ? mb_reader_info(r, "command") : NULL;
	sum->has_command = value != NULL;
	snprintf(sum->command, sizeof(sum->command), "%s", value ? value : "");
	value = value ? mb_reader_info(r, "command_status") : NULL;
	sum->command_status = value ? atoi(value) : 0;
	return 0;
}

int mb_report_summary(struct mb_reader *r, const struct mb_window *w, const struct mb_sink *sink,
		      struct mb_out *out, struct mb_err *e)
{
	struct mb_summary sum = { 0 };
	struct mb_setup setup = { 0 };
	const char *version = mb_reader_session(r, w->last, "version");
	struct mb_snapshot snap;
	char traced_by[64];
	struct mb_model m;
	int err;

	snprintf(traced_by, sizeof(traced_by), "%s", version ? version : "");

	mb_model_init(&m);
	err = take_frame(r, &m, w, &setup, &sum, e);
	if (!err)
		err = take_processes(r, &m, w, e);
	if (!err)
		err = take_lost(r, &m, w, e);
	if (!err)
		err = take_events(r, &m, w, e);
	if (!err)
		err = take_levels(r, &m, w, sum.at.t_ns - sum.at.since_start_ns, e);
	if (!err)
		err = mb_system_report(r, w, &m.system, e);
	if (!err) {
		mb_snapshot_total(&snap, &m, &setup, &sum);
		snap.version = traced_by[0] ? traced_by : NULL;
		sink->snapshot(out, &snap);
	}
	mb_model_free(&m);
	return err;
}

/* ---- CSV ---- */

/* RFC 4180 */
static void put_cell(struct mb_out *out, const char *s, bool first)
{
	if (!first)
		mb_out_text(out, ",", 1);
	if (!s)
		return;
	if (!strpbrk(s, ",\"\r\n")) {
		mb_out_text(out, s, strlen(s));
		return;
	}
	mb_out_text(out, "\"", 1);
	for (; *s; s++) {
		if (*s == '"')
			mb_out_text(out, "\"", 1);
		mb_out_text(out, s, 1);
	}
	mb_out_text(out, "\"", 1);
}

int mb_report_csv(struct mb_reader *r, const struct mb_window *w, struct mb_out *out,
		  struct mb_err *e)
{
	sqlite3_stmt *s = query(
		r, "SELECT * FROM accounts WHERE tick BETWEEN ?1 AND ?2 ORDER BY tick, process", w);
	int code;

	if (!s)
		return mb_reader_damaged(r, e);
	for (int i = 0; i < sqlite3_column_count(s); i++)
		put_cell(out, sqlite3_column_name(s, i), i == 0);
	mb_out_text(out, "\n", 1);
	while ((code = sqlite3_step(s)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(s); i++)
			put_cell(out, text(s, i), i == 0);
		mb_out_text(out, "\n", 1);
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? 0 : mb_reader_damaged(r, e);
}
