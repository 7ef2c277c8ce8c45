// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Growth in a window of time before a kill. A process counts with its anonymous memory, in swap or not, as that is
 * charged once; what it maps of files and shared memory may be charged to anybody. An address space counts once.
 */
#include "oom/growth.h"

#include <string.h>

#include "base/clock.h"

#define MOST_PER_S 1e18

/* What processes have more than the cgroup was charged, within that part of it, is the kernel's imprecision. */
#define OVER_PART 16

static uint64_t or_zero(uint64_t v)
{
	return v == MB_UNKNOWN ? 0 : v;
}

static uint64_t own_pages(const struct mb_oom_task_event *t)
{
	return t->rss_pages[1] + t->rss_pages[2];
}

static struct mb_process *process_of(const struct mb_model *m, const struct mb_oom_task_event *t)
{
	return mb_model_find_exactly((struct mb_model *)m, t->tgid, t->start_ns);
}

static uint64_t own_at(const struct mb_point *p)
{
	return (uint64_t)p->rss_pages[1] + p->rss_pages[2];
}

/*
 * What a process that was born within the window, and has not become another program, shares with its parent: no more
 * than that had then, or has now.
 */
static uint64_t inherited(const struct mb_model *m, const struct mb_process *p, uint64_t now_pages)
{
	struct mb_process *parent =
		p && p->born && !p->execed ? mb_model_find((struct mb_model *)m, p->ppid) : NULL;
	const struct mb_point *then;
	uint64_t had;

	if (!parent || parent == p)
		return 0;
	then = mb_series_at(parent->series, p->start_ns);
	had = then ? own_at(then) : parent->rss_pages[1] + parent->rss_pages[2];
	return had < now_pages ? had : now_pages;
}

/*
 * A tick does not have those that were born while it was taken, between its look at processes and its look at cgroups. One
 * that is older than this at a tick, and was not there at any before, is one that nobody knew of.
 */
#define BORN_IN_TICK_NS (2 * MB_NS_PER_S)

/*
 * What it had at the start of the window, or of its life, or of what is known of it, which *from_ns becomes. *born: within
 * the window.
 */
static const struct mb_point *point_of(const struct mb_series *s, uint64_t start_ns, uint64_t *from_ns, bool *born)
{
	const struct mb_point *p = mb_series_at(s, *from_ns);

	*born = !p && start_ns + BORN_IN_TICK_NS >= *from_ns;
	if (p)
		return p;
	if (*born) {
		*from_ns = start_ns;
		return NULL;
	}
	if (!mb_series_points(s))
		return NULL;
	p = mb_series_point(s, 0);
	*from_ns = p->t_ns;
	return p;
}

/* What a process has more than at the start of the window. */
struct change {
	struct mb_oom_grower g;
	int64_t shmem;
	bool born; /* within the window */
};

static void change_of(const struct mb_model *m, const struct mb_oom_kill *k,
		      const struct mb_oom_culprit *c, bool forks, const struct mb_oom_task_event *t,
		      struct change *out)
{
	const struct mb_process *p = process_of(m, t);
	uint64_t now = k->first.h.t_ns, from = c->window_ns < now ? now - c->window_ns : 0;
	bool born;
	const struct mb_point *then = point_of(p ? p->series : NULL, t->start_ns, &from, &born);
	int64_t own = (int64_t)own_pages(t), shmem = (int64_t)t->rss_pages[3];

	memset(out, 0, sizeof(*out));
	out->g.task = t;
	out->g.series = p ? p->series : NULL;
	out->g.from_ns = from;
	out->born = born;
	if (then) {
		out->g.growth_pages = own - (int64_t)own_at(then);
		out->shmem = shmem - then->rss_pages[3];
	} else if (out->born) {
		out->g.growth_pages = own - (forks ? (int64_t)inherited(m, p, own_pages(t)) : 0);
		out->shmem = shmem;
	}
	if (now > from)
		out->g.slope_bytes_per_s =
			(double)out->g.growth_pages * MB_PAGE_SIZE * 1e9 / (double)(now - from);
	/* of a recording that is not true to life it need not fit */
	if (out->g.slope_bytes_per_s > MOST_PER_S || out->g.slope_bytes_per_s < -MOST_PER_S)
		out->g.slope_bytes_per_s = 0;
}

int64_t mb_oom_own_growth(const struct mb_model *m, const struct mb_oom_kill *k,
			  const struct mb_oom_culprit *c, const struct mb_oom_task_event *t)
{
	struct change x;

	change_of(m, k, c, mb_oom_of(m)->scratch.forks, t, &x);
	return x.g.growth_pages;
}

/* ---- names ---- */

static struct mb_oom_name_sum *name_of(struct mb_oom_scratch *s, const char *comm)
{
	struct mb_oom_name_sum *name = NULL;

