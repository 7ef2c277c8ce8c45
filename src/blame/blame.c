// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Blame on devices: finds the processes whose dirty pages delayed a pause, a wait or an fsync. */
#include "blame/blame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ---- */

static void blame_table_free(struct mb_blame_table *m)
{
	struct mb_victim *v, *vt;
	struct mb_eviction_pair *p, *pt;

	HASH_ITER(hh, m->victims, v, vt)
	{
		HASH_DEL(m->victims, v);
		free(v->limit_path);
		free(v);
	}
	HASH_ITER(hh, m->evictions, p, pt)
	{
		HASH_DEL(m->evictions, p);
		free(p);
	}
}

void mb_blame_clear(struct mb_blame *b)
{
	struct mb_file *f, *ft;
	struct mb_device *d, *dt;

	HASH_ITER(hh, b->files, f, ft)
	{
		HASH_DEL(b->files, f);
		free(f);
	}
	HASH_ITER(hh, b->devices, d, dt)
	{
		HASH_DEL(b->devices, d);
		free(d->history);
		free(d);
	}
	blame_table_free(&b->total);
	blame_table_free(&b->interval);
	mb_blame_reclaim_free(b);
	free(b->pending);
	free(b->current);
}

void mb_blame_interval(struct mb_blame *b)
{
	blame_table_free(&b->interval);
}

static struct mb_device *device_get(struct mb_blame *b, uint64_t bdi)
{
	struct mb_device *d;

	HASH_FIND(hh, b->devices, &bdi, sizeof(bdi), d);
	if (d)
		return d;
	if (HASH_COUNT(b->devices) < MB_BLAME_DEVICES)
		d = calloc(1, sizeof(*d));
	if (d)
		d->history = calloc(MB_BLAME_HISTORY, sizeof(*d->history));
	if (!d || !d->history) {
		free(d);
		b->evicted++;
		return NULL;
	}
	d->bdi = bdi;
	HASH_ADD(hh, b->devices, bdi, sizeof(d->bdi), d);
	return d;
}

static void name_device(struct mb_device *d, const char *name)
{
	if (!d->name[0])
		snprintf(d->name, sizeof(d->name), "%.*s", MB_BDI_NAME_LEN - 1, name);
}

const char *mb_blame_device_name(const struct mb_blame *b, uint64_t bdi)
{
	const struct mb_device *d;

	HASH_FIND(hh, b->devices, &bdi, sizeof(bdi), d);
	return d && d->name[0] ? d->name : NULL;
}

/* ---- names ---- */

/* Converts "file\0dir\0..." to "/dir/file". */
static void join_names(const struct mb_file_event *e, char *path, size_t size)
{
	size_t end = e->names_len < sizeof(e->names) ? e->names_len : sizeof(e->names), len = 0;

	path[0] = '\0';
	while (end > 1 && len < size) {
		size_t begin = end - 1; /* names[end - 1] is a NUL */

		while (begin > 0 && e->names[begin - 1])
			begin--;
		len += (size_t)snprintf(path + len, size - len, "/%.*s", (int)(end - 1 - begin),
					e->names + begin);
		end = begin;
	}
}

void mb_blame_file(struct mb_blame *b, const struct mb_file_event *e)
{
	struct mb_file_key key = { .bdi = e->bdi, .ino = e->ino, .dev = e->dev };
	struct mb_device *d = device_get(b, e->bdi);
	struct mb_file *f;

	if (d)
		name_device(d, e->bdi_name);
	HASH_FIND(hh, b->files, &key, sizeof(key), f);
	if (!f && HASH_COUNT(b->files) >= MB_BLAME_FILES) {
		f = b->files; /* uthash iterates in insertion order, so the first is the oldest */
		HASH_DEL(b->files, f);
		b->evicted++;
		free(f);
		f = NULL;
	}
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f) {
			b->evicted++;
			return;
		}
		f->key = key;
		HASH_ADD(hh, b->files, key, sizeof(f->key), f);
	}
	join_names(e, f->path, sizeof(f->path));
}

const char *mb_blame_path(const struct mb_blame *b, const struct mb_file_key *key, char *buf)
{
	const struct mb_mount *m = mb_mount_of(&b->model->mounts, key->dev);
	const struct mb_file *f;
	const char *mount = m && strcmp(m->path, "/") != 0 ? m->path : "";

	HASH_FIND(hh, b->files, key, sizeof(*key), f);
	buf[0] = '\0';
	if (f && f->path[0] && strlen(mount) + strlen(f->path) < MB_PATH_LEN)
		sprintf(buf, "%s%s", mount, f->path);
	return buf;
}

