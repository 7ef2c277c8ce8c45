// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The processes with the largest values: assigns top-K slots by the rule in metrics.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/metrics_state.h"

static void add_slot(struct mb_quantity_source *q, const struct mb_prom_column *c)
{
	if (q->n == MB_ARRAY_SIZE(q->slots))
		return;
	q->columns[q->n] = c;
	q->slots[q->n++] = c->slot;
}

void mb_top_init(struct mb_metrics *m)
{
	static const struct {
		const char *metric, *labels; /* labels NULL: any */
		enum mb_quantity quantity;
	} from[] = {
		{ "memblame_faults", "type=\"minor\"", MB_Q_MINOR },
		{ "memblame_faults", "type=\"major\"", MB_Q_MAJOR },
		{ "memblame_stall_seconds", NULL, MB_Q_STALLED },
		{ "memblame_writeback_dirtied_bytes", NULL, MB_Q_DIRTIED },
	};

	for (size_t i = 0; i < m->n_columns; i++) {
		const struct mb_prom_column *c = &m->columns[i];

		for (size_t j = 0; j < MB_ARRAY_SIZE(from); j++) {
			if (strcmp(c->metric, from[j].metric) == 0 &&
			    (!from[j].labels || strcmp(c->labels, from[j].labels) == 0))
				add_slot(&m->quantities[from[j].quantity], c);
		}
	}
}

static int64_t gained(const struct mb_quantity_source *q, const struct mb_process *p)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < q->n; i++)
		sum += mb_process_delta(p, q->slots[i]) * q->columns[i]->scale;
	return (int64_t)sum;
}

void mb_top_add(struct mb_metrics *m, struct mb_track *t, const struct mb_process *p)
{
	for (int i = 0; i < MB_QUANTITIES; i++) {
		struct mb_quantity_source *q = &m->quantities[i];
		bool seated = t && t->topk_slot[i].used;

		mb_sum_add(seated ? &t->topk_slot[i].sum : &q->other, gained(q, p));
	}
}

void mb_top_smooth(const struct mb_metrics *m, struct mb_track *t, const struct mb_process *p, bool changed)
{
	for (int i = 0; i < MB_QUANTITIES; i++) {
		int64_t more = changed && i != MB_Q_RESIDENT ? gained(&m->quantities[i], p) : 0;
		double now = more > 0 ? (double)more / m->dt_s : 0;

		if (i == MB_Q_RESIDENT)
			now = (double)t->rss_pages;
		t->smooth[i] += (float)((now - t->smooth[i]) * m->alpha);
	}
}

void mb_track_relabel(struct mb_track *t)
{
	char pid[16], comm[MB_COMM_LEN + 1] = "";
	const char *cgroup = t->group ? t->group->path : "(unknown)";
	size_t size, len = 0;
	char *labels;

	snprintf(pid, sizeof(pid), "%u", t->key.tgid);
	memcpy(comm, t->comm, sizeof(t->comm));
	size = mb_prom_label_room("pid", pid) + mb_prom_label_room("comm", comm) +
	       mb_prom_label_room("cgroup", cgroup);
	labels = malloc(size);
	if (!labels)
		return; /* keep the old labels */
	mb_prom_label(labels, size, &len, "pid", pid);
	mb_prom_label(labels, size, &len, "comm", comm);
	mb_prom_label(labels, size, &len, "cgroup", cgroup);
	free(t->labels);
	t->labels = labels;
}

static void leave_topk_slot(struct mb_metrics *m, struct mb_track *t, int i, struct mb_sum *to)
{
	mb_sum_fold(to, &t->topk_slot[i].sum);
	memset(&t->topk_slot[i], 0, sizeof(t->topk_slot[i]));
	t->ahead[i] = 0;
	t->topk_slots--;
	m->quantities[i].topk_slots--;
	m->folded_topk_slots++;
	if (t->topk_slots)
		return;
	free(t->labels);
	t->labels = NULL;
}

/*
 * A process with the same pid still holds a slot: continue its series, since two series must not have the same
 * labels.
 */
static void inherit(struct mb_metrics *m, struct mb_track *t, int i)
{
	struct mb_track *old, *tmp;

	HASH_ITER(hh, m->tracks, old, tmp)
	{
		if (old == t || old->key.tgid != t->key.tgid || !old->topk_slot[i].used)
			continue;
		leave_topk_slot(m, old, i, &t->topk_slot[i].sum);
	}
}

