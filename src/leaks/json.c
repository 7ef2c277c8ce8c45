// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* JSON output of leak detection (kind "leaks"). */
#include "leaks/levels.h"
#include "leaks/view.h"
#include "sinks/json.h"

/* Maximum number of groups per document. They are sorted, so the rest are less important. */
#define ROWS 500

static void put_sources(struct mb_out *o, const struct mb_leak_row *r)
{
	mb_json_array(o, "stack");
	for (unsigned int i = 0; i < r->n_sources; i++) {
		const struct mb_source_frame *p = &r->sources[i];

		mb_json_object(o, NULL);
		mb_json_str(o, "symbol", p->symbol);
		mb_json_str(o, "module", p->module);
		mb_json_str(o, "file", p->file);
		mb_json_u64_if(o, "line", p->line, p->line);
		mb_json_hex(o, "ip", p->ip);
		mb_json_hex(o, "module_offset", p->module_offset);
		mb_json_bool(o, "inlined", p->inlined);
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
	mb_json_bool(o, "stack_whole", r->whole);
}

/* A series as an array of [end of the step, least, last]. */
static void put_series(struct mb_out *o, const char *name, const struct mb_trend_series *s,
		       uint64_t zero)
{
	mb_json_array(o, name);
	for (uint32_t i = 0; i < s->n; i++) {
		mb_json_array(o, NULL);
		mb_json_u64(o, NULL, s->points[i].t_ns);
		mb_json_s64(o, NULL, (int64_t)(s->points[i].least - zero));
		mb_json_s64(o, NULL, (int64_t)(s->points[i].last - zero));
		mb_json_array_end(o);
	}
	mb_json_array_end(o);
}

static void put_whole(struct mb_out *o, const struct mb_leak_process *p)
{
	mb_json_u64(o, "start_t_ns", p->start_ns);
	mb_json_u64(o, "peak_before_bytes", p->whole->peak_before_bytes);
	mb_json_u64(o, "rss_bytes", p->whole->rss_bytes);
	put_series(o, "own", &p->whole->own, 0);
	put_series(o, "mapped", &p->whole->mapped, 0);
	put_series(o, "heap_net", &p->whole->net, MB_HEAP_NET_ZERO);
}

static void put_row(struct mb_out *o, const struct mb_leak_row *r, bool series, bool compared)
{
	const struct mb_leak_group *g = r->group;
	char missing[64];

	mb_json_object(o, NULL);
	mb_json_str(o, "level", mb_leak_level_name(g->key.level));
	mb_json_u64(o, "pid", g->key.tgid);
	mb_json_str(o, "comm", g->comm[0] ? g->comm : NULL);
	mb_json_str(o, "what", r->what);
	mb_json_bool(o, "before", !g->key.stack && mb_leak_level_info(g->key.level)->of_process);
	mb_json_u64(o, "outstanding_bytes", mb_leak_shown_bytes(g->bytes));
	mb_json_u64(o, "outstanding_count", mb_leaks_count(g));
	mb_json_u64(o, "error_bytes", r->error_bytes);
	mb_json_u64(o, "error_count", mb_leaks_count_error(g));
	mb_json_u64(o, "total_bytes", g->total_bytes);
	if (compared) {
		mb_json_u64(o, "from_bytes", mb_leak_shown_bytes(g->first_bytes));
		mb_json_u64(o, "to_bytes", mb_leak_shown_bytes(r->second_bytes));
	} else {
		mb_json_null(o, "from_bytes");
		mb_json_null(o, "to_bytes");
	}
	mb_json_s64(o, "growth_bytes", r->growth_bytes);
	mb_json_u64(o, "sampled_1_in", g->sampled_1_in);
	mb_json_s64(o, "slope_bytes_per_s", r->trend.slope_bytes_per_s);
	mb_json_fixed(o, "confidence", (uint64_t)(r->trend.confidence * 1000 + 0.5), 3);
	mb_json_str(o, "verdict", mb_verdict_name(r->trend.verdict));
	mb_json_str(o, "missing", mb_missing_text(&r->trend, missing, sizeof(missing)));
	mb_json_u64_if(o, "eta_to_limit_ns", r->outlook && r->outlook->eta_known, r->outlook ? r->outlook->eta_ns : 0);
	mb_json_str(o, "limit", r->outlook && r->outlook->eta_known ? r->outlook->limit.kind : NULL);
	if (series) {
		put_series(o, "series", &g->series, 0);
		mb_json_u64(o, "series_error_bytes", mb_leaks_series_error(g));
		mb_json_bool(o, "in_allocator", r->allocators);
	}
	put_sources(o, r);
	mb_json_array(o, "evidence");
	for (size_t i = 0; i < r->n_evidence; i++)
		put_row(o, &r->evidence[i], series, compared);
	mb_json_array_end(o);
	mb_json_object_end(o);
}

/* The mappings, with adjacent ones joined as they appear from outside. */
static void put_maps(struct mb_out *o, const struct mb_regions *r)
{
	mb_json_array(o, "maps");
	for (size_t i = 0, end; i < r->n; i = end) {
		for (end = i + 1; end < r->n && r->list[end].start == r->list[end - 1].end; end++)
			continue;
		mb_json_array(o, NULL);
		mb_json_u64(o, NULL, r->list[i].start);
		mb_json_u64(o, NULL, r->list[end - 1].end);
		mb_json_array_end(o);
	}
	mb_json_array_end(o);
}

static void put_heap(struct mb_out *o, const struct mb_leak_process *p)
{
	const struct mb_heap_shares *h = p->heap;

	if (!h) {
		mb_json_null(o, "heap");
		return;
	}
	mb_json_object(o, "heap");
	mb_json_u64(o, "allocated_count", p->allocated);
	mb_json_u64(o, "freed_count", p->freed);
	mb_json_s64(o, "net_bytes", (int64_t)h->net_bytes);
	mb_json_u64(o, "unknown_freed_count", (uint64_t)h->unknown_count);
	mb_json_u64(o, "unknown_freed_bytes", (uint64_t)h->unknown_bytes);
	mb_json_u64(o, "unknown_freed_error_bytes", (uint64_t)h->unknown_error);
	mb_json_bool(o, "sizes_known", h->by_class);
	mb_json_object_end(o);
}

/* Why the data of a heap can be incomplete. */
static const char *reason(enum mb_heap_seen how)
{
	static const char *const reasons[] = {
		[MB_HEAP_SEEN_NONE] = "no allocator found",
		[MB_HEAP_SEEN_FIRST] = "from its first instruction",
		[MB_HEAP_SEEN_LATE] = "probed later",
		[MB_HEAP_SEEN_FORKED] = "forked",
	};

	return reasons[how];
}

/* Since when the heap is traced, and how much memory the process had before. */
static void put_seen(struct mb_out *o, const struct mb_leak_heap_seen *seen)
{
	bool any = seen->how >= MB_HEAP_SEEN_FIRST;

	if (seen->how == MB_HEAP_SEEN_UNKNOWN) {
		mb_json_null(o, "heap_seen");
		return;
	}
	mb_json_object(o, "heap_seen");
	mb_json_u64_if(o, "since_ns", any, seen->since_ns);
	mb_json_u64_if(o, "before_bytes", seen->before_known, seen->before_bytes);
	mb_json_str(o, "reason", reason(seen->how));
	mb_json_array(o, "later");
	for (size_t i = 0; i < seen->n_later; i++) {
		mb_json_object(o, NULL);
		mb_json_str(o, "file", seen->later[i].file);
		mb_json_u64_if(o, "unseen_ns", seen->later[i].unseen_known, seen->later[i].unseen_ns);
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
	mb_json_u64(o, "left_out", seen->left_out);
	mb_json_object_end(o);
}

static void put_jit(struct mb_out *o, const struct mb_leak_jit *jit)
{
	if (!jit->frames) {
		mb_json_null(o, "jit");
		return;
	}
	mb_json_object(o, "jit");
	mb_json_u64(o, "frames", jit->frames);
	mb_json_u64(o, "nameless", jit->nameless);
	mb_json_bool(o, "has_map", jit->has_map);
	mb_json_u64(o, "unread_bytes", jit->unread_bytes);
	mb_json_str(o, "runtime", jit->runtime);
	mb_json_str(o, "hint", jit->hint);
	mb_json_object_end(o);
}

static void put_outlook(struct mb_out *o, const struct mb_outlook *l)
{
	const struct mb_limit *limit = &l->limit;

	mb_json_u64_if(o, "slope_bytes_per_s", l->growth.known, (uint64_t)l->growth.slope_bytes_per_s);
	mb_json_u64_if(o, "eta_to_limit_ns", l->eta_known, l->eta_ns);
	if (!l->limited) {
		mb_json_null(o, "limit");
		return;
	}
	mb_json_object(o, "limit");
	mb_json_str(o, "kind", limit->kind);
	mb_json_str(o, "path", limit->path);
	mb_json_u64(o, "bytes", limit->bytes);
	mb_json_u64(o, "usage_bytes", limit->usage_bytes);
	mb_json_u64(o, "reclaimable_bytes", limit->reclaimable_bytes);
	mb_json_u64(o, "swap_bytes", limit->swap_bytes);
	mb_json_s64(o, "slope_bytes_per_s", l->limit_slope_bytes_per_s);
	mb_json_object_end(o);
}

static void put_cgroups(struct mb_out *o, const struct mb_leaks_view *v)
{
	mb_json_array(o, "cgroups");
	for (size_t i = 0; i < v->n_cgroups; i++) {
		mb_json_object(o, NULL);
		mb_json_str(o, "path", v->cgroups[i].path);
		put_outlook(o, &v->cgroups[i].outlook);
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
	mb_json_u64(o, "cgroups_left_out", v->cgroups_left_out);
}

static void put_process(struct mb_out *o, const struct mb_leak_process *p, bool series)
{
	mb_json_object(o, NULL);
	mb_json_u64(o, "pid", p->pid);
	mb_json_str(o, "comm", p->comm);
	mb_json_bool(o, "ended", p->ended);
	put_outlook(o, &p->outlook);
	mb_json_u64(o, "tracked_bytes", p->tracked_bytes);
	mb_json_u64(o, "before_bytes", p->before_bytes);
	mb_json_u64(o, "total_vm_bytes", p->total_vm_bytes);
	mb_json_u64(o, "corrections", p->corrections);
	mb_json_u64(o, "blocks", p->blocks);
	put_heap(o, p);
	put_seen(o, &p->seen);
	put_jit(o, &p->jit);
	if (p->maps)
		put_maps(o, p->maps);
	if (series)
		put_whole(o, p);
	mb_json_object_end(o);
}

void mb_json_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v)
{
	bool series = v->series && !s->interval;

	mb_json_put_kind(o, "leaks");
	mb_json_str(o, "scope", s->interval ? "interval" : "total");
	mb_json_put_head(o, s);
	mb_json_put_lost(o, &s->model->lost);
	mb_json_put_overhead(o, s);
	mb_json_object(o, "sampling");
	mb_json_u64(o, "page_1_in", v->page_sample_1_in);
	mb_json_u64_if(o, "heap_bytes", v->heap_sample_bytes, v->heap_sample_bytes);
	mb_json_object_end(o);
	mb_json_object(o, "stacks");
	mb_json_u64(o, "whole", v->stacks_whole);
	mb_json_u64(o, "cut", v->stacks_cut);
	mb_json_object_end(o);
	mb_json_object(o, "compared");
	mb_json_u64(o, "from_ns", v->from_ns);
	mb_json_u64(o, "to_ns", v->to_ns);
	mb_json_object_end(o);
	mb_json_u64(o, "left_out", v->left_out);
	mb_json_u64(o, "left_out_bytes", v->left_out_bytes);
	mb_json_u64(o, "groups_total", v->n_rows);
	mb_json_array(o, "processes");
	for (size_t i = 0; i < v->n_processes; i++)
		put_process(o, &v->processes[i], series);
	mb_json_array_end(o);
	mb_json_u64(o, "ended_left_out", v->ended_left_out);
	put_cgroups(o, v);
	mb_json_array(o, "groups");
	for (size_t i = 0; i < v->n_rows && i < ROWS; i++)
		put_row(o, &v->rows[i], series, v->compared);
	mb_json_array_end(o);
	mb_json_object_end(o);
	mb_json_end_line(o);
}
