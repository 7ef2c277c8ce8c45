// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Groups of outstanding memory, and the stacks they are named by. */
#include "model/leaks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mb_leaks *mb_leaks_new(void)
{
	struct mb_leaks *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->stack_by_id = calloc(MB_LEAK_STACKS + 1, sizeof(*l->stack_by_id));
	l->free_ids = calloc(MB_LEAK_STACKS, sizeof(*l->free_ids));
	if (!l->stack_by_id || !l->free_ids) {
		mb_leaks_free(l);
		return NULL;
	}
	return l;
}

static void group_free(struct mb_leaks *l, struct mb_leak_group *g)
{
	HASH_DEL(l->groups, g);
	free(g);
}

void mb_leaks_free(struct mb_leaks *l)
{
	struct mb_leak_group *g, *tmp;

	if (!l)
		return;
	HASH_ITER(hh, l->groups, g, tmp)
		group_free(l, g);
	HASH_CLEAR(hh, l->stacks);
	for (uint32_t i = 1; i <= l->n_stacks; i++)
		free(l->stack_by_id[i]);
	free(l->stack_by_id);
	free(l->free_ids);
	free(l);
}

uint32_t mb_leaks_stack(struct mb_leaks *l, uint64_t space, const uint64_t *ips, uint32_t n, bool whole)
{
	uint64_t key[MB_STACK_FRAMES + 1] = { space };
	size_t size = (n + 1) * sizeof(key[0]);
	struct mb_leak_stack *s = NULL;

	if (n <= MB_STACK_FRAMES) {
		memcpy(key + 1, ips, n * sizeof(*ips));
		HASH_FIND(hh, l->stacks, key, size, s);
		if (s)
			return s->id;
		if (l->n_stacks < MB_LEAK_STACKS || l->n_free_ids)
			s = calloc(1, sizeof(*s) + size);
	}
	if (!s) {
		l->stacks_left_out++;
		return 0;
	}
	s->n = n;
	s->whole = whole;
	memcpy(s->key, key, size);
	s->id = l->n_free_ids ? l->free_ids[--l->n_free_ids] : ++l->n_stacks;
	l->stack_by_id[s->id] = s;
	HASH_ADD(hh, l->stacks, key, size, s);
	return s->id;
}

bool mb_leaks_stacks_crowded(const struct mb_leaks *l)
{
	return l->n_stacks - l->n_free_ids > MB_LEAK_STACKS / 2;
}

void mb_leaks_drop_stacks(struct mb_leaks *l, bool (*is_there)(void *arg, uint64_t space), void *arg)
{
	struct mb_leak_stack *s, *tmp;

	HASH_ITER(hh, l->stacks, s, tmp)
	{
		if (!s->key[0] || is_there(arg, s->key[0]))
			continue;
		HASH_DEL(l->stacks, s);
		l->stack_by_id[s->id] = NULL;
		l->free_ids[l->n_free_ids++] = s->id;
		free(s);
	}
}

const struct mb_leak_stack *mb_leaks_stack_of(const struct mb_leaks *l, uint32_t id)
{
	return id && id <= l->n_stacks ? l->stack_by_id[id] : NULL;
}

/* Make room: the group that has been empty longest. Its total goes with it. */
static void evict(struct mb_leaks *l)
{
	struct mb_leak_group *g, *oldest = NULL;

	for (g = l->groups; g; g = g->hh.next) {
		if (g->emptied_ns && (!oldest || g->emptied_ns < oldest->emptied_ns))
			oldest = g;
	}
	if (oldest)
		group_free(l, oldest);
}

static struct mb_leak_group *group_get(struct mb_leaks *l, const struct mb_leak_key *key)
{
	struct mb_leak_group *g;

	HASH_FIND(hh, l->groups, key, sizeof(*key), g);
	if (g)
		return g;
	if (HASH_COUNT(l->groups) >= MB_LEAK_GROUPS)
		evict(l);
	g = HASH_COUNT(l->groups) < MB_LEAK_GROUPS ? calloc(1, sizeof(*g)) : NULL;
	if (!g)
		return NULL;
	g->key = *key;
	HASH_ADD(hh, l->groups, key, sizeof(g->key), g);
	return g;
}

void mb_leaks_add(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, uint64_t sampled_1_in,
		  int64_t bytes, int64_t count, double variance)
{
	struct mb_leak_group *g = group_get(l, key);

	if (!g) {
		l->groups_left_out++;
		return;
	}
	if (!g->comm[0])
		snprintf(g->comm, sizeof(g->comm), "%s", comm);
	g->sampled_1_in = sampled_1_in;
	g->bytes += bytes;
	g->count += count;
	g->variance += variance;
	if (bytes > 0)
		g->total_bytes += (uint64_t)bytes;
	if (g->bytes < g->least)
		g->least = g->bytes;
	if (g->bytes > 0)
		g->emptied_ns = 0;
}

void mb_leaks_found(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, int64_t bytes, int64_t count)
{
	struct mb_leak_group *g;

	mb_leaks_add(l, key, comm, 1, bytes, count, count);
	HASH_FIND(hh, l->groups, key, sizeof(*key), g);
	if (!g)
		return;
	g->least = g->bytes;
	g->total_bytes = 0;
}

void mb_leaks_forget(struct mb_leaks *l, uint32_t tgid, uint64_t start_ns)
{
	struct mb_leak_group *g, *tmp;

	HASH_ITER(hh, l->groups, g, tmp)
	{
		/* of what it has asked the kernel for some can be left */
		if (g->key.tgid == tgid && g->key.start_ns == start_ns && g->key.level != MB_LEAK_KERNEL)
			group_free(l, g);
	}
}

void mb_leaks_tick(struct mb_leaks *l, uint64_t t_ns)
{
	for (struct mb_leak_group *g = l->groups; g; g = g->hh.next) {
		mb_trend_add(&g->series, t_ns, g->least > 0 ? (uint64_t)g->least : 0,
			     g->bytes > 0 ? (uint64_t)g->bytes : 0);
		g->least = g->bytes;
		if (g->bytes <= 0 && !g->emptied_ns)
			g->emptied_ns = t_ns;
	}
	l->tick_ns = t_ns;
}

void mb_leaks_mark(struct mb_leaks *l, bool second)
{
	for (struct mb_leak_group *g = l->groups; g; g = g->hh.next)
		*(second ? &g->second_bytes : &g->first_bytes) = g->bytes;
}

uint64_t mb_leaks_error(const struct mb_leak_group *g)
{
	/* what has been added and taken away again may leave a rest */
	return g->bytes > 0 && g->variance >= 1 ? (uint64_t)sqrt(g->variance) : 0;
}

void mb_leaks_trend(const struct mb_leak_group *g, struct mb_trend *out)
{
	mb_trend_of(&g->series, mb_leaks_error(g), out);
}
