// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Builds the model of a window from the tables, for the same sinks that show a live model. */
#include "record/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/carry.h"
#include "record/coverage.h"
#include "record/system.h"

static const char *text(sqlite3_stmt *s, int column)
{
	return (const char *)sqlite3_column_text(s, column);
}

static uint64_t number(sqlite3_stmt *s, int column)
{
	return (uint64_t)sqlite3_column_int64(s, column);
}

static bool is_null(sqlite3_stmt *s, int column)
{
	return sqlite3_column_type(s, column) == SQLITE_NULL;
}

/* A number of an account; it can be negative. */
static uint64_t value(sqlite3_stmt *s, int column)
{
	return is_null(s, column) ? MB_NO_VALUE : number(s, column);
}

/* ---- the model of the window ---- */

#define HEAD_COLUMNS 26

/*
 * One row per process that was alive in the window or did something in it: its identity, its memory as of its last
 * account, the sums of its numbers. For a process without an account in the window the sums are 0 if they were
 * counted. The peak memory is one of the window only if it grew in the window, or if the window has no tick before
 * it.
 */
static char *processes_sql(struct mb_reader *r)
{
	sqlite3_str *sql = sqlite3_str_new(mb_reader_sqlite(r));
	bool lives = mb_reader_has(r, "process", "gone_tick");
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	sqlite3_str_appendf(sql, "WITH s AS (SELECT process, sum(minor) AS minor, sum(major) AS major");
	/* recordings of older builds lack some columns */
	for (size_t i = 0; i < n; i++) {
		if (!mb_reader_has(r, "account", c[i].name))
			sqlite3_str_appendf(sql, ", NULL AS c%u", (unsigned int)i);
		else
			sqlite3_str_appendf(sql, ", %s(%s) AS c%u", c[i].is_max ? "max" : "sum", c[i].name,
					    (unsigned int)i);
	}
	sqlite3_str_appendf(sql, " FROM account WHERE tick BETWEEN ?1 AND ?2 GROUP BY process),"
				 " l AS (SELECT process, max(tick) AS tick FROM account WHERE tick <= ?2 GROUP BY process),"
				 " b AS (SELECT process, max(rss_peak_bytes) AS peak FROM account WHERE tick < ?1"
				 " GROUP BY process)"
				 " SELECT l.tick, p.pid, p.ppid, p.start_t_ns, p.comm, p.exe, p.cgroup,"
				 " p.exited AND p.last_tick <= ?2, p.exit_code, p.threads, ifnull(s.minor, 0),"
				 " ifnull(s.major, 0), a.anon_bytes, a.file_bytes, a.shmem_bytes, a.swap_bytes,"
				 " a.vm_bytes, CASE WHEN NOT EXISTS (SELECT 1 FROM tick WHERE tick < ?1) OR a.rss_peak_bytes > b.peak OR (b.peak IS NULL AND %s)"
				 " THEN a.rss_peak_bytes END, p.process, %s, %s, %s, s.process IS NOT NULL",
			    lives ? "p.first_tick > ?1" : "1",
			    mb_reader_has(r, "account", "uss_bytes") ? "a.pss_bytes, a.uss_bytes" : "NULL, NULL",
			    mb_reader_has(r, "process", "inner_pid") ? "p.container_name, p.inner_pid" : "NULL, NULL",
			    lives ? "p.first_tick, p.gone_tick" : "NULL, NULL");
	for (size_t i = 0; i < n; i++) {
		if (c[i].is_max || !mb_reader_has(r, "account", c[i].name))
			sqlite3_str_appendf(sql, ", s.c%u", (unsigned int)i);
		else
			sqlite3_str_appendf(sql, ", CASE WHEN s.process IS NULL THEN a.%s * 0 ELSE s.c%u END", c[i].name,
					    (unsigned int)i);
	}
	sqlite3_str_appendf(sql, " FROM l JOIN process p USING (process) JOIN account a ON a.tick = l.tick AND"
				 " a.process = l.process LEFT JOIN s ON s.process = l.process LEFT JOIN b ON"
				 " b.process = l.process WHERE s.process IS NOT NULL%s ORDER BY p.process",
			    lives ? " OR " MB_LIVES_ON : "");
	return sqlite3_str_finish(sql);
}

static sqlite3_stmt *query_processes(struct mb_reader *r, const struct mb_window *w)
{
	char *sql = processes_sql(r);
	sqlite3_stmt *s = sql ? mb_reader_query(r, sql, w->first, w->last) : NULL;

	sqlite3_free(sql);
	return s;
}

