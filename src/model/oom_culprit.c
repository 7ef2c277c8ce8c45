// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Whose growth used up the memory. Victim and culprit often differ: the kernel chooses by size and
 * oom_score_adj. The rule, with its limits, is in docs/families/oom.md: the shortest window of the history
 * in which what grew makes up half of what all have now; in it, who grew most.
 */
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "model/oom.h"

/* A culprit is clear when its growth is this part of all growth... */
#define CLEAR_PERMILLE 500
/* ...and this part of the memory there was; less would have been found somewhere else. */
#define LEAST_PERMILLE 100
/* Processes must hold this part of the memory, or it is not theirs that fills it. */
#define HELD_PERMILLE 500

#define MOST_PER_S 1e18

#define NAMES 128 /* processes of one name count together; more names than this share the last */

static const uint64_t windows_ns[] = { 5 * MB_NS_PER_S,	  15 * MB_NS_PER_S,   60 * MB_NS_PER_S,
				       300 * MB_NS_PER_S, 1800 * MB_NS_PER_S, UINT64_MAX };

static uint64_t pages_of(const struct mb_oom_task_event *t)
{
	return t->rss_pages[0] + t->rss_pages[1] + t->rss_pages[2] + t->rss_pages[3];
}

static const struct mb_series *series_of(const struct mb_model *m, const struct mb_oom_task_event *t)
{
	const struct mb_process *p = mb_model_find_exactly((struct mb_model *)m, t->tgid, t->start_ns);

	return p ? p->series : NULL;
}

static int64_t growth_of(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t window_ns,
			 const struct mb_oom_task_event *t, struct mb_oom_grower *out)
{
	uint64_t now = k->first.h.t_ns, from = window_ns < now ? now - window_ns : 0;

	out->task = t;
	out->series = series_of(m, t);
	out->growth_pages = (int64_t)(pages_of(t) - mb_series_pages_at(out->series, t->start_ns, pages_of(t), &from));
	out->from_ns = from;
	out->slope_bytes_per_s = now > from ? (double)out->growth_pages * MB_PAGE_SIZE * 1e9 /
						      (double)(now - from) :
					      0;
	/* of a recording that is not true to life it need not fit */
	if (out->slope_bytes_per_s > MOST_PER_S || out->slope_bytes_per_s < -MOST_PER_S)
		out->slope_bytes_per_s = 0;
	return out->growth_pages;
}

/* Put it where it belongs among those that grew most. */
static void rank(struct mb_oom_culprit *c, const struct mb_oom_grower *g)
{
	uint32_t i = c->n_growers < MB_OOM_GROWERS ? c->n_growers++ : MB_OOM_GROWERS - 1;

	if (i == MB_OOM_GROWERS - 1 && c->growers[i].task && c->growers[i].growth_pages >= g->growth_pages)
		return;
	for (; i > 0 && c->growers[i - 1].growth_pages < g->growth_pages; i--)
		c->growers[i] = c->growers[i - 1];
	c->growers[i] = *g;
}

struct name {
	const struct mb_oom_task_event *largest;
	int64_t growth, of_largest;
	uint64_t from_ns; /* of the one that began first */
};

static void add_to_name(struct name *names, uint32_t *n, const struct mb_oom_grower *g)
{
	struct name *name = NULL;

	for (uint32_t i = 0; i < *n && !name; i++) {
		if (!strcmp(names[i].largest->comm, g->task->comm))
			name = &names[i];
	}
	if (!name && *n == NAMES)
		return; /* with so many names, none of them stands out */
	if (!name) {
		name = &names[(*n)++];
		memset(name, 0, sizeof(*name));
	}
	if (!name->largest || g->from_ns < name->from_ns)
		name->from_ns = g->from_ns;
	name->growth += g->growth_pages;
	if (!name->largest || g->growth_pages > name->of_largest) {
		name->largest = g->task;
		name->of_largest = g->growth_pages;
	}
}

/* How many of a name have a part in its growth that is worth the name: a 64th of the largest one's at least. */
static uint32_t count_name(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t window_ns,
			   const struct name *name)
{
	struct mb_oom_grower g;
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_task(m->oom, k, i);

		n += t && !strcmp(t->comm, name->largest->comm) &&
		     growth_of(m, k, window_ns, t, &g) * 64 >= name->of_largest;
	}
	return n;
}

static void measure(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t window_ns,
		    struct mb_oom_culprit *c)
{
	struct name names[NAMES], *most = NULL;
	struct mb_oom_grower g;
	uint32_t n = 0;

	memset(c, 0, sizeof(*c));
	c->window_ns = window_ns;
	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_task(m->oom, k, i);

		if (!t)
			continue;
		c->used_pages += pages_of(t);
		if (growth_of(m, k, window_ns, t, &g) <= 0)
			continue;
		c->all_growth_pages += g.growth_pages;
		rank(c, &g);
		add_to_name(names, &n, &g);
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!most || names[i].growth > most->growth)
			most = &names[i];
	}
	if (!most)
		return;
	c->task = most->largest;
	c->processes = count_name(m, k, window_ns, most);
	c->growth_pages = most->growth;
	c->growth_ns = k->first.h.t_ns - most->from_ns;
}

/* How far the history of this kill reaches back. */
static uint64_t longest_window(const struct mb_model *m, const struct mb_oom_kill *k)
{
	uint64_t first = m->history->first_ns;

	return first && k->first.h.t_ns > first ? k->first.h.t_ns - first : 0;
}

void mb_oom_find_culprit(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_oom_culprit *c)
{
	uint64_t longest, all = k->first.total_pages;

	memset(c, 0, sizeof(*c));
	c->verdict = MB_OOM_CULPRIT_NOT_KNOWN;
	if (!k->n_tasks || !m->history)
		return;
	longest = longest_window(m, k);
	for (size_t i = 0; i < MB_ARRAY_SIZE(windows_ns); i++) {
		bool last = windows_ns[i] >= longest;

		measure(m, k, last ? longest : windows_ns[i], c);
		if (last || (uint64_t)c->all_growth_pages * 2 >= c->used_pages)
			break;
	}
	if (c->used_pages * 1000 < all * HELD_PERMILLE && (uint64_t)c->growth_pages * 1000 < all * LEAST_PERMILLE)
		c->verdict = MB_OOM_CULPRIT_NOT_PROCESSES;
	else if ((uint64_t)c->growth_pages * 1000 < all * LEAST_PERMILLE)
		c->verdict = MB_OOM_CULPRIT_NO_GROWTH;
	else if ((uint64_t)c->growth_pages * 1000 < (uint64_t)c->all_growth_pages * CLEAR_PERMILLE)
		c->verdict = MB_OOM_CULPRIT_SEVERAL;
	else
		c->verdict = MB_OOM_CULPRIT_CLEAR;
}
