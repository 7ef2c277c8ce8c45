// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Finds the process whose growth used up the memory. Victim and culprit often differ, because the
 * kernel chooses the victim by size and oom_score_adj. docs/families/oom.md describes the rule and
 * its limits: first find the kind of memory that grew, from the kernel's own figures of the cgroup;
 * then find the process that has this memory.
 */
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "oom/growth.h"
#include "oom/oom.h"

/* The window is the shortest one in which the memory grew by this part of the usage... */
#define WINDOW_PERMILLE 333
/* ...a culprit is clear if it has more than this part of that growth... */
#define CLEAR_PERMILLE 500
/* ...and growth of less than this part of the usage does not count as growth. */
#define LEAST_PERMILLE 100
/* A longer window is better as long as the culprit's growth in it is larger by this factor. */
#define LONGER_PERMILLE 1030
/* Time after a kill in which the victim's memory may still be charged. */
#define FREED_NS (2 * MB_NS_PER_S)

/* Time before the window in which the cgroup may have had as much already. */
#define BEFORE_NS (60 * MB_NS_PER_S)

/* Window for the growth of processes where the split of the memory is not known. */
#define PROCESSES_NS (60 * MB_NS_PER_S)

/*
 * Each window is longer than the previous one by at least this part, which bounds the number of
 * windows.
 */
#define STEP_PART 8

static bool is_part(int64_t part, int64_t whole, int64_t permille)
{
	return part > 0 && part * 1000 > whole * permille;
}

/* ---- which process has the memory ---- */

static const struct mb_oom_name_sum *most_own(const struct mb_oom_scratch *s)
{
	const struct mb_oom_name_sum *most = NULL;

	for (uint32_t i = 0; i < s->n_names; i++) {
		if (s->names[i].largest && (!most || s->names[i].growth > most->growth))
			most = &s->names[i];
	}
	return most;
}

static const struct mb_oom_name_sum *most_tables(const struct mb_oom_scratch *s)
{
	const struct mb_oom_name_sum *most = NULL;

	for (uint32_t i = 0; i < s->n_names; i++) {
		if (s->names[i].tables && (!most || s->names[i].tables > most->tables))
			most = &s->names[i];
	}
	return most;
}

static const struct mb_oom_name_sum *most_shmem(const struct mb_oom_scratch *s)
{
	const struct mb_oom_name_sum *most = NULL;

	for (uint32_t i = 0; i < s->n_names; i++) {
		if (s->names[i].largest_shmem &&
		    (!most || s->names[i].shmem_growth > most->shmem_growth))
			most = &s->names[i];
	}
	return most;
}

/* Returns how many processes of a name contributed at least 1/64 of the largest one's growth. */
static uint32_t count_own(const struct mb_oom_culprit *c, const struct mb_model *m,
			  const struct mb_oom_kill *k, const struct mb_oom_name_sum *n)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_owner(mb_oom_of(m), k, i);

		count += t && !strcmp(t->comm, n->comm) &&
			 mb_oom_own_growth(m, k, c, t) * 64 >= n->of_largest;
	}
	return count;
}

static uint32_t count_tables(const struct mb_model *m, const struct mb_oom_kill *k,
			     const struct mb_oom_name_sum *n)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_owner(mb_oom_of(m), k, i);

		count += t && !strcmp(t->comm, n->comm) &&
			 t->pgtables_bytes / MB_PAGE_SIZE * 64 >= n->tables_of_largest;
	}
	return count;
}

static void name(struct mb_oom_culprit *c, const struct mb_oom_kill *k,
		 const struct mb_oom_name_sum *n, const struct mb_oom_task_event *task,
		 int64_t growth, uint32_t processes)
{
	c->task = task;
	c->growth_pages = growth;
	c->processes = processes;
	c->growth_ns = k->first.h.t_ns > n->from_ns ? k->first.h.t_ns - n->from_ns : 0;
}

/*
 * Memory that is counted for several processes may belong to any of them. Only the growth without
 * it is certain.
 */
static void find_own(const struct mb_model *m, const struct mb_oom_kill *k,
		     struct mb_oom_culprit *c, const struct mb_oom_growth *g)
{
	const struct mb_oom_name_sum *n = most_own(&mb_oom_of(m)->scratch);
	int64_t all = c->kind_growth_pages[MB_MEMCG_ANON], growth = n ? n->growth - g->over : 0;

	/*
	 * the kernel counts kinds in batches, and process counters are read slightly earlier or
	 * later
	 */
	if (growth > all)
		growth = all;
	if (growth > 0)
		name(c, k, n, n->largest, growth, count_own(c, m, k, n));
}

