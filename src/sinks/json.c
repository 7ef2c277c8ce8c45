// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The JSON sink: one object per line. docs/json.md defines the names. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <utlist.h>

#include "memblame/sink.h"
#include "model/container.h"
#include "sinks/json.h"
#include "sinks/system.h"

void mb_json_known(struct mb_out *o, const char *name, uint64_t v)
{
	mb_json_u64_if(o, name, v != MB_UNKNOWN, v);
}

void mb_json_put_kind(struct mb_out *o, const char *kind)
{
	mb_json_object(o, NULL);
	mb_json_u64(o, "schema", 1);
	mb_json_str(o, "kind", kind);
}

/* ---- processes ---- */

static void put_stall_numbers(struct mb_out *o, uint64_t count, uint64_t ns, uint64_t max_ns)
{
	mb_json_number(o, "count", count);
	mb_json_number(o, "ns", ns);
	mb_json_number(o, "max_ns", max_ns);
}

static void put_hist(struct mb_out *o, const char *name, const struct mb_detail *d)
{
	const struct mb_hist *h;

	if (!d || !d->hist.count) {
		mb_json_null(o, name);
		return;
	}
	h = &d->hist;
	mb_json_object(o, name);
	mb_json_u64(o, "count", h->count);
	mb_json_u64(o, "sampled_1_in", d->sampled_1_in);
	mb_json_u64(o, "p50_ns", mb_hist_quantile(h, 0.5));
	mb_json_u64(o, "p90_ns", mb_hist_quantile(h, 0.9));
	mb_json_u64(o, "p99_ns", mb_hist_quantile(h, 0.99));
	mb_json_u64(o, "max_ns", h->max);
	mb_json_array(o, "buckets");
	for (unsigned int i = 0; i < MB_HIST_BUCKETS; i++) {
		if (!h->buckets[i])
			continue;
		mb_json_array(o, NULL);
		mb_json_u64(o, NULL, mb_hist_upper(i));
		mb_json_u64(o, NULL, h->buckets[i]);
		mb_json_array_end(o);
	}
	mb_json_array_end(o);
	mb_json_object_end(o);
}

static void put_rows(struct mb_out *o, const char *name, const struct mb_detail *d)
{
	const struct mb_row *r;

	mb_json_array(o, name);
	LL_FOREACH(d ? d->rows : NULL, r)
	{
		mb_json_object(o, NULL);
		mb_json_str(o, "name", r->key);
		mb_json_u64(o, "count", r->stall.count);
		mb_json_u64(o, "ns", r->stall.ns);
		/* 0: only sums are known */
		mb_json_u64_if(o, "max_ns", r->stall.max_ns, r->stall.max_ns);
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
}

static void put_field(struct mb_out *o, const struct mb_snapshot *s, const struct mb_process *p,
		      const struct mb_family *fam, const struct mb_field *f)
{
	unsigned int slot = mb_slot(f);

	if (!mb_process_field_known(s->model, p, fam, f) || mb_snapshot_value(s, p, slot) == MB_NO_VALUE) {
		mb_json_null(o, f->name);
		return;
	}
	switch (f->kind) {
	case MB_FIELD_COUNTER:
	case MB_FIELD_DERIVED:
	case MB_FIELD_SIGNED:
		mb_json_number(o, f->name, mb_snapshot_value(s, p, slot));
		break;
	case MB_FIELD_STALL:
		mb_json_object(o, f->name);
		/* max and the histogram cover the whole time so far, even in an interval */
		put_stall_numbers(o, mb_snapshot_value(s, p, slot),
				  mb_snapshot_value(s, p, slot + 1), mb_process_value(p, slot + 2));
		put_hist(o, "lengths", mb_process_detail(p, f));
		mb_json_object_end(o);
		break;
	case MB_FIELD_HIST:
		put_hist(o, f->name, mb_process_detail(p, f));
		break;
	case MB_FIELD_ROWS:
		put_rows(o, f->name, mb_process_detail(p, f));
		break;
	}
}

/* Write all fields of a group, from all families. */
static void put_group(struct mb_out *o, const struct mb_snapshot *s, const struct mb_process *p,
		      const char *group)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	mb_json_object(o, group);
	if (strcmp(group, "stalls") == 0)
		mb_json_number(o, "total_ns", mb_snapshot_stalled_ns(s, p));
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];

			if (f->group && strcmp(f->group, group) == 0)
				put_field(o, s, p, fam[i], f);
		}
	}
	mb_json_object_end(o);
}

