// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Writes the text of a scrape: cgroups, processes, histograms. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "serve/metrics_state.h"

static bool known(const struct mb_snapshot *s, const struct mb_prom_column *c)
{
	return mb_field_known(s->model, c->family, c->field);
}

/* ---- by cgroup ---- */

static void put_column(struct mb_prom *w, const struct mb_cgroup_series *g, const struct mb_prom_column *c, uint64_t v)
{
	if (c->type == MB_PROM_GAUGE)
		mb_prom_signed(w, g->labels, c->labels, (int64_t)v * c->scale);
	else
		mb_prom_sample(w, NULL, g->labels, c->labels, v * c->scale, c->decimals);
}

/* Write one metric: columns from to end - 1, unless this kernel does not know them. */
static void put_metric(const struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s, size_t from,
		       size_t end)
{
	const struct mb_cgroup_series *g, *tmp;
	size_t shown[64], n = 0;

	for (size_t i = from; i < end && n < MB_ARRAY_SIZE(shown); i++) {
		if (known(s, &m->columns[i]))
			shown[n++] = i;
	}
	if (!n)
		return;
	mb_prom_family(w, m->columns[from].type, m->columns[from].metric, m->columns[from].help);
	HASH_ITER(hh, m->groups, g, tmp)
	{
		for (size_t i = 0; i < n; i++)
			put_column(w, g, &m->columns[shown[i]], g->sums[shown[i]].value);
	}
}

static void put_columns(const struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s)
{
	size_t end;

	for (size_t i = 0; i < m->n_columns; i = end) {
		end = i + 1;
		while (end < m->n_columns && strcmp(m->columns[i].metric, m->columns[end].metric) == 0)
			end++;
		put_metric(m, w, s, i, end);
	}
}

static void put_memory(const struct mb_metrics *m, struct mb_prom *w)
{
	static const char *const kinds[4] = { "kind=\"file\"", "kind=\"anon\"", "kind=\"swap\"", "kind=\"shmem\"" };
	const struct mb_cgroup_series *g, *tmp;

	mb_prom_family(w, MB_PROM_GAUGE, "memblame_memory_bytes",
		       "Memory of the live processes, as the kernel counts it for each: resident anon, file and shmem "
		       "pages, and what is swapped out. A page that several processes map counts once for each.");
	HASH_ITER(hh, m->groups, g, tmp)
	{
		for (int i = 0; i < 4; i++)
			mb_prom_sample(w, NULL, g->labels, kinds[i], g->rss_pages[i] * MB_PAGE_SIZE, 0);
	}
	mb_prom_family(w, MB_PROM_GAUGE, "memblame_processes", "Live processes.");
	HASH_ITER(hh, m->groups, g, tmp)
	mb_prom_sample(w, NULL, g->labels, NULL, g->processes, 0);
	mb_prom_family(w, MB_PROM_GAUGE, "memblame_threads", "Threads of the live processes.");
	HASH_ITER(hh, m->groups, g, tmp)
	mb_prom_sample(w, NULL, g->labels, NULL, g->threads, 0);
}

/*
 * rate() would miss the first kill of a series that starts with it, so the two usual constraints are always exported.
 */
static void put_kills(const struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s)
{
	const struct mb_cgroup_series *g, *tmp;
	char label[32];

	if (s->model->off & (1u << MB_FAM_oom))
		return;
	mb_prom_family(w, MB_PROM_COUNTER, "memblame_oom_kills",
		       "Processes killed by the OOM killer, or (constraint process) by a process while memory was short, "
		       "by the victim's cgroup and what had run out.");
	HASH_ITER(hh, m->groups, g, tmp)
	{
		for (int i = 0; i < MB_KILLS; i++) {
			snprintf(label, sizeof(label), "constraint=\"%s\"", mb_kills_names[i]);
			if (i <= MB_KILLS_GLOBAL || g->kills[i])
				mb_prom_sample(w, NULL, g->labels, label, g->kills[i], 0);
		}
	}
}

/* ---- by process ---- */

#define OTHER "pid=\"(other)\",comm=\"(other)\",cgroup=\"(other)\""

static const struct quantity {
	const char *name, *help;
	unsigned int decimals;
} quantities[MB_QUANTITIES] = {
	[MB_Q_MINOR] = { "memblame_process_minor_faults", "Minor faults of the processes with most of them.", 0 },
	[MB_Q_MAJOR] = { "memblame_process_major_faults", "Major faults of the processes with most of them.", 0 },
	[MB_Q_STALLED] = { "memblame_process_stall_seconds",
			   "Time lost in stalls of all kinds, of the processes that lost most.", 9 },
	[MB_Q_RESIDENT] = { "memblame_process_resident_bytes",
			    "Resident memory of the processes with most of it; of (other), the sum of all others.", 0 },
	[MB_Q_DIRTIED] = { "memblame_process_dirtied_bytes", "Bytes dirtied by the processes that dirty most.", 0 },
};

static bool quantity_known(const struct mb_metrics *m, const struct mb_snapshot *s, int i)
{
	for (unsigned int j = 0; j < m->quantities[i].n; j++) {
		if (known(s, m->quantities[i].columns[j]))
			return true;
	}
	return i == MB_Q_RESIDENT;
}

static void put_resident(const struct mb_metrics *m, struct mb_prom *w)
{
	const struct mb_track *t, *tmp;
	uint64_t rest = 0;

	HASH_ITER(hh, m->tracks, t, tmp)
	{
		if (!t->topk_slot[MB_Q_RESIDENT].used)
			rest += t->rss_pages;
		else if (!t->ended_ns) /* an ended process has no memory; a value of 0 would be wrong */
			mb_prom_sample(w, NULL, t->labels, NULL, t->rss_pages * MB_PAGE_SIZE, 0);
	}
	mb_prom_sample(w, NULL, OTHER, NULL, rest * MB_PAGE_SIZE, 0);
}

