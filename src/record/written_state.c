// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The state of processes as last written, so that only changes are written. */
#include "record/written_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <uthash.h>
#include <utlist.h>

#include "base/hash.h"
#include "memblame/sink.h"
#include "model/container.h"

struct key {
	uint64_t start_ns;
	uint32_t tgid;
	uint32_t pad;
};

/* A histogram bucket, or a row of a list. */
struct written_row {
	char key[32];
	uint64_t count, ns, max_ns;
};

struct written_detail {
	const struct mb_field *field;
	uint64_t count, max; /* of the histogram */
	struct written_row *rows;
	size_t n, room;
	struct written_detail *next;
};

/* A process as last written. */
struct mb_written_process {
	struct key key;
	int64_t id;
	int64_t first_tick; /* tick of its first account in the recording */
	uint64_t seen; /* the last tick at which the model had the process */
	uint64_t last_tick; /* the last tick at which the process was alive or has an account */
	bool exited, is_new_file;
	uint64_t row_tick; /* tick at which the row last changed */
	uint64_t row_hash; /* 0: not written yet */
	uint64_t minor, major;
	uint64_t rss_pages[4];
	uint64_t pss_bytes, uss_bytes;
	uint64_t *values;
	struct written_detail *details;
	UT_hash_handle hh;
};

struct mb_written_prev {
	struct key key;
	int64_t id, first_tick;
	UT_hash_handle hh;
};

static void prev_free(struct mb_written_state *t, struct mb_written_prev *prev)
{
	HASH_DEL(t->prev, prev);
	free(prev);
}

void mb_written_prev(struct mb_written_state *t, int64_t id, uint32_t pid, uint64_t start_ns, int64_t first_tick)
{
	struct mb_written_prev *prev = calloc(1, sizeof(*prev)), *old;

	if (!prev)
		return; /* the process then gets a new number */
	prev->key = (struct key){ .start_ns = start_ns, .tgid = pid };
	prev->id = id;
	prev->first_tick = first_tick;
	HASH_REPLACE(hh, t->prev, key, sizeof(prev->key), prev, old);
	free(old);
}

void mb_written_prev_ended(struct mb_written_state *t, struct mb_rows *o, uint64_t tick)
{
	struct mb_written_prev *prev, *tmp;

	HASH_ITER(hh, t->prev, prev, tmp)
	{
		if (o) {
			mb_rows_begin(o, MB_TABLE_PREV_ENDED);
			mb_rows_int(o, (int64_t)tick);
			mb_rows_int(o, prev->id);
		}
		prev_free(t, prev);
	}
}

static struct mb_written_process *find(struct mb_written_state *t, const struct mb_process *p)
{
	struct key key = { .start_ns = p->start_ns, .tgid = p->tgid };
	struct mb_written_process *w;

	HASH_FIND(hh, t->processes, &key, sizeof(key), w);
	return w;
}

static struct mb_written_process *get(struct mb_written_state *t, const struct mb_process *p, uint64_t tick, bool *is_new)
{
	struct mb_written_process *w = find(t, p);
	struct mb_written_prev *prev;

	*is_new = !w;
	if (w)
		return w;
	if (!t->slots)
		t->slots = mb_slots();
	w = calloc(1, sizeof(*w));
	if (w)
		w->values = calloc(t->slots, sizeof(*w->values));
	if (!w || !w->values) {
		free(w);
		return NULL;
	}
	w->key = (struct key){ .start_ns = p->start_ns, .tgid = p->tgid };
	HASH_FIND(hh, t->prev, &w->key, sizeof(w->key), prev);
	w->id = prev ? prev->id : ++t->last_id;
	w->first_tick = prev ? prev->first_tick : (int64_t)tick;
	if (prev)
		prev_free(t, prev);
	HASH_ADD(hh, t->processes, key, sizeof(w->key), w);
	return w;
}

