// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Metrics: adds up, tick by tick, what processes gain. */
#include "serve/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "serve/metrics_state.h"

static void set_config(struct mb_metrics *m, const struct mb_metrics_config *c)
{
	m->config = *c;
	if (m->config.top > MB_METRICS_TOP_MAX)
		m->config.top = MB_METRICS_TOP_MAX;
	if (m->config.cgroups > MB_METRICS_CGROUPS_MAX)
		m->config.cgroups = MB_METRICS_CGROUPS_MAX;
}

static void add_hist(struct mb_metrics *m, const struct mb_family *fam, const struct mb_field *f)
{
	struct mb_hist_source *h = &m->hists[m->n_hists];

	if ((f->kind != MB_FIELD_HIST && f->kind != MB_FIELD_STALL) || m->n_hists == MB_METRICS_HISTS)
		return;
	h->family = fam;
	h->field = f;
	for (size_t i = 0; i < m->n_columns && f->kind == MB_FIELD_STALL; i++) {
		if (m->columns[i].field == f && m->columns[i].decimals)
			h->time = &m->columns[i];
	}
	m->n_hists++;
}

/* Find the histograms: fields that are histograms, and the durations of stalls. */
static void find_hists(struct mb_metrics *m)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++)
			add_hist(m, fam[i], &fam[i]->fields[j]);
	}
}

struct mb_metrics *mb_metrics_new(const struct mb_metrics_config *c)
{
	struct mb_metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	set_config(m, c);
	m->clock = mb_now_ns;
	m->slots = mb_slots();
	m->columns = mb_prom_columns(&m->n_columns);
	if (!m->columns || !mb_cgroup_series_init(m)) {
		mb_metrics_free(m);
		return NULL;
	}
	find_hists(m);
	mb_top_init(m);
	return m;
}

void mb_metrics_free(struct mb_metrics *m)
{
	struct mb_track *t, *tmp;

	if (!m)
		return;
	HASH_ITER(hh, m->tracks, t, tmp)
	mb_track_free(m, t);
	mb_cgroup_series_free(m);
	free(m->columns);
	free(m);
}

void mb_metrics_configure(struct mb_metrics *m, const struct mb_metrics_config *c)
{
	set_config(m, c);
	mb_cgroup_series_configure(m);
	mb_top_configure(m);
}

void mb_metrics_set_clock(struct mb_metrics *m, uint64_t (*now_ns)(void))
{
	m->clock = now_ns;
}

static struct mb_track *track_find(struct mb_metrics *m, const struct mb_process *p)
{
	struct mb_track_key key = { .start_ns = p->start_ns, .tgid = p->tgid };
	struct mb_track *t;

	HASH_FIND(hh, m->tracks, &key, sizeof(key), t);
	return t;
}

static struct mb_track *track_get(struct mb_metrics *m, const struct mb_process *p)
{
	struct mb_track *t = track_find(m, p);

	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return NULL;
		t->key = (struct mb_track_key){ .start_ns = p->start_ns, .tgid = p->tgid };
		HASH_ADD(hh, m->tracks, key, sizeof(t->key), t);
	}
	t->in_model = true;
	t->seen = m->ticks;
	return t;
}

/* Whether the cgroup series of a track is still right. For a track in (other) only a hash of the path is known. */
static bool group_holds(struct mb_metrics *m, struct mb_track *t, const char *path)
{
	unsigned int hash;

	if (!t->group || !path)
		return false;
	if (t->group != m->other)
		return strcmp(t->group->path, path) == 0;
	HASH_VALUE(path, strlen(path), hash);
	if (m->n_groups >= m->config.cgroups && t->made == m->made && t->path_hash == hash) {
		m->wanted_room = true;
		return true;
	}
	t->path_hash = hash;
	return false;
}

/* The cgroup series of a process. t, if not NULL, caches it, because the lookup by path is slow. */
static struct mb_cgroup_series *group_of(struct mb_metrics *m, struct mb_track *t, const struct mb_process *p)
{
	const char *path = p->cgroup_path && !p->cgroup_path[0] ? "/" : p->cgroup_path;
	struct mb_cgroup_series *g;

	if (t && group_holds(m, t, path))
		return t->group;
	g = mb_cgroup_series_get(m, path);
	if (t)
		t->made = m->made;
	if (!t || t->group == g)
		return g;
	mb_cgroup_series_hold(g, t);
	if (t->topk_slots)
		mb_track_relabel(t);
	return g;
}

