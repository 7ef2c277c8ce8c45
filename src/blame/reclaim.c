// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Blame in reclaim: finds the processes that allocated the memory that a stalled process needed,
 * since the machine, or the cgroup at its limit, last had enough memory.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "blame/blame.h"
#include "model/model.h"

/* The reclaim family's numbers of a process so far. */
struct account {
	uint64_t count[MB_BLAME_ASKED];
	uint64_t ns[MB_BLAME_ASKED];
	uint64_t allocated_pages;
	uint64_t kswapd_wakeups;
	uint32_t limit_up;
};

/*
 * An allocating task: a process and how much it had allocated at the end of each of the last ticks.
 */
struct mb_alloc_task {
	struct mb_process_ref ref; /* start_ns and tgid are the hash key; there is no padding between them */
	uint64_t seen; /* latest tick in which the model contained the process */
	uint64_t allocated[MB_BLAME_TICKS]; /* by tick modulo MB_BLAME_TICKS */
	uint64_t first_tick; /* allocations before this tick are not known */
	struct account now, last;
	UT_hash_handle hh;
};

#define ALLOC_TASK_KEY offsetof(struct mb_process_ref, comm)

/* A cgroup at whose limit processes stall. */
struct mb_limited {
	char *path;
	uint64_t since_tick; /* the last tick at whose end no process stalled at its limit */
	uint64_t stalled_tick; /* the last tick in which a process stalled at its limit */
	struct mb_cgroup_limits limits; /* as last read */
	UT_hash_handle hh;
};

void mb_blame_reclaim_free(struct mb_blame *b)
{
	struct mb_alloc_task *c, *ct;
	struct mb_limited *l, *lt;

	HASH_ITER(hh, b->alloc_tasks, c, ct)
	{
		HASH_DEL(b->alloc_tasks, c);
		free(c);
	}
	HASH_ITER(hh, b->limited, l, lt)
	{
		HASH_DEL(b->limited, l);
		free(l->path);
		free(l);
	}
}

static struct mb_alloc_task *alloc_task_get(struct mb_blame *b, const struct mb_process *p)
{
	struct mb_process_ref ref = { .start_ns = p->start_ns, .tgid = p->tgid };
	struct mb_alloc_task *c;

	HASH_FIND(hh, b->alloc_tasks, &ref, ALLOC_TASK_KEY, c);
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c) {
			b->evicted++;
			return NULL;
		}
		c->ref = ref;
		/*
		 * a new process has allocated everything since this tick; earlier allocations of
		 * others are not known
		 */
		c->first_tick = b->model->tick;
		HASH_ADD(hh, b->alloc_tasks, ref, ALLOC_TASK_KEY, c);
	}
	memcpy(c->ref.comm, p->comm, sizeof(c->ref.comm));
	c->seen = b->model->tick;
	return c;
}

/*
 * Returns the pages that a process has allocated from the end of that tick to the end of its latest
 * known tick.
 */
static uint64_t allocated_since(const struct mb_alloc_task *c, uint64_t tick)
{
	uint64_t now = c->allocated[c->seen % MB_BLAME_TICKS];

	if (c->seen >= tick + MB_BLAME_TICKS) /* allocations are remembered only that far back */
		tick = c->seen - MB_BLAME_TICKS + 1;
	if (tick < c->first_tick) /* accounts begin with 0 */
		return now;
	return now - c->allocated[tick % MB_BLAME_TICKS];
}

/* Writes the path of the ancestor up levels higher; "" is the root. */
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

static struct mb_limited *limited_get(struct mb_blame *b, const char *path)
{
	struct mb_limited *l;