static void written_free(struct mb_written_state *t, struct mb_written_process *w)
{
	struct written_detail *d;

	HASH_DEL(t->processes, w);
	while ((d = w->details)) {
		w->details = d->next;
		free(d->rows);
		free(d);
	}
	free(w->values);
	free(w);
}

/* ---- identity ---- */

static uint64_t row_hash(const struct mb_process *p)
{
	uint64_t numbers[] = { p->ppid, p->exited, p->exit_known, (uint64_t)p->exit_code, p->threads,
			       p->inner_tgid };
	uint64_t h = mb_hash(MB_HASH_BEGIN, numbers, sizeof(numbers));

	h = mb_hash_text(h, p->comm);
	h = mb_hash_text(h, p->exe);
	h = mb_hash_text(h, p->cgroup_path);
	h = mb_hash_text(h, p->host_name);
	return h ? h : 1;
}

static void put_process(struct mb_rows *o, const struct mb_process *p, const struct mb_written_process *w)
{
	struct mb_container c;

	mb_container_of(p->cgroup_path, &c);
	mb_rows_begin(o, MB_TABLE_PROCESS);
	mb_rows_int(o, w->id);
	mb_rows_int(o, p->tgid);
	mb_rows_int(o, p->ppid);
	mb_rows_int(o, (int64_t)p->start_ns);
	mb_rows_text(o, p->comm);
	mb_rows_text(o, p->exe);
	mb_rows_text(o, p->cgroup_path);
	mb_rows_text(o, c.id[0] ? c.id : NULL);
	mb_rows_int(o, p->exited);
	if (p->exited && p->exit_known)
		mb_rows_int(o, WIFSIGNALED(p->exit_code) ? 128 + WTERMSIG(p->exit_code) :
							   WEXITSTATUS(p->exit_code));
	else
		mb_rows_null(o);
	mb_rows_int(o, p->threads);
	mb_rows_int(o, (int64_t)w->row_tick);
	mb_rows_text(o, mb_container_name(&c, p->host_name));
	if (p->inner_tgid)
		mb_rows_int(o, p->inner_tgid);
	else
		mb_rows_null(o);
	mb_rows_int(o, w->first_tick);
	if (p->exited)
		mb_rows_int(o, (int64_t)w->last_tick);
	else
		mb_rows_null(o);
}

/* ---- accounts ---- */

static void put_pages(struct mb_rows *o, bool known, uint64_t pages)
{
	if (known)
		mb_rows_int(o, (int64_t)(pages * MB_PAGE_SIZE));
	else
		mb_rows_null(o);
}

static void put_share(struct mb_rows *o, const struct mb_process *p, uint64_t bytes)
{
	if (p->exited || bytes == MB_UNKNOWN)
		mb_rows_null(o);
	else
		mb_rows_int(o, (int64_t)bytes);
}

/*
 * Whether the level left a column out while it did not change: in the whole tick, or in the whole life of the process.
 * A change in such a tick is a count that arrived late.
 */
static bool is_untraced(const struct mb_written_state *t, const struct mb_model *m, const struct mb_process *p,
			const struct mb_column *c)
{
	const struct mb_probe_point *q = mb_field_probe_point(c->family, c->field);
	uint64_t since = q ? m->levels.off_since_ns[q->off_from] : 0;

	if (!q || q->has_rest)
		return false;
	return (since && since <= t->tick_t_ns) || !mb_process_field_known(m, p, c->family, c->field);
}

