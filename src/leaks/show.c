// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Builds the view of leak detection at one point in time. */
#include "leaks/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "leaks/diff.h"
#include "leaks/evidence.h"
#include "leaks/limits.h"
#include "leaks/heap.h"
#include "leaks/levels.h"
#include "leaks/lookup.h"
#include "leaks/verdict.h"
#include "symbols/runtimes.h"

/* Maximum number of functions inlined into each other at one address. */
#define INLINED 16u

/* ---- stacks ---- */

static void resolve(struct mb_leaks_session *l, const struct mb_leak_stack *s, struct mb_leak_row *r)
{
	struct mb_source_frame *sources = calloc((size_t)s->n * INLINED + 1, sizeof(*sources)), *fit;
	unsigned int n = 0;

	if (!sources)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		n += mb_leak_resolve(l, s, i, &sources[n], INLINED);
	fit = realloc(sources, (n + 1) * sizeof(*sources));
	r->sources = fit ? fit : sources;
	r->n_sources = n;
	r->whole = s->whole;
}

/* ---- rows ---- */

/* Weight of a row in the sort order. */
static double weight(const struct mb_leak_row *r)
{
	const struct mb_leak_level_info *level = mb_leak_level_info(r->sum.key.level);

	return (level->weight ? level->weight(&r->sum.key) : 1) * (double)r->trend.slope_bytes_per_s;
}

static int worst_first(const void *a, const void *b)
{
	const struct mb_leak_row *x = a, *y = b;
	double wx = weight(x), wy = weight(y);

	if (x->trend.verdict != y->trend.verdict)
		return x->trend.verdict > y->trend.verdict ? -1 : 1;
	if (wx != wy)
		return wx > wy ? -1 : 1;
	return x->sum.bytes > y->sum.bytes ? -1 : x->sum.bytes < y->sum.bytes;
}

static void sort_rows(struct mb_leaks_view *v)
{
	qsort(v->rows, v->n_rows, sizeof(*v->rows), worst_first);
	for (size_t i = 0; i < v->n_rows; i++) /* sorting has moved them */
		v->rows[i].group = &v->rows[i].sum;
}

/* A row of a process reaches its limit when the whole process does. */
static void find_eta(const struct mb_leaks_view *v, struct mb_leak_row *r)
{
	const struct mb_leak_key *key = &r->group->key;
	bool grows = r->trend.slope_bytes_per_s > 0 && r->trend.verdict >= MB_VERDICT_GROWING;

	for (size_t i = 0; i < v->n_processes && key->tgid && grows; i++) {
		if (v->processes[i].pid == key->tgid && v->processes[i].start_ns == key->start_ns)
			r->outlook = &v->processes[i].outlook;
	}
}

static void fill_row(struct mb_leaks_session *l, struct mb_leak_group *g, struct mb_leak_row *r)
{
	const struct mb_leak_stack *s = mb_leaks_stack_of(l->leaks, g->key.stack);

	const struct mb_leak_level_info *level = mb_leak_level_info(g->key.level);

	r->group = g;
	r->what = level->what ? level->what(l, &g->key) : NULL;
	if (s)
		resolve(l, s, r);
}

static void free_sources(struct mb_leak_row *r)
{
	free((struct mb_source_frame *)r->sources);
}

/* Adds a row that looks the same. The stack of the larger one is shown. */
static void add_row(struct mb_leak_row *into, struct mb_leak_row *more)
{
	struct mb_leak_group *g = &into->sum;

	if (more->group->bytes > into->group->bytes) {
		struct mb_leak_row was = *into;

		into->sources = more->sources;
		into->n_sources = more->n_sources;
		into->whole = more->whole;
		more->sources = was.sources;
		more->n_sources = was.n_sources;
	}
	g->bytes += more->group->bytes;
	g->count += more->group->count;
	g->total_bytes += more->group->total_bytes;
	g->variance += more->group->variance;
	g->count_variance += more->group->count_variance;
	g->first_bytes += more->group->first_bytes;
	g->second_bytes += more->group->second_bytes;
	mb_trend_merge(&g->series, &more->group->series);
	free_sources(more);
}

struct same {
	uint64_t call_site;
	struct mb_leak_row *row;
	UT_hash_handle hh;
};

/* Several instructions on one line can touch different pages: join rows that look the same. */
static int join_rows(struct mb_leaks_view *v)
{
	struct same *all = calloc(v->n_rows + 1, sizeof(*all)), *seen = NULL, *s;
	size_t n = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < v->n_rows; i++) {
		struct mb_leak_row *r = &v->rows[i];
		uint64_t id = mb_leak_call_site(r);

		HASH_FIND(hh, seen, &id, sizeof(id), s);
		((struct mb_leak_group *)r->group)->row = (uint32_t)(s ? (size_t)(s->row - v->rows) : n);
		if (s) {
			add_row(s->row, r);
			continue;
		}
		v->rows[n] = *r;
		s = &all[n];
		s->call_site = id;
		s->row = &v->rows[n++];
		s->row->sum = *s->row->group;
		HASH_ADD(hh, seen, call_site, sizeof(id), s);
	}
	v->n_rows = n;
	HASH_CLEAR(hh, seen);
	free(all);
	for (size_t i = 0; i < n; i++)
		v->rows[i].group = &v->rows[i].sum;
	return 0;
}

