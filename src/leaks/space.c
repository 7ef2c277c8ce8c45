// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The address spaces that leak detection follows: from the first event of a process to its end, and a while longer. */
#include "leaks/space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaks/heap.h"
#include "leaks/limits.h"
#include "leaks/made.h"
#include "leaks/seen.h"

/* Maximum number of ended processes whose state is retained. */
#define RETAINED_ENDED 256u

struct mb_leak_key mb_leak_key_of(const struct mb_leak_space *sp, enum mb_leak_level level, uint32_t stack)
{
	return (struct mb_leak_key){
		.start_ns = sp->start_ns, .tgid = sp->tgid, .stack = stack, .level = (uint32_t)level
	};
}

static void region_changed(void *arg, const struct mb_region *piece, int64_t bytes, int pieces)
{
	struct mb_leak_space *sp = arg;
	struct mb_leak_key key = mb_leak_key_of(sp, MB_LEAK_REGION, piece->stack);

	key.kind = piece->kind;
	mb_leaks_add(sp->session->leaks, &key, sp->comm, 1, bytes, pieces, 0);
}

struct mb_leak_key mb_leak_key_of_page(const struct mb_leak_space *sp, const struct mb_page *page)
{
	struct mb_leak_key key = mb_leak_key_of(sp, MB_LEAK_PAGE, page->stack);

	key.kind = page->shared ? MB_REGION_SHARED : 0;
	return key;
}

static void page_changed(void *arg, const struct mb_page *page, int sign)
{
	struct mb_leak_space *sp = arg;
	uint64_t sample = sp->session->cfg->page_sample_1_in;
	struct mb_leak_key key = mb_leak_key_of_page(sp, page);

	mb_leaks_add(sp->session->leaks, &key, sp->comm, sample, sign * (int64_t)(sample * MB_PAGE_SIZE),
		     sign * (int64_t)sample, sign * (double)(sample * (sample - 1)) * MB_PAGE_SIZE * MB_PAGE_SIZE);
}

void mb_leak_space_free(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	HASH_DEL(l->spaces, sp);
	if (sp->frame_pointers && l->kern)
		mb_kern_trust_frame_pointers(l->kern, sp->tgid, false);
	sp->regions.changed = NULL;
	sp->pages.changed = NULL;
	mb_regions_free(&sp->regions);
	mb_pages_free(&sp->pages);
	mb_leak_heap_free(sp);
	mb_leak_made_cut(sp, 0, UINT64_MAX);
	mb_address_space_free(sp->code);
	free((char *)sp->outlook.limit.path);
	free(sp);
}

void mb_leak_space_drop(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	l->n_retained -= sp->ended;
	l->n_moved -= sp->key != sp->mm;
	mb_leaks_forget(l->leaks, sp->tgid, sp->start_ns);
	mb_leak_space_free(l, sp);
}

bool mb_leak_space_has_ended(const struct mb_leaks_session *l, const struct mb_leak_space *sp)
{
	const struct mb_process *p = mb_model_find_exactly(l->model, sp->tgid, sp->start_ns);

	return !p || p->exited;
}

/* Stop probing the process's allocator. */
static void space_detach(struct mb_leaks_session *l, const struct mb_leak_space *sp)
{
	if (l->cfg->heap && l->kern)
		mb_kern_detach_heap(l->kern, sp->tgid);
}

static void space_leave_out(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	l->ended_left_out++;
	mb_leak_space_drop(l, sp);
}

/* The process has ended: save the outlook of its last tick, with a copy of the cgroup's path. */
static void space_keep(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	struct mb_limit *limit = &sp->outlook.limit;

	sp->ended = true;
	mb_leaks_end(l->leaks, sp->tgid, sp->start_ns);
	l->n_retained++;
	mb_leak_limits_of(l->limits, sp->tgid, sp->start_ns, &sp->outlook);
	sp->outlook.eta_known = false; /* the process no longer grows */
	limit->path = limit->path ? strdup(limit->path) : NULL;
}