/* Write the groups in the order of their first appearance. */
static void put_groups(struct mb_out *o, const struct mb_snapshot *s, const struct mb_process *p)
{
	const char *seen[16];
	size_t n, n_seen = 0;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const char *g = fam[i]->fields[j].group;
			size_t k = 0;

			while (g && k < n_seen && strcmp(seen[k], g) != 0)
				k++;
			if (!g || k < n_seen || n_seen == MB_ARRAY_SIZE(seen))
				continue;
			seen[n_seen++] = g;
			put_group(o, s, p, g);
		}
	}
}

static void put_pages(struct mb_out *o, const char *name, bool known, uint64_t pages)
{
	mb_json_u64_if(o, name, known, pages * MB_PAGE_SIZE);
}

/* PSS and USS exist only for live processes: the kernel does not report them for others. */
static void put_share(struct mb_out *o, const char *name, const struct mb_process *p, uint64_t bytes)
{
	if (p->exited || bytes == MB_UNKNOWN)
		mb_json_null(o, name);
	else
		mb_json_u64(o, name, bytes);
}

/* Growth during the last minute, or for as long as the history covers. */
static void put_growth(struct mb_out *o, const struct mb_snapshot *s, const struct mb_process *p)
{
	bool known = s->history && p->has_memory && !p->exited;
	uint64_t ns = 0;
	int64_t pages = known ? mb_history_growth(p, s->t_ns, &ns) : 0;

	if (known)
		mb_json_s64(o, "growth_bytes", pages * (int64_t)MB_PAGE_SIZE);
	else
		mb_json_null(o, "growth_bytes");
	mb_json_u64_if(o, "growth_ns", known, ns);
}

static void put_memory(struct mb_out *o, const struct mb_snapshot *s, const struct mb_process *p)
{
	const uint64_t *rss = p->rss_pages;
	bool known = p->has_memory;

	mb_json_object(o, "memory");
	put_pages(o, "rss_bytes", known, rss[0] + rss[1] + rss[3]);
	put_pages(o, "rss_peak_bytes", p->peak_pages, p->peak_pages);
	put_pages(o, "anon_bytes", known, rss[1]);
	put_pages(o, "file_bytes", known, rss[0]);
	put_pages(o, "shmem_bytes", known, rss[3]);
	put_pages(o, "swap_bytes", known, rss[2]);
	put_pages(o, "vm_bytes", known, p->total_vm_pages);
	put_share(o, "pss_bytes", p, p->pss_bytes);
	put_share(o, "uss_bytes", p, p->uss_bytes);
	put_growth(o, s, p);
	mb_json_object_end(o);
}

static const char *text_or_null(const char *s)
{
	return s[0] ? s : NULL;
}

void mb_json_put_container(struct mb_out *o, const char *cgroup_path, const struct mb_process *p)
{
	struct mb_container c;

	mb_container_of(cgroup_path, &c);
	mb_json_str(o, "container", text_or_null(c.id));
	mb_json_str(o, "container_name", mb_container_name(&c, p ? p->host_name : ""));
	mb_json_str(o, "runtime", c.runtime);
	mb_json_str(o, "pod_uid", text_or_null(c.pod_uid));
	mb_json_str(o, "unit", text_or_null(c.unit));
}

static void put_process(struct mb_out *o, const struct mb_snapshot *s, const struct mb_process *p)
{
	bool one = !p->is_sum;
	char name[MB_ENDED_NAME_LEN];

	mb_json_object(o, NULL);
	mb_json_u64_if(o, "pid", one, p->tgid);
	mb_json_u64_if(o, "inner_pid", p->inner_tgid, p->inner_tgid);
	mb_json_u64_if(o, "ppid", one, p->ppid);
	mb_json_str(o, "comm", mb_process_name(p, name));
	mb_json_u64_if(o, "ended_processes", !one, p->ended_processes);
	mb_json_str(o, "exe", p->exe);
	mb_json_str(o, "cgroup", p->cgroup_path);
	mb_json_put_container(o, p->cgroup_path, p);
	mb_json_u64_if(o, "start_t_ns", one, p->start_ns);
	mb_json_bool(o, "exited", p->exited);
	if (p->exited && p->exit_known) /* as the shell and env(1) report it */
		mb_json_s64(o, "exit_code",
			    WIFSIGNALED(p->exit_code) ? 128 + WTERMSIG(p->exit_code) :
							WEXITSTATUS(p->exit_code));
	else
		mb_json_null(o, "exit_code");
	mb_json_u64_if(o, "threads", one, p->threads);
	put_groups(o, s, p);
	put_memory(o, s, p);
	mb_json_object_end(o);
}

/* ---- losses and overhead ---- */

static void put_lost_row(struct mb_out *o, const char *family, const char *reason, uint64_t count,
			 const struct mb_drop *d)
{
	if (!count)
		return;
	mb_json_object(o, NULL);
	mb_json_str(o, "family", family);
	mb_json_str(o, "reason", reason);
	mb_json_u64(o, "count", count);
	if (d) {
		mb_json_u64(o, "first_t_ns", d->first_t_ns);
		mb_json_u64(o, "last_t_ns", d->last_t_ns);
	} else {
		mb_json_null(o, "first_t_ns");
		mb_json_null(o, "last_t_ns");
	}
	mb_json_object_end(o);
}

