// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The flight history: fixed rings of points for each process and cgroup. */
#include "model/history.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <utlist.h>

#include "base/clock.h"
#include "model/model.h"

#define S MB_NS_PER_S

#define GROWTH_NS (60 * S)

/*
 * Limit for cgroups. The number of series also bounds them, but their paths are outside of the
 * series.
 */
#define CGROUPS 4096u

const struct mb_history_config mb_history_default = { S, 60 * S, 180, 180, 64 << 20 };

struct mb_series {
	struct mb_series **owner; /* location of the owner's pointer to this series */
	struct mb_series *prev, *next; /* in the list of ended or unused series */
	struct mb_point coming; /* the coarse point that fine points are being added to; t_ns 0: none yet */
	uint64_t faults, stalled_ns, peak_pages; /* totals at the last point */
	uint32_t fine_points, coarse_points; /* capacities of the rings */
	uint32_t first_fine, n_fine, first_coarse, n_coarse;
	bool has_ended;
	struct mb_point points[]; /* fine points, then coarse ones */
};

int mb_history_parse(const char *text, struct mb_history_config *c)
{
	unsigned int minutes, hours, mib;
	char end;

	if (sscanf(text, "%u,%u,%u%c", &minutes, &hours, &mib, &end) != 3 || minutes < 1 || minutes > 60 ||
	    hours < 1 || hours > 48 || mib < 1 || mib > 4096)
		return -EINVAL;
	*c = mb_history_default;
	c->fine = minutes * 60;
	c->coarse = hours * 60;
	c->bytes = (size_t)mib << 20;
	return 0;
}

/* Find the slots with the ns of each stall once, because mb_slot() is a linear search. */
static int find_stalls(struct mb_history *h)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	h->stall_slots = calloc(mb_slots(), sizeof(*h->stall_slots));
	if (!h->stall_slots)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			if (fam[i]->fields[j].kind == MB_FIELD_STALL)
				h->stall_slots[h->n_stall_slots++] = mb_slot(&fam[i]->fields[j]) + 1;
		}
	}
	return 0;
}

struct mb_history *mb_history_new(const struct mb_history_config *c)
{
	struct mb_history *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->config = *c;
	h->series_size = sizeof(struct mb_series) + (c->fine + c->coarse) * sizeof(struct mb_point);
	h->n_series = (uint32_t)(c->bytes / h->series_size);
	h->series = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h->series == MAP_FAILED || find_stalls(h)) {
		h->series = h->series == MAP_FAILED ? NULL : h->series;
		mb_history_free(h);
		return NULL;
	}
	return h;
}

void mb_history_free(struct mb_history *h)
{
	struct mb_cgroup_history *c, *tmp;

	if (!h)
		return;
	HASH_ITER(hh, h->cgroups, c, tmp)
	{
		HASH_DEL(h->cgroups, c);
		free(c->path);
		free(c);
	}
	if (h->series)
		munmap(h->series, h->config.bytes);
	free(h->stall_slots);
	free(h);
}

int mb_history_lock(struct mb_history *h)
{
	return mlock2(h->series, h->config.bytes, MLOCK_ONFAULT) ? -errno : 0;
}

/* ---- series ---- */

static struct mb_series *series_take(struct mb_history *h)
{
	struct mb_series *s = h->unused;

	if (s) {
		DL_DELETE(h->unused, s);
		return s;
	}
	if (h->n_touched < h->n_series)
		return (struct mb_series *)(h->series + h->n_touched++ * h->series_size);
	s = h->ended;
	if (s) {
		DL_DELETE(h->ended, s);
		*s->owner = NULL;
		h->evicted++;
	}
	return s;
}

/* The series of an owner, created if there is none; NULL: no space, which is counted. */
static struct mb_series *series_get(struct mb_history *h, struct mb_series **owner)
{
	struct mb_series *s = *owner;