	for (uint32_t i = 0; i < s->n_names; i++) {
		if (!strcmp(s->names[i].comm, comm))
			return &s->names[i];
	}
	if (s->n_names < MB_OOM_NAMES) {
		name = &s->names[s->n_names++];
	} else {
		name = &s->names[0];
		for (uint32_t i = 1; i < s->n_names; i++) {
			if (s->names[i].growth + (int64_t)s->names[i].tables <
			    name->growth + (int64_t)name->tables)
				name = &s->names[i];
		}
	}
	memset(name, 0, sizeof(*name));
	memcpy(name->comm, comm, sizeof(name->comm));
	return name;
}

static void add_to_name(struct mb_oom_name_sum *n, const struct change *x)
{
	const struct mb_oom_task_event *t = x->g.task;
	uint64_t tables = t->pgtables_bytes / MB_PAGE_SIZE;

	if (!n->from_ns || x->g.from_ns < n->from_ns)
		n->from_ns = x->g.from_ns;
	n->tables += tables;
	n->tables_born += x->born ? tables : 0;
	if (!n->largest_tables || tables > n->tables_of_largest) {
		n->largest_tables = t;
		n->tables_of_largest = tables;
	}
	if (x->shmem > 0) {
		n->shmem_growth += x->shmem;
		n->mappers++;
	}
	if (x->shmem > n->shmem_of_largest) {
		n->largest_shmem = t;
		n->shmem_of_largest = x->shmem;
	}
	if (x->g.growth_pages <= 0)
		return;
	n->growth += x->g.growth_pages;
	if (x->g.growth_pages > n->of_largest) {
		n->largest = t;
		n->of_largest = x->g.growth_pages;
	}
}

/* Put it where it belongs among those that grew most. */
static void rank(struct mb_oom_culprit *c, const struct mb_oom_grower *g)
{
	uint32_t i = c->n_growers < MB_OOM_GROWERS ? c->n_growers++ : MB_OOM_GROWERS - 1;

	if (i == MB_OOM_GROWERS - 1 && c->growers[i].task &&
	    c->growers[i].growth_pages >= g->growth_pages)
		return;
	for (; i && c->growers[i - 1].growth_pages < g->growth_pages; i--)
		c->growers[i] = c->growers[i - 1];
	c->growers[i] = *g;
}

/* ---- all processes ---- */

static bool is_below(const char *path, const char *top)
{
	size_t n = top ? strlen(top) : 0;

	return n && path && !strncmp(path, top, n) && (!path[n] || path[n] == '/');
}

/* What those gave back that have ended since: no more than what they had not got from their parents. */
static int64_t given_back(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t window_ns)
{
	const char *top = k->first.memcg ? mb_oom_cgroup_path(m, k, k->first.memcg) : NULL;
	uint64_t now = k->first.h.t_ns, from = window_ns < now ? now - window_ns : 0;
	int64_t sum = 0;

	for (const struct mb_process *p = m->all; p; p = p->next) {
		const struct mb_point *then;

		if (!p->exited || p->oom_kill_ns == now ||
		    (k->first.memcg && !is_below(p->cgroup_path, top)))
			continue;
		then = mb_series_at(p->series, from);
		sum += then ? (int64_t)(own_at(then) - inherited(m, p, own_at(then))) : 0;
	}
	return sum;
}

/*
 * What others could take, as processes gave it back: those that go on and shrank, and those that ended, as far as what the
 * cgroup had at the window's start was not of those that go on. Who was about to end then may have been counted as
 * a process, and not as memory any more.
 */
static int64_t made_free(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	int64_t shrunk = 0, had = 0, ended = given_back(m, k, c->window_ns);
	int64_t all = (int64_t)(or_zero(c->before.pages[MB_MEMCG_ANON]) + or_zero(c->before.swap_pages));
	struct change x;

	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_owner(mb_oom_of(m), k, i);

		if (!t)
			continue;
		change_of(m, k, c, true, t, &x);
		shrunk -= x.g.growth_pages < 0 ? x.g.growth_pages : 0;
		had += x.born ? 0 : (int64_t)own_pages(t) - x.g.growth_pages;
	}
	if (ended > all - had)
		ended = all > had ? all - had : 0;
	return ended + (shrunk < all ? shrunk : all);
}

/* More than all that the cgroup was charged, with swap: it was charged elsewhere, and the process has moved. */
static bool is_from_elsewhere(const struct mb_oom_culprit *c, const struct change *x)
{
	return x->g.growth_pages > 0 && c->at.usage_pages != MB_UNKNOWN &&
	       (uint64_t)x->g.growth_pages > c->used_pages + or_zero(c->at.swap_pages);
}

static void measure(const struct mb_model *m, const struct mb_oom_kill *k, bool forks,
		    struct mb_oom_culprit *c, struct mb_oom_growth *g)
{
	struct mb_oom_scratch *s = &mb_oom_of(m)->scratch;
	struct change x;