	HASH_FIND_STR(b->limited, path, l);
	if (!l && (l = calloc(1, sizeof(*l)))) {
		l->path = strdup(path);
		if (!l->path) {
			free(l);
			return NULL;
		}
		l->limits = (struct mb_cgroup_limits){ MB_UNKNOWN, MB_UNKNOWN, MB_UNKNOWN };
		HASH_ADD_KEYPTR(hh, b->limited, l->path, strlen(l->path), l);
	}
	if (l && (!l->stalled_tick || l->stalled_tick + 1 < b->model->tick))
		l->since_tick = b->model->tick ? b->model->tick - 1 : 0;
	if (l)
		l->stalled_tick = b->model->tick;
	return l;
}

const char *mb_blame_limited(const struct mb_blame *b, size_t i)
{
	for (const struct mb_limited *l = b->limited; l; l = l->hh.next) {
		if (l->stalled_tick + 1 >= b->model->tick && i-- == 0)
			return l->path;
	}
	return NULL;
}

/* Records limits of a victim's cgroup. The time with the highest usage is the one that is shown. */
static void note_limits(struct mb_victim *v, const struct mb_cgroup_limits *l)
{
	if (l->usage_bytes == MB_UNKNOWN)
		return;
	if (v->limits.usage_bytes == MB_UNKNOWN || l->usage_bytes >= v->limits.usage_bytes)
		v->limits = *l;
}

static void note_limits_in(struct mb_blame_table *table, const struct mb_limited *l)
{
	for (struct mb_victim *v = table->victims; v; v = v->hh.next) {
		if (v->limit_path && strcmp(v->limit_path, l->path) == 0)
			note_limits(v, &l->limits);
	}
}

void mb_blame_limits(struct mb_blame *b, const char *path, const struct mb_cgroup_limits *limits)
{
	struct mb_limited *l;

	HASH_FIND_STR(b->limited, path, l);
	if (!l)
		return;
	l->limits = *limits;
	note_limits_in(&b->total, l);
	note_limits_in(&b->interval, l);
}

/*
 * Records that the victim stalls at the limit of this cgroup (NULL: none). Forgets the data of any
 * other cgroup.
 */
static void set_limited(struct mb_victim *v, const struct mb_limited *l)
{
	if (!v->limit_path || !l || strcmp(v->limit_path, l->path) != 0) {
		free(v->limit_path);
		v->limit_path = l ? strdup(l->path) : NULL;
		v->limits = (struct mb_cgroup_limits){ MB_UNKNOWN, MB_UNKNOWN, MB_UNKNOWN };
	}
	if (l)
		note_limits(v, &l->limits);
}

/*
 * At its limit, a cgroup's usage may be lower than the limit by one charge: see cgroup_over_up() in
 * bpf/cgroup.bpf.c.
 */
#define CHARGE_BYTES ((64 + 512) * 4096ull)

uint64_t mb_victim_limit_bytes(const struct mb_victim *v)
{
	const struct mb_cgroup_limits *l = &v->limits;
	bool at_max = l->max_bytes != MB_UNKNOWN && l->usage_bytes + CHARGE_BYTES > l->max_bytes;

	/* a cgroup over memory.high is reclaimed too; MB_UNKNOWN is larger than any known value */
	if (v->key.cause == MB_BLAME_HIGH || (!at_max && l->high_bytes < l->max_bytes))
		return l->high_bytes;
	return l->max_bytes;
}

/*
 * Returns the zone that had the least free memory in relation to its high watermark at the end of
 * the tick. Only zones with at least 1/8 of the machine's memory count, because small zones are
 * reserved for allocations that must come from them. NULL: not known.
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

/*
 * Which memory was short, that of the machine or of a cgroup at its limit, and since the end of
 * which tick.
 */
struct shortage {
	bool limited;
	char group[MB_CGROUP_PATH_MAX + 1];
	uint64_t since;
};

/*
 * Returns false if the shortage was at a limit but the cgroup is not known: either the cgroup that
 * has the limit, or that of the process (not yet, or no longer).
 */
