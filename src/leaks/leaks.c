// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Leak detection of a session or a replay: the event queue, the address spaces, and the work of a tick. */
#include "leaks/leaks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "leaks/chain.h"
#include "leaks/code.h"
#include "leaks/collect.h"
#include "leaks/diff.h"
#include "leaks/limits.h"
#include "leaks/heap.h"
#include "leaks/kernel.h"
#include "leaks/levels.h"
#include "leaks/made.h"
#include "leaks/lookup.h"
#include "leaks/replay.h"
#include "leaks/seen.h"
#include "leaks/space.h"
#include "symbols/kallsyms.h"

/*
 * Size of the queue of events that wait for the next tick. If there may not be room for another one, the
 * queue is processed early.
 */
#define QUEUE_BYTES (64u << 20)
#define MOST_EVENT_BYTES (64u << 10)

#define NAME "leaks" /* as an observer of the model */

/* Ticks between scans for pages that had no fault event. */
#define FIND_TICKS 10u

/* Minimum time between two values of a history. */
#define LEAST_STEP_NS (MB_NS_PER_S / 20)

void mb_leaks_held(struct mb_leaks_session *l, uint32_t tgid)
{
	if (l->cfg->heap && l->kern)
		mb_leak_seen_probe(l, tgid, true);
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
		mb_leak_look_at_code(sp); /* read the maps before this event changes them */
		sp->allocators_due = l->cfg->heap;
	}
	if (!mb_leak_code_region(sp, e) && e->op == MB_VMA_MMAP && (e->args[2] & 4))
		sp->code_changed = true;
	if (!sp->regions.synced_ns && !mb_leak_collect_maps(sp))
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
	if (!mb_leak_collect_maps(child))
		child->regions.synced_ns = fork_ns;
}

static void on_fork(struct mb_leaks_session *l, const struct mb_region_fork_event *e)
{
	struct mb_leak_space *parent = mb_leak_space_at(l, e->mm);
	struct mb_leak_space *child = mb_leak_space_of(l, e->child_mm, e->child_tgid);

	if (child && parent && parent->regions.synced_ns && !child->regions.n)
		inherit(child, parent, e->h.t_ns);
	if (child)
		mb_leak_space_probe(child);
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
		mb_leak_space_drop(l, sp);
	}
	sp = mb_leak_space_of(l, e->mm, e->h.tgid);
	if (!sp)
		return;
	mb_leak_space_probe(sp);
	if (!mb_leak_collect_maps(sp))
		mb_leak_space_drop(l, sp);
}

/* The level to which all events of this family belong; NULL: none. */
static const struct mb_leak_level_info *level_of(uint32_t family)
{
	for (int i = 0; i < MB_LEAK_LEVELS; i++) {
		const struct mb_leak_level_info *level = mb_leak_level_info((enum mb_leak_level)i);

		if (level->event && level->family == family)
			return level;
	}
	return NULL;
}

static void on_level_event(struct mb_leaks_session *l, const struct mb_event *e)
{
	const struct mb_leak_level_info *level = level_of(e->family);

	if (level)
		level->event(l, e);
}

static void on_event(struct mb_leaks_session *l, const struct mb_event *e)
{
	if (is_page(e))
		on_page(l, (const void *)e);
	else if (is_of_vma(e) && e->type == MB_VMA_REGION)
		on_region(l, (const void *)e);
	else if (is_of_vma(e) && e->type == MB_VMA_FORK)
		on_fork(l, (const void *)e);
	else if (is_of_vma(e) && e->type == MB_VMA_CODE && !l->source.replays)
		mb_leak_code_event(l, (const void *)e);
	else if (is_of_vma(e) && e->type == MB_VMA_EXEC)
		on_exec(l, (const void *)e);
	else
		on_level_event(l, e);
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

void mb_leaks_work_off(struct mb_leaks_session *l, uint64_t until_ns)
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
	if (!l->source.replays)
		mb_leak_code_done(l, until_ns);
}

static bool is_for_leaks(const struct mb_event *e)
{
	return is_page(e) || is_of_vma(e) || level_of(e->family);
}

/* What must be done before the process goes on, or the file is gone. */
static void look_at_once(struct mb_leaks_session *l, const struct mb_event *e)
{
	if (l->cfg->heap)
		mb_leak_seen_event(l, e);
	if (is_of_vma(e) && e->type == MB_VMA_CODE)
		mb_leak_code_seen(l, (const void *)e);
}