	if (s)
		return s;
	s = series_take(h);
	if (!s) {
		h->left_out++;
		return NULL;
	}
	memset(s, 0, sizeof(*s));
	s->owner = owner;
	s->fine_points = h->config.fine;
	s->coarse_points = h->config.coarse;
	*owner = s;
	return s;
}

static void series_end(struct mb_history *h, struct mb_series *s)
{
	if (s->has_ended)
		return;
	s->has_ended = true;
	DL_APPEND(h->ended, s);
}

void mb_history_forget(struct mb_history *h, struct mb_series *s)
{
	if (!h || !s)
		return;
	if (s->has_ended)
		DL_DELETE(h->ended, s);
	*s->owner = NULL;
	DL_APPEND(h->unused, s);
}

static struct mb_point *fine_at(struct mb_series *s, uint32_t i)
{
	return &s->points[(s->first_fine + i) % s->fine_points];
}

static uint32_t sum32(uint32_t a, uint64_t b)
{
	return a + b < UINT32_MAX ? (uint32_t)(a + b) : UINT32_MAX;
}

static void push_coarse(struct mb_series *s, const struct mb_point *p)
{
	struct mb_point *ring = s->points + s->fine_points;

	if (s->n_coarse == s->coarse_points) {
		s->first_coarse = (s->first_coarse + 1) % s->coarse_points;
		s->n_coarse--;
	}
	ring[(s->first_coarse + s->n_coarse++) % s->coarse_points] = *p;
}

/* A fine point that leaves its ring is added to the pending coarse point. */
static void make_coarse(const struct mb_history *h, struct mb_series *s, const struct mb_point *p)
{
	struct mb_point *c = &s->coming;
	uint64_t step = h->config.coarse_step_ns;

	if (c->t_ns && c->t_ns / step != p->t_ns / step) {
		push_coarse(s, c);
		memset(c, 0, sizeof(*c));
	}
	c->t_ns = p->t_ns;
	memcpy(c->rss_pages, p->rss_pages, sizeof(c->rss_pages));
	if (p->peak_pages > c->peak_pages)
		c->peak_pages = p->peak_pages;
	c->faults = sum32(c->faults, p->faults);
	c->stalled_us = sum32(c->stalled_us, p->stalled_us);
}

static bool says_nothing_new(struct mb_series *s, const struct mb_point *p)
{
	const struct mb_point *last = s->n_fine ? fine_at(s, s->n_fine - 1) : NULL;

	return last && !p->faults && !p->stalled_us && p->peak_pages <= last->peak_pages &&
	       !memcmp(p->rss_pages, last->rss_pages, sizeof(p->rss_pages));
}

static void push(const struct mb_history *h, struct mb_series *s, const struct mb_point *p)
{
	if (says_nothing_new(s, p))
		return;
	if (s->n_fine == s->fine_points) {
		make_coarse(h, s, fine_at(s, 0));
		s->first_fine = (s->first_fine + 1) % s->fine_points;
		s->n_fine--;
	}
	s->points[(s->first_fine + s->n_fine++) % s->fine_points] = *p;
}

uint32_t mb_series_points(const struct mb_series *s)
{
	return s ? s->n_coarse + (s->coming.t_ns != 0) + s->n_fine : 0;
}

const struct mb_point *mb_series_point(const struct mb_series *s, uint32_t i)
{
	if (i < s->n_coarse)
		return &s->points[s->fine_points + (s->first_coarse + i) % s->coarse_points];
	i -= s->n_coarse;
	if (s->coming.t_ns && i-- == 0)
		return &s->coming;
	return &s->points[(s->first_fine + i) % s->fine_points];
}

const struct mb_point *mb_series_at(const struct mb_series *s, uint64_t t_ns)
{
	uint32_t from = 0, to = mb_series_points(s);

	/* find the last point that is not later */
	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (mb_series_point(s, middle)->t_ns <= t_ns)
			from = middle + 1;
		else
			to = middle;
	}
	return from ? mb_series_point(s, from - 1) : NULL;
}