/* ---- dirtied pages ---- */

void mb_file_sum_add(struct mb_file_sum *list, uint32_t *n, uint32_t max, const struct mb_file_key *file, double more)
{
	struct mb_file_sum *f = NULL;

	for (uint32_t i = 0; i < *n && !f; i++) {
		if (!memcmp(&list[i].file, file, sizeof(*file)))
			f = &list[i];
	}
	if (!f && *n == max) {
		f = &list[max - 1];
		f->file.ino = 0; /* several files from now on */
	} else if (!f) {
		f = &list[(*n)++];
		f->file = *file;
	}
	f->sum += more;
}

void mb_blame_dirtied(struct mb_blame *b, const struct mb_process_ref *ref, const struct mb_dirtied_event *e)
{
	struct mb_file_key file = { e->key.bdi, e->key.ino, e->key.dev, 0 };
	struct mb_device *d = device_get(b, e->key.bdi);
	struct mb_dirtied *entry;

	if (!d)
		return;
	if (e->written_pages)
		mb_file_sum_add(d->written, &d->n_written, MB_BLAME_WRITTEN_FILES, &file,
			    (double)e->written_pages);
	d->written_pages += e->written_pages;
	d->dirtied_pages += e->dirtied_pages;
	if (!ref || !e->dirtied_pages)
		return;
	if (!b->current)
		b->current = calloc(MB_BLAME_HISTORY, sizeof(*b->current));
	if (!b->current || b->n_current == MB_BLAME_HISTORY) {
		b->evicted++;
		return;
	}
	entry = &b->current[b->n_current++];
	entry->ref = *ref;
	entry->file = file;
	entry->pages = e->dirtied_pages;
}

/* Moves the tick's pages to the histories of their devices, as newest entries. */
static void keep_current(struct mb_blame *b, uint64_t t_ns)
{
	uint64_t from = b->tick_ns && b->tick_ns < t_ns ? b->tick_ns : t_ns - 1;

	for (uint32_t i = 0; i < b->n_current; i++) {
		struct mb_dirtied *e = &b->current[i];
		struct mb_device *d = device_get(b, e->file.bdi);

		if (!d)
			continue;
		e->from_ns = from;
		e->to_ns = t_ns;
		d->history[(d->first + d->n) % MB_BLAME_HISTORY] = *e;
		if (d->n < MB_BLAME_HISTORY)
			d->n++;
		else
			d->first = (d->first + 1) % MB_BLAME_HISTORY;
	}
	b->n_current = 0;
	b->tick_ns = t_ns;
}

/* ---- the formula ---- */

/*
 * The kernel's number of dirty pages of a device is a per-CPU counter that is read without summing it up, so it is not
 * exact (mm/backing-dev.c, WB_STAT_BATCH): this share of it may never have been dirty.
 */
#define COUNTER_ERROR 0.1

/* Pages of one history entry that delayed the stall. */
struct claim {
	const struct mb_dirtied *entry;
	double pages;
};

static double overlap(uint64_t a_from, uint64_t a_to, uint64_t b_from, uint64_t b_to)
{
	uint64_t from = a_from > b_from ? a_from : b_from, to = a_to < b_to ? a_to : b_to;

	return to > from ? (double)(to - from) : 0;
}

/*
 * Computes which pages delayed a stall. The pages that were dirty when the stall began are assumed
 * to be the last ones dirtied before, as many as the kernel counted on the device at that time.
 * Pages that were dirtied during the stall are added. Within a tick, pages are assumed to have been
 * dirtied at a constant rate. Returns the number of claims, newest first; *sum is the sum of their
 * pages, and of pages that the kernel counted but memblame did not see being dirtied: before it started,
 * or so long ago that the history has no entry. Nobody is blamed for those.
 */