/* Whether the column is a size: not NULL and not negative. */
static bool is_size(sqlite3_stmt *s, int column)
{
	return !is_null(s, column) && sqlite3_column_int64(s, column) >= 0;
}

static void take_memory(struct mb_process *p, sqlite3_stmt *s)
{
	p->peak_pages = is_size(s, 17) ? number(s, 17) / MB_PAGE_SIZE : 0;
	p->has_memory = true;
	for (int column = 12; column <= 16; column++)
		p->has_memory &= is_size(s, column);
	p->rss_pages[1] = number(s, 12) / MB_PAGE_SIZE;
	p->rss_pages[0] = number(s, 13) / MB_PAGE_SIZE;
	p->rss_pages[3] = number(s, 14) / MB_PAGE_SIZE;
	p->rss_pages[2] = number(s, 15) / MB_PAGE_SIZE;
	p->total_vm_pages = number(s, 16) / MB_PAGE_SIZE;
	p->pss_bytes = is_size(s, 19) ? number(s, 19) : MB_UNKNOWN;
	p->uss_bytes = is_size(s, 20) ? number(s, 20) : MB_UNKNOWN;
}

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

/*
 * With a budget: did the process have a count of 0, or no count, in the window? An account of an idle process cannot
 * tell, because it is from an earlier time, and earlier builds wrote 0 in either case.
 */
static uint64_t zero_or_not(const struct mb_coverage *c, const struct mb_window *w, sqlite3_stmt *s, size_t i,
			    uint64_t v)
{
	sqlite3_int64 gone = is_null(s, 24) ? INT64_MAX : sqlite3_column_int64(s, 24);
	sqlite3_int64 born = sqlite3_column_int64(s, 23);
	bool has_rows = sqlite3_column_int(s, 25);
	sqlite3_int64 first = w->first, last = w->last;

	if (v == MB_NO_VALUE && has_rows) {
		/* of the ticks of birth and end, only the recorder knew which part the process lived in */
		first = born >= first ? born + 1 : first;
		last = gone == sqlite3_column_int64(s, 0) ? gone - 1 : gone < last ? gone : last;
	} else {
		first = born > first ? born : first;
		last = gone < last ? gone : last;
	}
	return mb_coverage_counted(c, i, first, last) ? 0 : MB_NO_VALUE;
}

/*
 * Note the levels at which the process lived all the time: those all of whose columns have no value. The model then
 * knows that histograms and lists have none either.
 */
static void note_untraced(struct mb_process *p, const struct mb_coverage *cover)
{
	unsigned int lacks = 0, has = 0;
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t i = 0; i < n; i++) {
		if (mb_coverage_left_out(&c[i]) && mb_coverage_known(cover, i))
			*(p->values[c[i].slot] == MB_NO_VALUE ? &lacks : &has) |= 1u << mb_coverage_off_from(&c[i]);
	}
	p->untraced = (uint8_t)(lacks & ~has);
}

/*
 * The maximum of a kind of stall is not known if none of its stalls in the window was longer than all stalls before
 * the window.
 */
static void take_values(struct mb_process *p, sqlite3_stmt *s, const struct mb_coverage *cover,
			const struct mb_window *w, bool *known)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	p->minor = number(s, 10);
	p->major = number(s, 11);
	for (size_t i = 0; i < n; i++) {
		uint64_t *v = &p->values[c[i].slot];

		*v = value(s, HEAD_COLUMNS + (int)i);
		if (cover->levels.governed && mb_coverage_left_out(&c[i]) && (!*v || *v == MB_NO_VALUE))
			*v = zero_or_not(cover, w, s, i, *v);
		known[c[i].slot] |= *v != MB_NO_VALUE;
		if (c[i].is_max && *v == MB_NO_VALUE && !p->values[c[i].slot - 2])
			*v = 0;
	}
	if (cover->levels.governed)
		note_untraced(p, cover);
}

/*
 * Mark numbers as unknown that no process has, because they had no hook or did not exist in that build. What only the
 * level left out is null for each process instead, so that it is listed with the time for which it was not counted.
 */