uint64_t mb_point_pages(const struct mb_point *p)
{
	return (uint64_t)p->rss_pages[0] + p->rss_pages[1] + p->rss_pages[2] + p->rss_pages[3];
}

uint64_t mb_series_pages_at(const struct mb_series *s, uint64_t start_ns, uint64_t now_pages, uint64_t *from_ns)
{
	const struct mb_point *p = s ? mb_series_at(s, *from_ns) : NULL;

	if (p)
		return mb_point_pages(p);
	if (start_ns >= *from_ns) {
		*from_ns = start_ns;
		return 0;
	}
	if (!mb_series_points(s))
		return now_pages;
	p = mb_series_point(s, 0);
	*from_ns = p->t_ns;
	return mb_point_pages(p);
}

int64_t mb_history_growth(const struct mb_process *p, uint64_t now_ns, uint64_t *ns)
{
	uint64_t pages = p->rss_pages[0] + p->rss_pages[1] + p->rss_pages[2] + p->rss_pages[3];
	uint64_t from = now_ns > GROWTH_NS ? now_ns - GROWTH_NS : 0;
	uint64_t before = mb_series_pages_at(p->series, p->start_ns, pages, &from);

	*ns = now_ns > from ? now_ns - from : 0;
	return (int64_t)(pages - before);
}

/* ---- processes ---- */

static uint32_t to32(uint64_t v)
{
	return v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

static uint64_t stalled_ns(const struct mb_history *h, const struct mb_process *p)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < h->n_stall_slots; i++)
		sum += p->values[h->stall_slots[i]];
	return sum;
}

/* The changes since the last point of a process. */
static void make_point(const struct mb_history *h, struct mb_series *s, const struct mb_process *p,
		       uint64_t t_ns, const uint64_t rss_pages[4], struct mb_point *out)
{
	uint64_t resident = rss_pages[0] + rss_pages[1] + rss_pages[3];
	uint64_t faults = p->minor + p->major, stalled = stalled_ns(h, p);

	memset(out, 0, sizeof(*out));
	out->t_ns = t_ns;
	for (int i = 0; i < 4; i++)
		out->rss_pages[i] = to32(rss_pages[i]);
	/* a higher high-water mark was reached within this step */
	out->peak_pages = to32(p->peak_pages > s->peak_pages && p->peak_pages > resident ? p->peak_pages :
											    resident);
	/* values from before tracing do not belong to a step */
	if (mb_series_points(s) || p->born) {
		out->faults = to32(faults - s->faults);
		out->stalled_us = to32((stalled - s->stalled_ns) / 1000);
	}
	s->faults = faults;
	s->stalled_ns = stalled;
	if (p->peak_pages > s->peak_pages)
		s->peak_pages = p->peak_pages;
}

void mb_history_note(struct mb_model *m, struct mb_process *p, uint64_t t_ns, const uint64_t rss_pages[4])
{
	struct mb_series *s = series_get(m->history, &p->series);
	struct mb_point point;

	if (!s || s->has_ended)
		return;
	make_point(m->history, s, p, t_ns, rss_pages, &point);
	push(m->history, s, &point);
}

/* ---- cgroups ---- */

static struct mb_cgroup_history *cgroup_get(struct mb_history *h, const char *path, size_t len)
{
	struct mb_cgroup_history *c;

	HASH_FIND(hh, h->cgroups, path, len, c);
	if (c || HASH_COUNT(h->cgroups) >= CGROUPS || !(c = calloc(1, sizeof(*c))))
		return c;
	c->path = strndup(path, len);
	if (!c->path) {
		free(c);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, h->cgroups, c->path, len, c);
	return c;
}

