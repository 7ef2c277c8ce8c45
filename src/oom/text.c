// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The text format of an OOM kill. The first line has time and sentence, as "memblame oom list"
 * shows it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "model/container.h"
#include "model/model.h"
#include "oom/oom.h"
#include "oom/view.h"
#include "sinks/text.h"

#define TASK_ROWS 20u
#define GROWER_ROWS 8u
#define BAR_STEPS 40u /* width of a grower's history line */

static void put_title(struct mb_out *o, const struct mb_snapshot *s, const char *title)
{
	mb_out_printf(o, "\n");
	mb_text_title(o, s, title);
}

/* Bytes, right-aligned in a column. */
static void put_bytes(struct mb_out *o, uint64_t pages)
{
	char text[MB_UNITS_LEN];

	mb_out_printf(o, " %10s", mb_format(text, MB_UNIT_BYTES, pages * MB_PAGE_SIZE));
}

static void put_pages(struct mb_out *o, const char *name, uint64_t pages)
{
	char text[MB_UNITS_LEN];

	mb_out_printf(o, "%s %s", name, mb_format(text, MB_UNIT_BYTES, pages * MB_PAGE_SIZE));
}

static void put_source_frame(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
			     uint64_t cgroup, const struct mb_process *p)
{
	const char *path = mb_oom_cgroup_path(s->model, k, cgroup), *name;
	struct mb_container c;

	mb_container_of(mb_oom_whole_path(s->model, k, cgroup, p), &c);
	name = mb_container_name(&c, p ? p->host_name : "");
	mb_out_printf(o, ", cgroup ");
	mb_text_name(o, path ? path : "?", 0);
	if (!c.id[0])
		return;
	/* a container with a name is shown by name only */
	mb_out_printf(o, ", container %.12s", c.name[0] ? "" : c.id);
	if (name && !c.name[0])
		mb_out_printf(o, " ");
	if (name)
		mb_text_name(o, name, 0);
}

static void put_stack(struct mb_out *o, const struct mb_oom_kill *k, const char *title, const __u64 *stack,
		      enum mb_oom_stack_of of)
{
	if (!stack[0])
		return;
	mb_out_printf(o, "  %s:\n", title);
	for (uint32_t i = mb_oom_first_frame(k, of); i < MB_OOM_STACK && stack[i]; i++) {
		mb_out_printf(o, "    ");
		if (k->symbols[of][i][0])
			mb_text_name(o, k->symbols[of][i], 0);
		else
			mb_out_printf(o, "0x%" PRIx64, (uint64_t)stack[i]);
		mb_out_printf(o, "\n");
	}
}

static void put_trigger(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k)
{
	const struct mb_oom_event *e = &k->first;
	char gfp[256];

	put_title(o, s, mb_oom_is_by_process(k) ? "Killed by" : "Trigger");
	mb_out_printf(o, "  ");
	mb_text_name(o, e->trigger_comm, 0);
	mb_out_printf(o, " (pid %u, tid %u)", e->h.tgid, e->h.tid);
	put_source_frame(o, s, k, e->trigger_cgroup, mb_oom_process(s->model, e->h.tgid, e->trigger_start_ns));
	mb_out_printf(o, "\n");
	if (e->total_pages)
		mb_out_printf(o, "  asked for 2^%d pages, 0x%x (%s)\n", e->order, e->gfp,
			      mb_oom_gfp_names(e->gfp, gfp, sizeof(gfp)));
	put_stack(o, k, "in the kernel", e->kernel_stack, MB_OOM_OF_TRIGGER_KERNEL);
	put_stack(o, k, "its code", e->user_stack, MB_OOM_OF_TRIGGER);
}

static void put_victim(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		       const struct mb_oom_victim *v)
{
	const char *reaper = mb_oom_reaper_name(v);
	char age[MB_UNITS_LEN];

	mb_out_printf(o, "  ");
	mb_text_name(o, v->known ? v->comm : "?", 0);
	mb_out_printf(o, " (pid %u", v->tgid);
	if (v->inner_tgid && v->inner_tgid != v->tgid)
		mb_out_printf(o, ", %u in its own namespace", v->inner_tgid);
	mb_out_printf(o, ")");
	if (!v->known) {
		mb_out_printf(o, "\n");
		return;
	}
	put_source_frame(o, s, k, v->cgroup, mb_oom_process(s->model, v->tgid, v->start_ns));
	mb_out_printf(o, ", uid %u, oom_score_adj %d, %s old\n   ", v->uid, v->oom_score_adj,
		      mb_format(age, MB_UNIT_NS, v->t_ns - v->start_ns));
	put_pages(o, " anon", v->rss_pages[1]);
	put_pages(o, ", file", v->rss_pages[0]);
	put_pages(o, ", shmem", v->rss_pages[3]);
	put_pages(o, ", swap", v->rss_pages[2]);
	put_pages(o, ", page tables", v->pgtables_bytes / MB_PAGE_SIZE);
	put_pages(o, "; mapped", v->total_vm_pages);
	mb_out_printf(o, "%s%s\n", reaper ? "; reaper: " : "", reaper ? reaper : "");
}

