// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The JSON format of an OOM kill, with everything that led to it (kind "oom"). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "oom/oom.h"
#include "oom/view.h"
#include "sinks/json.h"

/* Inputs of one report. */
struct report {
	const struct mb_snapshot *s;
	const struct mb_model *m;
	const struct mb_oom_kill *k;
	const struct mb_oom_culprit *c;
};

static void put_pages_if(struct mb_out *o, const char *name, bool known, uint64_t pages)
{
	mb_json_u64_if(o, name, known, pages * MB_PAGE_SIZE);
}

/* ---- processes ---- */

static void put_source_frame(struct mb_out *o, const struct report *r, uint64_t cgroup, const struct mb_process *p)
{
	mb_json_str(o, "cgroup", mb_oom_cgroup_path(r->m, r->k, cgroup));
	mb_json_put_container(o, mb_oom_whole_path(r->m, r->k, cgroup, p), p);
}

/* Writes a stack, innermost frame first; null: not known. */
static void put_stack(struct mb_out *o, const struct report *r, const char *name, const __u64 *stack,
		      enum mb_oom_stack_of of)
{
	if (!stack[0]) {
		mb_json_null(o, name);
		return;
	}
	mb_json_array(o, name);
	for (uint32_t i = mb_oom_first_frame(r->k, of); i < MB_OOM_STACK && stack[i]; i++) {
		const char *symbol = r->k->symbols[of][i];
		char address[24];

		snprintf(address, sizeof(address), "0x%" PRIx64, (uint64_t)stack[i]);
		mb_json_str(o, NULL, symbol[0] ? symbol : address);
	}
	mb_json_array_end(o);
}

static void put_trigger(struct mb_out *o, const struct report *r)
{
	const struct mb_oom_event *e = &r->k->first;
	const struct mb_process *p = mb_oom_process(r->m, e->h.tgid, e->trigger_start_ns);
	bool known = e->total_pages != 0;
	char gfp[256];

	mb_json_object(o, "trigger");
	mb_json_u64(o, "pid", e->h.tgid);
	mb_json_u64_if(o, "ns_pid", e->trigger_inner_tgid, e->trigger_inner_tgid);
	mb_json_u64(o, "tid", e->h.tid);
	mb_json_str(o, "comm", e->trigger_comm);
	mb_json_str(o, "exe", p ? p->exe : NULL);
	put_source_frame(o, r, e->trigger_cgroup, p);
	mb_json_str(o, "gfp", known ? mb_oom_gfp_names(e->gfp, gfp, sizeof(gfp)) : NULL);
	mb_json_u64_if(o, "gfp_mask", known, e->gfp);
	if (known)
		mb_json_s64(o, "order", e->order);
	else
		mb_json_null(o, "order");
	put_stack(o, r, "kernel_stack", e->kernel_stack, MB_OOM_OF_TRIGGER_KERNEL);
	put_stack(o, r, "user_stack", e->user_stack, MB_OOM_OF_TRIGGER);
	mb_json_object_end(o);
}

static void put_victim(struct mb_out *o, const char *name, const struct report *r,
		       const struct mb_oom_victim *v)
{
	const struct mb_process *p = mb_oom_process(r->m, v->tgid, v->start_ns);

	mb_json_object(o, name);
	mb_json_u64(o, "pid", v->tgid);
	mb_json_u64_if(o, "ns_pid", v->inner_tgid, v->inner_tgid);
	mb_json_str(o, "comm", v->known ? v->comm : p ? p->comm : NULL);
	mb_json_str(o, "exe", p ? p->exe : NULL);
	put_source_frame(o, r, v->known ? v->cgroup : p ? p->cgroup : 0, p);
	mb_json_u64_if(o, "uid", v->known, v->uid);
	if (v->known)
		mb_json_s64(o, "oom_score_adj", v->oom_score_adj);
	else
		mb_json_null(o, "oom_score_adj");
	put_pages_if(o, "total_vm_bytes", v->known, v->total_vm_pages);
	put_pages_if(o, "anon_rss_bytes", v->known, v->rss_pages[1]);
	put_pages_if(o, "file_rss_bytes", v->known, v->rss_pages[0]);
	put_pages_if(o, "shmem_rss_bytes", v->known, v->rss_pages[3]);
	put_pages_if(o, "swap_bytes", v->known, v->rss_pages[2]);
	mb_json_u64_if(o, "pgtables_bytes", v->known, v->pgtables_bytes);
	mb_json_u64_if(o, "age_ns", v->known, v->t_ns - v->start_ns);
	if (p)
		mb_json_bool(o, "exited", p->exited);
	else
		mb_json_null(o, "exited");
	mb_json_str(o, "reaper", mb_oom_reaper_name(v));
	if (v == &r->k->victims[0])
		put_stack(o, r, "user_stack", r->k->victim_stack, MB_OOM_OF_VICTIM);
	mb_json_object_end(o);
}

