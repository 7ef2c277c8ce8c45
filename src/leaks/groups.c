// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Groups of outstanding memory, and the stacks that identify them. */
#include "leaks/groups.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "leaks/levels.h"

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

/*
 * Does this group belong to the process, and does its memory go away when the process ends? Kernel
 * objects that it requested can remain.
 */
static bool is_of(const struct mb_leak_key *key, uint32_t tgid, uint64_t start_ns)
{
	return key->tgid == tgid && key->start_ns == start_ns &&
	       mb_leak_level_info(key->level)->of_process;
}

static void not_empty(struct mb_leaks *l, struct mb_leak_group *g)
{
	if (g->emptied_ns)
		DL_DELETE(l->empty, g);
	g->emptied_ns = 0;
}

static void group_free(struct mb_leaks *l, struct mb_leak_group *g)
{
	not_empty(l, g);
	HASH_DEL(l->groups, g);
	free(g->blocks);
	free(g);
}

static void rest_free(struct mb_leaks *l, struct mb_leak_rest *r)
{
	HASH_DEL(l->rests, r);
	free(r);
}

void mb_leaks_free(struct mb_leaks *l)
{
	struct mb_leak_group *g, *gt;
	struct mb_leak_rest *r, *rt;

	if (!l)
		return;
	HASH_ITER(hh, l->groups, g, gt)
		group_free(l, g);
	HASH_ITER(hh, l->rests, r, rt)
		rest_free(l, r);
	HASH_CLEAR(hh, l->stacks);
	for (uint32_t i = 1; i <= l->n_stacks; i++)
		free(l->stack_by_id[i]);
	free(l->stack_by_id);
	free(l->free_ids);
	free(l);
}

uint32_t mb_leaks_stack(struct mb_leaks *l, uint64_t space, const uint64_t *ips, uint32_t n, bool whole)
{
	return mb_leaks_stack_by(l, space, ips, ips, n, whole);
}

