// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Blame in reclaim: whose allocations took the memory that a stalled process was short of, since the
 * machine, or the cgroup at its limit, last had enough.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "model/model.h"

/* What the reclaim family has of a process so far. */
struct account {
	uint64_t count[MB_BLAME_WHATS];
	uint64_t ns[MB_BLAME_WHATS];
	uint64_t allocated_pages;
	uint64_t kswapd_wakeups;
	uint32_t limit_up;
};

/* A process that allocates: how much it had allocated at the end of each of the last ticks. */
struct mb_claimant {
	struct mb_who who; /* start_ns and tgid are the key; no padding between them */
	uint64_t seen; /* tick */
	uint64_t allocated[MB_BLAME_TICKS]; /* by tick, modulo */
	uint64_t first_tick; /* what it had before is not known */
	struct account now, last;
	UT_hash_handle hh;
};

#define CLAIMANT_KEY offsetof(struct mb_who, comm)

/* A cgroup in which processes stall at a limit. */
struct mb_limited {
	char *path;
	uint64_t since_tick; /* the last tick at whose end nobody stalled for its limit */
	uint64_t stalled_tick; /* the last in which somebody did */
	UT_hash_handle hh;
};

void mb_blame_reclaim_free(struct mb_blame *b)
{
	struct mb_claimant *c, *ct;
	struct mb_limited *l, *lt;

	HASH_ITER(hh, b->claimants, c, ct)
	{
		HASH_DEL(b->claimants, c);
		free(c);
	}
	HASH_ITER(hh, b->limited, l, lt)
	{
		HASH_DEL(b->limited, l);
		free(l->path);
		free(l);
	}
}

static struct mb_claimant *claimant_get(struct mb_model *m, const struct mb_process *p)
{
	struct mb_who who = { .start_ns = p->start_ns, .tgid = p->tgid };
	struct mb_claimant *c;

	HASH_FIND(hh, m->blame.claimants, &who, CLAIMANT_KEY, c);
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c) {
			m->blame.evicted++;
			return NULL;
		}
		c->who = who;
		/* one that is new to the machine has allocated all of it since; of others that is not known */
		c->first_tick = m->tick;
		HASH_ADD(hh, m->blame.claimants, who, CLAIMANT_KEY, c);
	}
	memcpy(c->who.comm, p->comm, sizeof(c->who.comm));
	c->seen = m->tick;
	return c;
}

/* What it has allocated since the end of that tick, up to the last one of which its account is known. */
static uint64_t allocated_since(const struct mb_claimant *c, uint64_t tick)
{
	uint64_t now = c->allocated[c->seen % MB_BLAME_TICKS];

	if (c->seen >= tick + MB_BLAME_TICKS) /* that far back is all that is remembered */
		tick = c->seen - MB_BLAME_TICKS + 1;
	if (tick < c->first_tick) /* an account begins with 0 */
		return now;
	return now - c->allocated[tick % MB_BLAME_TICKS];
}

/* The path, up levels higher; "" is the root. */
static void ancestor(const char *path, uint32_t up, char *out, size_t size)
{
	size_t n = strlen(path);

	for (; up && n > 1; up--) {
		while (n > 0 && path[n - 1] != '/')
			n--;
		n -= n > 0;
	}
	if (n == 1) /* "/" */
		n = 0;
	if (n >= size)
		n = size - 1;
	memcpy(out, path, n);
	out[n] = '\0';
}

static struct mb_limited *limited_get(struct mb_model *m, const char *path)
{
	struct mb_limited *l;

	HASH_FIND_STR(m->blame.limited, path, l);
	if (!l && (l = calloc(1, sizeof(*l)))) {
		l->path = strdup(path);
		if (!l->path) {
			free(l);
			return NULL;
		}
		HASH_ADD_KEYPTR(hh, m->blame.limited, l->path, strlen(l->path), l);
	}
	if (l && (!l->stalled_tick || l->stalled_tick + 1 < m->tick))
		l->since_tick = m->tick ? m->tick - 1 : 0;
	if (l)
		l->stalled_tick = m->tick;
	return l;
}

/*
 * The zone that was shortest of memory at the end of the tick; of those only that hold an eighth of the
 * machine's memory, as the small ones are kept for allocations that must come from them. NULL: not known.
 */
