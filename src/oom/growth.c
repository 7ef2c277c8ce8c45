// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Growth in a time window before a kill. A process counts with its anonymous memory, including what
 * is swapped out, because that memory is charged once. Its mapped files and shared memory may be
 * charged to another cgroup. Each address space counts once.
 */
#include "oom/growth.h"

#include <string.h>

#include "base/clock.h"

#define MOST_PER_S 1e18

/*
 * If the growth of processes exceeds what the cgroup was charged by less than 1/16, the difference
 * is imprecision of the kernel's counters.
 */
#define OVER_PART 16

static uint64_t or_zero(uint64_t v)
{
	return v == MB_UNKNOWN ? 0 : v;
}

int64_t mb_oom_anon_pages(const struct mb_memcg_split *s)
{
	return (int64_t)(or_zero(s->pages[MB_MEMCG_ANON]) + or_zero(s->swap_pages));
}

uint64_t mb_oom_own_pages(const struct mb_oom_task_event *t)
{
	return t->rss_pages[1] + t->rss_pages[2];
}

static struct mb_process *process_of(const struct mb_model *m, const struct mb_oom_task_event *t)
{
	return mb_model_find_exactly(m, t->tgid, t->start_ns);
}

static uint64_t own_at(const struct mb_point *p)
{
	return (uint64_t)p->rss_pages[1] + p->rss_pages[2];
}

/*
 * Returns the pages that a process shares with its parent after a fork. Applies to processes that
 * started within the window and have not called exec. It is at most what the parent had then, and
 * at most what the process has now.
 */
static uint64_t inherited(const struct mb_model *m, const struct mb_process *p, uint64_t now_pages)
{
	struct mb_process *parent =
		p && p->born && !p->execed ? mb_model_find(m, p->born_of) : NULL;
	const struct mb_point *then;
	uint64_t had;

	if (!parent || parent == p)
		return 0;
	then = mb_series_at(parent->series, p->start_ns);
	had = then ? own_at(then) : parent->rss_pages[1] + parent->rss_pages[2];
	return had < now_pages ? had : now_pages;
}

/*
 * A tick reads processes first and cgroups later, so it misses processes that start in between. A
 * process that is older than this at a tick and has no earlier point was not followed by the
 * history.
 */
#define BORN_IN_TICK_NS (2 * MB_NS_PER_S)

/*
 * Returns the point of a process at *from_ns. If there is none, *from_ns becomes the start of the
 * process, and the result is NULL because the process had no memory before; or the start of its
 * known history, and the result is its first point. *born: the process started within the window.
 * Returns NULL with *from_ns unchanged if nothing is known.
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

/* What a process has gained since the start of the window. */
struct change {
	struct mb_oom_grower g;
	int64_t shmem;
	bool born; /* started within the window */
};

/*
 * Computes the change of one process. forks: memory inherited from the parent does not count as
 * growth.
 */
static void change_of(const struct mb_model *m, const struct mb_oom_kill *k,
		      const struct mb_oom_culprit *c, bool forks, const struct mb_oom_task_event *t,
		      struct change *out)
{
	const struct mb_process *p = process_of(m, t);
	uint64_t now = k->first.h.t_ns, from = c->window_ns < now ? now - c->window_ns : 0;
	bool born;
	const struct mb_point *then = point_of(p ? p->series : NULL, t->start_ns, &from, &born);
	int64_t own = (int64_t)mb_oom_own_pages(t), shmem = (int64_t)t->rss_pages[3];

	memset(out, 0, sizeof(*out));
	out->g.task = t;
	out->g.series = p ? p->series : NULL;
	out->g.from_ns = from;
	out->born = born;
	if (then) {
		out->g.growth_pages = own - (int64_t)own_at(then);
		out->shmem = shmem - then->rss_pages[3];
	} else if (out->born) {
		out->g.growth_pages = own - (forks ? (int64_t)inherited(m, p, mb_oom_own_pages(t)) : 0);
		out->shmem = shmem;
	}
	if (now > from)
		out->g.slope_bytes_per_s =
			(double)out->g.growth_pages * MB_PAGE_SIZE * 1e9 / (double)(now - from);
	/* the numbers of an inconsistent recording may not fit */
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

/*
 * Finds or adds the entry of a name. If the table is full, the name with the least growth is
 * replaced.
 */
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
	/* a mapper that stood still within the window maps the memory as well */
	n->mappers += t->rss_pages[3] > 0;
	if (x->shmem > 0)
		n->shmem_growth += x->shmem;
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

/* Inserts the process into the list of those that grew most. */
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

/*
 * Returns the pages freed by processes that have ended since the start of the window, without what
 * those processes had inherited from their parents.
 */
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
 * Returns the pages that processes freed, so that others could allocate them: by processes that
 * live on and shrank, and by processes that ended. The latter is at most the part of the cgroup's
 * memory at the window's start that did not belong to living processes. This limit is needed
 * because a process that was exiting at that moment may have been counted although its memory was
 * already uncharged.
 */
static int64_t made_free(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	int64_t shrunk = 0, had = 0, ended = given_back(m, k, c->window_ns);
	int64_t all = mb_oom_anon_pages(&c->before);
	struct change x;

	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_owner(mb_oom_of(m), k, i);

		if (!t)
			continue;
		change_of(m, k, c, true, t, &x);
		shrunk -= x.g.growth_pages < 0 ? x.g.growth_pages : 0;
		had += x.born ? 0 : (int64_t)mb_oom_own_pages(t) - x.g.growth_pages;
	}
	if (ended > all - had)
		ended = all > had ? all - had : 0;
	return ended + (shrunk < all ? shrunk : all);
}

/*
 * Did the process grow by more than the whole charge of the cgroup, including swap? Then its memory
 * was charged to another cgroup, from which the process has moved.
 */
static bool is_from_elsewhere(const struct mb_oom_culprit *c, const struct change *x)
{
	return x->g.growth_pages > 0 && c->at.usage_pages != MB_UNKNOWN &&
	       (uint64_t)x->g.growth_pages > c->used_pages + or_zero(c->at.swap_pages);
}

/* Measures all processes. Fills the names in struct mb_oom_scratch, c->growers and g. */
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
 * For the whole machine, kinds are not based on charges. The kernel log reports anonymous pages by
 * LRU list, which leaves out isolated pages. The growth of processes, without what they inherited
 * from their parents, is at least as reliable, so the growth of anonymous memory is raised to it.
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

/*
 * Returns the kind that contains page tables where they are not reported: other kernel memory, or
 * unaccounted memory.
 */
static enum mb_memcg_kind pool_of(const struct mb_memcg_split *at)
{
	return at->pages[MB_MEMCG_KERNEL] != MB_UNKNOWN && at->pages[MB_MEMCG_SLAB] == MB_UNKNOWN ?
		       MB_MEMCG_KERNEL :
		       MB_MEMCG_UNACCOUNTED;
}

/* Separates page tables from the kind that contains them, for mb_oom_kinds_growth(). */
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
	/* lower bound: assumes that the rest of this kind was allocated within the window too */
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
