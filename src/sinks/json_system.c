// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* JSON: the object "system" of a summary (docs/system.md). */
#include <stdio.h>
#include <string.h>

#include "sinks/json.h"
#include "sinks/system.h"

/* Two samples: a counter is shown as its increase between them. */
struct scope {
	const struct mb_system *from, *to;
	uint64_t ns;
};

static void put_fixed(struct mb_out *o, const char *name, uint64_t v, unsigned int decimals)
{
	if (v == MB_UNKNOWN)
		mb_json_null(o, name);
	else
		mb_json_fixed(o, name, v, decimals);
}

static uint64_t growth(const struct scope *s, enum mb_system_number n)
{
	return mb_system_growth(s->from->values[n], s->to->values[n]);
}

/* The name without its SQL unit: SQL stores integers, so "avg10_bp" becomes "avg10". */
static const char *plain(char *buf, size_t size, const char *name)
{
	snprintf(buf, size, "%.*s", (int)(strlen(name) - strlen("_bp")), name);
	return buf;
}

static void put_number(struct mb_out *o, const struct scope *s, enum mb_system_number n)
{
	const struct mb_system_desc *d = &mb_system_numbers[n];
	char name[48];

	switch (d->kind) {
	case MB_SYSTEM_NOW:
		mb_json_known(o, d->name, s->to->values[n]);
		return;
	case MB_SYSTEM_PERCENT:
		put_fixed(o, plain(name, sizeof(name), d->name), s->to->values[n], 2);
		return;
	case MB_SYSTEM_TOTAL:
		mb_json_known(o, d->name, s->to->values[n]);
		mb_json_known(o, "stalled_us", growth(s, n));
		return;
	case MB_SYSTEM_COUNT:
	case MB_SYSTEM_RATE:
		mb_json_known(o, d->name, growth(s, n));
	}
	if (d->kind == MB_SYSTEM_RATE) {
		snprintf(name, sizeof(name), "%s_per_s", d->name);
		put_fixed(o, name, mb_system_rate(growth(s, n), s->ns), 3);
	}
}

/* Write all numbers of a group into a new object, which the caller ends. */
static void begin_group(struct mb_out *o, const struct scope *s, const char *name, const char *group)
{
	mb_json_object(o, name);
	for (int i = 0; i < MB_SYS_NUMBERS; i++) {
		if (!strcmp(mb_system_numbers[i].group, group))
			put_number(o, s, i);
	}
}

static void put_group(struct mb_out *o, const struct scope *s, const char *name, const char *group)
{
	begin_group(o, s, name, group);
	mb_json_object_end(o);
}

/* Write a group with a share: one counter divided by another, or by the sum of both. */
static void put_shared(struct mb_out *o, const struct scope *s, const char *name, const char *group,
		       const char *share, enum mb_system_number part, enum mb_system_number whole,
		       bool sum)
{
	uint64_t p = growth(s, part), w = growth(s, whole);

	if (sum && p != MB_UNKNOWN && w != MB_UNKNOWN)
		w += p;
	begin_group(o, s, name, group);
	put_fixed(o, share, mb_system_share(p, w), 3);
	mb_json_object_end(o);
}

static void put_reclaim(struct mb_out *o, const struct scope *s)
{
	begin_group(o, s, "reclaim", "reclaim");
	put_shared(o, s, "kswapd", "reclaim_kswapd", "efficiency",
		   MB_SYS_reclaim_kswapd_stolen_pages, MB_SYS_reclaim_kswapd_scanned_pages, false);
	put_shared(o, s, "direct", "reclaim_direct", "efficiency",
		   MB_SYS_reclaim_direct_stolen_pages, MB_SYS_reclaim_direct_scanned_pages, false);
	put_shared(o, s, "khugepaged", "reclaim_khugepaged", "efficiency",
		   MB_SYS_reclaim_khugepaged_stolen_pages,
		   MB_SYS_reclaim_khugepaged_scanned_pages, false);
	mb_json_object_end(o);
}

