// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The view of leaks at one moment. */
#include "leaks_show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "leak_heap.h"
#include "leak_kernel.h"
#include "headroom.h"
#include "symbols/kallsyms.h"

/* Functions inlined into each other, at one address. */
#define INLINED 16u

/* ---- stacks ---- */

/* Names of the kernel live with the places: they are made here. */
static unsigned int resolve_kernel(const struct mb_leaks_session *l, uint64_t ip, struct mb_place *place)
{
	char name[256];

	memset(place, 0, sizeof(*place));
	place->ip = ip;
	place->module = "[kernel]";
	if (*mb_kallsyms_name(l->kallsyms, ip, name, sizeof(name)))
		place->symbol = strdup(name);
	return 1;
}

static void resolve(struct mb_leaks_session *l, const struct mb_leak_stack *s, struct mb_leak_row *r)
{
	struct mb_leak_space *sp = s->key[0] ? mb_leak_space_at(l, s->key[0]) : NULL;
	struct mb_place *places = calloc((size_t)s->n * INLINED + 1, sizeof(*places)), *fit;
	unsigned int n = 0;

	if (!places)
		return;
	if (sp && !sp->code)
		sp->code = mb_space_new(l->modules, sp->tgid);
	for (uint32_t i = 0; i < s->n; i++) {
		uint64_t ip = s->key[1 + i];

		if (!s->key[0])
			n += resolve_kernel(l, ip, &places[n]);
		else if (sp && sp->code)
			n += mb_space_resolve(sp->code, ip, i > 0, &places[n], INLINED);
		else
			places[n++].ip = ip;
	}
	fit = realloc(places, (n + 1) * sizeof(*places));
	r->places = fit ? fit : places;
	r->n_places = n;
	r->whole = s->whole;
}

/* ---- rows ---- */

static const char *region_kind(uint32_t kind)
{
	static const char *const names[] = { "anon", "file", "shared", "heap", "stack" };

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : NULL;
}

/*
 * What a group weighs in the order: blocks say more than pages, pages more than a heap whose end was moved by
 * whoever came last.
 */
static double weight(const struct mb_leak_row *r)
{
	double w = r->sum.key.level == MB_LEAK_ALLOC ? 4 : 1;

	if (r->sum.key.level == MB_LEAK_REGION && r->sum.key.what == MB_REGION_HEAP)
		w = 0.25;
	return w * (double)r->trend.slope_bytes_per_s;
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
	for (size_t i = 0; i < v->n_rows; i++) /* they have moved */
		v->rows[i].group = &v->rows[i].sum;
}

/* Does anything that its allocator gave out grow? */
static bool blocks_grow(const struct mb_leaks_view *v, uint32_t tgid)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		const struct mb_leak_row *r = &v->rows[i];

		if (r->group->key.level == MB_LEAK_ALLOC && r->group->key.tgid == tgid &&
		    r->trend.verdict != MB_VERDICT_STABLE)
			return true;
	}
	return false;
}

/*
 * Pages and heap of a process whose blocks are followed and do not grow: the allocator takes them (fragments,
 * caches), and they are in use. It grows, but nothing is leaked.
 */
static void acquit(const struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	if (!l->cfg->heap)
		return;
	for (size_t i = 0; i < v->n_rows; i++) {
		struct mb_leak_row *r = &v->rows[i];
		struct mb_leak_space *sp = NULL;
		bool of_heap = r->group->key.level == MB_LEAK_PAGE ||
			       (r->group->key.level == MB_LEAK_REGION && r->group->key.what == MB_REGION_HEAP);

		if (!of_heap || r->trend.verdict != MB_VERDICT_LEAK)
			continue;
		for (sp = l->spaces; sp && sp->tgid != r->group->key.tgid; sp = sp->hh.next)
			continue;
		if (sp && sp->blocks && !blocks_grow(v, sp->tgid))
			r->trend.verdict = MB_VERDICT_GROWING;
	}
}