static void put_victims(struct mb_out *o, const struct report *r)
{
	enum mb_oom_kill_outcome outcome = mb_oom_kill_outcome(mb_oom_of(r->m), r->k);

	put_victim(o, "victim", r, &r->k->victims[0]);
	mb_json_array(o, "victims");
	for (uint32_t i = 0; i < r->k->n_victims; i++)
		put_victim(o, NULL, r, &r->k->victims[i]);
	mb_json_array_end(o);
	mb_json_u64(o, "victims_left_out", r->k->victims_left_out);
	if (outcome == MB_OOM_OUTCOME_NOT_KNOWN)
		mb_json_null(o, "was_ending");
	else
		mb_json_bool(o, "was_ending", outcome == MB_OOM_WAS_ENDING);
}

/* Another process, which grew over a longer time. */
static void put_steady(struct mb_out *o, const struct mb_oom_culprit *c)
{
	if (!c->steady) {
		mb_json_null(o, "over_longer_time");
		return;
	}
	mb_json_object(o, "over_longer_time");
	mb_json_u64(o, "pid", c->steady->tgid);
	mb_json_str(o, "comm", c->steady->comm);
	mb_json_s64(o, "growth_bytes", c->steady_growth_pages * (int64_t)MB_PAGE_SIZE);
	mb_json_u64(o, "growth_ns", c->steady_ns);
	mb_json_object_end(o);
}

static void put_culprit(struct mb_out *o, const struct report *r)
{
	const struct mb_oom_culprit *c = r->c;

	if (c->verdict == MB_OOM_CULPRIT_NOT_KNOWN) {
		mb_json_null(o, "culprit");
		return;
	}
	mb_json_object(o, "culprit");
	mb_json_str(o, "verdict", mb_oom_verdict_name(c->verdict));
	mb_json_u64_if(o, "pid", c->task && c->processes == 1, c->task ? c->task->tgid : 0);
	mb_json_str(o, "missing", c->missing);
	mb_json_str(o, "kind", mb_oom_grew(c) ? mb_memcg_kind_name(c->kind) : NULL);
	mb_json_str(o, "how", mb_oom_how_name(c));
	mb_json_str(o, "comm", c->task ? c->task->comm : NULL);
	mb_json_str(o, "cgroup", c->task ? mb_oom_task_path(r->m, r->k, c->task) : NULL);
	mb_json_u64(o, "processes", c->processes);
	mb_json_s64(o, "growth_bytes", c->growth_pages * (int64_t)MB_PAGE_SIZE);
	mb_json_u64(o, "growth_ns", c->growth_ns);
	mb_json_s64(o, "all_growth_bytes", c->all_growth_pages * (int64_t)MB_PAGE_SIZE);
	put_pages_if(o, "used_bytes", c->at.usage_pages != MB_UNKNOWN, c->used_pages);
	mb_json_u64(o, "window_ns", c->window_ns);
	put_steady(o, c);
	mb_json_object_end(o);
}

/* ---- memory ---- */