void mb_json_put_lost(struct mb_out *o, const struct mb_lost *l)
{
	mb_json_object(o, "lost");
	mb_json_u64(o, "total", mb_lost_total(l));
	mb_json_array(o, "by");
	for (unsigned int f = 0; f < MB_FAM_MAX; f++) {
		const struct mb_family *fam = mb_family_by_id(f);

		for (unsigned int r = 0; fam && r < MB_DROP_REASONS; r++)
			put_lost_row(o, fam->name, mb_drop_reason_name(r), l->kernel[f][r].count,
				     &l->kernel[f][r]);
	}
	put_lost_row(o, "task", "process evicted", l->processes_evicted, NULL);
	put_lost_row(o, "task", "process without room", l->processes_waiting, NULL);
	put_lost_row(o, "task", "thread evicted", l->threads_evicted, NULL);
	put_lost_row(o, "task", "event not kept", l->events_not_retained, NULL);
	put_lost_row(o, "task", "event not decodable", l->undecodable, NULL);
	put_lost_row(o, "task", "not blamed", l->not_blamed, NULL);
	put_lost_row(o, "record", "not recorded", l->not_recorded, NULL);
	mb_json_array_end(o);
	mb_json_object_end(o);
}

/* For how long each number was not counted. */
static void put_untraced(struct mb_out *o, const struct mb_snapshot *s)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);
	char name[64];

	mb_json_array(o, "untraced");
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];
			uint64_t ns = mb_field_untraced_ns(s->model, fam[i], f, s->t_ns);

			if (!f->group || !ns || !mb_field_known(s->model, fam[i], f))
				continue;
			snprintf(name, sizeof(name), "%s.%s", f->group, f->name);
			mb_json_object(o, NULL);
			mb_json_str(o, "field", name);
			mb_json_u64(o, "ns", ns);
			mb_json_object_end(o);
		}
	}
	mb_json_array_end(o);
}