static void put_victims(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k)
{
	put_title(o, s, k->n_victims > 1 ? "Victims" : "Victim");
	for (uint32_t i = 0; i < k->n_victims && i < TASK_ROWS; i++)
		put_victim(o, s, k, &k->victims[i]);
	if (k->n_victims + k->victims_left_out > TASK_ROWS)
		mb_out_printf(o, "  and %u more\n", k->n_victims + k->victims_left_out - TASK_ROWS);
	put_stack(o, k, "its code", k->victim_stack, MB_OOM_OF_VICTIM);
}

static void put_memory(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k)
{
	const struct mb_oom_event *e = &k->first;
	const char *path = mb_oom_cgroup_path(s->model, k, e->memcg);

	put_title(o, s, "Memory");
	if (e->memcg) {
		mb_out_printf(o, "  cgroup ");
		mb_text_name(o, path ? path : "?", 0);
		put_pages(o, ": used", e->memcg_usage_pages);
		if (e->memcg_limit_pages < MB_OOM_NO_LIMIT)
			put_pages(o, " of", e->memcg_limit_pages);
		put_pages(o, ", swap", mb_oom_memcg_swap_pages(e));
		mb_out_printf(o, "\n");
	}
	for (uint32_t i = 0; i < k->n_zones; i++) {
		const struct mb_oom_zone_event *z = &k->zones[i];

		mb_out_printf(o, "  node %u %-8s", z->node, z->name);
		put_pages(o, "free", z->free_pages);
		put_pages(o, ", min", z->min_pages);
		put_pages(o, ", low", z->low_pages);
		put_pages(o, ", high", z->high_pages);
		put_pages(o, ", managed", z->managed_pages);
		mb_out_printf(o, "\n");
	}
}

/* For each kind of memory: pages at the kill, and growth in the window. */
static void put_split(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		      const struct mb_oom_culprit *c)
{
	bool known = c->before.usage_pages != MB_UNKNOWN;
	char text[MB_UNITS_LEN + 1];

	if (c->from == MB_OOM_SPLIT_UNKNOWN)
		return;
	put_title(o, s, k->first.memcg ? "What the cgroup was charged" : "What the machine's memory was");
	mb_out_printf(o, "  KIND                                           AT KILL     GROWTH%s%s%s\n", known ? " in " : "",
		      known ? mb_format(text, MB_UNIT_NS, c->window_ns) : "",
		      c->from == MB_OOM_SPLIT_HISTORY ? "; by the last tick before the kill" : "");
	for (int i = 0; i < MB_MEMCG_KINDS; i++) {
		int64_t growth = c->kind_growth_pages[i];

		if (c->at.pages[i] == MB_UNKNOWN || (!c->at.pages[i] && !growth))
			continue;
		mb_out_printf(o, "  %-43s", mb_memcg_kind_words(i));
		put_bytes(o, c->at.pages[i]);
		if (known) {
			text[0] = growth < 0 ? '-' : '+';
			mb_format(text + 1, MB_UNIT_BYTES, (uint64_t)(growth < 0 ? -growth : growth) * MB_PAGE_SIZE);
			mb_out_printf(o, " %10s", text);
		}
		mb_out_printf(o, "\n");
	}
}

/*
 * Draws resident memory over the window, one character per step; denser characters mean more
 * memory.
 */