static const struct mb_system_zone *shortest_zone(const struct mb_model *m)
{
	const struct mb_system *s = &m->system.now;
	const struct mb_system_zone *shortest = NULL;
	uint64_t managed = 0;

	for (uint32_t i = 0; m->system.known && i < s->n_zones; i++)
		managed += s->zones[i].managed_pages != MB_UNKNOWN ? s->zones[i].managed_pages : 0;
	for (uint32_t i = 0; m->system.known && i < s->n_zones; i++) {
		const struct mb_system_zone *z = &s->zones[i];

		if (z->free_pages == MB_UNKNOWN || z->high_pages == MB_UNKNOWN || !z->high_pages ||
		    z->managed_pages == MB_UNKNOWN || z->managed_pages < managed / 8)
			continue;
		if (!shortest || z->free_pages * shortest->high_pages <
					 shortest->free_pages * z->high_pages)
			shortest = z;
	}
	return shortest;
}

static void note_watermarks(const struct mb_system_zone *z, struct mb_watermarks *w)
{
	if (!z)
		return;
	w->known = true;
	w->free_pages = z->free_pages;
	w->min_pages = z->min_pages;
	w->low_pages = z->low_pages;
	w->high_pages = z->high_pages;
	w->node = (int32_t)z->node;
	memcpy(w->zone, z->name, sizeof(w->zone));
	w->zone[sizeof(w->zone) - 1] = '\0';
}

/* Which memory was short: the machine's, or that of a cgroup at its limit; and since the end of which tick. */
struct shortage {
	bool limited;
	char group[512];
	uint64_t since;
};

/* False: it was a limit, but the process's cgroup is not known (yet, or any more). */
static bool find_shortage(const struct mb_model *m, const struct mb_process *p, enum mb_blame_what what,
			  uint32_t limit_up, struct shortage *s)
{
	s->limited = what == MB_BLAME_MEMCG || what == MB_BLAME_HIGH ||
		     (what == MB_BLAME_THROTTLE && limit_up != MB_LIMIT_MACHINE);
	s->since = m->blame.shortage_tick;
	if (!s->limited)
		return true;
	s->group[0] = '\0';
	if (!p->cgroup_path)
		return false;
	/* whose limit it is may not be known: then its own group's is the likely one */
	ancestor(p->cgroup_path, limit_up < MB_CGROUP_LEVELS ? limit_up : 0, s->group, sizeof(s->group));
	return true;
}

/* What a process has taken of the memory that was short. */
static double taken(struct mb_model *m, const struct mb_claimant *c, const struct shortage *s)
{
	const struct mb_process *p;

	if (c->seen + 1 < m->tick)
		return 0;
	p = s->limited ? mb_model_find_exactly(m, c->who.tgid, c->who.start_ns) : NULL;
	if (s->limited && (!p || !mb_cgroup_is_below(p->cgroup_path, s->group)))
		return 0;
	return (double)allocated_since(c, s->since);
}

static double taken_by_all(struct mb_model *m, const struct shortage *s)
{
	double sum = 0;

	for (const struct mb_claimant *c = m->blame.claimants; c; c = c->hh.next)
		sum += taken(m, c, s);
	return sum;
}

/* One process's stalls of one kind in this tick. */
struct tick_stalls {
	const struct mb_claimant *victim;
	enum mb_blame_what what;
	uint64_t count, ns;
	const struct mb_system_zone *zone; /* the shortest; NULL: not known */
};

/* sum: what all have taken; 0 where it is not known what was short. */
static void lay_upon(struct mb_model *m, struct mb_matrix *matrix, const struct tick_stalls *t,
		     const struct shortage *s, double sum)
{
	struct mb_victim_key key = { t->victim->who.start_ns, 0, t->victim->who.tgid, t->what };
	struct mb_victim *v = mb_blame_victim(&m->blame, matrix, &key, &t->victim->who);
	double stalled = (double)t->ns;

	if (!v)
		return;
	v->count[t->what] += t->count;
	v->ns[t->what] += t->ns;
	v->woke_kswapd = m->blame.woke_kswapd;
	note_watermarks(t->zone, &v->marks);
	for (const struct mb_claimant *c = m->blame.claimants; c && sum > 0; c = c->hh.next) {
		double pages = taken(m, c, s);

		if (pages > 0)
			mb_blame_charge(v, &c->who, stalled * pages / sum, pages * stalled);
	}
}