/* Parses a line "name number" of memory.stat. Returns false for any other line. */
static bool stat_line(const char *line, size_t len, char *name, size_t size, uint64_t *value)
{
	const char *space = memchr(line, ' ', len);
	size_t n = space ? (size_t)(space - line) : 0;
	uint64_t v = 0;

	if (!n || n >= size || n + 1 == len)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", line[i]))
			return false;
	}
	for (size_t i = n + 1; i < len; i++) {
		if (line[i] < '0' || line[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(line[i] - '0');
	}
	memcpy(name, line, n);
	name[n] = '\0';
	*value = v;
	return true;
}

/*
 * Writes the lines of that form as members of an object; o NULL: only counts them. Returns how many
 * there are.
 */
static unsigned int put_stat_lines(struct mb_out *o, const char *text, size_t size)
{
	const char *end = text + strnlen(text, size);
	unsigned int n = 0;

	while (text < end) {
		const char *next = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((next ? next : end) - text);
		char name[48];
		uint64_t v;

		if (stat_line(text, len, name, sizeof(name), &v)) {
			if (o)
				mb_json_u64(o, name, v);
			n++;
		}
		text += len + 1;
	}
	return n;
}

static void put_split_pages(struct mb_out *o, const struct mb_memcg_split *s)
{
	char name[48];

	put_pages_if(o, "usage_bytes", s->usage_pages != MB_UNKNOWN, s->usage_pages);
	for (int i = 0; i < MB_MEMCG_KINDS; i++) {
		snprintf(name, sizeof(name), "%s_bytes", mb_memcg_kind_name(i));
		put_pages_if(o, name, s->pages[i] != MB_UNKNOWN, s->pages[i]);
	}
	put_pages_if(o, "swap_bytes", s->swap_pages != MB_UNKNOWN, s->swap_pages);
}

/* Writes the split of memory by kind at the kill, and the growth of each kind. */
static void put_split(struct mb_out *o, const struct mb_oom_culprit *c)
{
	if (c->from == MB_OOM_SPLIT_UNKNOWN) {
		mb_json_null(o, "split");
		return;
	}
	mb_json_object(o, "split");
	mb_json_str(o, "from", c->from == MB_OOM_SPLIT_LOG ? "kernel log" : "history");
	mb_json_u64(o, "t_ns", c->at.t_ns);
	put_split_pages(o, &c->at);
	if (c->before.usage_pages == MB_UNKNOWN) {
		mb_json_null(o, "growth");
	} else {
		mb_json_object(o, "growth");
		mb_json_u64(o, "from_t_ns", c->before.t_ns);
		for (int i = 0; i < MB_MEMCG_KINDS; i++) {
			char name[48];

			snprintf(name, sizeof(name), "%s_bytes", mb_memcg_kind_name(i));
			if (c->at.pages[i] == MB_UNKNOWN)
				mb_json_null(o, name);
			else
				mb_json_s64(o, name, c->kind_growth_pages[i] * (int64_t)MB_PAGE_SIZE);
		}
		mb_json_object_end(o);
	}
	mb_json_object_end(o);
}

/*
 * Writes memory.stat as logged by the kernel at the kill, otherwise as read from the file shortly
 * after.
 */
static void put_stat(struct mb_out *o, const struct mb_oom_kill *k)
{
	bool logged = put_stat_lines(NULL, k->log, k->log_len) > 0;

	if (!logged && !k->stat[0]) {
		mb_json_null(o, "stat");
		mb_json_null(o, "stat_from");
		return;
	}
	mb_json_object(o, "stat");
	put_stat_lines(o, logged ? k->log : k->stat, logged ? k->log_len : sizeof(k->stat));
	mb_json_object_end(o);
	mb_json_str(o, "stat_from", logged ? "kernel log" : "memory.stat");
}

static void put_memcg(struct mb_out *o, const struct report *r)
{
	const struct mb_oom_event *e = &r->k->first;
	uint64_t swap = mb_oom_memcg_swap_pages(e);

	if (!e->memcg) {
		mb_json_null(o, "memcg");
		return;
	}
	mb_json_object(o, "memcg");
	mb_json_str(o, "path", mb_oom_cgroup_path(r->m, r->k, e->memcg));
	mb_json_u64(o, "version", e->memcg_v1 ? 1 : 2);
	mb_json_u64(o, "usage_bytes", e->memcg_usage_pages * MB_PAGE_SIZE);
	put_pages_if(o, "limit_bytes", e->memcg_limit_pages < MB_OOM_NO_LIMIT, e->memcg_limit_pages);
	mb_json_u64(o, "swap_bytes", swap * MB_PAGE_SIZE);
	/* v1 has one limit for memory and swap together */
	put_pages_if(o, e->memcg_v1 ? "memory_and_swap_limit_bytes" : "swap_limit_bytes",
		     e->memcg_swap_limit_pages < MB_OOM_NO_LIMIT, e->memcg_swap_limit_pages);
	put_stat(o, r->k);
	put_split(o, r->c);
	mb_json_object_end(o);
}

static void put_zone(struct mb_out *o, uint32_t node, const char *name, const uint64_t pages[5])
{
	static const char *const names[] = { "free_bytes", "min_bytes", "low_bytes", "high_bytes", "managed_bytes" };

	mb_json_object(o, NULL);
	mb_json_u64(o, "node", node);
	mb_json_str(o, "zone", name);
	for (int i = 0; i < 5; i++)
		put_pages_if(o, names[i], pages[i] != MB_UNKNOWN, pages[i]);
	mb_json_object_end(o);
}

/*
 * Writes the zones from which the allocation could have been served, as of the kill; otherwise all
 * zones as of the report.
 */
static void put_zones(struct mb_out *o, const struct report *r)
{
	const struct mb_oom_kill *k = r->k;
	const struct mb_system *now = &r->m->system.now;

	mb_json_array(o, "zones");
	for (uint32_t i = 0; i < k->n_zones; i++) {
		const struct mb_oom_zone_event *z = &k->zones[i];

		put_zone(o, z->node, z->name, (uint64_t[]){ z->free_pages, z->min_pages, z->low_pages, z->high_pages,
							    z->managed_pages });
	}
	for (uint32_t i = 0; !k->n_zones && r->m->system.known && i < now->n_zones; i++) {
		const struct mb_system_zone *z = &now->zones[i];
		char name[sizeof(z->name) + 1];

		snprintf(name, sizeof(name), "%.*s", (int)sizeof(z->name), z->name);
		put_zone(o, z->node, name, (uint64_t[]){ z->free_pages, z->min_pages, z->low_pages, z->high_pages,
							 z->managed_pages });
	}
	mb_json_array_end(o);
	mb_json_str(o, "zones_from", k->n_zones ? "kill" : "report");
}

static void put_number(struct mb_out *o, const struct report *r, const char *name, enum mb_system_number n)
{
	mb_json_known(o, name, r->m->system.known ? r->m->system.now.values[n] : MB_UNKNOWN);
}

/*
 * Writes the machine's memory as of the report, except for what is known from the kill itself: for
 * a machine-wide kill free memory and free swap, both of which increase when the victim exits.
 */
static void put_memory(struct mb_out *o, const struct report *r)
{
	uint64_t kib;

	mb_json_object(o, "memory");
	put_number(o, r, "total_bytes", MB_SYS_memory_total_bytes);
	if (r->k->n_zones)
		mb_json_u64(o, "free_bytes", mb_oom_free_pages(r->k) * MB_PAGE_SIZE);
	else
		put_number(o, r, "free_bytes", MB_SYS_memory_free_bytes);
	put_number(o, r, "available_bytes", MB_SYS_memory_available_bytes);
	put_number(o, r, "anon_bytes", MB_SYS_memory_anon_bytes);
	put_number(o, r, "cached_bytes", MB_SYS_memory_cached_bytes);
	put_number(o, r, "shmem_bytes", MB_SYS_memory_shmem_bytes);
	put_number(o, r, "slab_bytes", MB_SYS_memory_slab_bytes);
	put_number(o, r, "page_tables_bytes", MB_SYS_memory_page_tables_bytes);
	put_number(o, r, "swap_total_bytes", MB_SYS_swap_total_bytes);
	/* "Free swap  = 12kB" */
	if (mb_oom_number_after(r->k->log, r->k->log_len, "Free swap  = ", &kib))
		mb_json_u64(o, "swap_free_bytes", kib * 1024);
	else
		put_number(o, r, "swap_free_bytes", MB_SYS_swap_free_bytes);
	put_zones(o, r);
	if (r->k->first.memcg)
		mb_json_null(o, "split");
	else
		put_split(o, r->c);
	mb_json_object_end(o);
}

/* ---- candidates ---- */

static void put_task(struct mb_out *o, const struct report *r, const struct mb_oom_task_event *t)
{
	uint64_t resident = t->rss_pages[0] + t->rss_pages[1] + t->rss_pages[3];
	uint64_t machine = mb_oom_machine_pages(r->m);
	int64_t badness;
	bool may = mb_oom_badness(t, r->k->first.total_pages, &badness);

	mb_json_object(o, NULL);
	mb_json_u64(o, "pid", t->tgid);
	mb_json_str(o, "comm", t->comm);
	mb_json_str(o, "cgroup", mb_oom_task_path(r->m, r->k, t));
	mb_json_u64(o, "uid", t->uid);
	mb_json_u64(o, "total_vm_bytes", t->total_vm_pages * MB_PAGE_SIZE);
	mb_json_u64(o, "rss_bytes", resident * MB_PAGE_SIZE);
	mb_json_u64(o, "anon_bytes", t->rss_pages[1] * MB_PAGE_SIZE);
	mb_json_u64(o, "swap_bytes", t->rss_pages[2] * MB_PAGE_SIZE);
	mb_json_u64(o, "pgtables_bytes", t->pgtables_bytes);
	mb_json_s64(o, "oom_score_adj", t->oom_score_adj);
	mb_json_u64_if(o, "oom_score", machine, mb_oom_score(t, machine));
	if (may)
		mb_json_s64(o, "badness_pages", badness);
	else
		mb_json_null(o, "badness_pages");
	mb_json_object_end(o);
}

static void put_tasks(struct mb_out *o, const struct report *r)
{
	uint32_t n = mb_oom_sort(mb_oom_of(r->m), r->k), gone = 0;

	if (!r->k->candidates_complete) {
		mb_json_null(o, "tasks");
		mb_json_null(o, "tasks_left_out");
		return;
	}
	mb_json_array(o, "tasks");
	for (uint32_t i = 0; i < n; i++) {
		const struct mb_oom_task_event *t = mb_oom_task(mb_oom_of(r->m), r->k, mb_oom_of(r->m)->order[i]);

		if (t)
			put_task(o, r, t);
		gone += !t;
	}
	mb_json_array_end(o);
	mb_json_u64(o, "tasks_left_out", r->k->tasks_left_out + gone);
}

/* ---- history ---- */

static void put_points(struct mb_out *o, const struct report *r, const struct mb_series *s)
{
	struct mb_oom_points at = mb_oom_points(r->k, r->c, s);

	mb_json_array(o, "points");
	for (uint32_t i = at.first; i < at.end; i += at.step) {
		const struct mb_point *p = mb_series_point(s, i);

		mb_json_array(o, NULL);
		mb_json_u64(o, NULL, p->t_ns);
		mb_json_u64(o, NULL,
			    ((uint64_t)p->rss_pages[0] + p->rss_pages[1] + p->rss_pages[3]) * MB_PAGE_SIZE);
		mb_json_array_end(o);
	}
	mb_json_array_end(o);
}

static void put_grower(struct mb_out *o, const struct report *r, const struct mb_oom_grower *g)
{
	mb_json_object(o, NULL);
	mb_json_u64(o, "pid", g->task->tgid);
	mb_json_str(o, "comm", g->task->comm);
	mb_json_str(o, "cgroup", mb_oom_task_path(r->m, r->k, g->task));
	mb_json_s64(o, "growth_bytes", g->growth_pages * (int64_t)MB_PAGE_SIZE);
	mb_json_s64(o, "slope_bytes_per_s", (int64_t)g->slope_bytes_per_s);
	put_points(o, r, g->series);
	mb_json_object_end(o);
}

/*
 * Writes one array per step, [time, stalled ns or faults per second], summed over all processes
 * that share the memory.
 */
static void put_steps(struct mb_out *o, const struct report *r, const char *name, const struct mb_series *s,
		      bool stalls)
{
	struct mb_oom_points at = mb_oom_points(r->k, r->c, s);

	mb_json_array(o, name);
	for (uint32_t i = at.first; i < at.end; i++) {
		const struct mb_point *p = mb_series_point(s, i);
		/* a step is at most this long; the first point has no predecessor */
		uint64_t ns = i ? p->t_ns - mb_series_point(s, i - 1)->t_ns : r->m->history->config.fine_step_ns;

		if (!ns)
			continue;
		mb_json_array(o, NULL);
		mb_json_u64(o, NULL, p->t_ns);
		mb_json_u64(o, NULL, stalls ? p->stalled_us * 1000ull : p->faults * MB_NS_PER_S / ns);
		mb_json_array_end(o);
	}
	mb_json_array_end(o);
}

/*
 * Writes the charges by kind of the cgroup, or of the machine, as far back as the window reaches.
 */
static void put_kinds(struct mb_out *o, const struct report *r)
{
	const struct mb_memcg_series *s = mb_memcg_find(&r->m->memcgs, r->k->first.memcg);
	uint64_t window = r->c->window_ns > MB_OOM_LEAST_NS ? r->c->window_ns : MB_OOM_LEAST_NS, kill = r->k->first.h.t_ns;
	uint32_t n = mb_memcg_points(s);

	mb_json_array(o, "kinds");
	for (uint32_t i = 0; i < n; i++) {
		struct mb_memcg_split split;

		mb_memcg_point(s, i, &split);
		if (split.t_ns > kill || split.t_ns + window < kill)
			continue;
		mb_json_object(o, NULL);
		mb_json_u64(o, "t_ns", split.t_ns);
		put_split_pages(o, &split);
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
	mb_json_u64(o, "kinds_evicted", r->m->memcgs.evicted);
}

static void put_history(struct mb_out *o, const struct report *r)
{
	const struct mb_series *scope = mb_oom_scope(r->m, r->k);

	if (!r->m->history) {
		mb_json_null(o, "history");
		return;
	}
	mb_json_object(o, "history");
	mb_json_u64(o, "interval_ns", r->m->history->config.fine_step_ns);
	mb_json_u64_if(o, "from_t_ns", r->m->history->first_ns, r->m->history->first_ns);
	mb_json_array(o, "growers");
	for (uint32_t i = 0; i < r->c->n_growers; i++)
		put_grower(o, r, &r->c->growers[i]);
	mb_json_array_end(o);
	put_kinds(o, r);
	put_steps(o, r, "stalls", scope, true);
	put_steps(o, r, "faults_per_s", scope, false);
	mb_json_u64(o, "evicted", r->m->history->evicted);
	mb_json_u64(o, "left_out", r->m->history->left_out);
	mb_json_object_end(o);
}

static void put_log(struct mb_out *o, const struct report *r)
{
	char text[MB_OOM_LINE_LEN];

	if (!mb_oom_of(r->m)->has_log && !r->k->log_len) {
		mb_json_null(o, "kernel_log");
		mb_json_u64(o, "kernel_log_left_out", 0);
		return;
	}
	mb_json_array(o, "kernel_log");
	for (uint32_t at = 0; mb_oom_log_next(r->k, &at, text);)
		mb_json_str(o, NULL, text);
	mb_json_array_end(o);
	mb_json_u64(o, "kernel_log_left_out", r->k->log_lines_left_out);
}

/* For a kill by a process: writes which memory was short, the reason why the kill is reported. */
static void put_shortage(struct mb_out *o, const struct mb_oom_kill *k)
{
	static const char *const of[] = {
		[MB_OOM_SHORT_CGROUP] = "cgroup",
		[MB_OOM_SHORT_MACHINE] = "machine",
		[MB_OOM_SHORT_PRESSURE] = "pressure",
	};

	if (!k->was_short) {
		mb_json_null(o, "shortage");
		return;
	}
	mb_json_object(o, "shortage");
	mb_json_str(o, "of", of[k->was_short]);
	put_pages_if(o, "available_bytes", k->available_pages != MB_UNKNOWN, k->available_pages);
	mb_json_known(o, "pressure_bp", k->pressure_bp);
	mb_json_object_end(o);
}

void mb_json_oom(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		 const struct mb_oom_culprit *c)
{
	struct report r = { s, s->model, k, c };
	char text[MB_OOM_SENTENCE_LEN];

	mb_json_put_kind(o, "oom");
	mb_oom_time(s, k, text);
	mb_json_str(o, "time", text[0] ? text : NULL);
	mb_json_u64(o, "t_ns", k->first.h.t_ns);
	mb_json_str(o, "kernel", s->kernel);
	mb_json_str(o, "origin", mb_oom_is_by_process(k) ? "process" : "kernel");
	mb_json_str(o, "constraint", mb_oom_constraint_name(k));
	put_shortage(o, k);
	mb_oom_sentence(s->model, k, c, text, sizeof(text));
	mb_json_str(o, "sentence", text);
	put_trigger(o, &r);
	put_victims(o, &r);
	put_culprit(o, &r);
	put_memcg(o, &r);
	put_memory(o, &r);
	put_pages_if(o, "score_base_bytes", k->first.total_pages, k->first.total_pages);
	if (k->first.total_pages)
		mb_json_s64(o, "chosen_badness_pages", k->first.chosen_points);
	else
		mb_json_null(o, "chosen_badness_pages");
	put_tasks(o, &r);
	put_history(o, &r);
	put_log(o, &r);
	mb_json_put_lost(o, &s->model->lost);
	mb_json_object_end(o);
	mb_json_end_line(o);
}