static void find_eta(const struct mb_leaks_session *l, const char *root, struct mb_leak_row *r)
{
	const struct mb_leak_key *key = &r->group->key;
	const struct mb_process *p = key->tgid ? mb_model_find_exactly(l->model, key->tgid, key->start_ns) : NULL;
	uint64_t room;

	if (p && p->exited)
		return;
	if (r->trend.slope_bytes_per_s <= 0 || r->trend.verdict == MB_VERDICT_STABLE ||
	    !mb_headroom(l->model, p, root, key->level == MB_LEAK_REGION, &room, &r->limit))
		return;
	r->eta_ns = (uint64_t)((double)room / (double)r->trend.slope_bytes_per_s * 1e9);
	r->eta_known = true;
}

static void fill_row(struct mb_leaks_session *l, struct mb_leak_group *g, struct mb_leak_row *r)
{
	const struct mb_leak_stack *s = mb_leaks_stack_of(l->leaks, g->key.stack);

	r->group = g;
	if (g->key.level == MB_LEAK_REGION)
		r->what = region_kind(g->key.what);
	else if (g->key.level == MB_LEAK_KERNEL)
		r->what = mb_leak_kernel_name(l, g->key.what);
	if (s)
		resolve(l, s, r);
}

static uint64_t hash_of(uint64_t h, const char *text)
{
	for (; text && *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull; /* FNV-1a */
	return (h ^ 0xff) * 0x100000001b3ull;
}

/* What a reader takes for the same place: process, level, and each frame's function and line. */
static uint64_t identity(const struct mb_leak_row *r)
{
	const struct mb_leak_key *key = &r->group->key;
	uint64_t h = 0xcbf29ce484222325ull ^ key->start_ns;

	h = (h ^ key->tgid) * 0x100000001b3ull;
	h = (h ^ key->level ^ ((uint64_t)key->what << 32)) * 0x100000001b3ull;
	for (unsigned int i = 0; i < r->n_places; i++) {
		const struct mb_place *p = &r->places[i];

		h = hash_of(hash_of(hash_of(h, p->module), p->symbol), p->file);
		h = (h ^ p->line ^ (p->symbol ? 0 : p->ip)) * 0x100000001b3ull;
	}
	return h;
}

static void free_places(struct mb_leak_row *r)
{
	struct mb_place *places = (struct mb_place *)r->places;

	for (unsigned int i = 0; i < r->n_places; i++) {
		if (places[i].module && !strcmp(places[i].module, "[kernel]"))
			free((char *)places[i].symbol);
	}
	free(places);
}

static void add_row(struct mb_leak_row *into, struct mb_leak_row *more)
{
	struct mb_leak_group *g = &into->sum;

	g->bytes += more->group->bytes;
	g->count += more->group->count;
	g->total_bytes += more->group->total_bytes;
	g->variance += more->group->variance;
	g->first_bytes += more->group->first_bytes;
	g->second_bytes += more->group->second_bytes;
	mb_trend_merge(&g->series, &more->group->series);
	free_places(more);
}

struct same {
	uint64_t identity;
	struct mb_leak_row *row;
	UT_hash_handle hh;
};

/* Instructions of one line touch different pages: one row for what reads the same. */
static int join_rows(struct mb_leaks_view *v)
{
	struct same *all = calloc(v->n_rows + 1, sizeof(*all)), *seen = NULL, *s;
	size_t n = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < v->n_rows; i++) {
		struct mb_leak_row *r = &v->rows[i];
		uint64_t id = identity(r);

		HASH_FIND(hh, seen, &id, sizeof(id), s);
		if (s) {
			add_row(s->row, r);
			continue;
		}
		v->rows[n] = *r;
		s = &all[n];
		s->identity = id;
		s->row = &v->rows[n++];
		s->row->sum = *s->row->group;
		HASH_ADD(hh, seen, identity, sizeof(id), s);
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
	r->growth_bytes = (l->marked_to ? r->group->second_bytes : r->group->bytes) - r->group->first_bytes;
}

static void fill_processes(const struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	for (struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next) {
		const struct mb_process *p = mb_model_find_exactly(l->model, sp->tgid, sp->start_ns);
		struct mb_leak_process *row = &v->processes[v->n_processes++];

		row->pid = sp->tgid;
		row->comm = p ? p->comm : sp->comm;
		row->tracked_bytes = sp->regions.bytes;
		row->total_vm_bytes = p ? p->total_vm_pages * MB_PAGE_SIZE : 0;
		row->corrections = sp->regions.syncs;
		row->blocks = mb_leak_heap_blocks(sp);
		row->maps = l->cfg->maps ? &sp->regions : NULL;
		for (size_t i = 0; i < sp->regions.n; i++) {
			const struct mb_region *piece = &sp->regions.list[i];

			row->before_bytes += piece->stack ? 0 : piece->end - piece->start;
		}
	}
}

static int by_growth(const void *a, const void *b)
{
	const struct mb_leak_group *x = *(struct mb_leak_group *const *)a, *y = *(struct mb_leak_group *const *)b;

	return x->bytes > y->bytes ? -1 : x->bytes < y->bytes;
}

int mb_leaks_view_make(struct mb_leaks_session *l, const char *cgroup_root, struct mb_leaks_view *v)
{
	size_t n = HASH_COUNT(l->leaks->groups), i = 0;
	struct mb_leak_group **list = calloc(n + 1, sizeof(*list));

	memset(v, 0, sizeof(*v));
	v->rows = calloc(n + 1, sizeof(*v->rows));
	v->processes = calloc(HASH_COUNT(l->spaces) + 1, sizeof(*v->processes));
	if (!list || !v->rows || !v->processes) {
		free(list);
		mb_leaks_view_free(v);
		return -ENOMEM;
	}
	for (struct mb_leak_group *g = l->leaks->groups; g; g = g->hh.next) {
		if (g->bytes > 0)
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
	acquit(l, v);
	sort_rows(v);
	for (size_t j = 0; j < v->n_rows; j++)
		find_eta(l, cgroup_root, &v->rows[j]);
	fill_processes(l, v);
	v->page_sample_1_in = l->cfg->page_sample_1_in;
	v->heap_sample_bytes = l->cfg->heap ? l->cfg->heap_sample_bytes : 0;
	v->from_ns = l->marked_ns;
	v->to_ns = l->marked_to ? l->marked_to_ns : l->leaks->tick_ns - l->start_ns;
	v->stacks_whole = l->stacks_whole;
	v->stacks_cut = l->stacks_cut;
	v->left_out = l->queue_full + l->leaks->groups_left_out + l->leaks->stacks_left_out;
	return 0;
}

void mb_leaks_view_free(struct mb_leaks_view *v)
{
	for (size_t i = 0; v->rows && i < v->n_rows; i++)
		free_places(&v->rows[i]);
	free(v->rows);
	free(v->processes);
	memset(v, 0, sizeof(*v));
}

static int write_file(const struct mb_leaks_session *l, const struct mb_leaks_view *v, const char *path, bool svg,
		      struct mb_err *e)
{
	bool compared = l->cfg->diff_from_ns || l->cfg->diff_to_ns;
	struct mb_out o = { 0 };
	int err = mb_out_open(&o, path, e);

	if (err)
		return err;
	err = mb_leaks_flame(&o, v, svg, compared);
	if (err)
		mb_err_set(e, MB_EXIT_FAILED, err, "no memory for '%s'", path);
	return mb_out_close(&o, e) ? -EIO : err;
}

int mb_leaks_write_files(const struct mb_leaks_session *l, const struct mb_leaks_view *v, struct mb_err *e)
{
	int err = l->cfg->folded_path ? write_file(l, v, l->cfg->folded_path, false, e) : 0;

	if (!err && l->cfg->svg_path)
		err = write_file(l, v, l->cfg->svg_path, true, e);
	return err;
}

int mb_leaks_show(struct mb_leaks_session *l, const struct mb_sink *sink, struct mb_out *out,
		  const struct mb_snapshot *snap, const char *cgroup_root, struct mb_err *e)
{
	struct mb_leaks_view v;
	int err = mb_leaks_view_make(l, cgroup_root, &v);

	if (err)
		return mb_err_set(e, MB_EXIT_FAILED, err, "no memory to show leaks");
	sink->leaks(out, snap, &v);
	if (!snap->interval)
		err = mb_leaks_write_files(l, &v, e);
	mb_leaks_view_free(&v);
	return err;
}