uint32_t mb_leaks_stack_by(struct mb_leaks *l, uint64_t space, const uint64_t *frames, const uint64_t *ips, uint32_t n,
			   bool whole)
{
	uint64_t key[MB_STACK_FRAMES + 1] = { space };
	size_t size = (n + 1) * sizeof(key[0]);
	struct mb_leak_stack *s = NULL;

	if (n <= MB_STACK_FRAMES) {
		memcpy(key + 1, frames, n * sizeof(*frames));
		HASH_FIND(hh, l->stacks, key, size, s);
		if (s)
			return s->id;
		if (l->n_stacks < MB_LEAK_STACKS || l->n_free_ids)
			s = calloc(1, sizeof(*s) + size + n * sizeof(*ips));
	}
	if (!s) {
		l->stacks_left_out++;
		return 0;
	}
	s->n = n;
	s->whole = whole;
	memcpy(s->key, key, size);
	memcpy(s->key + n + 1, ips, n * sizeof(*ips));
	s->ips = s->key + n + 1;
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

/* Make room: remove the group that has been empty longest, with its total. */
static void evict(struct mb_leaks *l)
{
	if (l->empty)
		group_free(l, l->empty);
}

/* There is room for a group now: move the values of its rest into it. */
static void take_rest(struct mb_leaks *l, struct mb_leak_group *g)
{
	struct mb_leak_rest *r;

	HASH_FIND(hh, l->rests, &g->key, sizeof(g->key), r);
	if (!r)
		return;
	g->bytes = g->least = r->bytes;
	g->count = r->count;
	g->variance = r->variance;
	g->count_variance = r->count_variance;
	g->total_bytes = r->bytes > 0 ? (uint64_t)r->bytes : 0;
	g->was_rest = true;
	rest_free(l, r);
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
	g->share = 1;
	HASH_ADD(hh, l->groups, key, sizeof(g->key), g);
	take_rest(l, g);
	return g;
}

/* There is no room for a group: add its values to a rest. */
static void rest_add(struct mb_leaks *l, const struct mb_leak_key *key, const struct mb_leak_rest *more)
{
	struct mb_leak_rest *r;

	HASH_FIND(hh, l->rests, key, sizeof(*key), r);
	if (!r && HASH_COUNT(l->rests) < MB_LEAK_RESTS)
		r = calloc(1, sizeof(*r));
	if (!r) {
		l->rests_left_out++;
		return;
	}
	if (!r->hh.tbl) {
		r->key = *key;
		HASH_ADD(hh, l->rests, key, sizeof(r->key), r);
	}
	r->bytes += more->bytes;
	r->count += more->count;
	r->variance += more->variance;
	r->count_variance += more->count_variance;
	if (!r->bytes)
		rest_free(l, r);
}

uint64_t mb_leaks_rest_bytes(const struct mb_leaks *l)
{
	uint64_t sum[MB_LEAK_LEVELS] = { 0 }, most = 0;

	for (const struct mb_leak_rest *r = l->rests; r; r = r->hh.next)
		sum[r->key.level] += r->bytes > 0 ? (uint64_t)r->bytes : 0;
	for (int level = 0; level < MB_LEAK_LEVELS; level++)
		most = sum[level] > most ? sum[level] : most;
	return most;
}

void mb_leaks_add(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, uint64_t sampled_1_in,
		  int64_t bytes, double count, double variance)
{
	struct mb_leak_group *g = group_get(l, key);
	struct mb_leak_rest more = {
		.bytes = bytes,
		.count = count,
		.variance = variance,
		.count_variance = bytes ? variance * (count / (double)bytes) * (count / (double)bytes) : 0,
	};

	if (!g) {
		rest_add(l, key, &more);
		return;
	}
	if (!g->comm[0])
		snprintf(g->comm, sizeof(g->comm), "%s", comm);
	g->sampled_1_in = sampled_1_in;
	g->bytes += bytes;
	g->count += count;
	g->variance += variance;
	g->count_variance += more.count_variance;
	if (bytes > 0)
		g->total_bytes += (uint64_t)bytes;
	if (g->bytes < g->least)
		g->least = g->bytes;
	if (g->bytes > 0)
		not_empty(l, g);
}

void mb_leaks_add_blocks(struct mb_leaks *l, const struct mb_leak_key *key, double count,
			 uint64_t bytes)
{
	uint64_t used = mb_heap_glibc_bytes(bytes);
	uint32_t class = mb_heap_class(used);
	struct mb_leak_group *g;

	HASH_FIND(hh, l->groups, key, sizeof(*key), g);
	if (g && !g->blocks && !g->was_rest)
		g->blocks = calloc(1, sizeof(*g->blocks));
	if (!g || !g->blocks)
		return;
	g->blocks->count[class] += count;
	g->blocks->bytes[class] += count * (double)used;
}

void mb_leaks_set_share(struct mb_leak_group *g, const struct mb_heap_shares *s)
{
	double all = 0, left = 0, variance = 0;

	for (int c = 0; c < MB_HEAP_CLASSES; c++) {
		double bytes = fmax(0, g->blocks->bytes[c]);
		double part = s->known_bytes[c] > 0 ? fmin(1, bytes / s->known_bytes[c]) : 0;

		all += bytes;
		left += bytes * s->share[c];
		variance += s->variance[c] * part * part;
	}
	g->share = all > 0 ? left / all : 1;
	g->unknown_variance = variance;
}

void mb_leaks_found(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, int64_t bytes, int64_t count)
{
	struct mb_leak_group *g;

	mb_leaks_add(l, key, comm, 1, bytes, (double)count, 0);
	HASH_FIND(hh, l->groups, key, sizeof(*key), g);
	if (!g)
		return;
	g->least = g->bytes;
	g->total_bytes = 0;
}

void mb_leaks_forget(struct mb_leaks *l, uint32_t tgid, uint64_t start_ns)
{
	struct mb_leak_group *g, *gt;
	struct mb_leak_rest *r, *rt;

	HASH_ITER(hh, l->groups, g, gt)
	{
		if (is_of(&g->key, tgid, start_ns))
			group_free(l, g);
	}
	HASH_ITER(hh, l->rests, r, rt)
	{
		if (is_of(&r->key, tgid, start_ns))
			rest_free(l, r);
	}
}

void mb_leaks_end(struct mb_leaks *l, uint32_t tgid, uint64_t start_ns)
{
	for (struct mb_leak_group *g = l->groups; g; g = g->hh.next)
		g->ended |= is_of(&g->key, tgid, start_ns);
}

static uint64_t left_of(const struct mb_leak_group *g, int64_t bytes)
{
	return bytes > 0 ? (uint64_t)((double)bytes * g->share) : 0;
}

/* Does the group have nothing to show? */
static bool is_empty(const struct mb_leaks *l, const struct mb_leak_group *g)
{
	return g->bytes <= 0 && !(l->compares && (g->first_bytes > 0 || g->second_bytes > 0));
}

void mb_leaks_tick(struct mb_leaks *l, uint64_t t_ns)
{
	for (struct mb_leak_group *g = l->groups; g; g = g->hh.next) {
		if (!g->ended)
			mb_trend_add(&g->series, t_ns, left_of(g, g->least), left_of(g, g->bytes));
		g->least = g->bytes;
		if (is_empty(l, g) && !g->emptied_ns && t_ns) {
			g->emptied_ns = t_ns;
			DL_APPEND(l->empty, g);
		}
	}
	l->tick_ns = t_ns;
}

void mb_leaks_mark(struct mb_leaks *l, bool second)
{
	for (struct mb_leak_group *g = l->groups; g; g = g->hh.next)
		*(second ? &g->second_bytes : &g->first_bytes) = g->ended ? 0 : g->bytes;
}

uint64_t mb_leaks_error(const struct mb_leak_group *g)
{
	/* adding and removing samples can leave a rounding error */
	return g->bytes > 0 && g->variance >= 1 ? (uint64_t)sqrt(g->variance) : 0;
}

uint64_t mb_leaks_count(const struct mb_leak_group *g)
{
	return g->count > 0 ? (uint64_t)(g->count + 0.5) : 0;
}

uint64_t mb_leaks_count_error(const struct mb_leak_group *g)
{
	/* see mb_leaks_error() */
	return g->bytes > 0 && g->count_variance >= 0.5 ? (uint64_t)(sqrt(g->count_variance) + 0.5) : 0;
}

uint64_t mb_leaks_series_error(const struct mb_leak_group *g)
{
	double error = (double)mb_leaks_error(g) * g->share;

	return (uint64_t)sqrt(error * error + fmax(0, g->unknown_variance));
}

void mb_leaks_trend(const struct mb_leak_group *g, struct mb_trend *out)
{
	mb_trend_of(&g->series, mb_leaks_series_error(g), out);
}