static void judge(const struct mb_leaks_session *l, struct mb_leak_row *r)
{
	mb_leaks_trend(r->group, &r->trend);
	r->error_bytes = mb_leaks_error(r->group);
	r->second_bytes = mb_leak_diff_second(l, r->group);
	r->growth_bytes = r->second_bytes - r->group->first_bytes;
}

/*
 * Count the frames of all rows that are in JIT code. The functions of an interpreter have no frames
 * of their own, so a frame of the interpreter counts as one without a name.
 */
static void count_made(const struct mb_leaks_view *v, struct mb_leak_process *p, const struct mb_runtime *runtime)
{
	for (size_t i = 0; i < v->n_rows + v->n_evidence; i++) {
		const struct mb_leak_row *r = i < v->n_rows ? &v->rows[i] : &v->evidence[i - v->n_rows];

		if (r->sum.key.tgid != p->pid || r->sum.key.start_ns != p->start_ns)
			continue;
		for (unsigned int k = 0; k < r->n_sources; k++) {
			const struct mb_source_frame *at = &r->sources[k];
			bool made = at->module && !strcmp(at->module, "[jit]");
			bool interprets = runtime && runtime->interprets && !p->jit.has_map &&
					  mb_runtime_of(at->module) == runtime;

			p->jit.frames += made || interprets;
			p->jit.nameless += (made && !at->symbol) || interprets;
		}
	}
}

static void fill_jit(const struct mb_leaks_view *v, const struct mb_leak_about *about, struct mb_leak_process *p)
{
	const struct mb_runtime *runtime = about->runtime_path ? mb_runtime_of(about->runtime_path) : NULL;

	if (!about->code_known)
		return;
	p->jit.has_map = about->has_names;
	count_made(v, p, runtime);
	p->jit.unread_bytes = about->unread_name_bytes;
	p->jit.runtime = runtime ? runtime->name : NULL;
	p->jit.interpreted = runtime && runtime->interprets;
	if (p->jit.nameless && !p->jit.has_map)
		p->jit.hint = runtime ? runtime->hint : mb_runtime_hint;
}

static void fill_processes(const struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	for (struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next) {
		const struct mb_process *p = mb_model_find_exactly(l->model, sp->tgid, sp->start_ns);
		struct mb_leak_process *row = &v->processes[v->n_processes++];
		struct mb_leak_about about;

		row->pid = sp->tgid;
		row->start_ns = sp->start_ns;
		row->ended = sp->ended;
		if (sp->ended)
			row->outlook = sp->outlook;
		else
			mb_leak_limits_of(l->limits, sp->tgid, sp->start_ns, &row->outlook);
		row->comm = p ? p->comm : sp->comm;
		row->tracked_bytes = sp->regions.bytes;
		row->total_vm_bytes = p ? p->total_vm_pages * MB_PAGE_SIZE : 0;
		row->corrections = sp->regions.syncs;
		row->blocks = mb_leak_heap_blocks(sp);
		row->heap = sp->shares.known ? &sp->shares : NULL;
		row->allocated = sp->allocated;
		row->freed = sp->freed;
		mb_leak_about(l, sp, &about);
		fill_jit(v, &about, row);
		row->seen = about.seen;
		row->maps = l->cfg->maps ? &sp->regions : NULL;
		row->whole = &sp->whole;
		for (size_t i = 0; i < sp->regions.n; i++) {
			const struct mb_region *piece = &sp->regions.list[i];

			row->before_bytes += piece->stack ? 0 : piece->end - piece->start;
		}
	}
}

/* If all processes have ended, no limit will be reached, except that of a selected cgroup by what is not a process's. */
static void fill_cgroups(const struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	size_t ended = 0;

	for (size_t i = 0; i < v->n_processes; i++)
		ended += v->processes[i].ended;
	v->cgroups_left_out = mb_leak_limits_left_out(l->limits);
	if (ended == v->n_processes && !l->n_cgroups)
		return;
	while (v->n_cgroups < MB_LEAK_LIMITS_CGROUPS &&
	       mb_leak_limits_cgroup(l->limits, v->n_cgroups, &v->cgroups[v->n_cgroups].path,
				     &v->cgroups[v->n_cgroups].outlook))
		v->n_cgroups++;
}

static int by_growth(const void *a, const void *b)
{
	const struct mb_leak_group *x = *(struct mb_leak_group *const *)a, *y = *(struct mb_leak_group *const *)b;

	return x->bytes > y->bytes ? -1 : x->bytes < y->bytes;
}

/* Compute the verdicts, and which rows are views of other rows. */
static int conclude(const struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	struct mb_leak_common *common = mb_leak_common_new(l, v);
	int err;

	if (!common)
		return -ENOMEM;
	mb_leak_verdicts(l, v);
	err = mb_leak_evidence(common);
	mb_leak_common_free(common);
	if (err)
		return err;
	mb_leak_diff_owners(l, v);
	return mb_leak_evidence_move(v);
}