static bool make_room(struct mb_leaks_session *l, size_t more)
{
	size_t room = l->queue_room ? l->queue_room : 1u << 20;
	char *bigger;

	while (room < l->queued + more)
		room *= 2;
	if (room == l->queue_room)
		return true;
	bigger = room <= QUEUE_BYTES ? realloc(l->queue, room) : NULL;
	if (!bigger)
		return false;
	l->queue = bigger;
	l->queue_room = room;
	return true;
}

/* Queue an event. */
static void on_model_event(void *arg, const struct mb_event *e)
{
	struct mb_leaks_session *l = arg;

	if (!is_for_leaks(e))
		return;
	if (e->size > MOST_EVENT_BYTES || !make_room(l, space_in_queue(e))) {
		l->queue_full++; /* only in a replay of a damaged recording, or out of memory */
		return;
	}
	if (!l->source.replays)
		look_at_once(l, e);
	memcpy(l->queue + l->queued, e, e->size);
	l->queued += space_in_queue(e);
	if (l->source.replays || l->queued + MOST_EVENT_BYTES <= QUEUE_BYTES)
		return;
	mb_leaks_work_off(l, UINT64_MAX);
	mb_leak_source_tell(&l->source, MB_LEAK_FACT_WORK, 0, NULL, 0);
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
	return mb_leak_collect_maps(sp);
}