static uint32_t find_claims(const struct mb_device *d, const struct mb_bdi_state *on, uint64_t from,
			    uint64_t to, struct claim *claims, double *sum)
{
	double left = (double)on->bdi_dirty_pages;
	uint32_t n = 0, i = 0;

	*sum = 0;
	if (to <= from)
		to = from + 1;
	while (i < d->n) {
		uint64_t tick = 0;
		double before = 0;
		uint32_t group = i, n_group = n;

		/*
		 * handle the entries of one tick together, so that their order within the tick does
		 * not matter
		 */
		for (; i < d->n; i++) {
			const struct mb_dirtied *e =
				&d->history[(d->first + d->n - 1 - i) % MB_BLAME_HISTORY];
			double length = (double)(e->to_ns - e->from_ns), pages = (double)e->pages;

			if (i > group && e->to_ns != tick)
				break;
			tick = e->to_ns;
			claims[n].entry = e;
			claims[n++].pages =
				pages * overlap(e->from_ns, e->to_ns, from, to) / length;
			before += pages * overlap(e->from_ns, e->to_ns, 0, from) / length;
		}
		for (uint32_t j = n_group; j < n; j++) {
			const struct mb_dirtied *e = claims[j].entry;
			double length = (double)(e->to_ns - e->from_ns);
			double share = before > left ? left / before : 1;

			claims[j].pages += (double)e->pages * share *
					   overlap(e->from_ns, e->to_ns, 0, from) / length;
			*sum += claims[j].pages;
		}
		left -= before < left ? before : left;
		if (left <= 0 && tick <= from)
			break;
	}
	if (left > COUNTER_ERROR * (double)on->bdi_dirty_pages)
		*sum += left;
	return n;
}

struct mb_victim *mb_blame_victim(struct mb_blame *b, struct mb_blame_table *m, const struct mb_victim_key *key,
				  const struct mb_process_ref *ref)
{
	struct mb_victim *v;

	HASH_FIND(hh, m->victims, key, sizeof(*key), v);
	if (v) {
		snprintf(v->ref.comm, sizeof(v->ref.comm), "%s", ref->comm); /* may change by exec or prctl */
		return v;
	}
	if (HASH_COUNT(m->victims) >= MB_BLAME_VICTIMS || !(v = calloc(1, sizeof(*v)))) {
		b->evicted++;
		return NULL;
	}
	v->key = *key;
	v->ref = *ref;
	HASH_ADD(hh, m->victims, key, sizeof(v->key), v);
	return v;
}

static bool same(const struct mb_process_ref *a, const struct mb_process_ref *b)
{
	return a->tgid == b->tgid && a->start_ns == b->start_ns;
}

struct mb_culprit *mb_blame_charge(struct mb_victim *v, const struct mb_process_ref *ref, double ns,
				   double pages_ns)
{
	struct mb_culprit *c = NULL;

	for (uint32_t i = 0; i < v->n_culprits && !c; i++) {
		if (same(&v->culprits[i].ref, ref))
			c = &v->culprits[i];
	}
	if (!c && v->n_culprits == MB_BLAME_CULPRITS) {
		c = &v->culprits[MB_BLAME_CULPRITS - 1];
	} else if (!c) {
		c = &v->culprits[v->n_culprits++];
		c->ref = *ref;
		if (v->n_culprits == MB_BLAME_CULPRITS)
			c->ref = (struct mb_process_ref){ .comm = "(others)" };
	}
	c->ref.tgid ? snprintf(c->ref.comm, sizeof(c->ref.comm), "%s", ref->comm) : 0; /* may change by exec */
	c->ns += ns;
	c->pages_ns += pages_ns;
	return c;
}

static void lay_upon(struct mb_blame *b, struct mb_blame_table *m, const struct mb_pending_stall *s,
		     const struct claim *claims, uint32_t n, double sum)
{
	struct mb_victim_key key = { s->victim.start_ns, s->on.bdi, s->victim.tgid, 0 };
	struct mb_victim *v = mb_blame_victim(b, m, &key, &s->victim);
	double ns = (double)s->ns;

	if (!v)
		return;
	v->count[s->cause]++;
	v->ns[s->cause] += s->ns;
	for (uint32_t i = 0; i < n && sum > 0; i++) {
		struct mb_culprit *c;

		if (claims[i].pages <= 0)
			continue;
		c = mb_blame_charge(v, &claims[i].entry->ref, ns * claims[i].pages / sum,
				    claims[i].pages * ns);
		mb_file_sum_add(c->files, &c->n_files, MB_BLAME_CULPRIT_FILES, &claims[i].entry->file,
			    claims[i].pages * ns);
	}
}

/* ---- stalls ---- */

static enum mb_stall_cause cause_of(const struct mb_writeback_event *e)
{
	return e->h.type == MB_WRITEBACK_EVENT_FSYNC ? MB_BLAME_FSYNC :
	       e->h.type == MB_WRITEBACK_EVENT_WAIT  ? MB_BLAME_WAIT :
						       MB_BLAME_PAUSE;
}