/*
 * Only the page tables at the kill are known per process, so those of other processes may all be
 * new. The growth that exceeds them must belong to the named processes.
 */
static void find_tables(const struct mb_model *m, const struct mb_oom_kill *k,
			struct mb_oom_culprit *c, const struct mb_oom_growth *g)
{
	const struct mb_oom_name_sum *n = most_tables(&mb_oom_of(m)->scratch);
	int64_t growth = c->kind_growth_pages[MB_MEMCG_PAGE_TABLES], least;

	if (!n)
		return;
	least = growth - (int64_t)(g->tables - n->tables);
	if (least < (int64_t)n->tables_born)
		least = (int64_t)n->tables_born < growth ? (int64_t)n->tables_born : growth;
	if (least > 0)
		name(c, k, n, n->largest_tables, least, count_tables(m, k, n));
}

/*
 * Writes to a shmem file have a method of their own since 6.6. Earlier kernels call
 * shmem_write_begin() from the generic write path.
 */
static bool writes_shmem(const struct mb_oom_kill *k)
{
	return mb_oom_in_kernel_stack(k, "shmem_file_write") || mb_oom_in_kernel_stack(k, "shmem_write_begin");
}

/* Of the process that ran out of memory while it wrote to a shmem file. NULL: it did something else. */
static const struct mb_oom_task_event *writer(const struct mb_model *m, const struct mb_oom_kill *k)
{
	for (uint32_t i = 0; i < k->n_tasks && writes_shmem(k); i++) {
		const struct mb_oom_task_event *t = mb_oom_task(mb_oom_of(m), k, i);

		if (t && t->tgid == k->first.h.tgid)
			return t;
	}
	return NULL;
}

/*
 * Shared memory is charged once, no matter which processes map it. So its growth is that of the
 * kind, and the processes that use it are named in addition. If one maps as much and another one
 * writes, it is not known whose it is: what is mapped can be charged elsewhere.
 */
static void find_shmem(const struct mb_model *m, const struct mb_oom_kill *k,
		       struct mb_oom_culprit *c)
{
	const struct mb_oom_name_sum *n = most_shmem(&mb_oom_of(m)->scratch);
	const struct mb_oom_task_event *wrote = writer(m, k);
	int64_t growth = c->kind_growth_pages[MB_MEMCG_SHMEM];

	if (n && !is_part(n->shmem_growth, growth, CLEAR_PERMILLE))
		n = NULL;
	if (n && wrote && strcmp(n->comm, wrote->comm) != 0) {
		c->growth_pages = 0;
	} else if (n) {
		name(c, k, n, n->largest_shmem, growth, n->mappers);
		c->how = MB_OOM_MAPS;
	} else if (wrote) {
		c->task = wrote;
		c->processes = 1;
		c->how = MB_OOM_WROTE;
	}
}

/* ---- in one window ---- */

static enum mb_memcg_kind kind_that_grew(const struct mb_oom_culprit *c)
{
	int most = 0;

	for (int i = 1; i < MB_MEMCG_KINDS; i++)
		most = c->kind_growth_pages[i] > c->kind_growth_pages[most] ? i : most;
	return most;
}

static enum mb_oom_verdict verdict_of(const struct mb_oom_culprit *c)
{
	if (!is_part(c->all_growth_pages, (int64_t)c->used_pages, LEAST_PERMILLE))
		return MB_OOM_CULPRIT_NO_GROWTH;
	if (!is_part(c->growth_pages, c->all_growth_pages, CLEAR_PERMILLE) ||
	    !is_part(c->growth_pages, (int64_t)c->used_pages, LEAST_PERMILLE))
		return MB_OOM_CULPRIT_SEVERAL;
	return c->task ? MB_OOM_CULPRIT_CLEAR : MB_OOM_CULPRIT_NOT_PROCESSES;
}

static void set_unknown(struct mb_oom_culprit *c, const char *missing)
{
	c->verdict = MB_OOM_CULPRIT_UNKNOWN;
	c->missing = missing;
	c->task = NULL;
	c->growth_pages = 0;
}

/* Is it a kill before k in the same cgroup? */
static bool is_earlier(const struct mb_oom_kill *other, const struct mb_oom_kill *k)
{
	return other->used && other->first.memcg == k->first.memcg && other->first.h.t_ns < k->first.h.t_ns;
}

/*
 * Returns the pages of victims of recent kills in the same cgroup: the memory stays charged until
 * it has been freed.
 */
