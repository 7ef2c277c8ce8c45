// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Leak detection within a session: the event queue, the address spaces, and the work of a tick. */
#include "leaks/leaks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/pagemap.h"
#include "host/procmaps.h"
#include "leaks/code.h"
#include "leaks/diff.h"
#include "leaks/limits.h"
#include "leaks/heap.h"
#include "leaks/kernel.h"
#include "leaks/made.h"
#include "leaks/seen.h"
#include "symbols/kallsyms.h"

/*
 * Size of the queue of events that wait for the next tick. If a burst of events does not fit, the
 * queue is processed early.
 */
#define QUEUE_BYTES (64u << 20)

/* Ticks between scans for pages that had no fault event. */
#define FIND_TICKS 10u

/* Maximum number of ended processes whose state is retained. */
#define RETAINED_ENDED 256u

/* Minimum time between two values of a history. */
#define LEAST_STEP_NS (MB_NS_PER_S / 20)

/* Number of consecutive stacks for which frame pointers must give the same result before they are trusted. */
#define FRAME_POINTERS_TRUSTED 16u

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

/* ---- address spaces ---- */

static void space_free(struct mb_leaks_session *l, struct mb_leak_space *sp)
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

/* The process is gone, or has called exec: everything it had is gone. */
static void space_drop(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	l->n_retained -= sp->ended;
	l->n_moved -= sp->key != sp->mm;
	mb_leaks_forget(l->leaks, sp->tgid, sp->start_ns);
	space_free(l, sp);
}

static bool has_ended(const struct mb_leaks_session *l, const struct mb_leak_space *sp)
{
	const struct mb_process *p = mb_model_find_exactly(l->model, sp->tgid, sp->start_ns);

	return !p || p->exited;
}

/* Stop probing the process's allocator. */
static void space_detach(struct mb_leaks_session *l, const struct mb_leak_space *sp)
{
	if (l->cfg->heap)
		mb_kern_detach_heap(l->kern, sp->tgid);
}