static bool find_shortage(const struct mb_blame *b, const struct mb_process *p, enum mb_stall_cause cause,
			  uint32_t limit_up, struct shortage *s)
{
	s->limited = cause == MB_BLAME_MEMCG || cause == MB_BLAME_HIGH ||
		     (cause == MB_BLAME_THROTTLE && limit_up != MB_LIMIT_MACHINE);
	s->since = b->shortage_tick;
	if (!s->limited)
		return true;
	s->group[0] = '\0';
	if (!p->cgroup_path || limit_up >= MB_LIMIT_ASKED)
		return false;
	ancestor(p->cgroup_path, limit_up, s->group, sizeof(s->group));
	return true;
}

/* Returns the pages that a process has allocated of the memory that was short. */
static double allocated_by(struct mb_blame *b, const struct mb_alloc_task *c, const struct shortage *s)
{
	const struct mb_process *p;

	if (c->seen + 1 < b->model->tick)
		return 0;
	p = s->limited ? mb_model_find_exactly(b->model, c->ref.tgid, c->ref.start_ns) : NULL;
	if (s->limited && (!p || !mb_cgroup_is_below(p->cgroup_path, s->group)))
		return 0;
	return (double)allocated_since(c, s->since);
}

static double allocated_by_all(struct mb_blame *b, const struct shortage *s)
{
	double sum = 0;

	for (const struct mb_alloc_task *c = b->alloc_tasks; c; c = c->hh.next)
		sum += allocated_by(b, c, s);
	return sum;
}

/* The stalls of one process with one cause in this tick. */
struct tick_stalls {
	const struct mb_alloc_task *victim;
	enum mb_stall_cause cause;
	uint64_t count, ns;
	const struct mb_system_zone *zone; /* zone with the least free memory; NULL: not known */
	/* cgroup whose limit was reached; NULL: the machine was short, or not known */
	const struct mb_limited *limited;
};

/* sum: pages allocated by all processes; 0 if it is not known which memory was short. */
static void lay_upon(struct mb_blame *b, struct mb_blame_table *table, const struct tick_stalls *t,
		     const struct shortage *s, double sum)
{
	struct mb_victim_key key = { t->victim->ref.start_ns, 0, t->victim->ref.tgid, t->cause };
	struct mb_victim *v = mb_blame_victim(b, table, &key, &t->victim->ref);
	double stalled = (double)t->ns;

	if (!v)
		return;
	v->count[t->cause] += t->count;
	v->ns[t->cause] += t->ns;
	v->woke_kswapd = b->woke_kswapd;
	if (s->limited)
		v->marks.known = false; /* the zones were not the cause */
	else
		note_watermarks(t->zone, &v->marks);
	if (t->limited || !s->limited) /* otherwise the cgroup is not known, and may be the same as before */
		set_limited(v, t->limited);
	if (t->cause == MB_BLAME_ASKED)
		mb_blame_charge(v, &t->victim->ref, stalled, 0);
	for (const struct mb_alloc_task *c = b->alloc_tasks; c && sum > 0; c = c->hh.next) {
		double pages = allocated_by(b, c, s);

		if (pages > 0)
			mb_blame_charge(v, &c->ref, stalled * pages / sum, pages * stalled);
	}
}

static void take_stalls(struct mb_blame *b, const struct mb_alloc_task *c, const struct mb_process *p,
			const struct mb_system_zone *zone)
{
	for (int w = MB_BLAME_DIRECT; w < MB_BLAME_ASKED; w++) {
		struct tick_stalls t = { c, w, c->now.count[w] - c->last.count[w],
					 c->now.ns[w] - c->last.ns[w], zone, NULL };
		struct shortage s;
		double sum = 0;

		if (!t.count)
			continue;
		if (w == MB_BLAME_MEMCG && c->now.limit_up == MB_LIMIT_ASKED)
			t.cause = MB_BLAME_ASKED;
		if (find_shortage(b, p, w, c->now.limit_up, &s)) {
			t.limited = s.limited ? limited_get(b, s.group) : NULL;
			if (s.limited)
				s.since = t.limited ? t.limited->since_tick : b->model->tick;
			sum = allocated_by_all(b, &s);
		}
		lay_upon(b, &b->total, &t, &s, sum);
		lay_upon(b, &b->interval, &t, &s, sum);
	}
}