	memset(g, 0, sizeof(*g));
	s->n_names = 0;
	s->forks = forks;
	c->n_growers = 0;
	memset(c->growers, 0, sizeof(c->growers));
	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_owner(mb_oom_of(m), k, i);

		if (!t)
			continue;
		change_of(m, k, c, forks, t, &x);
		if (is_from_elsewhere(c, &x))
			continue;
		add_to_name(name_of(s, t->comm), &x);
		g->tables += t->pgtables_bytes / MB_PAGE_SIZE;
		if (x.g.growth_pages <= 0)
			continue;
		g->grown += x.g.growth_pages;
		rank(c, &x.g);
	}
	g->over = g->grown > c->kind_growth_pages[MB_MEMCG_ANON] ?
			  g->grown - c->kind_growth_pages[MB_MEMCG_ANON] :
			  0;
}

/*
 * The machine's kinds are not charges: its log tells anonymous pages by lists, on which those are not that somebody has taken
 * off for a moment. What processes have more is, without what they have from their parents, at least as sure.
 */
static void trust_processes(struct mb_oom_culprit *c, struct mb_oom_growth *g)
{
	int64_t *anon = &c->kind_growth_pages[MB_MEMCG_ANON], more = g->grown - *anon;
	int64_t room = (int64_t)(c->used_pages + or_zero(c->at.swap_pages)) - c->all_growth_pages;

	if (more > room)
		more = room;
	if (more <= 0 || c->before.usage_pages == MB_UNKNOWN)
		return;
	c->all_growth_pages -= *anon > 0 ? *anon : 0;
	*anon += more;
	c->all_growth_pages += *anon > 0 ? *anon : 0;
	g->over = g->grown > *anon ? g->grown - *anon : 0;
}

void mb_oom_processes_growth(const struct mb_model *m, const struct mb_oom_kill *k,
			     struct mb_oom_culprit *c, struct mb_oom_growth *g)
{
	measure(m, k, false, c, g);
	if (g->over * OVER_PART > g->grown)
		measure(m, k, true, c, g);
	if (g->over * OVER_PART <= g->grown)
		g->over = 0;
	if (!k->first.memcg)
		trust_processes(c, g);
}

/* ---- kinds ---- */

/* Where page tables are: in what the kernel has beside, or in what it does not tell. */
static enum mb_memcg_kind pool_of(const struct mb_memcg_split *at)
{
	return at->pages[MB_MEMCG_KERNEL] != MB_UNKNOWN && at->pages[MB_MEMCG_SLAB] == MB_UNKNOWN ?
		       MB_MEMCG_KERNEL :
		       MB_MEMCG_UNACCOUNTED;
}

static void tell_tables(const struct mb_model *m, const struct mb_oom_kill *k,
			struct mb_oom_culprit *c)
{
	enum mb_memcg_kind pool = pool_of(&c->at);
	uint64_t tables = 0, *at = c->at.pages;
	int64_t grown, least;

	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_owner(mb_oom_of(m), k, i);

		tables += t ? t->pgtables_bytes / MB_PAGE_SIZE : 0;
	}
	if (tables > or_zero(at[pool]))
		tables = or_zero(at[pool]);
	at[pool] = or_zero(at[pool]) - tables;
	at[MB_MEMCG_PAGE_TABLES] = tables;
	grown = (int64_t)(at[pool] + tables) -
		(int64_t)(or_zero(c->before.pages[pool]) +
			  or_zero(c->before.pages[MB_MEMCG_PAGE_TABLES]));
	/* at the least: all else that there is came in the window too */
	least = grown - (int64_t)at[pool];
	least = least > 0 ? least : 0;
	c->kind_growth_pages[MB_MEMCG_PAGE_TABLES] = least;
	c->kind_growth_pages[pool] = grown - least;
}

void mb_oom_kinds_growth(const struct mb_model *m, const struct mb_oom_kill *k,
			 struct mb_oom_culprit *c)
{
	bool has_tables = c->at.pages[MB_MEMCG_PAGE_TABLES] != MB_UNKNOWN;

	for (int i = 0; i < MB_MEMCG_KINDS; i++)
		c->kind_growth_pages[i] =
			(int64_t)or_zero(c->at.pages[i]) - (int64_t)or_zero(c->before.pages[i]);
	c->kind_growth_pages[MB_MEMCG_ANON] +=
		made_free(m, k, c) + (int64_t)or_zero(c->at.swap_pages) - (int64_t)or_zero(c->before.swap_pages);
	if (!has_tables)
		tell_tables(m, k, c);
	c->all_growth_pages = 0;
	for (int i = 0; i < MB_MEMCG_KINDS; i++)
		c->all_growth_pages += c->kind_growth_pages[i] > 0 ? c->kind_growth_pages[i] : 0;
}