static void take_stalls(struct mb_model *m, const struct mb_claimant *c, const struct mb_process *p,
			const struct mb_system_zone *zone)
{
	for (int w = MB_BLAME_DIRECT; w < MB_BLAME_WHATS; w++) {
		struct tick_stalls t = { c, w, c->now.count[w] - c->last.count[w],
					 c->now.ns[w] - c->last.ns[w], zone };
		struct shortage s;
		double sum = 0;

		if (!t.count)
			continue;
		if (find_shortage(m, p, w, c->now.limit_up, &s)) {
			const struct mb_limited *l = s.limited ? limited_get(m, s.group) : NULL;

			if (s.limited)
				s.since = l ? l->since_tick : m->tick;
			sum = taken_by_all(m, &s);
		}
		lay_upon(m, &m->blame.total, &t, &s, sum);
		lay_upon(m, &m->blame.interval, &t, &s, sum);
	}
}

bool mb_blame_reclaim_first(struct mb_model *m, uint32_t tgid, enum mb_blame_what what, uint32_t limit_up,
			    struct mb_who *who, double *share)
{
	const struct mb_process *p = mb_model_find(m, tgid);
	const struct mb_limited *l;
	struct shortage s;
	double most = 0;

	if (!p || m->tick < 2 || !find_shortage(m, p, what, limit_up, &s))
		return false;
	if (s.limited) {
		HASH_FIND_STR(m->blame.limited, s.group, l);
		s.since = l && l->stalled_tick + 1 >= m->tick ? l->since_tick : m->tick - 2;
	}
	if (s.since + 2 > m->tick) /* the tick is not over: what is known is the one before */
		s.since = m->tick - 2;
	for (const struct mb_claimant *c = m->blame.claimants; c; c = c->hh.next) {
		double pages = taken(m, c, &s);

		if (pages <= most)
			continue;
		most = pages;
		*who = c->who;
	}
	if (most > 0)
		*share = most / taken_by_all(m, &s);
	return most > 0;
}

static void forget_old(struct mb_model *m)
{
	struct mb_claimant *c, *ct;
	struct mb_limited *l, *lt;

	HASH_ITER(hh, m->blame.claimants, c, ct)
	{
		if (c->seen == m->tick)
			continue;
		HASH_DEL(m->blame.claimants, c);
		free(c);
	}
	HASH_ITER(hh, m->blame.limited, l, lt)
	{
		if (m->tick - l->stalled_tick < MB_BLAME_TICKS)
			continue;
		HASH_DEL(m->blame.limited, l);
		free(l->path);
		free(l);
	}
}

static void read_account(const struct mb_process *p, const struct mb_reclaim_slots *slots, struct account *a)
{
	for (int w = MB_BLAME_DIRECT; w < MB_BLAME_WHATS; w++) {
		a->count[w] = p->values[slots->stall[w]];
		a->ns[w] = p->values[slots->stall[w] + 1];
	}
	a->allocated_pages = p->values[slots->allocated_pages];
	a->kswapd_wakeups = p->values[slots->kswapd_wakeups];
	a->limit_up = (uint32_t)p->values[slots->limit_up];
}

void mb_blame_reclaim(struct mb_model *m, const struct mb_reclaim_slots *slots)
{
	const struct mb_system_zone *zone = shortest_zone(m);
	struct mb_claimant *c;
	struct mb_process *p;
	bool short_of_memory = zone && zone->free_pages < zone->high_pages;

	DL_FOREACH(m->all, p)
	{
		c = claimant_get(m, p);
		if (!c)
			continue;
		c->last = c->now;
		read_account(p, slots, &c->now);
		c->allocated[m->tick % MB_BLAME_TICKS] = c->now.allocated_pages;
		short_of_memory |= c->now.count[MB_BLAME_DIRECT] != c->last.count[MB_BLAME_DIRECT];
		if (c->now.kswapd_wakeups != c->last.kswapd_wakeups)
			m->blame.woke_kswapd = c->who;
	}
	forget_old(m);
	DL_FOREACH(m->all, p)
	{
		c = claimant_get(m, p);
		if (c)
			take_stalls(m, c, p, zone);
	}
	if (!short_of_memory)
		m->blame.shortage_tick = m->tick;
}