static void take_topk_slot(struct mb_metrics *m, struct mb_track *t, int i)
{
	if (!t->labels)
		mb_track_relabel(t);
	if (!t->labels)
		return;
	inherit(m, t, i);
	t->topk_slot[i].used = true;
	t->topk_slot[i].since_ns = m->now_ns;
	t->topk_slots++;
	m->quantities[i].topk_slots++;
}

static bool may_leave(const struct mb_metrics *m, const struct mb_track *t, int i)
{
	return !t->ended_ns && m->now_ns - t->topk_slot[i].since_ns >= MB_TOPK_STAYS_NS;
}

/* Remove processes that ended a minute ago. For each quantity, find the smallest process that may lose its slot. */
static void look_at_topk_slots(struct mb_metrics *m, struct mb_track *smallest[MB_QUANTITIES])
{
	struct mb_track *t, *tmp;

	HASH_ITER(hh, m->tracks, t, tmp)
	{
		for (int i = 0; i < MB_QUANTITIES && t->topk_slots; i++) {
			if (!t->topk_slot[i].used)
				continue;
			if (t->ended_ns && m->now_ns - t->ended_ns >= MB_TOPK_ENDED_NS)
				leave_topk_slot(m, t, i, &m->quantities[i].other);
			else if (may_leave(m, t, i) && (!smallest[i] || t->smooth[i] < smallest[i]->smooth[i]))
				smallest[i] = t;
		}
		if (!t->in_model && !t->topk_slots)
			mb_track_free(m, t);
	}
}

/* Whether a process has been ahead for enough ticks. */
static bool is_ahead(const struct mb_metrics *m, struct mb_track *t, int i, const struct mb_track *smallest)
{
	bool room = m->quantities[i].topk_slots < m->config.top;
	double limit = room ? 1e-6 : smallest ? smallest->smooth[i] * MB_TOPK_LARGER : 0;
	bool ahead = (room || smallest) && t->smooth[i] > limit;

	if (!ahead)
		t->ahead[i] = 0;
	else if (t->ahead[i] < MB_TOPK_TICKS)
		t->ahead[i]++;
	return t->ahead[i] >= MB_TOPK_TICKS;
}

void mb_top_rank(struct mb_metrics *m)
{
	struct mb_track *smallest[MB_QUANTITIES] = { NULL }, *best[MB_QUANTITIES] = { NULL }, *t, *tmp;

	look_at_topk_slots(m, smallest);
	if (!m->config.processes || !m->config.top)
		return;
	HASH_ITER(hh, m->tracks, t, tmp)
	{
		for (int i = 0; i < MB_QUANTITIES; i++) {
			if (t->ended_ns || t->topk_slot[i].used || !is_ahead(m, t, i, smallest[i]))
				continue;
			if (!best[i] || t->smooth[i] > best[i]->smooth[i])
				best[i] = t;
		}
	}
	for (int i = 0; i < MB_QUANTITIES; i++) {
		if (!best[i])
			continue;
		if (m->quantities[i].topk_slots >= m->config.top)
			leave_topk_slot(m, smallest[i], i, &m->quantities[i].other);
		take_topk_slot(m, best[i], i);
	}
}

/* The number of slots may be lower now: the smallest processes lose theirs. */
void mb_top_configure(struct mb_metrics *m)
{
	uint32_t top = m->config.processes ? m->config.top : 0;

	for (int i = 0; i < MB_QUANTITIES; i++) {
		while (m->quantities[i].topk_slots > top) {
			struct mb_track *t, *tmp, *smallest = NULL;

			HASH_ITER(hh, m->tracks, t, tmp)
			{
				if (t->topk_slot[i].used && (!smallest || t->smooth[i] < smallest->smooth[i]))
					smallest = t;
			}
			leave_topk_slot(m, smallest, i, &m->quantities[i].other);
		}
	}
}

void mb_track_leave(struct mb_metrics *m, struct mb_track *t)
{
	t->in_model = false;
	mb_cgroup_series_hold(NULL, t);
	t->rss_pages = 0;
	if (!t->ended_ns)
		t->ended_ns = m->now_ns;
	if (!t->topk_slots)
		mb_track_free(m, t);
}

void mb_track_free(struct mb_metrics *m, struct mb_track *t)
{
	HASH_DEL(m->tracks, t);
	free(t->labels);
	free(t);
}