static uint64_t being_freed(const struct mb_model *m, const struct mb_oom_kill *k)
{
	uint64_t now = k->first.h.t_ns, pages = 0;

	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		const struct mb_oom_kill *other = &mb_oom_of(m)->kills[i];

		if (!is_earlier(other, k) || now - other->first.h.t_ns > FREED_NS)
			continue;
		for (uint32_t v = 0; v < other->n_victims; v++)
			pages += other->victims[v].rss_pages[1] + other->victims[v].rss_pages[3];
	}
	return pages;
}

/*
 * Handles growth of unaccounted memory, which may be of any kind. Reports the culprit as unknown if
 * the split is from the history instead of the kernel log, or if most of the growth is memory of
 * recent victims that is still being freed.
 */
static void doubt_unaccounted(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_oom_culprit *c)
{
	int64_t growth = c->kind_growth_pages[MB_MEMCG_UNACCOUNTED];

	if (c->from == MB_OOM_SPLIT_HISTORY)
		set_unknown(c, "which kind of memory came since the last tick is not in the kernel's log, which has 10 kills in 5 s");
	else if (growth * 2 <= (int64_t)being_freed(m, k) * 3)
		set_unknown(c, "what was charged was mostly memory of a process killed just before, which was being freed");
}

/* Finds the culprit in the window c->window_ns; needs c->kind_growth_pages. */
static void measure(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_oom_culprit *c)
{
	struct mb_oom_growth g;

	mb_oom_processes_growth(m, k, c, &g);
	c->kind = kind_that_grew(c);
	/* default for a kind that no process owns: growth since the start of the window */
	c->growth_ns = c->window_ns;
	c->growth_pages = c->kind_growth_pages[c->kind];
	if (c->kind == MB_MEMCG_SHMEM) {
		find_shmem(m, k, c);
	} else if (c->kind == MB_MEMCG_ANON || c->kind == MB_MEMCG_PAGE_TABLES) {
		c->growth_pages = 0;
		if (c->kind == MB_MEMCG_ANON)
			find_own(m, k, c, &g);
		else
			find_tables(m, k, c, &g);
	}
	c->verdict = verdict_of(c);
	if (c->verdict == MB_OOM_CULPRIT_NO_GROWTH)
		c->task = NULL;
	if (c->kind == MB_MEMCG_UNACCOUNTED && c->verdict != MB_OOM_CULPRIT_NO_GROWTH)
		doubt_unaccounted(m, k, c);
	/* the processes have memory that is not charged to this cgroup */
	if (c->task &&
	    (uint64_t)c->growth_pages >
		    c->used_pages + (c->at.swap_pages == MB_UNKNOWN ? 0 : c->at.swap_pages))
		set_unknown(c, "what processes have is more than the cgroup was charged");
}

/*
 * Computes the growth of each kind in the window that begins at t_ns. If there is no split at t_ns,
 * uses another time before c->before at which the split is known to have been the same, or the
 * first known split if that is later. Returns false if there is none.
 */
static bool look_back(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t t_ns, struct mb_oom_culprit *c)
{
	uint64_t last_ns = c->before.usage_pages == MB_UNKNOWN ? k->first.h.t_ns : c->before.t_ns;

	mb_memcg_known(&m->memcgs, k->first.memcg, t_ns, last_ns, &c->before);
	if (c->before.usage_pages == MB_UNKNOWN || c->before.t_ns >= last_ns)
		return false;
	c->window_ns = k->first.h.t_ns - c->before.t_ns;
	mb_oom_kinds_growth(m, k, c);
	return true;
}

/* ---- all windows ---- */

/* Do two windows agree on verdict, kind and program? */
static bool same_culprit(const struct mb_oom_culprit *a, const struct mb_oom_culprit *b)
{
	return a->verdict == b->verdict && a->kind == b->kind && !a->task == !b->task &&
	       (!a->task || !strcmp(a->task->comm, b->task->comm));
}

/*
 * Finds the first window that shows enough growth, and extends it as long as a longer window shows
 * more growth of the same culprit. Growth may have paused for as long as the window found so far.
 */