static void space_leave_out(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	l->ended_left_out++;
	space_drop(l, sp);
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

/*
 * While there are too many ended processes, drop the one with the least memory. Must not be called
 * while iterating over the spaces.
 */
static void drop_least(struct mb_leaks_session *l)
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

/* The process has ended. If it was selected, its last state is shown until the end of the session. */
static void space_ended(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	if (sp->ended)
		return;
	space_detach(l, sp);
	if (l->keep_ended && sp->regions.synced_ns)
		space_keep(l, sp);
	else
		space_leave_out(l, sp);
}

static void probe_allocators(struct mb_leaks_session *l, uint32_t tgid)
{
	if (l->cfg->heap)
		mb_leak_seen_probe(l, tgid, false);
}

void mb_leaks_held(struct mb_leaks_session *l, uint32_t tgid)
{
	if (l->cfg->heap)
		mb_leak_seen_probe(l, tgid, true);
}

/* Start tracing the process's blocks. */
static void space_probe(struct mb_leak_space *sp)
{
	if (sp->allocators_due)
		probe_allocators(sp->session, sp->tgid);
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

	if (!sp || sp->tgid == tgid || !has_ended(l, sp))
		return sp ? sp : space_new(l, mm, tgid);
	/* the mm address is in use again */
	space_ended(l, sp);
	sp = mb_leak_space_at(l, mm);
	if (sp)
		space_move(l, sp);
	return space_new(l, mm, tgid);
}

/* ---- stacks ---- */

/* Walk the frame pointers in a copied stack. */
static unsigned int walk_frame_pointers(const struct mb_user_stack *s, uint64_t *ips, unsigned int max)
{
	const char *bytes = (const char *)(s + 1);
	uint64_t bp = s->regs.bp, frame[2];
	unsigned int n = 0;

	ips[n++] = s->regs.ip;
	while (n < max && bp >= s->regs.sp && bp - s->regs.sp + sizeof(frame) <= s->len) {
		memcpy(frame, bytes + (bp - s->regs.sp), sizeof(frame));
		if (!frame[1])
			break;
		ips[n++] = frame[1];
		if (frame[0] <= bp)
			break;
		bp = frame[0];
	}
	return n;
}

/*
 * Check whether frame pointers would have given the same stack. If they always do, the kernel
 * follows them from now on, which is much cheaper.
 */
static void judge_frame_pointers(struct mb_leak_space *sp, const struct mb_user_stack *s, const uint64_t *ips,
				 unsigned int n)
{
	uint64_t other[MB_STACK_FRAMES];

	if (!sp->session->cfg->judge_stacks || sp->frame_pointers)
		return;
	if (walk_frame_pointers(s, other, MB_STACK_FRAMES) != n || memcmp(other, ips, n * sizeof(*ips)) != 0) {
		sp->whole_by_frame_pointers = 0;
		return;
	}
	if (++sp->whole_by_frame_pointers < FRAME_POINTERS_TRUSTED)
		return;
	sp->frame_pointers = true;
	mb_verbose("process %u keeps frame pointers: the kernel follows them from now on", sp->tgid);
	mb_kern_trust_frame_pointers(sp->session->kern, sp->tgid, true);
}

static void look_at_code(struct mb_leak_space *sp)
{
	if (!sp->code) {
		sp->code = mb_address_space_follow(sp->session->modules, sp->tgid, mb_leak_code_was_there, sp);
		mb_leak_made_begin(sp);
	} else if (sp->code_changed && !mb_address_space_refresh(sp->code)) {
		return;
	}
	sp->code_changed = false;
}

/* Address of the kernel's uretprobe trampoline page on x86-64. */
#define TRAMPOLINE 0x7fffffffe000ull

/* Restore the return address that a uretprobe has replaced: in the stack copy, or in the kernel's list. */
static void unhide(const struct mb_user_stack *s, char *bytes)
{
	uint64_t ip;

	if (s->kind == MB_STACK_COPY && s->hidden_at >= s->regs.sp && s->len >= sizeof(ip) &&
	    s->hidden_at - s->regs.sp <= s->len - sizeof(ip))
		memcpy(bytes + (s->hidden_at - s->regs.sp), &s->hidden, sizeof(ip));
	for (size_t at = 0; s->kind == MB_STACK_FP && at + sizeof(ip) <= s->len; at += sizeof(ip)) {
		memcpy(&ip, bytes + at, sizeof(ip));
		if (ip == TRAMPOLINE) /* kernels before 6.11 do not replace the trampoline address themselves */
			memcpy(bytes + at, &s->hidden, sizeof(ip));
	}
}

uint32_t mb_leak_stack_of(struct mb_leak_space *sp, const struct mb_event *e, size_t size)
{
	struct mb_leaks_session *l = sp->session;
	const struct mb_user_stack *s = (const void *)((const char *)e + size);
	uint64_t ips[MB_STACK_FRAMES], frames[MB_STACK_FRAMES];
	unsigned int n = 1;
	bool whole = false;

	if (e->size < size + sizeof(*s) || e->size < size + sizeof(*s) + s->len || s->kind == MB_STACK_NONE)
		return 0;
	if (s->hidden_at)
		unhide(s, (char *)e + size + sizeof(*s));
	look_at_code(sp);
	if (s->kind == MB_STACK_COPY) {
		struct mb_stack stack = { (const uint8_t *)(s + 1), s->len, s->regs.sp, s->missing };

		if (!sp->code)
			return 0;
		n = mb_address_space_unwind(sp->code, &s->regs, &stack, ips, MB_STACK_FRAMES, &whole);
		if (whole)
			judge_frame_pointers(sp, s, ips, n);
	} else {
		/* the kernel's list starts with the current instruction pointer */
		n = s->len / sizeof(ips[0]);
		n = n < MB_STACK_IPS ? n : MB_STACK_IPS;
		memcpy(ips, s + 1, n * sizeof(ips[0]));
		while (n && !ips[n - 1]) /* zero entries after the end of the chain */
			n--;
		if (n) /* the event's own registers can be more accurate */
			ips[0] = s->regs.ip;
		/* a full list may have been cut off */
		whole = s->kind == MB_STACK_FP && s->len < MB_STACK_IPS * sizeof(ips[0]);
	}
	l->stacks_whole += whole;
	l->stacks_cut += !whole;
	mb_leak_code_frames(sp, ips, n, frames);
	return mb_leaks_stack_by(l->leaks, sp->mm, frames, ips, n, whole);
}

/* ---- events ---- */

static bool is_of_vma(const struct mb_event *e)
{
	return e->family == MB_FAM_vma && e->type >= MB_VMA_REGION && e->type <= MB_VMA_CODE;
}

static bool is_page(const struct mb_event *e)
{
	return e->family == MB_FAM_fault && e->type == MB_FAULT_EVENT_PAGE;
}

static void on_region(struct mb_leaks_session *l, const struct mb_region_event *e)
{
	struct mb_leak_space *sp = mb_leak_space_of(l, e->mm, e->h.tgid);

	if (!sp)
		return;
	/* an executable mapping can contain code that stacks lead through */
	if (e->op == MB_VMA_MMAP && (e->args[2] & 4)) {
		look_at_code(sp); /* read the maps before this event changes them */
		sp->allocators_due = l->cfg->heap;
	}
	if (!mb_leak_code_region(sp, e) && e->op == MB_VMA_MMAP && (e->args[2] & 4))
		sp->code_changed = true;
	if (!sp->regions.synced_ns && !mb_procmaps_sync(&sp->regions, sp->tgid))
		return;
	mb_regions_apply(&sp->regions, e, mb_leak_stack_of(sp, &e->h, sizeof(*e)));
}

static void on_page(struct mb_leaks_session *l, const struct mb_page_event *e)
{
	struct mb_leak_space *sp = mb_leak_space_of(l, e->mm, e->h.tgid);
	bool marker = !mb_page_sampled(e->addr, l->cfg->page_sample_1_in - 1);

	if (!sp)
		return;
	sp->touched = true;
	mb_pages_touch(&sp->pages, e->addr, mb_leak_stack_of(sp, &e->h, sizeof(*e)), marker, !(e->error & MB_PF_PROT));
}

/*
 * A child starts with the mappings of its parent at the time of the fork. If the parent's mappings
 * were read after the fork, they can contain more; then the child's own mappings are read, unless
 * it has ended.
 */
static void inherit(struct mb_leak_space *child, const struct mb_leak_space *parent, uint64_t fork_ns)
{
	mb_regions_copy(&child->regions, &parent->regions, fork_ns);
	if (fork_ns >= parent->regions.synced_ns)
		return;
	child->regions.synced_ns = 0; /* never read: the first read is not a correction */
	if (!mb_procmaps_sync(&child->regions, child->tgid))
		child->regions.synced_ns = fork_ns;
}

static void on_fork(struct mb_leaks_session *l, const struct mb_region_fork_event *e)
{
	struct mb_leak_space *parent = mb_leak_space_at(l, e->mm);
	struct mb_leak_space *child = mb_leak_space_of(l, e->child_mm, e->child_tgid);

	if (child && parent && parent->regions.synced_ns && !child->regions.n)
		inherit(child, parent, e->h.t_ns);
	if (child)
		space_probe(child);
}

static void on_exec(struct mb_leaks_session *l, const struct mb_region_exec_event *e)
{
	struct mb_leak_space *sp, *tmp;

	HASH_ITER(hh, l->spaces, sp, tmp)
	{
		if (sp->tgid != e->h.tgid || sp->ended)
			continue;
		/* exec reports the new program's mappings before this event, and counts its blocks since then */
		sp->execs = sp->mm == e->mm;
		space_drop(l, sp);
	}
	sp = mb_leak_space_of(l, e->mm, e->h.tgid);
	if (!sp)
		return;
	space_probe(sp);
	if (!mb_procmaps_sync(&sp->regions, sp->tgid))
		space_drop(l, sp);
}

static void on_event(struct mb_leaks_session *l, const struct mb_event *e)
{
	if (is_page(e))
		on_page(l, (const void *)e);
	else if (is_of_vma(e) && e->type == MB_VMA_REGION)
		on_region(l, (const void *)e);
	else if (is_of_vma(e) && e->type == MB_VMA_FORK)
		on_fork(l, (const void *)e);
	else if (is_of_vma(e) && e->type == MB_VMA_CODE)
		mb_leak_code_event(l, (const void *)e);
	else if (is_of_vma(e))
		on_exec(l, (const void *)e);
	else if (e->family == MB_FAM_heap)
		mb_leak_heap_event(l, e);
	else
		mb_leak_kernel_event(l, e);
}

/* ---- the queue ---- */

/* Events come from several rings; they are sorted by time. */
struct queued {
	const struct mb_event *e;
};

static int by_time(const void *a, const void *b)
{
	const struct mb_event *x = ((const struct queued *)a)->e, *y = ((const struct queued *)b)->e;

	if (x->t_ns != y->t_ns)
		return x->t_ns < y->t_ns ? -1 : 1;
	return x < y ? -1 : x > y;
}

static size_t space_in_queue(const struct mb_event *e)
{
	return (e->size + 7u) & ~(size_t)7;
}

/* Process all events before until_ns; later ones stay in the queue. */
static void work_off(struct mb_leaks_session *l, uint64_t until_ns)
{
	struct queued *list;
	size_t n = 0, i = 0, retained = 0;

	for (size_t at = 0; at < l->queued; at += space_in_queue((struct mb_event *)(l->queue + at)))
		n++;
	list = n ? malloc(n * sizeof(*list)) : NULL;
	if (!list) {
		l->queue_full += n;
		l->queued = 0;
		return;
	}
	for (size_t at = 0; at < l->queued; at += space_in_queue(list[i++].e))
		list[i].e = (const struct mb_event *)(l->queue + at);
	qsort(list, n, sizeof(*list), by_time);
	for (i = 0; i < n && list[i].e->t_ns < until_ns; i++) {
		l->now_ns = list[i].e->t_ns;
		on_event(l, list[i].e);
	}
	free(list);
	for (size_t at = 0, size; at < l->queued; at += size) {
		struct mb_event *e = (struct mb_event *)(l->queue + at);

		size = space_in_queue(e);
		if (e->t_ns < until_ns)
			continue;
		memmove(l->queue + retained, e, size);
		retained += size;
	}
	l->queued = retained;
	l->now_ns = UINT64_MAX;
	mb_leak_code_done(l, until_ns);
}

bool mb_leaks_take(struct mb_leaks_session *l, const void *data, size_t len)
{
	const struct mb_event *e = data;
	size_t size;

	if (len < sizeof(*e) || (!is_page(e) && !is_of_vma(e) && e->family != MB_FAM_heap && e->family != MB_FAM_kmem))
		return false;
	if (e->size > len || e->size < sizeof(*e))
		return true;
	size = space_in_queue(e);
	if (l->queued + size > QUEUE_BYTES)
		work_off(l, UINT64_MAX);
	if (l->cfg->heap)
		mb_leak_seen_event(l, e);
	if (is_of_vma(e) && e->type == MB_VMA_CODE) {
		if (e->size != sizeof(struct mb_region_code_event))
			return true;
		mb_leak_code_seen(l, data);
	}
	memcpy(l->queue + l->queued, e, e->size);
	l->queued += size;
	return true;
}

/* ---- ticks ---- */

/* The effect of a call on the mappings was not as expected: read them from /proc. */
static bool sync_space(struct mb_leak_space *sp)
{
	const struct mb_region_event *e = &sp->regions.not_understood;

	if (sp->regions.unsure && sp->regions.synced_ns)
		mb_verbose("process %u: mappings are read again, after call %u of kind %u (0x%llx, 0x%llx, 0x%llx, "
			   "0x%llx, 0x%llx; room 0x%llx at 0x%llx) changed %lld bytes",
			   sp->tgid, e->call, e->op, (unsigned long long)e->args[0], (unsigned long long)e->args[1],
			   (unsigned long long)e->args[2], (unsigned long long)e->args[3],
			   (unsigned long long)e->args[4], (unsigned long long)e->area_len,
			   (unsigned long long)e->area_addr, (long long)e->delta_bytes);
	return mb_procmaps_sync(&sp->regions, sp->tgid);
}

static void check_space(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	bool find = !sp->pages_known || l->ticks % FIND_TICKS == 0;

	if (has_ended(l, sp)) {
		space_ended(l, sp);
		return;
	}
	space_probe(sp);
	if ((sp->regions.unsure || !sp->regions.synced_ns) && !sync_space(sp)) {
		space_drop(l, sp);
		return;
	}
	if (sp->touched || sp->pages.n || find) {
		mb_pagemap_pages(&sp->pages, &sp->regions, sp->tgid, (uint32_t)l->cfg->page_sample_1_in - 1, find,
				 !sp->pages_known);
		sp->pages_known = true;
	}
	sp->touched = false;
}

/* Free events may have been lost: check from time to time which blocks still exist. */
static void check_blocks(struct mb_leaks_session *l)
{
	uint64_t lost = l->model->lost.kernel[MB_FAM_heap][MB_DROP_RING_FULL].count;

	if (lost == l->heap_lost || l->ticks % FIND_TICKS)
		return;
	l->heap_lost = lost;
	for (struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next)
		mb_leak_heap_check(sp);
}

/* Update the totals of the process, which limit what can be true of its parts. */
static void tick_own(struct mb_leaks_session *l, struct mb_leak_space *sp, uint64_t t_ns)
{
	const struct mb_process *p =
		sp->ended ? NULL : mb_model_find_exactly(l->model, sp->tgid, sp->start_ns);
	uint64_t own, mapped = sp->regions.bytes, net = MB_HEAP_NET_ZERO;

	if (!p || !p->has_memory)
		return;
	own = (p->rss_pages[1] + p->rss_pages[2]) * MB_PAGE_SIZE;
	if (!sp->whole.own.n)
		sp->whole.peak_before_bytes = mb_procmaps_peak(sp->tgid);
	sp->whole.rss_bytes = (p->rss_pages[0] + p->rss_pages[1] + p->rss_pages[3]) * MB_PAGE_SIZE;
	mb_trend_add(&sp->whole.own, t_ns, own, own);
	mb_trend_add(&sp->whole.mapped, t_ns, mapped, mapped);
	if (!sp->shares.known || !sp->shares.by_class)
		return;
	net = (uint64_t)((int64_t)net + (int64_t)sp->shares.net_bytes);
	mb_trend_add(&sp->whole.net, t_ns, net, net);
}

static bool space_is_there(void *arg, uint64_t mm)
{
	const struct mb_leaks_session *l = arg;
	bool found = mb_leak_space_at(l, mm);

	for (const struct mb_leak_space *sp = l->spaces; sp && !found && l->n_moved; sp = sp->hh.next)
		found = sp->mm == mm;
	return found;
}

static void follow_limits(struct mb_leaks_session *l, uint64_t t_ns)
{
	const struct mb_process *p;

	mb_leak_limits_begin(l->limits, t_ns);
	for (uint32_t i = 0; i < l->n_cgroups; i++)
		mb_leak_limits_follow(l->limits, l->cgroups[i]);
	for (struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next) {
		p = mb_model_find_exactly(l->model, sp->tgid, sp->start_ns);
		if (p)
			mb_leak_limits_process(l->limits, p);
	}
	mb_leak_limits_end(l->limits, l->model);
}

void mb_leaks_ticked(struct mb_leaks_session *l, uint64_t complete_ns, uint64_t t_ns)
{
	struct mb_leak_space *sp, *tmp;

	HASH_ITER(hh, l->spaces, sp, tmp)
	{
		if (has_ended(l, sp))
			space_ended(l, sp);
	}
	drop_least(l);
	mb_leak_made_look(l);
	work_off(l, complete_ns);
	mb_leak_made_tick(l, complete_ns);
	check_blocks(l);
	HASH_ITER(hh, l->spaces, sp, tmp)
		check_space(l, sp);
	if (l->cfg->kernel) {
		mb_kallsyms_refresh(l->kallsyms);
		mb_leak_kernel_tick(l);
	}
	if (l->cfg->heap) {
		mb_leak_heap_tick(l, t_ns);
		mb_leak_seen_tick(l);
	}
	if (mb_leaks_stacks_crowded(l->leaks))
		mb_leaks_drop_stacks(l->leaks, space_is_there, l);
	/* the last tick of a session directly follows another one */
	if (t_ns - l->leaks->tick_ns >= LEAST_STEP_NS) {
		mb_leaks_tick(l->leaks, t_ns);
		for (sp = l->spaces; sp; sp = sp->hh.next)
			tick_own(l, sp, t_ns);
		follow_limits(l, t_ns);
	}
	mb_leak_diff_tick(l, t_ns - l->start_ns);
	l->ticks++;
}

/* ---- open and close ---- */

/* Files with code stay open, and page maps are open for a short time. */
static void allow_open_files(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

struct mb_leaks_session *mb_leaks_open(const struct mb_leaks_config *cfg, struct mb_kern *k, struct mb_model *m,
				       const char *cgroup_root)
{
	struct mb_leaks_session *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	allow_open_files();
	l->cfg = cfg;
	l->kern = k;
	l->model = m;
	l->leaks = mb_leaks_new();
	l->modules = mb_modules_new();
	l->codes = calloc(1, sizeof(*l->codes));
	l->made = mb_leak_made_new();
	l->kallsyms = mb_kallsyms_open();
	l->limits = mb_leak_limits_open(cgroup_root);
	l->queue = malloc(QUEUE_BYTES); /* pages become resident only as it fills */
	l->start_ns = mb_now_ns();
	if (!l->leaks || !l->modules || !l->codes || !l->made || !l->queue || !l->limits) {
		mb_leaks_close(l);
		return NULL;
	}
	l->leaks->compares = cfg->diff_from_ns || cfg->diff_to_ns;
	return l;
}

static void probe_all(struct mb_leaks_session *l)
{
	for (const struct mb_process *p = l->model->all; p; p = p->next) {
		if (!p->exited)
			probe_allocators(l, p->tgid);
	}
}

void mb_leaks_follow(struct mb_leaks_session *l, const char *path)
{
	char *copy = l->n_cgroups < MB_MAX_CGROUPS ? strdup(path) : NULL;

	if (copy)
		l->cgroups[l->n_cgroups++] = copy;
}

void mb_leaks_begin(struct mb_leaks_session *l, const uint32_t *pids, size_t n, bool keep_ended)
{
	l->keep_ended = keep_ended;
	for (size_t i = 0; i < n; i++)
		probe_allocators(l, pids[i]);
	if (!n && l->cfg->heap)
		probe_all(l);
	for (size_t i = 0; i < n; i++) {
		const struct mb_process *p = mb_model_find(l->model, pids[i]);
		struct mb_leak_space *sp = p && p->mm ? mb_leak_space_of(l, p->mm, p->tgid) : NULL;

		if (sp && !sp->regions.synced_ns && !mb_procmaps_sync(&sp->regions, sp->tgid))
			space_drop(l, sp);
		else if (sp)
			look_at_code(sp); /* JIT code gets the names it has now */
	}
}

void mb_leaks_close(struct mb_leaks_session *l)
{
	struct mb_leak_space *sp, *tmp;

	if (!l)
		return;
	l->kern = NULL; /* already closed, with everything it tracked */
	HASH_ITER(hh, l->spaces, sp, tmp)
		space_free(l, sp);
	mb_leak_kernel_close(l);
	mb_leak_seen_free(l);
	mb_leaks_free(l->leaks);
	mb_leak_codes_free(l->codes);
	mb_leak_made_free(l->made);
	mb_modules_free(l->modules);
	mb_kallsyms_close(l->kallsyms);
	mb_leak_limits_close(l->limits);
	for (uint32_t i = 0; i < l->n_cgroups; i++)
		free(l->cgroups[i]);
	free(l->queue);
	free(l);
}