static void check_space(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	bool find = !sp->pages_known || l->ticks % FIND_TICKS == 0;

	if (sp->ended) {
		mb_leak_space_drop_unmapped(sp);
		return;
	}
	if (mb_leak_space_has_ended(l, sp)) {
		mb_leak_space_ended(l, sp);
		return;
	}
	mb_leak_space_probe(sp);
	if ((sp->regions.unsure || !sp->regions.synced_ns) && !sync_space(sp)) {
		mb_leak_space_drop(l, sp);
		return;
	}
	if (sp->touched || sp->pages.n || find)
		mb_leak_collect_pages(sp, find);
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
		sp->whole.peak_before_bytes = mb_leak_collect_peak(sp);
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

/* Ingest what was looked up in this tick, and the tick itself. */
static void end_tick(struct mb_leaks_session *l, uint64_t complete_ns, uint64_t t_ns)
{
	struct mb_leak_tick tick = { .complete_ns = complete_ns, .t_ns = t_ns };

	l->code_left_out = l->codes->left_out + mb_leak_made_left_out(l->made);
	tick.code_left_out = l->code_left_out;
	if (l->source.ingest)
		mb_leak_record_lookups(l, false);
	mb_leak_source_tell(&l->source, MB_LEAK_FACT_TICK, 0, &tick, sizeof(tick));
}

void mb_leaks_ticked(struct mb_leaks_session *l, uint64_t complete_ns, uint64_t t_ns)
{
	struct mb_leak_space *sp, *tmp;

	HASH_ITER(hh, l->spaces, sp, tmp)
	{
		if (mb_leak_space_has_ended(l, sp))
			mb_leak_space_ended(l, sp);
	}
	mb_leak_spaces_drop_least(l);
	mb_leak_made_look(l);
	mb_leaks_work_off(l, complete_ns);
	mb_leak_made_tick(l, complete_ns);
	check_blocks(l);
	HASH_ITER(hh, l->spaces, sp, tmp)
		check_space(l, sp);
	if (l->cfg->kernel) {
		if (!l->source.replays)
			mb_kallsyms_refresh(l->kallsyms);
		mb_leak_kernel_tick(l, t_ns);
	}
	if (l->cfg->heap) {
		mb_leak_heap_tick(l, t_ns);
		if (!l->source.replays)
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
	if (!l->source.replays)
		end_tick(l, complete_ns, t_ns);
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

static void leaks_free(void *arg)
{
	struct mb_leaks_session *l = arg;
	struct mb_leak_space *sp, *tmp;

	if (!l)
		return;
	HASH_ITER(hh, l->spaces, sp, tmp)
		mb_leak_space_free(l, sp);
	mb_leak_kernel_close(l);
	mb_leak_seen_free(l);
	mb_leaks_free(l->leaks);
	mb_leak_codes_free(l->codes);
	mb_leak_made_free(l->made);
	mb_leak_lookup_free(l->lookup);
	mb_modules_free(l->modules);
	mb_kallsyms_close(l->kallsyms);
	mb_leak_limits_close(l->limits);
	mb_leak_source_free(&l->source);
	for (uint32_t i = 0; i < l->n_cgroups; i++)
		free(l->cgroups[i]);
	free(l->queue);
	free(l);
}

struct mb_leaks_session *mb_leaks_observe(struct mb_model *m, const struct mb_leaks_config *cfg)
{
	struct mb_leaks_session *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->cfg = cfg;
	l->model = m;
	l->source.replays = true;
	l->leaks = mb_leaks_new();
	l->modules = mb_modules_new();
	l->lookup = mb_leak_lookup_new();
	if (!l->leaks || !l->modules || !l->lookup) {
		leaks_free(l);
		return NULL;
	}
	l->leaks->compares = cfg->diff_from_ns || cfg->diff_to_ns;
	l->observer = (struct mb_observer){
		.name = NAME, .arg = l, .event = on_model_event, .record = mb_leaks_replay, .free = leaks_free
	};
	mb_model_observe(m, &l->observer);
	return l;
}

struct mb_leaks_session *mb_leaks_of(const struct mb_model *m)
{
	return mb_model_observer(m, NAME);
}

int mb_leaks_trace(struct mb_leaks_session *l, struct mb_kern *k, const char *cgroup_root, struct mb_ingest *ingest)
{
	allow_open_files();
	l->source.replays = false;
	l->source.ingest = ingest;
	l->kern = k;
	l->codes = calloc(1, sizeof(*l->codes));
	l->made = mb_leak_made_new();
	l->kallsyms = mb_kallsyms_open();
	l->limits = mb_leak_limits_open(cgroup_root, &l->source, false);
	l->start_ns = mb_now_ns();
	l->kmem_sample_1_in = l->cfg->kernel ? mb_kern_kmem_sample_1_in(k) : 1;
	return l->limits && l->codes && l->made ? 0 : -ENOMEM;
}

void mb_leaks_traced(struct mb_leaks_session *l)
{
	struct mb_leak_begin begin = {
		.start_ns = l->start_ns,
		.page_sample_1_in = l->cfg->page_sample_1_in,
		.heap_sample_bytes = l->cfg->heap_sample_bytes,
		.kmem_sample_1_in = l->kmem_sample_1_in,
		.heap = l->cfg->heap,
		.kernel = l->cfg->kernel,
		.has_cgroups = mb_leak_limits_has_cgroups(l->limits),
	};

	mb_leak_source_tell(&l->source, MB_LEAK_FACT_BEGIN, 0, &begin, sizeof(begin));
}

void mb_leaks_closed(struct mb_leaks_session *l)
{
	l->kern = NULL;
}

void mb_leaks_end_record(struct mb_leaks_session *l)
{
	if (l->source.ingest)
		mb_leak_record_lookups(l, true);
}

static void probe_all(struct mb_leaks_session *l)
{
	for (const struct mb_process *p = l->model->all; p; p = p->next) {
		if (!p->exited)
			mb_leak_probe_allocators(l, p->tgid);
	}
}

void mb_leaks_follow(struct mb_leaks_session *l, const char *path)
{
	char *copy = l->n_cgroups < MB_MAX_CGROUPS ? strdup(path) : NULL;

	if (copy)
		l->cgroups[l->n_cgroups++] = copy;
	mb_leak_source_tell(&l->source, MB_LEAK_FACT_FOLLOW, 0, path, strlen(path));
}

void mb_leaks_begin(struct mb_leaks_session *l, const uint32_t *pids, size_t n, bool keep_ended)
{
	l->keep_ended = keep_ended;
	for (size_t i = 0; i < n; i++)
		mb_leak_probe_allocators(l, pids[i]);
	if (!n && l->cfg->heap)
		probe_all(l);
	for (size_t i = 0; i < n; i++) {
		const struct mb_process *p = mb_model_find(l->model, pids[i]);
		struct mb_leak_space *sp = p && p->mm ? mb_leak_space_of(l, p->mm, p->tgid) : NULL;

		if (sp && !sp->regions.synced_ns && !mb_leak_collect_maps(sp))
			mb_leak_space_drop(l, sp);
		else if (sp)
			mb_leak_look_at_code(sp); /* JIT code gets the names it has now */
	}
	mb_leak_source_tell(&l->source, MB_LEAK_FACT_SELECT, keep_ended, pids, n * sizeof(*pids));
}