/* Add a point to the process's own cgroup and all its ancestors. */
static void add_to_cgroups(struct mb_model *m, const struct mb_process *p, const struct mb_point *point)
{
	const char *path = p->cgroup_path ? p->cgroup_path : "";
	size_t len = strcmp(path, "/") ? strlen(path) : 0;

	for (;;) {
		struct mb_cgroup_history *c = cgroup_get(m->history, path, len);

		if (!c)
			m->history->left_out++;
		for (int i = 0; c && i < 4; i++)
			c->rss_pages[i] += point->rss_pages[i];
		if (c) {
			c->peak_pages += point->peak_pages;
			c->faults += point->faults;
			c->stalled_us += point->stalled_us;
			c->seen_tick = m->tick;
		}
		if (!len)
			return;
		while (len && path[len - 1] != '/')
			len--;
		len -= len > 0;
	}
}

static void end_cgroup(struct mb_history *h, struct mb_cgroup_history *c)
{
	if (c->series)
		series_end(h, c->series);
	if (c->series)
		return; /* retained until the series is reused */
	HASH_DEL(h->cgroups, c);
	free(c->path);
	free(c);
}

static void tick_cgroups(struct mb_model *m, uint64_t t_ns)
{
	struct mb_history *h = m->history;
	struct mb_cgroup_history *c, *tmp;

	HASH_ITER(hh, h->cgroups, c, tmp)
	{
		struct mb_point p = { .t_ns = t_ns,
				      .peak_pages = to32(c->peak_pages),
				      .faults = to32(c->faults),
				      .stalled_us = to32(c->stalled_us) };
		struct mb_series *s;

		if (c->seen_tick != m->tick) {
			end_cgroup(h, c);
			continue;
		}
		for (int i = 0; i < 4; i++)
			p.rss_pages[i] = to32(c->rss_pages[i]);
		if (c->series && c->series->has_ended) { /* the cgroup has processes again */
			DL_DELETE(h->ended, c->series);
			c->series->has_ended = false;
		}
		s = series_get(h, &c->series);
		if (s)
			push(h, s, &p);
		memset(c->rss_pages, 0, sizeof(c->rss_pages));
		c->peak_pages = c->faults = c->stalled_us = 0;
	}
}

const struct mb_series *mb_history_cgroup(const struct mb_history *h, const char *path)
{
	const struct mb_cgroup_history *c;
	size_t len = strcmp(path, "/") ? strlen(path) : 0;

	HASH_FIND(hh, h->cgroups, path, len, c);
	return c ? c->series : NULL;
}

/*
 * Add the last activity of a process to its cgroups; a process that lived for less than a step
 * needs no series for that.
 */
static void end_process(struct mb_model *m, struct mb_process *p, uint64_t t_ns)
{
	static const uint64_t nothing[4];
	struct mb_series none = { 0 };
	struct mb_point point;

	make_point(m->history, p->series ? p->series : &none, p, t_ns, nothing, &point);
	if (p->series) {
		push(m->history, p->series, &point);
		series_end(m->history, p->series);
	}
	point.peak_pages = 0; /* the process is gone */
	add_to_cgroups(m, p, &point);
	p->history_ended = true;
}

void mb_history_end_process(struct mb_model *m, struct mb_process *p)
{
	if (m->history && m->history->first_ns && !p->history_ended)
		end_process(m, p, m->history->last_ns);
}

void mb_history_tick(struct mb_model *m, uint64_t t_ns)
{
	struct mb_history *h = m->history;
	struct mb_process *p;

	/* accept slightly early ticks, because ticks are not exact */
	if (t_ns - h->last_ns < h->config.fine_step_ns - h->config.fine_step_ns / 8)
		return;
	h->last_ns = t_ns;
	if (!h->first_ns)
		h->first_ns = t_ns;
	DL_FOREACH(m->all, p)
	{
		struct mb_point point;
		struct mb_series *s;

		if (p->exited && !p->history_ended)
			end_process(m, p, t_ns);
		if (p->exited || !p->has_memory)
			continue;
		s = series_get(h, &p->series);
		if (!s)
			continue;
		make_point(h, s, p, t_ns, p->rss_pages, &point);
		push(h, s, &point);
		add_to_cgroups(m, p, &point);
	}
	tick_cgroups(m, t_ns);
}