/* Add what p has gained since the last interval. */
static void add_gains(struct mb_metrics *m, struct mb_cgroup_series *g, struct mb_track *t, const struct mb_process *p)
{
	for (size_t i = 0; i < m->n_columns; i++) {
		uint64_t more = mb_process_delta(p, m->columns[i].slot);

		if (more && m->columns[i].type == MB_PROM_COUNTER)
			mb_sum_add(&g->sums[i], (int64_t)more);
	}
	g->idle_ns = m->now_ns;
	mb_top_add(m, t, p);
}

static bool has_changed(const struct mb_metrics *m, const struct mb_process *p)
{
	return memcmp(p->values, p->before, m->slots * sizeof(*p->values)) != 0;
}

/* Add the current values of p to the gauges. */
static void add_gauges(struct mb_metrics *m, struct mb_cgroup_series *g, struct mb_track *t, const struct mb_process *p)
{
	g->processes++;
	g->threads += p->threads;
	if (t)
		t->rss_pages = p->has_memory ? p->rss_pages[0] + p->rss_pages[1] + p->rss_pages[3] : 0;
	for (int i = 0; i < 4 && p->has_memory; i++)
		g->rss_pages[i] += p->rss_pages[i];
	for (size_t i = 0; i < m->n_columns; i++) {
		if (m->columns[i].type == MB_PROM_GAUGE)
			g->sums[i].value += mb_process_value(p, m->columns[i].slot);
	}
}

static void take_process(struct mb_metrics *m, const struct mb_process *p)
{
	struct mb_track *t = track_get(m, p);
	bool changed = has_changed(m, p);
	struct mb_cgroup_series *g;

	/* an ended process that is still in the model must not bring its cgroup series back */
	if (!p->exited || changed) {
		g = group_of(m, t, p);
		if (changed)
			add_gains(m, g, t, p);
		if (!p->exited)
			add_gauges(m, g, t, p);
	}
	if (!t)
		return;
	if (p->exited)
		t->rss_pages = 0;
	t->ended_ns = !p->exited ? 0 : t->ended_ns ? t->ended_ns : m->now_ns;
	mb_top_smooth(m, t, p, changed);
	if (memcmp(t->comm, p->comm, sizeof(t->comm)) == 0)
		return;
	memcpy(t->comm, p->comm, sizeof(t->comm));
	if (t->topk_slots)
		mb_track_relabel(t);
}

static void take_time(struct mb_metrics *m)
{
	uint64_t now = m->clock();

	m->dt_s = m->ticks && now > m->now_ns ? (double)(now - m->now_ns) / 1e9 : 1;
	m->alpha = 1 - exp2(-m->dt_s / MB_RATE_HALF_LIFE_S);
	m->now_ns = now;
	m->ticks++;
}

void mb_metrics_tick(struct mb_metrics *m, const struct mb_model *model)
{
	const struct mb_process *p;
	struct mb_track *t, *tmp;

	take_time(m);
	if (model->events > m->events)
		m->events = model->events;
	mb_cgroup_series_begin_tick(m);
	DL_FOREACH(model->all, p)
	take_process(m, p);
	/* processes that left the model without a call of mb_metrics_forget() */
	HASH_ITER(hh, m->tracks, t, tmp)
	{
		if (t->in_model && t->seen != m->ticks)
			mb_track_leave(m, t);
	}
	mb_cgroup_series_fold(m);
	mb_top_rank(m);
}

static void keep_hists(struct mb_metrics *m, const struct mb_process *p)
{
	for (const struct mb_detail *d = p->details; d; d = d->next) {
		for (unsigned int i = 0; i < m->n_hists; i++) {
			if (m->hists[i].field != d->field)
				continue;
			for (unsigned int b = 0; b < MB_HIST_BUCKETS; b++)
				m->hists[i].gone[b] += d->hist.buckets[b];
		}
	}
}

void mb_metrics_forget(struct mb_metrics *m, const struct mb_model *model, const struct mb_process *p)
{
	struct mb_track *t = track_find(m, p);

	(void)model;
	if (has_changed(m, p))
		add_gains(m, group_of(m, t, p), t, p);
	keep_hists(m, p);
	if (t)
		mb_track_leave(m, t);
}

const char *const mb_kills_names[MB_KILLS] = { "memcg", "global", "cpuset", "mempolicy", "process", "unknown" };

void mb_metrics_oom(struct mb_metrics *m, const char *cgroup_path, const char *constraint)
{
	struct mb_cgroup_series *g;
	unsigned int i = 0;

	while (i < MB_KILLS_UNKNOWN && (!constraint || strcmp(constraint, mb_kills_names[i]) != 0))
		i++;
	g = mb_cgroup_series_get(m, cgroup_path);
	g->kills[i]++;
	g->idle_ns = m->clock();
}
