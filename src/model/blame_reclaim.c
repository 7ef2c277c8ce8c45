// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Blame in reclaim: whose allocations took the memory that a stalled process was short of, since the
 * machine, or the cgroup at its limit, last had enough.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "model/model.h"

/* A process that allocates: how much it had allocated at the end of each of the last ticks. */
struct mb_claimant {
	struct mb_who who; /* start_ns and tgid are the key; no padding between them */
	const struct mb_process *process; /* valid in the tick in which it was set */
	uint64_t seen; /* tick */
	uint64_t allocated[MB_BLAME_TICKS]; /* by tick, modulo */
	uint64_t first_tick; /* what it had before is not known */
	struct mb_reclaim_account last;
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
	c->process = p;
	c->seen = m->tick;
	return c;
}

/* What it has allocated since the end of that tick. */
static uint64_t allocated_since(const struct mb_model *m, const struct mb_claimant *c, uint64_t tick)
{
	uint64_t now = c->allocated[m->tick % MB_BLAME_TICKS];

	if (m->tick - tick >= MB_BLAME_TICKS) /* that far back is all that is remembered */
		tick = m->tick - MB_BLAME_TICKS + 1;
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

static bool is_below(const char *path, const char *group)
{
	size_t n = strlen(group);

	return path && strncmp(path, group, n) == 0 && (!path[n] || path[n] == '/' || !n);
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

static void note_watermarks(const struct mb_model *m, struct mb_watermarks *w)
{
	const struct mb_system_zone *z = shortest_zone(m);

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

static void lay_upon(struct mb_model *m, struct mb_matrix *matrix, const struct mb_claimant *victim,
		     enum mb_blame_what what, uint64_t count, uint64_t ns, const char *group,
		     uint64_t since)
{
	struct mb_victim_key key = { victim->who.start_ns, 0, victim->who.tgid, what };
	struct mb_victim *v = mb_blame_victim(&m->blame, matrix, &key, &victim->who);
	double sum = 0, stalled = (double)ns;

	if (!v)
		return;
	v->count[what] += count;
	v->ns[what] += ns;
	v->woke_kswapd = m->blame.woke_kswapd;
	note_watermarks(m, &v->marks);
	for (struct mb_claimant *c = m->blame.claimants; c; c = c->hh.next) {
		if (c->seen == m->tick && (!group || is_below(c->process->cgroup_path, group)))
			sum += (double)allocated_since(m, c, since);
	}
	for (struct mb_claimant *c = m->blame.claimants; c && sum > 0; c = c->hh.next) {
		double pages = (double)allocated_since(m, c, since);

		if (c->seen != m->tick || (group && !is_below(c->process->cgroup_path, group)) ||
		    pages <= 0)
			continue;
		mb_blame_charge(v, &c->who, stalled * pages / sum, pages * stalled);
	}
}

static void take_stalls(struct mb_model *m, const struct mb_claimant *c,
			const struct mb_reclaim_account *now)
{
	char group[512];

	for (int w = MB_BLAME_DIRECT; w < MB_BLAME_WHATS; w++) {
		uint64_t count = now->count[w] - c->last.count[w], ns = now->ns[w] - c->last.ns[w];
		bool limited = w == MB_BLAME_MEMCG || w == MB_BLAME_HIGH ||
			       (w == MB_BLAME_THROTTLE && now->limit_up != MB_LIMIT_MACHINE);
		uint64_t since = m->blame.shortage_tick;

		if (!count)
			continue;
		if (limited) {
			struct mb_limited *l;

			/* whose limit it is may not be known: then its own group's is the likely one */
			ancestor(c->process->cgroup_path ? c->process->cgroup_path : "",
				 now->limit_up < MB_CGROUP_LEVELS ? now->limit_up : 0, group,
				 sizeof(group));
			l = limited_get(m, group);
			since = l ? l->since_tick : m->tick;
		}
		lay_upon(m, &m->blame.total, c, w, count, ns, limited ? group : NULL, since);
		lay_upon(m, &m->blame.interval, c, w, count, ns, limited ? group : NULL, since);
	}
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

void mb_blame_reclaim(struct mb_model *m,
		      void (*account)(const struct mb_model *m, const struct mb_process *p,
				      struct mb_reclaim_account *a))
{
	struct mb_reclaim_account now;
	struct mb_claimant *c;
	struct mb_process *p;
	bool short_of_memory = false;

	DL_FOREACH(m->all, p)
	{
		c = claimant_get(m, p);
		if (!c)
			continue;
		account(m, p, &now);
		c->allocated[m->tick % MB_BLAME_TICKS] = now.allocated_pages;
		short_of_memory |= now.count[MB_BLAME_DIRECT] != c->last.count[MB_BLAME_DIRECT];
		if (now.kswapd_wakeups != c->last.kswapd_wakeups)
			m->blame.woke_kswapd = c->who;
	}
	for (c = m->blame.claimants; c; c = c->hh.next) {
		if (c->seen != m->tick)
			continue;
		account(m, c->process, &now);
		take_stalls(m, c, &now);
		c->last = now;
	}
	if (shortest_zone(m) && shortest_zone(m)->free_pages < shortest_zone(m)->high_pages)
		short_of_memory = true;
	if (!short_of_memory)
		m->blame.shortage_tick = m->tick;
	forget_old(m);
}