static void put_quantity(const struct mb_metrics *m, struct mb_prom *w, int i)
{
	const struct quantity *q = &quantities[i];
	const struct mb_track *t, *tmp;

	mb_prom_family(w, i == MB_Q_RESIDENT ? MB_PROM_GAUGE : MB_PROM_COUNTER, q->name, q->help);
	if (i == MB_Q_RESIDENT) {
		put_resident(m, w);
		return;
	}
	HASH_ITER(hh, m->tracks, t, tmp)
	{
		if (t->topk_slot[i].used)
			mb_prom_sample(w, NULL, t->labels, NULL, t->topk_slot[i].sum.value, q->decimals);
	}
	mb_prom_sample(w, NULL, OTHER, NULL, m->quantities[i].other.value, q->decimals);
}

/* ---- histograms ---- */

#define EDGES 13 /* 1.024 us to 17.2 s in steps of 4; they are also edges of mb_hist, so no bucket is split */
#define EDGE(i) (1024ull << (2 * (i)))

/* Sum over the processes that have left the model and those still in it, so that the histogram never decreases. */
static void collect(const struct mb_metrics *m, const struct mb_model *model, uint64_t (*all)[MB_HIST_BUCKETS])
{
	const struct mb_process *p;

	for (unsigned int i = 0; i < m->n_hists; i++)
		memcpy(all[i], m->hists[i].gone, sizeof(*all));
	DL_FOREACH(model->all, p)
	{
		for (const struct mb_detail *d = p->details; d; d = d->next) {
			unsigned int i = 0;

			while (i < m->n_hists && m->hists[i].field != d->field)
				i++;
			for (unsigned int b = 0; i < m->n_hists && b < MB_HIST_BUCKETS; b++)
				all[i][b] += d->hist.buckets[b];
		}
	}
}

/* Estimate with the middle of each bucket: off by an eighth at most. */
static uint64_t estimated_sum(const uint64_t *buckets)
{
	uint64_t sum = 0;

	for (unsigned int b = 1; b < MB_HIST_BUCKETS; b++)
		sum += buckets[b] * ((mb_hist_upper(b - 1) + 1 + mb_hist_upper(b)) / 2);
	return sum;
}

static uint64_t exact_sum(const struct mb_metrics *m, const struct mb_prom_column *time)
{
	const struct mb_cgroup_series *g, *tmp;
	uint64_t sum = 0;

	HASH_ITER(hh, m->groups, g, tmp)
	sum += g->sums[time - m->columns].value;
	return sum;
}

static void put_hist(const struct mb_metrics *m, struct mb_prom *w, const struct mb_hist_source *h,
		     const uint64_t *buckets, const char *label)
{
	uint64_t count = 0;
	unsigned int b = 0;
	char le[32];

	for (int i = 0; i < EDGES; i++) {
		while (b < MB_HIST_BUCKETS && mb_hist_upper(b) < EDGE(i))
			count += buckets[b++];
		snprintf(le, sizeof(le), "le=\"%.12g\"", (double)EDGE(i) / 1e9);
		mb_prom_sample(w, "_bucket", label, le, count, 0);
	}
	while (b < MB_HIST_BUCKETS)
		count += buckets[b++];
	mb_prom_sample(w, "_bucket", label, "le=\"+Inf\"", count, 0);
	mb_prom_sample(w, "_sum", label, NULL, h->time ? exact_sum(m, h->time) : estimated_sum(buckets), 9);
	mb_prom_sample(w, "_count", label, NULL, count, 0);
}

static void put_hists(const struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s)
{
	uint64_t all[MB_METRICS_HISTS][MB_HIST_BUCKETS];
	char text[256], label[64];
	bool begun = false;

	collect(m, s->model, all);
	for (unsigned int i = 0; i < m->n_hists; i++) {
		const struct mb_hist_source *h = &m->hists[i];

		if (h->time || !mb_field_known(s->model, h->family, h->field))
			continue;
		snprintf(label, sizeof(label), "memblame_%s_%s_seconds", h->field->group, h->field->name);
		snprintf(text, sizeof(text),
			 "%s, on the whole machine. Those that are sampled are scaled up; _sum is an estimate "
			 "from the middles of finer buckets.",
			 h->field->help);
		mb_prom_family(w, MB_PROM_HISTOGRAM, label, text);
		put_hist(m, w, h, all[i], NULL);
	}
	for (unsigned int i = 0; i < m->n_hists; i++) {
		const struct mb_hist_source *h = &m->hists[i];

		if (!h->time || !mb_field_known(s->model, h->family, h->field))
			continue;
		if (!begun)
			mb_prom_family(w, MB_PROM_HISTOGRAM, "memblame_stall_length_seconds",
				       "Lengths of stalls by kind, on the whole machine; those below 1.5 us count as that. "
				       "_sum is their exact time, also of those whose length there was no room to note.");
		begun = true;
		snprintf(label, sizeof(label), "kind=\"%s\"", h->field->name);
		put_hist(m, w, h, all[i], label);
	}
}

int mb_metrics_write(struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s,
		     const struct mb_metrics_self *self, bool openmetrics)
{
	mb_prom_begin(w, openmetrics);
	put_columns(m, w, s);
	put_memory(m, w);
	put_kills(m, w, s);
	for (int i = 0; i < MB_QUANTITIES && m->config.processes; i++) {
		if (quantity_known(m, s, i))
			put_quantity(m, w, i);
	}
	put_hists(m, w, s);
	mb_metrics_write_self(m, w, s, self);
	return mb_prom_end(w);
}