static void put_account(const struct mb_written_state *t, struct mb_rows *o, const struct mb_model *m,
			const struct mb_process *p, const struct mb_written_process *w, uint64_t tick)
{
	const uint64_t *rss = p->rss_pages;
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	mb_rows_begin(o, MB_TABLE_ACCOUNT);
	mb_rows_int(o, (int64_t)tick);
	mb_rows_int(o, w->id);
	mb_rows_int(o, (int64_t)(p->minor - w->minor));
	mb_rows_int(o, (int64_t)(p->major - w->major));
	put_pages(o, p->has_memory, rss[0] + rss[1] + rss[3]);
	put_pages(o, p->peak_pages, p->peak_pages);
	put_pages(o, p->has_memory, rss[1]);
	put_pages(o, p->has_memory, rss[0]);
	put_pages(o, p->has_memory, rss[3]);
	put_pages(o, p->has_memory, rss[2]);
	put_pages(o, p->has_memory, p->total_vm_pages);
	put_share(o, p, p->pss_bytes);
	put_share(o, p, p->uss_bytes);
	for (size_t i = 0; i < n; i++) {
		unsigned int slot = c[i].slot;

		if (!mb_field_known(m, c[i].family, c[i].field) ||
		    (p->values[slot] == w->values[slot] && is_untraced(t, m, p, &c[i])))
			mb_rows_null(o);
		else if (c[i].is_max) /* the maximum so far; written only if it grew in this tick */
			p->values[slot] > w->values[slot] ?
				mb_rows_int(o, (int64_t)p->values[slot]) :
				mb_rows_null(o);
		else
			mb_rows_int(o, (int64_t)(p->values[slot] - w->values[slot]));
	}
}

/* ---- histograms and rows ---- */

static struct written_detail *detail_get(struct mb_written_process *w, const struct mb_field *f)
{
	struct written_detail *d;

	LL_SEARCH_SCALAR(w->details, d, field, f);
	if (d)
		return d;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->field = f;
	LL_PREPEND(w->details, d);
	return d;
}

static struct written_row *row_get(struct written_detail *d, const char *key)
{
	struct written_row *bigger;

	for (size_t i = 0; i < d->n; i++) {
		if (strcmp(d->rows[i].key, key) == 0)
			return &d->rows[i];
	}
	if (d->n == d->room) {
		bigger = realloc(d->rows, (d->room + 8) * sizeof(*d->rows));
		if (!bigger)
			return NULL;
		d->rows = bigger;
		d->room += 8;
	}
	d->rows[d->n] = (struct written_row){ 0 };
	snprintf(d->rows[d->n].key, sizeof(d->rows[0].key), "%s", key);
	return &d->rows[d->n++];
}

/* Write the change of a row or bucket. now->ns is the time of a row, but the upper edge of a bucket. */
static bool put_row(struct mb_rows *o, const struct mb_written_process *w, struct written_detail *d, bool bucket,
		    const char *key, const struct mb_stall *now)
{
	struct written_row *row = row_get(d, key);
	char field[64];

	if (!row)
		return false;
	if (row->count == now->count && row->max_ns == now->max_ns && (bucket || row->ns == now->ns))
		return true;
	snprintf(field, sizeof(field), "%s_%s", d->field->group, d->field->name);
	mb_rows_begin(o, bucket ? MB_TABLE_BUCKET : MB_TABLE_DETAIL);
	mb_rows_int(o, w->id);
	mb_rows_text(o, field);
	mb_rows_text(o, key);
	mb_rows_int(o, (int64_t)(now->count - row->count));
	mb_rows_int(o, (int64_t)(bucket ? now->ns : now->ns - row->ns));
	mb_rows_int(o, (int64_t)now->max_ns);
	row->count = now->count;
	row->ns = now->ns;
	row->max_ns = now->max_ns;
	return true;
}

/* Only the last bucket has the current maximum. The other buckets have the maximum at the time they were written. */
static bool put_hist(struct mb_rows *o, const struct mb_written_process *w, struct written_detail *written,
		     const struct mb_hist *h)
{
	unsigned int last = MB_HIST_BUCKETS;
	bool whole = true;
	char key[16];

	if (h->count == written->count && h->max == written->max)
		return true;
	while (last && !h->buckets[last - 1])
		last--;
	for (unsigned int b = 0; b < last; b++) {
		struct mb_stall now = { .count = h->buckets[b], .ns = mb_hist_upper(b) };
		struct written_row *row;

		if (!now.count)
			continue;
		snprintf(key, sizeof(key), "%u", b);
		row = row_get(written, key);
		now.max_ns = b + 1 == last || (row && row->count != now.count) ? h->max : row ? row->max_ns : 0;
		whole &= put_row(o, w, written, true, key, &now);
	}
	written->count = h->count;
	written->max = h->max;
	return whole;
}