static void try_windows(const struct mb_model *m, const struct mb_oom_kill *k,
			const struct mb_oom_culprit *base, struct mb_oom_culprit *found)
{
	uint64_t now = k->first.h.t_ns, t_ns = now ? now - 1 : 0;
	struct mb_memcg_split before = base->before;
	bool enough = false, more;

	for (;;) {
		struct mb_oom_culprit c = *base;

		c.before = before;
		if (!look_back(m, k, t_ns, &c))
			break;
		measure(m, k, &c);
		more = !enough || c.growth_pages * 1000 >= found->growth_pages * LONGER_PERMILLE;
		if (enough && (!same_culprit(&c, found) || (!more && c.window_ns > 2 * found->window_ns)))
			break;
		if (more)
			*found = c;
		enough |= is_part(c.all_growth_pages, (int64_t)c.used_pages, WINDOW_PERMILLE);
		before = c.before;
		t_ns = before.t_ns - 1 - c.window_ns / STEP_PART;
		t_ns = t_ns < before.t_ns ? t_ns : 0;
	}
}

/*
 * Without the split of the memory, the growth of processes is shown as evidence but gives no
 * verdict.
 */
static void only_processes(const struct mb_model *m, const struct mb_oom_kill *k,
			   struct mb_oom_culprit *c)
{
	uint64_t first = m->history->first_ns, now = k->first.h.t_ns;
	struct mb_oom_growth g;

	c->window_ns = first && now > first ? now - first : 0;
	if (c->window_ns > PROCESSES_NS)
		c->window_ns = PROCESSES_NS;
	mb_oom_processes_growth(m, k, c, &g);
}

/* ---- had there been as much before? ---- */

/* When the last kill before this one in the same cgroup had freed its memory; 0: none is known. */
static uint64_t freed_ns(const struct mb_model *m, const struct mb_oom_kill *k)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		const struct mb_oom_kill *other = &mb_oom_of(m)->kills[i];

		if (is_earlier(other, k) && other->first.h.t_ns > last)
			last = other->first.h.t_ns;
	}
	return last ? last + FREED_NS : 0;
}

/* How long the culprit's growth lasted, as far as the report looks. */
static uint64_t growth_time_ns(const struct mb_oom_culprit *c)
{
	return c->window_ns > c->growth_ns ? c->window_ns : c->growth_ns;
}

/* The most anonymous memory that the cgroup had in the time before the culprit's growth, since the last kill. */
static int64_t most_before(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	const struct mb_memcg_series *s = mb_memcg_find(&m->memcgs, k->first.memcg);
	uint64_t now = k->first.h.t_ns, lasted = growth_time_ns(c);
	uint64_t until = now > lasted ? now - lasted : 0, from = until > BEFORE_NS ? until - BEFORE_NS : 0;
	int64_t most = 0;

	from = freed_ns(m, k) > from ? freed_ns(m, k) : from;
	for (uint32_t i = 0; i < mb_memcg_points(s); i++) {
		struct mb_memcg_split split;

		mb_memcg_point(s, i, &split);
		if (split.t_ns >= from && split.t_ns <= until && mb_oom_anon_pages(&split) > most)
			most = mb_oom_anon_pages(&split);
	}
	return most;
}

/* Has a process of another name at least half as much as the culprit has grown by? */
static bool another_is_large(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_owner(mb_oom_of(m), k, i);

		if (t && strcmp(t->comm, c->task->comm) != 0 &&
		    (int64_t)mb_oom_own_pages(t) * 2 >= c->growth_pages)
			return true;
	}
	return false;
}

/* Points in the older half of the time before the culprit's growth. */
#define STEADY_POINTS 8u

/* How much a process has grown since each of these points: the least of it, as what it had before is no growth. */
static int64_t steady_growth(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c,
			     const struct mb_oom_task_event *t, uint64_t longest_ns)
{
	uint64_t lasted = growth_time_ns(c);
	struct mb_oom_culprit at = { .window_ns = lasted };
	int64_t least = INT64_MAX;

	for (uint64_t i = 1; i <= STEADY_POINTS; i++) {
		int64_t growth;

		at.window_ns = lasted + (longest_ns - lasted) * (STEADY_POINTS + i) / (2 * STEADY_POINTS);
		growth = mb_oom_own_growth(m, k, &at, t);
		least = growth < least ? growth : least;
	}
	return least;
}

/*
 * The culprit has only taken again what it had before. Find the process of another name that has grown most over the
 * longer time before, by at least a quarter of what the culprit took: it may be what has taken the room.
 */