static void put_bar(struct mb_out *o, const struct mb_oom_kill *k, uint64_t window_ns, const struct mb_series *s)
{
	static const char levels[] = " .:-=+*#%@";
	uint64_t from = k->first.h.t_ns - window_ns, most = 1;
	uint32_t n = mb_series_points(s);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t pages = mb_point_pages(mb_series_point(s, i));

		most = pages > most ? pages : most;
	}
	mb_out_printf(o, "  |");
	for (uint32_t i = 1; i <= BAR_STEPS; i++) {
		const struct mb_point *p = mb_series_at(s, from + window_ns / BAR_STEPS * i + MB_OOM_WAIT_NS);
		uint64_t pages = p ? mb_point_pages(p) : 0;

		mb_out_printf(o, "%c", levels[pages * 9 / most]);
	}
	mb_out_printf(o, "|");
}

static void put_growers(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
			const struct mb_oom_culprit *c)
{
	char window[MB_UNITS_LEN], title[80], slope[MB_UNITS_LEN];

	if (!c->n_growers)
		return;
	snprintf(title, sizeof(title), "Processes' own growth in the %s before",
		 mb_format(window, MB_UNIT_NS, c->window_ns));
	put_title(o, s, title);
	for (uint32_t i = 0; i < c->n_growers && i < GROWER_ROWS; i++) {
		const struct mb_oom_grower *g = &c->growers[i];
		double per_s = g->slope_bytes_per_s > 0 ? g->slope_bytes_per_s : 0;

		mb_out_printf(o, "%8u ", g->task->tgid);
		mb_text_name(o, g->task->comm, 15);
		put_bytes(o, (uint64_t)g->growth_pages);
		mb_out_printf(o, " %10s/s", mb_format(slope, MB_UNIT_BYTES, (uint64_t)per_s));
		if (mb_series_points(g->series))
			put_bar(o, k, c->window_ns, g->series);
		mb_out_printf(o, "\n");
	}
}

static void put_tasks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k)
{
	const struct mb_model *m = s->model;
	uint32_t n = mb_oom_sort(mb_oom_of(m), k);

	if (!k->candidates_complete)
		return;
	put_title(o, s, "Who could have been chosen");
	mb_out_printf(o, "     PID COMM                   RSS       ANON       SWAP    ADJ  SCORE     BADNESS\n");
	for (uint32_t i = 0; i < n && i < TASK_ROWS; i++) {
		const struct mb_oom_task_event *t = mb_oom_task(mb_oom_of(m), k, mb_oom_of(m)->order[i]);
		int64_t badness;

		if (!t)
			continue;
		mb_out_printf(o, "%8u ", t->tgid);
		mb_text_name(o, t->comm, 15);
		put_bytes(o, t->rss_pages[0] + t->rss_pages[1] + t->rss_pages[3]);
		put_bytes(o, t->rss_pages[1]);
		put_bytes(o, t->rss_pages[2]);
		mb_out_printf(o, " %6d", t->oom_score_adj);
		mb_out_printf(o, " %6" PRIu64, mb_oom_score(t, mb_oom_machine_pages(m)));
		if (mb_oom_badness(t, k->first.total_pages, &badness))
			mb_out_printf(o, " %11" PRId64 "\n", badness);
		else
			mb_out_printf(o, "       never\n");
	}
	if (n > TASK_ROWS || k->tasks_left_out)
		mb_out_printf(o, "         and %u more\n",
			      (n > TASK_ROWS ? n - TASK_ROWS : 0) + k->tasks_left_out);
}

static void put_log(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k)
{
	char text[MB_OOM_LINE_LEN];

	if (!k->log_len)
		return;
	put_title(o, s, "The kernel's log");
	for (uint32_t at = 0; mb_oom_log_next(k, &at, text);) {
		mb_out_printf(o, "  ");
		mb_text_name(o, text, 0);
		mb_out_printf(o, "\n");
	}
	if (k->log_lines_left_out)
		mb_out_printf(o, "  and %u more lines\n", k->log_lines_left_out);
}

void mb_text_oom(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		 const struct mb_oom_culprit *c)
{
	char text[MB_OOM_SENTENCE_LEN];

	mb_oom_time(s, k, text);
	mb_out_printf(o, "%s%s  ", s->color ? "\033[1m" : "", text);
	mb_oom_sentence(s->model, k, c, text, sizeof(text));
	mb_text_name(o, text, 0);
	mb_out_printf(o, "%s\n", s->color ? "\033[0m" : "");
	put_trigger(o, s, k);
	put_victims(o, s, k);
	put_memory(o, s, k);
	put_split(o, s, k, c);
	put_growers(o, s, k, c);
	put_tasks(o, s, k);
	put_log(o, s, k);
	mb_out_printf(o, "\n");
}
