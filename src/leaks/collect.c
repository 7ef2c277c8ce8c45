// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads mappings, pages and the heap's counters of processes, or takes them from a recording. */
#include "leaks/collect.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "host/pagemap.h"
#include "host/procmaps.h"

/* ---- mappings ---- */

struct mb_leak_maps {
	uint64_t from_ns, to_ns; /* when they were read */
};

/* The regions of a recording must be as mb_regions_sync() takes them. */
static bool are_sound(const struct mb_region *list, size_t n)
{
	uint64_t end = 0;

	for (size_t i = 0; i < n; i++) {
		if (list[i].start < end || list[i].end <= list[i].start || list[i].end > MB_REGIONS_END ||
		    list[i].kind > MB_REGION_STACK)
			return false;
		end = list[i].end;
	}
	return n && n <= MB_REGIONS_MAX;
}

bool mb_leak_collect_maps(struct mb_leak_space *sp)
{
	struct mb_leak_source *source = &sp->session->source;
	struct mb_leak_maps at = { .from_ns = mb_now_ns() };
	struct mb_region *list = NULL;
	void *read = NULL;
	bool known;
	size_t n = 0;

	if (!source->replays) {
		mb_procmaps_read(sp->tgid, &list, &n);
		at.to_ns = mb_now_ns();
		read = list;
	}
	mb_leak_source_value(source, MB_LEAK_FACT_MAPS, sp->tgid, &at, sizeof(at));
	mb_leak_source_list(source, MB_LEAK_FACT_MAPS, sp->tgid, &read, &n, sizeof(*list));
	known = read && n && (!source->replays || are_sound(read, n));
	if (known)
		mb_regions_sync(&sp->regions, read, n, at.from_ns, at.to_ns);
	free(read);
	return known;
}

/* ---- pages ---- */

static bool is_shared(const struct mb_region *r)
{
	return r && r->kind == MB_REGION_SHARED;
}

static void apply_pages(struct mb_leak_space *sp, const struct mb_pagemap *map)
{
	uint32_t mask = (uint32_t)sp->session->cfg->page_sample_1_in - 1;
	struct mb_pages *p = &sp->pages;

	for (size_t i = 0; i < map->n_states; i++)
		mb_pages_answer(p, i, map->states[i] & MB_PAGEMAP_THERE, map->states[i] & MB_PAGEMAP_SHARED);
	mb_pages_sweep(p);
	for (size_t i = 0; i < map->n_found; i++) {
		const struct mb_region *r = mb_regions_at(&sp->regions, map->found[i]);

		if (r && mb_page_sampled(map->found[i], mask) && !(map->found[i] % MB_PAGE_SIZE))
			mb_pages_found(p, map->found[i], sp->pages_known ? r->stack : 0, is_shared(r));
	}
	mb_pages_sort(p);
}

void mb_leak_collect_pages(struct mb_leak_space *sp, bool find)
{
	struct mb_leak_source *source = &sp->session->source;
	uint32_t mask = (uint32_t)sp->session->cfg->page_sample_1_in - 1;
	struct mb_pagemap map = { 0 };
	void *states, *found;

	mb_pages_sort(&sp->pages);
	if (!source->replays && mb_pagemap_read(&sp->pages, &sp->regions, sp->tgid, mask, find, &map))
		sp->pages.left_out += map.failed;
	states = map.states;
	found = map.found;
	mb_leak_source_list(source, MB_LEAK_FACT_PAGES, sp->tgid, &states, &map.n_states, sizeof(*map.states));
	mb_leak_source_list(source, MB_LEAK_FACT_FOUND, sp->tgid, &found, &map.n_found, sizeof(*map.found));
	map.states = states;
	map.found = found;
	/* a process that is gone has no states */
	if (map.states && map.n_states == sp->pages.n)
		apply_pages(sp, &map);
	mb_pagemap_free(&map);
	sp->pages_known = true;
}

/* ---- numbers ---- */

uint64_t mb_leak_collect_peak(struct mb_leak_space *sp)
{
	struct mb_leak_source *source = &sp->session->source;
	uint64_t peak = source->replays ? 0 : mb_procmaps_peak(sp->tgid);

	mb_leak_source_value(source, MB_LEAK_FACT_PEAK, sp->tgid, &peak, sizeof(peak));
	return peak;
}

bool mb_leak_collect_heap_net(struct mb_leak_space *sp, struct mb_heap_net *net)
{
	struct mb_leak_source *source = &sp->session->source;
	struct {
		uint64_t known;
		struct mb_heap_net net;
	} read = { 0 };

	if (!source->replays)
		read.known = mb_kern_heap_net(sp->session->kern, sp->mm, sp->tgid, &read.net);
	mb_leak_source_value(source, MB_LEAK_FACT_HEAP_NET, sp->mm, &read, sizeof(read));
	*net = read.net;
	return read.known;
}

bool mb_leak_collect_has_block(struct mb_leak_space *sp, uint64_t addr)
{
	struct mb_leak_source *source = &sp->session->source;
	uint64_t there = source->replays || mb_kern_has_block(sp->session->kern, sp->mm, addr);

	mb_leak_source_value(source, MB_LEAK_FACT_BLOCK, addr, &there, sizeof(there));
	return there;
}