static void put_zone(struct mb_out *o, const struct mb_system_zone *z)
{
	mb_json_object(o, NULL);
	mb_json_u64(o, "node", z->node);
	mb_json_str(o, "zone", z->name);
	mb_json_known(o, "free_pages", z->free_pages);
	mb_json_known(o, "min_pages", z->min_pages);
	mb_json_known(o, "low_pages", z->low_pages);
	mb_json_known(o, "high_pages", z->high_pages);
	mb_json_known(o, "managed_pages", z->managed_pages);
	if (z->orders) {
		mb_json_array(o, "free_blocks");
		for (uint32_t i = 0; i < z->orders; i++)
			mb_json_known(o, NULL, z->free_blocks[i]);
		mb_json_array_end(o);
		mb_json_array(o, "unusable");
		for (uint32_t i = 0; i < z->orders; i++)
			put_fixed(o, NULL, mb_system_unusable(z, i), 3);
		mb_json_array_end(o);
	} else {
		mb_json_null(o, "free_blocks");
		mb_json_null(o, "unusable");
	}
	mb_json_object_end(o);
}

static void put_node(struct mb_out *o, const struct scope *s, const struct mb_system_node *n)
{
	const struct mb_system_node *from = mb_system_node_find(s->from, n->node);

	mb_json_object(o, NULL);
	mb_json_u64(o, "node", n->node);
	for (int i = 0; i < MB_NUMA_COUNTS; i++)
		mb_json_known(o, mb_system_node_names[i],
			mb_system_growth(from ? from->counts[i] : MB_UNKNOWN, n->counts[i]));
	mb_json_object_end(o);
}

static void put_zones_and_nodes(struct mb_out *o, const struct scope *s)
{
	mb_json_array(o, "zones");
	for (uint32_t i = 0; i < s->to->n_zones; i++)
		put_zone(o, &s->to->zones[i]);
	mb_json_array_end(o);
	mb_json_u64(o, "zones_left_out", s->to->zones_left_out);
	mb_json_array(o, "nodes");
	for (uint32_t i = 0; i < s->to->n_nodes; i++)
		put_node(o, s, &s->to->nodes[i]);
	mb_json_array_end(o);
	mb_json_u64(o, "nodes_left_out", s->to->nodes_left_out);
}

static void put_psi(struct mb_out *o, const struct scope *s)
{
	mb_json_object(o, "psi");
	mb_json_object(o, "memory");
	put_group(o, s, "some", "psi_memory_some");
	put_group(o, s, "full", "psi_memory_full");
	mb_json_object_end(o);
	mb_json_object(o, "io");
	put_group(o, s, "some", "psi_io_some");
	put_group(o, s, "full", "psi_io_full");
	mb_json_object_end(o);
	mb_json_object_end(o);
}

void mb_system_json(struct mb_out *o, const struct mb_snapshot *snap)
{
	const struct mb_system_state *state = &snap->model->system;
	struct scope s = { snap->interval ? &state->before : &state->first, &state->now, 0 };

	if (!state->known) {
		mb_json_null(o, "system");
		return;
	}
	s.ns = !snap->interval && state->scope_ns ? state->scope_ns :
						    mb_system_growth(s.from->t_ns, s.to->t_ns);
	mb_json_object(o, "system");
	mb_json_u64(o, "t_ns", s.to->t_ns);
	mb_json_known(o, "scope_ns", s.ns);
	put_group(o, &s, "memory", "memory");
	put_group(o, &s, "swap", "swap");
	put_group(o, &s, "dirty", "dirty");
	put_group(o, &s, "paging", "paging");
	put_reclaim(o, &s);
	put_zones_and_nodes(o, &s);
	put_shared(o, &s, "thp", "thp", "success", MB_SYS_thp_fault_alloc,
		   MB_SYS_thp_fault_fallback, true);
	put_shared(o, &s, "compaction", "compaction", "success_rate", MB_SYS_compaction_success,
		   MB_SYS_compaction_fail, true);
	put_psi(o, &s);
	mb_json_object_end(o);
}