bool mb_blame_reclaim_first(struct mb_blame *b, uint32_t tgid, enum mb_stall_cause cause, uint32_t limit_up,
			    struct mb_process_ref *ref, double *share)
{
	const struct mb_process *p = mb_model_find(b->model, tgid);
	const struct mb_limited *l;
	struct shortage s;
	double most = 0;

	if (p && cause == MB_BLAME_MEMCG && limit_up == MB_LIMIT_ASKED) {
		mb_model_process_ref(b->model, p->tgid, p->start_ns, ref);
		*share = 1;
		return true;
	}
	if (!p || b->model->tick < 2 || !find_shortage(b, p, cause, limit_up, &s))
		return false;
	if (s.limited) {
		HASH_FIND_STR(b->limited, s.group, l);
		s.since = l && l->stalled_tick + 1 >= b->model->tick ? l->since_tick : b->model->tick - 2;
	}
	if (s.since + 2 > b->model->tick) /* the current tick is not over, so only the one before is known */
		s.since = b->model->tick - 2;
	for (const struct mb_alloc_task *c = b->alloc_tasks; c; c = c->hh.next) {
		double pages = allocated_by(b, c, &s);

		if (pages <= most)
			continue;
		most = pages;
		*ref = c->ref;
	}
	if (most > 0)
		*share = most / allocated_by_all(b, &s);
	return most > 0;
}

static void forget_old(struct mb_blame *b)
{
	struct mb_alloc_task *c, *ct;
	struct mb_limited *l, *lt;

	HASH_ITER(hh, b->alloc_tasks, c, ct)
	{
		if (c->seen == b->model->tick)
			continue;
		HASH_DEL(b->alloc_tasks, c);
		free(c);
	}
	HASH_ITER(hh, b->limited, l, lt)
	{
		if (b->model->tick - l->stalled_tick < MB_BLAME_TICKS)
			continue;
		HASH_DEL(b->limited, l);
		free(l->path);
		free(l);
	}
}

static void read_account(const struct mb_process *p, const struct mb_reclaim_slots *slots, struct account *a)
{
	for (int w = MB_BLAME_DIRECT; w < MB_BLAME_ASKED; w++) {
		a->count[w] = p->values[slots->stall[w]];
		a->ns[w] = p->values[slots->stall[w] + 1];
	}
	a->allocated_pages = p->values[slots->allocated_pages];
	a->kswapd_wakeups = p->values[slots->kswapd_wakeups];
	a->limit_up = (uint32_t)p->values[slots->limit_up];
}

void mb_blame_reclaim(struct mb_blame *b)
{
	const struct mb_system_zone *zone = shortest_zone(b->model);
	struct mb_alloc_task *c;
	struct mb_process *p;
	bool short_of_memory = zone && zone->free_pages < zone->high_pages;

	DL_FOREACH(b->model->all, p)
	{
		c = alloc_task_get(b, p);
		if (!c)
			continue;
		c->last = c->now;
		read_account(p, &b->slots, &c->now);
		c->allocated[b->model->tick % MB_BLAME_TICKS] = c->now.allocated_pages;
		short_of_memory |= c->now.count[MB_BLAME_DIRECT] != c->last.count[MB_BLAME_DIRECT];
		if (c->now.kswapd_wakeups != c->last.kswapd_wakeups)
			b->woke_kswapd = c->ref;
	}
	forget_old(b);
	DL_FOREACH(b->model->all, p)
	{
		c = alloc_task_get(b, p);
		if (c)
			take_stalls(b, c, p, zone);
	}
	if (!short_of_memory)
		b->shortage_tick = b->model->tick;
}
