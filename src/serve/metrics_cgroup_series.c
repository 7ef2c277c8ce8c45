// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Sums per cgroup: a bounded number of series, and the special series for the rest. */
#include <stdlib.h>
#include <string.h>

#include "serve/metrics_state.h"

void mb_sum_add(struct mb_sum *s, int64_t more)
{
	uint64_t gain = more > 0 ? (uint64_t)more : 0;
	uint64_t pay = s->debt < gain ? s->debt : gain;

	s->debt -= pay;
	s->value += gain - pay;
	if (more < 0)
		s->debt += 0 - (uint64_t)more;
}

void mb_sum_fold(struct mb_sum *to, const struct mb_sum *s)
{
	to->value += s->value;
	to->debt += s->debt;
}

static void group_free(struct mb_cgroup_series *g)
{
	if (!g)
		return;
	free(g->labels);
	free(g->path);
	free(g->sums);
	free(g);
}

/* Create a cgroup series. Takes ownership of labels, even on failure. */
static struct mb_cgroup_series *group_new(struct mb_metrics *m, char *labels, const char *path)
{
	struct mb_cgroup_series *g = calloc(1, sizeof(*g));

	if (!g) {
		free(labels);
		return NULL;
	}
	g->labels = labels;
	g->path = strdup(path);
	g->sums = calloc(m->n_columns, sizeof(*g->sums));
	if (!g->labels || !g->path || !g->sums) {
		group_free(g);
		return NULL;
	}
	g->idle_ns = m->clock();
	m->made++;
	HASH_ADD_KEYPTR(hh, m->groups, g->labels, strlen(g->labels), g);
	return g;
}

static struct mb_cgroup_series *special(struct mb_metrics *m, const char *name)
{
	struct mb_cgroup_series *g = group_new(m, mb_prom_cgroup_labels(name), name);

	if (g)
		g->special = true;
	return g;
}

bool mb_cgroup_series_init(struct mb_metrics *m)
{
	m->other = special(m, "(other)");
	m->unknown = special(m, "(unknown)");
	m->gone = special(m, "(gone)");
	return m->other && m->unknown && m->gone;
}

struct mb_cgroup_series *mb_cgroup_series_get(struct mb_metrics *m, const char *path)
{
	struct mb_cgroup_series *g = NULL;
	char *labels;

	if (!path)
		return m->unknown;
	if (!path[0])
		path = "/";
	labels = mb_prom_cgroup_labels(path);
	if (!labels)
		return m->other;
	HASH_FIND_STR(m->groups, labels, g);
	if (g || m->n_groups >= m->config.cgroups) {
		free(labels);
		m->wanted_room |= !g;
		return g ? g : m->other;
	}
	g = group_new(m, labels, path);
	if (!g)
		return m->other;
	m->n_groups++;
	return g;
}

void mb_cgroup_series_hold(struct mb_cgroup_series *g, struct mb_track *t)
{
	if (t->group)
		t->group->tracks--;
	if (g)
		g->tracks++;
	t->group = g;
}

/* Detach the tracks from a series. Usually none are left, so folding many series is fast. */
static void let_go(struct mb_metrics *m, struct mb_cgroup_series *g)
{
	struct mb_track *t, *tmp;

	if (!g->tracks)
		return;
	HASH_ITER(hh, m->tracks, t, tmp)
	{
		if (t->group == g)
			mb_cgroup_series_hold(NULL, t);
	}
}

/* End a series and fold its values into another one, so that the sum does not change. */
static void fold(struct mb_metrics *m, struct mb_cgroup_series *g, struct mb_cgroup_series *to)
{
	for (size_t i = 0; i < m->n_columns; i++) {
		if (m->columns[i].type == MB_PROM_COUNTER)
			mb_sum_fold(&to->sums[i], &g->sums[i]);
		else
			to->sums[i].value += g->sums[i].value;
	}
	for (int i = 0; i < MB_KILLS; i++)
		to->kills[i] += g->kills[i];
	for (int i = 0; i < 4; i++)
		to->rss_pages[i] += g->rss_pages[i];
	to->processes += g->processes;
	to->threads += g->threads;
	let_go(m, g);
	HASH_DEL(m->groups, g);
	group_free(g);
	m->n_groups--;
	m->folded_cgroup_series++;
}

void mb_cgroup_series_begin_tick(struct mb_metrics *m)
{
	struct mb_cgroup_series *g, *tmp;

	m->wanted_room = false;
	HASH_ITER(hh, m->groups, g, tmp)
	{
		g->processes = g->threads = 0;
		memset(g->rss_pages, 0, sizeof(g->rss_pages));
		for (size_t i = 0; i < m->n_columns; i++) {
			if (m->columns[i].type == MB_PROM_GAUGE)
				g->sums[i].value = 0;
		}
	}
}

void mb_cgroup_series_fold(struct mb_metrics *m)
{
	uint64_t after = m->wanted_room ? MB_GROUP_FULL_FOLD_NS : MB_GROUP_FOLD_NS;
	struct mb_cgroup_series *g, *tmp;

	HASH_ITER(hh, m->groups, g, tmp)
	{
		if (g->processes)
			g->idle_ns = m->now_ns;
		else if (!g->special && m->now_ns - g->idle_ns > after)
			fold(m, g, m->gone);
	}
}

/* The limit may be lower now: fold the newest series first. */
void mb_cgroup_series_configure(struct mb_metrics *m)
{
	while (m->n_groups > m->config.cgroups) {
		struct mb_cgroup_series *g, *tmp, *last = NULL;

		HASH_ITER(hh, m->groups, g, tmp)
		{
			if (!g->special)
				last = g;
		}
		fold(m, last, m->other);
	}
}

void mb_cgroup_series_free(struct mb_metrics *m)
{
	struct mb_cgroup_series *g, *tmp;

	HASH_ITER(hh, m->groups, g, tmp)
	{
		HASH_DEL(m->groups, g);
		group_free(g);
	}
}