static void note_unknown(struct mb_model *m, const struct mb_coverage *cover, const bool *known)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t i = 0; i < n && m->all; i++) {
		bool rest = c[i].field->is_rest && cover->rest_unknown;
		bool listed = mb_coverage_left_out(&c[i]) && mb_coverage_known(cover, i);

		if (rest || (!c[i].is_max && !known[c[i].slot] && !listed))
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

/*
 * Histograms and rows are stored per process, not per tick. They are valid only for a whole recording from which no
 * tick of the process was deleted.
 */
static bool has_details(struct mb_reader *r, const struct mb_window *w, sqlite3_stmt *s)
{
	return w->whole && (!mb_reader_is_retained(r) || sqlite3_column_int64(s, 23) >= w->first);
}

static int take_details(struct mb_reader *r, struct mb_model *m, struct mb_process *p, sqlite3_int64 id,
			struct mb_err *e)
{
	sqlite3_stmt *s = mb_reader_query(r, "SELECT field, key, count, ns, max_ns FROM detail WHERE process = ?",
				0, 0);

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

static void take_process(struct mb_process *p, sqlite3_stmt *s)
{
	p->ppid = (uint32_t)number(s, 2);
	snprintf(p->comm, sizeof(p->comm), "%s", text(s, 4) ? text(s, 4) : "");
	p->exe = copy(text(s, 5));
	p->cgroup_path = copy(text(s, 6));
	p->looked_up = true;
	snprintf(p->host_name, sizeof(p->host_name), "%s", text(s, 21) ? text(s, 21) : "");
	p->inner_tgid = (uint32_t)number(s, 22);
	p->exited = sqlite3_column_int(s, 7);
	p->exit_known = !is_null(s, 8);
	p->exit_code = (sqlite3_column_int(s, 8) & 255) << 8; /* in the format of wait(2) */
	p->threads = (uint32_t)number(s, 9);
	take_memory(p, s);
}

static int no_memory(sqlite3_stmt *s, bool *known, struct mb_err *e)
{
	free(known);
	sqlite3_finalize(s);
	return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
}

static int take_processes(struct mb_reader *r, struct mb_model *m, const struct mb_window *w,
			  const struct mb_coverage *cover, struct mb_err *e)
{
	sqlite3_stmt *s = query_processes(r, w);
	bool *known = calloc(mb_slots(), sizeof(*known));
	int code = SQLITE_DONE, err = 0;

	if (!s || !known) {
		free(known);
		sqlite3_finalize(s);
		return mb_reader_damaged(r, e);
	}
	while (!err && (code = sqlite3_step(s)) == SQLITE_ROW) {
		struct mb_process *p = mb_model_process(m, (uint32_t)number(s, 1), number(s, 3));
		bool shown = p;

		if (!shown && !(p = mb_process_new()))
			return no_memory(s, known, e);
		take_process(p, s);
		take_values(p, s, cover, w, known);
		if (has_details(r, w, s))
			err = take_details(r, m, p, sqlite3_column_int64(s, 18), e);
		if (shown)
			continue;
		/* more processes than are shown individually */
		if (!mb_ended_fold(m, p, 1))
			m->lost.processes_evicted++;
		mb_process_free(p);
	}
	if (!err && code != SQLITE_DONE)
		err = mb_reader_damaged(r, e);
	note_unknown(m, cover, known);
	free(known);
	sqlite3_finalize(s);
	return err;
}

/* Rows of one family and reason are in order: use the first time of the first row and the last time of the last. */
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
	sqlite3_stmt *s = mb_reader_query(r,
				"SELECT family, reason, count, first_t_ns, last_t_ns FROM lost"
				" WHERE tick BETWEEN ?1 AND ?2 ORDER BY tick",
				w->first, w->last);

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
		else if (!known && reason && strcmp(reason, "process without room") == 0)
			m->lost.processes_waiting += number(s, 2);
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
	sqlite3_stmt *s = mb_reader_query(r, "SELECT data FROM event WHERE tick BETWEEN ?1 AND ?2 ORDER BY event", w->first, w->last);

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

/* A family without a hook in any session of the recording was not traced, so its counts are not known. */
static int take_families(struct mb_reader *r, struct mb_model *m, struct mb_err *e)
{
	sqlite3_stmt *s = mb_reader_query(r, "SELECT DISTINCT family FROM hook", 0, 0);
	uint32_t traced = 0;
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	if (!s)
		return mb_reader_damaged(r, e);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const struct mb_family *f = text(s, 0) ? mb_family_by_name(text(s, 0)) : NULL;

		traced |= f ? 1u << f->id : 0;
	}
	sqlite3_finalize(s);
	for (size_t i = 0; i < n && traced; i++)
		m->off |= fam[i]->n_probe_points && !(traced >> fam[i]->id & 1) ? 1u << fam[i]->id : 0;
	return 0;
}

/*
 * The cost of memblame itself and the number of ingested events: counters of each session, restricted to the window.
 * For a session whose first ticks were deleted, count from its first remaining tick.
 */
static int take_overhead(struct mb_reader *r, struct mb_model *m, const struct mb_window *w, struct mb_summary *sum,
			 struct mb_err *e)
{
	static const char *const counters[] = { "self_cpu_ns", "bpf_ns", "events" };
	sqlite3_str *sql = sqlite3_str_new(mb_reader_sqlite(r));
	sqlite3_stmt *s;
	char *text;

	sqlite3_str_appendf(sql, "WITH n AS (SELECT *, %s AS begins FROM tick)",
			    mb_reader_has(r, "session", "first_tick") ?
				    "(SELECT max(first_tick) FROM session WHERE first_tick <= tick)" :
				    "NULL");
	for (size_t i = 0; i < 3; i++)
		sqlite3_str_appendf(sql, "%s %s - ifnull(lag(%s) OVER v, CASE WHEN tick = ifnull(begins, tick) THEN 0 ELSE"
					 " %s END) AS d%d", i ? "," : ", d AS (SELECT tick,", counters[i], counters[i],
				    counters[i], (int)i);
	sqlite3_str_appendf(sql, " FROM n WINDOW v AS (PARTITION BY begins ORDER BY tick)) SELECT sum(d0), sum(d1), sum(d2)"
				 " FROM d WHERE tick BETWEEN ?1 AND ?2");
	text = sqlite3_str_finish(sql);
	s = text ? mb_reader_query(r, text, w->first, w->last) : NULL;
	sqlite3_free(text);
	if (!s || sqlite3_step(s) != SQLITE_ROW) {
		sqlite3_finalize(s);
		return mb_reader_damaged(r, e);
	}
	sum->at.self_cpu_ns = number(s, 0);
	/* earlier builds could subtract more time than there was */
	sum->at.bpf_ns_known = is_size(s, 1);
	sum->at.bpf_ns = number(s, 1);
	m->events = number(s, 2);
	sqlite3_finalize(s);
	return 0;
}

/* The levels of the window, and for how long each number was not counted for another reason. */
static void take_coverage(struct mb_model *m, const struct mb_coverage *cover)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	m->levels = cover->levels;
	for (size_t i = 0; i < n; i++) {
		if (!c[i].is_max && mb_field_known(m, c[i].family, c[i].field))
			mb_model_uncounted(m, c[i].slot, cover->other_ns[i]);
	}
}

