// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* JSON: what grows (kind "leaks"). */
#include "sinks/json.h"
#include "sinks/leaks.h"

/* Groups in a document; those behind them are small. */
#define ROWS 500

static void put_places(struct mb_out *o, const struct mb_leak_row *r)
{
	mb_json_array(o, "stack");
	for (unsigned int i = 0; i < r->n_places; i++) {
		const struct mb_place *p = &r->places[i];

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

static void put_row(struct mb_out *o, const struct mb_leak_row *r)
{
	const struct mb_leak_group *g = r->group;

	mb_json_object(o, NULL);
	mb_json_str(o, "level", mb_leak_level_name(g->key.level));
	mb_json_u64(o, "pid", g->key.tgid);
	mb_json_str(o, "comm", g->comm[0] ? g->comm : NULL);
	mb_json_str(o, "what", r->what);
	mb_json_bool(o, "before", !g->key.stack && g->key.level != MB_LEAK_KERNEL);
	mb_json_u64(o, "outstanding_bytes", g->bytes > 0 ? (uint64_t)g->bytes : 0);
	mb_json_u64(o, "outstanding_count", g->count > 0 ? (uint64_t)g->count : 0);
	mb_json_u64(o, "error_bytes", r->error_bytes);
	mb_json_u64(o, "total_bytes", g->total_bytes);
	mb_json_s64(o, "growth_bytes", r->growth_bytes);
	mb_json_u64(o, "sampled_1_in", g->sampled_1_in);
	mb_json_s64(o, "slope_bytes_per_s", r->trend.slope_bytes_per_s);
	mb_json_fixed(o, "confidence", (uint64_t)(r->trend.confidence * 1000 + 0.5), 3);
	mb_json_str(o, "verdict", mb_verdict_name(r->trend.verdict));
	mb_json_u64_if(o, "eta_to_limit_ns", r->eta_known, r->eta_ns);
	mb_json_str(o, "limit", r->limit);
	put_places(o, r);
	mb_json_object_end(o);
}

/* Neighbours joined: as one sees it from outside. */
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

static void put_process(struct mb_out *o, const struct mb_leak_process *p)
{
	mb_json_object(o, NULL);
	mb_json_u64(o, "pid", p->pid);
	mb_json_str(o, "comm", p->comm);
	mb_json_u64(o, "tracked_bytes", p->tracked_bytes);
	mb_json_u64(o, "before_bytes", p->before_bytes);
	mb_json_u64(o, "total_vm_bytes", p->total_vm_bytes);
	mb_json_u64(o, "corrections", p->corrections);
	mb_json_u64(o, "blocks", p->blocks);
	if (p->maps)
		put_maps(o, p->maps);
	mb_json_object_end(o);
}

void mb_json_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v)
{
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
	mb_json_u64(o, "groups_total", v->n_rows);
	mb_json_array(o, "processes");
	for (size_t i = 0; i < v->n_processes; i++)
		put_process(o, &v->processes[i]);
	mb_json_array_end(o);
	mb_json_array(o, "groups");
	for (size_t i = 0; i < v->n_rows && i < ROWS; i++)
		put_row(o, &v->rows[i]);
	mb_json_array_end(o);
	mb_json_object_end(o);
	mb_json_end_line(o);
}