void mb_blame_stall(struct mb_blame *b, const struct mb_process_ref *victim, const struct mb_writeback_event *e)
{
	struct mb_device *d = device_get(b, e->on.bdi);
	struct mb_pending_stall *s;

	if (!d)
		return;
	name_device(d, e->on.name);
	d->stalls++;
	d->stalled_ns += e->ns;
	if (!d->worst_t_ns || (e->on.limit_pages && !d->worst.limit_pages) ||
	    (e->on.bdi_dirty_pages > d->worst.bdi_dirty_pages &&
	     !e->on.limit_pages == !d->worst.limit_pages)) {
		d->worst = e->on;
		d->worst_t_ns = e->h.t_ns;
	}
	if (!b->pending)
		b->pending = calloc(MB_BLAME_PENDING, sizeof(*b->pending));
	if (!b->pending || b->n_pending == MB_BLAME_PENDING) {
		b->evicted++;
		return;
	}
	s = &b->pending[b->n_pending++];
	s->victim = *victim;
	s->on = e->on;
	s->cause = cause_of(e);
	s->from_ns = e->h.t_ns;
	s->to_ns = e->h.t_ns + e->total_ns;
	s->ns = e->ns;
}

void mb_blame_tick(struct mb_blame *b, uint64_t t_ns)
{
	struct claim *claims = NULL;

	keep_current(b, t_ns);
	if (b->n_pending)
		claims = malloc(MB_BLAME_HISTORY * sizeof(*claims));
	for (uint32_t i = 0; i < b->n_pending; i++) {
		const struct mb_pending_stall *s = &b->pending[i];
		struct mb_device *d = device_get(b, s->on.bdi);
		uint32_t n;
		double sum;

		if (!d || !claims) {
			b->evicted++;
			continue;
		}
		n = find_claims(d, &s->on, s->from_ns, s->to_ns, claims, &sum);
		lay_upon(b, &b->total, s, claims, n, sum);
		lay_upon(b, &b->interval, s, claims, n, sum);
	}
	free(claims);
	b->n_pending = 0;
}

bool mb_blame_first(struct mb_blame *b, const struct mb_writeback_event *e, struct mb_process_ref *ref,
		    double *share, struct mb_file_key *file)
{
	struct mb_blame_table m = { 0 };
	struct mb_pending_stall s = { .on = e->on, .from_ns = e->h.t_ns,
				      .to_ns = e->h.t_ns + e->total_ns, .ns = e->ns + 1 };
	const struct mb_device *d = device_get(b, e->on.bdi);
	struct claim *claims = malloc(MB_BLAME_HISTORY * sizeof(*claims));
	const struct mb_culprit *c;
	bool found = false;
	double sum = 0;
	uint32_t n;

	if (d && claims) {
		n = find_claims(d, &s.on, s.from_ns, s.to_ns, claims, &sum);
		lay_upon(b, &m, &s, claims, n, sum);
		mb_blame_sort(&m);
	}
	if (m.victims && m.victims->n_culprits) {
		c = &m.victims->culprits[0];
		*ref = c->ref;
		*share = c->ns / (double)s.ns;
		*file = c->files[0].file;
		found = true;
	}
	blame_table_free(&m);
	free(claims);
	return found;
}

/* ---- evictions ---- */

static void add_eviction(struct mb_blame *b, struct mb_blame_table *m, const struct mb_process_ref *owner,
			 const struct mb_process_ref *by, const struct mb_eviction_event *e)
{
	struct mb_eviction_pair *p;

	HASH_FIND(hh, m->evictions, &e->key, sizeof(e->key), p);
	if (!p) {
		if (HASH_COUNT(m->evictions) >= MB_BLAME_EVICTIONS || !(p = calloc(1, sizeof(*p)))) {
			b->evicted++;
			return;
		}
		p->key = e->key;
		HASH_ADD(hh, m->evictions, key, sizeof(p->key), p);
	}
	p->owner = *owner;
	p->by = *by;
	p->pages += e->pages;
}

void mb_blame_eviction(struct mb_blame *b, const struct mb_process_ref *owner, const struct mb_process_ref *by,
		       const struct mb_eviction_event *e)
{
	add_eviction(b, &b->total, owner, by, e);
	add_eviction(b, &b->interval, owner, by, e);
}