static bool put_details(struct mb_rows *o, const struct mb_process *p, struct mb_written_process *w)
{
	const struct mb_detail *d;
	const struct mb_row *row;
	bool whole = true;

	for (d = p->details; d; d = d->next) {
		struct written_detail *written = detail_get(w, d->field);

		if (!written)
			return false;
		LL_FOREACH(d->rows, row)
			whole &= put_row(o, w, written, false, row->key, &row->stall);
		whole &= put_hist(o, w, written, &d->hist);
	}
	return whole;
}

/* ---- interface ---- */

static void remember(struct mb_written_state *t, struct mb_written_process *w, const struct mb_process *p)
{
	memcpy(w->values, p->values, t->slots * sizeof(*w->values));
	memcpy(w->rss_pages, p->rss_pages, sizeof(w->rss_pages));
	w->pss_bytes = p->pss_bytes;
	w->uss_bytes = p->uss_bytes;
	w->minor = p->minor;
	w->major = p->major;
}

bool mb_written_process(struct mb_written_state *t, struct mb_rows *o, const struct mb_model *m,
			const struct mb_process *p, uint64_t tick)
{
	bool is_new, same_values, same_memory, account;
	struct mb_written_process *w = get(t, p, tick, &is_new);
	uint64_t hash = row_hash(p);

	if (!w)
		return false;
	w->seen = tick;
	if (w->is_new_file) {
		w->first_tick = (int64_t)tick;
		w->is_new_file = false;
		is_new = true;
	}
	same_values = !memcmp(w->values, p->values, t->slots * sizeof(*w->values)) &&
		      w->minor == p->minor && w->major == p->major;
	same_memory = !memcmp(w->rss_pages, p->rss_pages, sizeof(w->rss_pages)) &&
		      w->pss_bytes == p->pss_bytes && w->uss_bytes == p->uss_bytes;
	account = is_new || !same_values || !same_memory;
	if (account || !w->exited)
		w->last_tick = tick;
	/* the row of an exited process contains its last tick */
	if (hash != w->row_hash || (account && w->exited)) {
		w->row_tick = hash != w->row_hash ? tick : w->row_tick;
		w->row_hash = hash;
		put_process(o, p, w);
	}
	w->exited = p->exited;
	if (account) {
		put_account(t, o, m, p, w, tick);
		remember(t, w, p);
	}
	return put_details(o, p, w);
}

static void put_gone(struct mb_rows *o, const struct mb_written_process *w)
{
	mb_rows_begin(o, MB_TABLE_PROCESS_END);
	mb_rows_int(o, (int64_t)w->last_tick);
	mb_rows_int(o, w->id);
}

void mb_written_forget(struct mb_written_state *t, struct mb_rows *o, const struct mb_process *p)
{
	struct mb_written_process *w = find(t, p);

	if (!w)
		return;
	put_gone(o, w);
	written_free(t, w);
}

void mb_written_forget_unseen(struct mb_written_state *t, struct mb_rows *o, uint64_t tick)
{
	struct mb_written_process *w, *tmp;

	HASH_ITER(hh, t->processes, w, tmp)
	{
		if (w->seen == tick)
			continue;
		put_gone(o, w);
		written_free(t, w);
	}
}

void mb_written_reset(struct mb_written_state *t)
{
	struct mb_written_process *w, *tmp;

	HASH_ITER(hh, t->processes, w, tmp)
	{
		w->row_hash = 0;
		w->is_new_file = true;
	}
}

void mb_written_free(struct mb_written_state *t)
{
	struct mb_written_process *w, *tmp;

	HASH_ITER(hh, t->processes, w, tmp)
	written_free(t, w);
	mb_written_prev_ended(t, NULL, 0);
}