static void find_steady(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_oom_culprit *c)
{
	uint64_t now = k->first.h.t_ns, first = m->history->first_ns;
	uint64_t lasted = growth_time_ns(c), longest = lasted + BEFORE_NS;
	struct mb_oom_culprit all = { .window_ns = 0 };
	int64_t most = 0;

	longest = first && now - first < longest ? now - first : longest;
	if (longest <= lasted)
		return;
	all.window_ns = longest;
	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_owner(mb_oom_of(m), k, i);
		int64_t growth;

		if (!t || !strcmp(t->comm, c->task->comm) || (int64_t)mb_oom_own_pages(t) * 4 < c->growth_pages)
			continue;
		growth = steady_growth(m, k, c, t, longest);
		if (growth * 4 < c->growth_pages || growth <= most)
			continue;
		most = growth;
		c->steady = t;
		c->steady_growth_pages = mb_oom_own_growth(m, k, &all, t);
		c->steady_ns = longest;
	}
}

/*
 * A process that frees and takes the same memory again and again, or is replaced by another one, has
 * grown in a short window. If the cgroup had nearly as much before, another process may be what has
 * taken the room for it.
 */
static void doubt_regrowth(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_oom_culprit *c)
{
	if (c->verdict != MB_OOM_CULPRIT_CLEAR || c->kind != MB_MEMCG_ANON ||
	    (mb_oom_anon_pages(&c->at) - most_before(m, k, c)) * 2 >= c->growth_pages || !another_is_large(m, k, c))
		return;
	c->verdict = MB_OOM_CULPRIT_SEVERAL;
	c->missing = "there was nearly as much anonymous memory before";
	find_steady(m, k, c);
}

void mb_oom_find_culprit(const struct mb_model *m, const struct mb_oom_kill *k,
			 struct mb_oom_culprit *c)
{
	struct mb_oom_culprit base;

	memset(&base, 0, sizeof(base));
	mb_memcg_init(&base.at);
	mb_memcg_init(&base.before);
	base.verdict = MB_OOM_CULPRIT_NOT_KNOWN;
	mb_oom_find_owners(m, k);
	base.from = mb_oom_split(m, k, &base.at);
	base.used_pages = base.at.usage_pages == MB_UNKNOWN ? 0 : base.at.usage_pages;
	*c = base;
	if (!k->n_tasks || !m->history)
		return;
	c->verdict = base.verdict = MB_OOM_CULPRIT_UNKNOWN;
	c->missing = k->first.memcg ?
			     "how the cgroup's memory was split before the kill was not seen" :
			     "how the machine's memory was split before the kill was not seen";
	base.missing = NULL;
	if (base.from != MB_OOM_SPLIT_UNKNOWN)
		try_windows(m, k, &base, c);
	doubt_regrowth(m, k, c);
	if (c->before.usage_pages == MB_UNKNOWN)
		only_processes(m, k, c);
}

/* ---- consistency check ---- */

const char *mb_oom_check(const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	uint64_t all = c->used_pages, sum = 0;
	int64_t growth = 0;

	if (c->at.usage_pages == MB_UNKNOWN)
		return c->verdict == MB_OOM_CULPRIT_UNKNOWN ||
				       c->verdict == MB_OOM_CULPRIT_NOT_KNOWN ?
			       NULL :
			       "a verdict without a split";
	for (int i = 0; i < MB_MEMCG_KINDS; i++) {
		sum += c->at.pages[i] == MB_UNKNOWN ? 0 : c->at.pages[i];
		growth += c->kind_growth_pages[i] > 0 ? c->kind_growth_pages[i] : 0;
	}
	if (sum != c->at.usage_pages)
		return "kinds do not add up to the usage";
	if (k->first.memcg && k->first.memcg_limit_pages < MB_OOM_NO_LIMIT &&
	    all > k->first.memcg_limit_pages + k->first.memcg_limit_pages / 8 +
			    MB_OOM_CHARGED_AHEAD)
		return "more is in use than the limit";
	all += c->at.swap_pages == MB_UNKNOWN ? 0 : c->at.swap_pages;
	if (growth != c->all_growth_pages || (uint64_t)growth > all)
		return "more growth than there is";
	if (c->growth_pages < 0 || c->growth_pages > c->all_growth_pages)
		return "the culprit grew by more than all together";
	for (uint32_t i = 0; i < c->n_growers && c->verdict != MB_OOM_CULPRIT_UNKNOWN; i++) {
		if ((uint64_t)c->growers[i].growth_pages > all)
			return "a process grew by more than there is";
	}
	if ((c->verdict == MB_OOM_CULPRIT_CLEAR || c->verdict == MB_OOM_CULPRIT_NOT_PROCESSES) &&
	    c->growth_pages * 2 <= c->all_growth_pages)
		return "clear, but not most of the growth";
	if (c->verdict == MB_OOM_CULPRIT_CLEAR && !c->task)
		return "clear, but nobody is named";
	return NULL;
}