int mb_leaks_view_make(struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	size_t n = HASH_COUNT(l->leaks->groups), i = 0;
	struct mb_leak_group **list = calloc(n + 1, sizeof(*list));

	memset(v, 0, sizeof(*v));
	v->compared = l->leaks->compares;
	v->rows = calloc(n + 1, sizeof(*v->rows));
	v->processes = calloc(HASH_COUNT(l->spaces) + 1, sizeof(*v->processes));
	v->cgroups = calloc(MB_LEAK_LIMITS_CGROUPS, sizeof(*v->cgroups));
	if (!list || !v->rows || !v->processes || !v->cgroups) {
		free(list);
		mb_leaks_view_free(v);
		return -ENOMEM;
	}
	for (struct mb_leak_group *g = l->leaks->groups; g; g = g->hh.next) {
		g->row = UINT32_MAX;
		if (mb_leak_diff_shows(l, g))
			list[i++] = g;
	}
	qsort(list, i, sizeof(*list), by_growth);
	for (size_t j = 0; j < i; j++)
		fill_row(l, list[j], &v->rows[v->n_rows++]);
	free(list);
	if (join_rows(v)) {
		mb_leaks_view_free(v);
		return -ENOMEM;
	}
	for (size_t j = 0; j < v->n_rows; j++)
		judge(l, &v->rows[j]);
	if (conclude(l, v)) {
		mb_leaks_view_free(v);
		return -ENOMEM;
	}
	sort_rows(v);
	fill_processes(l, v);
	fill_cgroups(l, v);
	for (size_t j = 0; j < v->n_rows; j++)
		find_eta(v, &v->rows[j]);
	for (size_t j = 0; j < v->n_evidence; j++)
		find_eta(v, &v->evidence[j]);
	v->series = l->cfg->series;
	v->page_sample_1_in = l->cfg->page_sample_1_in;
	v->heap_sample_bytes = l->cfg->heap ? l->cfg->heap_sample_bytes : 0;
	v->from_ns = l->marked_ns;
	v->to_ns = l->marked_to ? l->marked_to_ns : l->leaks->tick_ns - l->start_ns;
	v->stacks_whole = l->stacks_whole;
	v->stacks_cut = l->stacks_cut;
	v->ended_left_out = l->ended_left_out;
	v->left_out_bytes = mb_leaks_rest_bytes(l->leaks);
	v->left_out = l->queue_full + HASH_COUNT(l->leaks->rests) + l->leaks->rests_left_out +
		      l->leaks->stacks_left_out + l->code_left_out;
	return 0;
}

void mb_leaks_view_free(struct mb_leaks_view *v)
{
	for (size_t i = 0; v->rows && i < v->n_rows; i++)
		free_sources(&v->rows[i]);
	for (size_t i = 0; v->evidence && i < v->n_evidence; i++)
		free_sources(&v->evidence[i]);
	free(v->rows);
	free(v->evidence);
	free(v->processes);
	free(v->cgroups);
	memset(v, 0, sizeof(*v));
}

static int write_file(const struct mb_leaks_view *v, const char *path, bool svg,
		      struct mb_err *e)
{
	struct mb_out o = { 0 };
	int err = mb_out_open(&o, path, e);

	if (err)
		return err;
	err = mb_leaks_flame(&o, v, svg);
	if (err)
		mb_err_set(e, MB_EXIT_FAILED, err, "no memory for '%s'", path);
	return mb_out_close(&o, e) ? -EIO : err;
}

int mb_leaks_write_files(const struct mb_leaks_session *l, const struct mb_leaks_view *v, struct mb_err *e)
{
	int err = l->cfg->folded_path ? write_file(v, l->cfg->folded_path, false, e) : 0;

	if (!err && l->cfg->svg_path)
		err = write_file(v, l->cfg->svg_path, true, e);
	return err;
}

int mb_leaks_show(struct mb_leaks_session *l, const struct mb_sink *sink, struct mb_out *out,
		  const struct mb_snapshot *snap, struct mb_err *e)
{
	struct mb_leaks_view v;
	int err;

	if (l->source.replays && !l->begun)
		return mb_err_set(e, MB_EXIT_FAILED, 0,
				  "the recording has nothing for leaks: memblame record --raw keeps it, with the "
				  "families vma and fault, without a budget");
	if (l->source.missing)
		mb_warn("some of what leaks has read is missing in the recording (%llu times): what is shown can be wrong",
			(unsigned long long)l->source.missing);
	err = mb_leaks_view_make(l, &v);
	if (err)
		return mb_err_set(e, MB_EXIT_FAILED, err, "no memory to show leaks");
	(sink->json ? mb_json_leaks : mb_text_leaks)(out, snap, &v);
	if (!snap->interval)
		err = mb_leaks_write_files(l, &v, e);
	mb_leaks_view_free(&v);
	return err;
}