/* Own memory of the process at its last tick; 0: none recorded. */
static uint64_t own_bytes(const struct mb_leak_space *sp)
{
	const struct mb_trend_series *own = &sp->whole.own;

	return own->n ? own->points[own->n - 1].last : 0;
}

void mb_leak_spaces_drop_least(struct mb_leaks_session *l)
{
	while (l->n_retained > RETAINED_ENDED) {
		struct mb_leak_space *least = NULL;

		for (struct mb_leak_space *at = l->spaces; at; at = at->hh.next) {
			if (at->ended && (!least || own_bytes(at) < own_bytes(least)))
				least = at;
		}
		if (!least)
			return;
		space_leave_out(l, least);
	}
}

void mb_leak_space_drop_unmapped(struct mb_leak_space *sp)
{
	struct mb_pages *p = &sp->pages;

	if (sp->regions.bytes == sp->ended_bytes)
		return;
	sp->ended_bytes = sp->regions.bytes;
	mb_pages_sort(p);
	for (size_t i = 0; i < p->n; i++) {
		if (!mb_regions_at(&sp->regions, p->list[i].addr))
			mb_pages_answer(p, i, false, false);
	}
	mb_pages_sweep(p);
}

void mb_leak_space_ended(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	if (sp->ended)
		return;
	space_detach(l, sp);
	if (l->keep_ended && sp->regions.synced_ns)
		space_keep(l, sp);
	else
		space_leave_out(l, sp);
}

void mb_leak_probe_allocators(struct mb_leaks_session *l, uint32_t tgid)
{
	if (l->cfg->heap && l->kern)
		mb_leak_seen_probe(l, tgid, false);
}

void mb_leak_space_probe(struct mb_leak_space *sp)
{
	if (sp->allocators_due)
		mb_leak_probe_allocators(sp->session, sp->tgid);
	sp->allocators_due = false;
}

static struct mb_leak_space *space_new(struct mb_leaks_session *l, uint64_t mm, uint32_t tgid)
{
	const struct mb_process *p = mb_model_find(l->model, tgid);
	struct mb_leak_space *sp;

	if (!p || p->exited)
		return NULL;
	sp = calloc(1, sizeof(*sp));
	if (!sp)
		return NULL;
	sp->session = l;
	sp->mm = sp->key = mm;
	sp->tgid = tgid;
	sp->start_ns = p->start_ns;
	snprintf(sp->comm, sizeof(sp->comm), "%s", p->comm);
	sp->regions.changed = region_changed;
	sp->regions.arg = sp;
	sp->pages.changed = page_changed;
	sp->pages.arg = sp;
	sp->allocators_due = l->cfg->heap;
	HASH_ADD(hh, l->spaces, key, sizeof(sp->key), sp);
	return sp;
}

struct mb_leak_space *mb_leak_space_at(const struct mb_leaks_session *l, uint64_t mm)
{
	struct mb_leak_space *sp;

	HASH_FIND(hh, l->spaces, &mm, sizeof(mm), sp);
	return sp;
}

/*
 * The process of sp has ended and another one now uses its mm address, so sp gets another key. mm
 * addresses are even, so an odd key never matches one.
 */
static void space_move(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	HASH_DEL(l->spaces, sp);
	sp->key = 2 * ++l->last_moved + 1;
	l->n_moved++;
	HASH_ADD(hh, l->spaces, key, sizeof(sp->key), sp);
}

struct mb_leak_space *mb_leak_space_of(struct mb_leaks_session *l, uint64_t mm, uint32_t tgid)
{
	struct mb_leak_space *sp = mb_leak_space_at(l, mm);

	if (!sp || sp->tgid == tgid || !mb_leak_space_has_ended(l, sp))
		return sp ? sp : space_new(l, mm, tgid);
	/* the mm address is in use again */
	mb_leak_space_ended(l, sp);
	sp = mb_leak_space_at(l, mm);
	if (sp)
		space_move(l, sp);
	return space_new(l, mm, tgid);
}