/* Set the machine, and the sample metadata at the end of the window. */
static int take_record(struct mb_reader *r, struct mb_model *m, const struct mb_window *w,
		       struct mb_setup *setup, struct mb_summary *sum, struct mb_err *e)
{
	sqlite3_stmt *s = mb_reader_query(r,
				"SELECT t_ns, time, self_rss_bytes FROM tick WHERE tick = ?2",
				w->first, w->last);
	const char *value;

	if (!s || sqlite3_step(s) != SQLITE_ROW) {
		sqlite3_finalize(s);
		return mb_reader_damaged(r, e);
	}
	sum->at.t_ns = number(s, 0);
	snprintf(sum->at.time, sizeof(sum->at.time), "%s", text(s, 1) ? text(s, 1) : "");
	sum->at.self_rss_bytes = is_size(s, 2) ? number(s, 2) : MB_UNKNOWN;
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
	struct mb_coverage cover;
	struct mb_snapshot snap;
	char traced_by[64];
	struct mb_model m;
	int err;

	snprintf(traced_by, sizeof(traced_by), "%s", version ? version : "");

	mb_model_init(&m);
	m.recorded = true;
	err = mb_coverage_load(&cover, r, w, e);
	if (!err)
		err = take_record(r, &m, w, &setup, &sum, e);
	if (!err)
		err = take_overhead(r, &m, w, &sum, e);
	if (!err)
		err = take_families(r, &m, e);
	if (!err)
		err = take_processes(r, &m, w, &cover, e);
	if (!err)
		err = take_lost(r, &m, w, e);
	if (!err)
		err = take_events(r, &m, w, e);
	if (!err)
		err = mb_system_report(r, w, &m.system, e);
	if (!err) {
		take_coverage(&m, &cover);
		mb_snapshot_total(&snap, &m, &setup, &sum);
		snap.version = traced_by[0] ? traced_by : NULL;
		sink->snapshot(out, &snap);
	}
	mb_coverage_free(&cover);
	mb_model_free(&m);
	return err;
}