/* Write the tracing levels. Without a budget there is only the full level. */
static void put_levels(struct mb_out *o, const struct mb_snapshot *s)
{
	const struct mb_levels *l = &s->model->levels;

	mb_json_str(o, "level", mb_level_names[l->now]);
	mb_json_u64(o, "level_number", l->now);
	mb_json_u64(o, "stretch", l->governed ? l->tick_divisor : 1);
	mb_json_u64_if(o, "partial_since_t_ns", l->partial_ns, l->partial_ns);
	if (!l->governed)
		mb_json_null(o, "levels");
	if (l->governed || s->model->uncounted_ns)
		put_untraced(o, s);
	else
		mb_json_null(o, "untraced");
	if (!l->governed)
		return;
	mb_json_array(o, "levels");
	for (enum mb_level level = 0; level < MB_LEVELS; level++) {
		mb_json_object(o, NULL);
		mb_json_str(o, "level", mb_level_names[level]);
		mb_json_u64(o, "ns", mb_levels_ns(l, level, s->t_ns));
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
}

void mb_json_put_overhead(struct mb_out *o, const struct mb_snapshot *s)
{
	mb_json_object(o, "overhead");
	mb_json_u64_if(o, "bpf_ns", s->bpf_ns_known, s->bpf_ns);
	mb_json_u64(o, "self_cpu_ns", s->self_cpu_ns);
	mb_json_known(o, "self_rss_bytes", s->self_rss_bytes);
	mb_json_u64(o, "events", s->model->events);
	put_levels(o, s);
	mb_json_object_end(o);
}

void mb_json_put_head(struct mb_out *o, const struct mb_snapshot *s)
{
	mb_json_str(o, "kernel", s->kernel);
	mb_json_str(o, "arch", s->arch);
	mb_json_str(o, "version", s->version ? s->version : MB_VERSION);
	mb_json_str(o, "time", s->time);
	mb_json_u64(o, "duration_ns", s->duration_ns);
}

/* ---- events ---- */

static void put_event_value(struct mb_out *o, const char *name, const struct mb_event *e,
			    const struct mb_event_field *f)
{
	uint64_t v = mb_event_number(e, f);
	char buf[MB_PATH_LEN];

	if (mb_event_field_is_null(e, f)) {
		mb_json_null(o, name);
		return;
	}
	switch (f->kind) {
	case MB_VALUE_STRING:
		mb_json_str(o, name, mb_event_string(e, f, buf));
		break;
	case MB_VALUE_S32:
	case MB_VALUE_S64:
		mb_json_s64(o, name, (int64_t)v);
		break;
	case MB_VALUE_MILLI:
		mb_json_fixed(o, name, v, 3);
		break;
	case MB_VALUE_HEX64:
		mb_json_hex(o, name, v);
		break;
	case MB_VALUE_ENUM16:
		mb_json_str(o, name, v < f->n_names ? f->names[v] : NULL);
		break;
	case MB_VALUE_FLAGS32:
		for (size_t i = 0; i < f->n_names; i++) {
			if (f->names[i])
				mb_json_bool(o, f->names[i], v >> i & 1);
		}
		break;
	default:
		mb_json_u64(o, name, v);
	}
}

/* Fields such as "victim.pid" go into an object "victim", which stays open while consecutive fields have the prefix. */
static void put_event_fields(struct mb_out *o, const struct mb_event *e,
			     const struct mb_event_kind *k)
{
	char open[32] = "";

	for (size_t i = 0; i < k->n_fields; i++) {
		const struct mb_event_field *f = &k->fields[i];
		const char *dot = f->name ? strchr(f->name, '.') : NULL;
		size_t n = dot ? (size_t)(dot - f->name) : 0;

		if (open[0] && (strlen(open) != n || strncmp(open, f->name, n) != 0)) {
			mb_json_object_end(o);
			open[0] = '\0';
		}
		if (dot && !open[0] && n < sizeof(open)) {
			memcpy(open, f->name, n);
			open[n] = '\0';
			mb_json_object(o, open);
		}
		put_event_value(o, dot ? dot + 1 : f->name, e, f);
	}
	if (open[0])
		mb_json_object_end(o);
}

static void put_event(struct mb_out *o, const char *comm, const struct mb_event *e)
{
	const struct mb_event_kind *k = mb_event_kind_of(e);

	mb_json_put_kind(o, "event");
	mb_json_str(o, "family", mb_family_by_id(e->family)->name);
	mb_json_str(o, "event", k->name);
	mb_json_u64(o, "t_ns", e->t_ns);
	mb_json_u64(o, "pid", e->tgid);
	mb_json_u64(o, "tid", e->tid);
	mb_json_str(o, "comm", text_or_null(comm));
	put_event_fields(o, e, k);
}

static void json_event(struct mb_out *o, const char *comm, const struct mb_event *e)
{
	put_event(o, comm, e);
	mb_json_object_end(o);
	mb_json_end_line(o);
}

static void json_stream_end(struct mb_out *o, const struct mb_snapshot *s)
{
	mb_json_put_kind(o, "end");
	mb_json_put_head(o, s);
	mb_json_put_lost(o, &s->model->lost);
	mb_json_u64(o, "late_events", s->late_events);
	mb_json_put_overhead(o, s);
	mb_json_object_end(o);
	mb_json_end_line(o);
}

/* ---- snapshots ---- */

/* Memory use of the flight history, and the number of processes that did not fit. */
static void put_history(struct mb_out *o, const struct mb_history *h)
{
	if (!h) {
		mb_json_null(o, "history");
		return;
	}
	mb_json_object(o, "history");
	mb_json_u64(o, "bytes", (uint64_t)h->n_touched * h->series_size);
	mb_json_u64(o, "most_bytes", h->config.bytes);
	mb_json_u64(o, "evicted", h->evicted);
	mb_json_u64(o, "left_out", h->left_out);
	mb_json_object_end(o);
}

static void json_snapshot(struct mb_out *o, const struct mb_snapshot *s)
{
	const struct mb_process *p;

	mb_json_put_kind(o, "summary");
	mb_json_str(o, "scope", s->interval ? "interval" : "total");
	mb_json_put_head(o, s);
	mb_json_put_lost(o, &s->model->lost);
	mb_json_put_overhead(o, s);
	mb_system_json(o, s);
	put_history(o, s->history ? s->model->history : NULL);
	mb_json_array(o, "processes");
	DL_FOREACH(s->model->all, p)
	{
		if (mb_snapshot_lists(s, p))
			put_process(o, s, p);
	}
	DL_FOREACH(s->model->ended.rows, p)
	{
		if (mb_snapshot_lists(s, p))
			put_process(o, s, p);
	}
	mb_json_array_end(o);
	mb_json_put_cgroups(o, s);
	mb_json_array(o, "events");
	for (const struct mb_retained_event *k = s->interval ? NULL : s->model->retained; k; k = k->next) {
		const struct mb_event *e = (const struct mb_event *)k->data;

		put_event(o, mb_event_comm(s->model, e), e);
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
	mb_json_object_end(o);
	mb_json_end_line(o);
}

const struct mb_sink mb_sink_json = {
	.name = "json",
	.json = true,
	.snapshot = json_snapshot,
	.event = json_event,
	.stream_end = json_stream_end,
};
