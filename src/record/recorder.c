// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* From the model to rows: what each tick has changed. */
#include "record/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <uthash.h>
#include <utlist.h>

#include "memblame/sink.h"
#include "model/container.h"
#include "record/system.h"

#define RAW_CHUNK (256 * 1024) /* frames are packed and stored that many bytes at a time */

struct key {
	uint64_t start_ns;
	uint32_t tgid;
	uint32_t pad;
};

/* A process as it was written last. */
struct written {
	struct key key;
	int64_t id;
	uint64_t seen; /* the tick at which the model had it */
	uint64_t minor, major;
	uint64_t rss_pages[4];
	uint64_t pss_bytes, uss_bytes;
	bool exited;
	char comm[MB_COMM_LEN];
	uint64_t *values;
	UT_hash_handle hh;
};

struct mb_recorder {
	struct mb_db *db;
	const struct mb_model *model;
	struct mb_out event; /* never written anywhere: a buffer for one event as JSON */
	struct mb_rows *rows; /* of the next commit */
	struct written *processes;
	int64_t last_id;
	uint64_t tick;
	uint64_t lost_rows; /* commits and chunks that found the queue full */
	struct mb_lost lost; /* as written */
	uint64_t system_t_ns; /* of the moment that was written last */
	bool raw;
	char *chunk;
	size_t chunk_len;
	uint64_t chunk_frames;
	bool ended; /* the chunk has the last frame, by which a recording is known to be whole */
};

static void put_layout(struct mb_recorder *r)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_events; j++) {
			const struct mb_event_kind *k = &fam[i]->events[j];

			for (size_t f = 0; f < k->n_fields || f == 0; f++) {
				const struct mb_event_field *field = k->n_fields ? &k->fields[f] : NULL;

				mb_rows_begin(r->rows, MB_TABLE_LAYOUT);
				mb_rows_int(r->rows, fam[i]->id);
				mb_rows_int(r->rows, k->type);
				mb_rows_text(r->rows, k->name);
				mb_rows_int(r->rows, (int64_t)k->size);
				mb_rows_text(r->rows, !field ? NULL : field->name ? field->name : "");
				mb_rows_int(r->rows, field ? (int64_t)field->offset : 0);
				mb_rows_int(r->rows, field ? (int64_t)field->size : 0);
				mb_rows_int(r->rows, field ? field->kind : 0);
				mb_rows_int(r->rows, field ? field->unit : 0);
				mb_rows_int(r->rows, field ? (int64_t)field->scale : 0);
			}
		}
	}
}

int mb_recorder_open(struct mb_recorder **out, const char *path, bool raw, struct mb_err *e)
{
	struct mb_recorder *r = calloc(1, sizeof(*r));

	*out = r;
	if (!r || !(r->rows = mb_rows_new()))
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	r->raw = raw;
	if (mb_out_to_memory(&r->event))
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	put_layout(r);
	return mb_db_create(&r->db, path, e);
}

void mb_recorder_info(struct mb_recorder *r, const char *key, const char *value)
{
	mb_rows_begin(r->rows, MB_TABLE_INFO);
	mb_rows_text(r->rows, key);
	mb_rows_text(r->rows, value);
}

void mb_recorder_hook(struct mb_recorder *r, const char *family, const char *question,
		      const char *hook, const char *quality, const char *missing)
{
	mb_rows_begin(r->rows, MB_TABLE_HOOK);
	mb_rows_text(r->rows, family);
	mb_rows_text(r->rows, question);
	mb_rows_text(r->rows, hook);
	mb_rows_text(r->rows, quality);
	mb_rows_text(r->rows, missing);
}

/* ---- raw frames ---- */

static void flush_chunk(struct mb_recorder *r)
{
	if (r->chunk_len &&
	    !mb_db_raw(r->db, r->chunk, r->chunk_len, r->tick, r->chunk_frames, r->ended))
		r->lost_rows++;
	else if (!r->chunk_len)
		free(r->chunk);
	r->chunk = NULL;
	r->chunk_len = 0;
	r->chunk_frames = 0;
}

/* ---- events worth keeping singly ---- */

static void put_event(struct mb_recorder *r, const void *data, size_t len)
{
	const struct mb_event *e = data;
	const struct mb_event_kind *k;

	if (len < sizeof(*e) || e->size > len || !(k = mb_event_kind_of(e)) ||
	    !(k->flags & MB_EVENT_KEEP))
		return;
	r->event.len = 0;
	mb_sink_json.event(&r->event, (struct mb_model *)r->model, e);
	r->event.buf[r->event.len ? r->event.len - 1 : 0] = '\0'; /* its end of line */
	mb_rows_begin(r->rows, MB_TABLE_EVENT);
	mb_rows_null(r->rows);
	mb_rows_int(r->rows, (int64_t)r->tick);
	mb_rows_int(r->rows, (int64_t)e->t_ns);
	mb_rows_int(r->rows, e->tgid);
	mb_rows_int(r->rows, e->tid);
	mb_rows_text(r->rows, mb_family_by_id(e->family)->name);
	mb_rows_text(r->rows, k->name);
	mb_rows_text(r->rows, r->event.buf);
	mb_rows_blob(r->rows, e, e->size);
}

void mb_recorder_watch(struct mb_recorder *r, const struct mb_model *m)
{
	r->model = m;
}

void mb_recorder_keep(void *recorder, enum mb_frame_type type, const void *data, size_t len)
{
	struct mb_recorder *r = recorder;
	struct mb_raw_frame head = { .len = (uint32_t)len, .type = (uint16_t)type };
	size_t padded = (len + 7) & ~(size_t)7;

	if (type == MB_FRAME_EVENT)
		put_event(r, data, len);
	r->ended |= type == MB_FRAME_SUMMARY;
	if (!r->raw)
		return;
	if (r->chunk_len + sizeof(head) + padded > RAW_CHUNK)
		flush_chunk(r);
	if (!r->chunk)
		r->chunk = malloc(RAW_CHUNK);
	if (!r->chunk || sizeof(head) + padded > RAW_CHUNK) {
		r->lost_rows++;
		return;
	}
	memcpy(r->chunk + r->chunk_len, &head, sizeof(head));
	if (len)
		memcpy(r->chunk + r->chunk_len + sizeof(head), data, len);
	memset(r->chunk + r->chunk_len + sizeof(head) + len, 0, padded - len);
	r->chunk_len += sizeof(head) + padded;
	r->chunk_frames++;
}

/* ---- processes ---- */

static struct written *written_get(struct mb_recorder *r, const struct mb_process *p, bool *is_new)
{
	struct key key = { .start_ns = p->start_ns, .tgid = p->tgid };
	struct written *w;

	HASH_FIND(hh, r->processes, &key, sizeof(key), w);
	*is_new = !w;
	if (w)
		return w;
	w = calloc(1, sizeof(*w));
	if (w)
		w->values = calloc(mb_slots(), sizeof(*w->values));
	if (!w || !w->values) {
		free(w);
		return NULL;
	}
	w->key = key;
	w->id = ++r->last_id;
	HASH_ADD(hh, r->processes, key, sizeof(w->key), w);
	return w;
}

static void written_free(struct mb_recorder *r, struct written *w)
{
	HASH_DEL(r->processes, w);
	free(w->values);
	free(w);
}

static void put_process(struct mb_recorder *r, const struct mb_process *p, int64_t id)
{
	struct mb_rows *o = r->rows;
	struct mb_container c;

	mb_container_of(p->cgroup_path, &c);
	mb_rows_begin(o, MB_TABLE_PROCESS);
	mb_rows_int(o, id);
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
	mb_rows_int(o, (int64_t)r->tick);
	mb_rows_text(o, mb_container_name(&c, p->host_name));
	if (p->inner_tgid)
		mb_rows_int(o, p->inner_tgid);
	else
		mb_rows_null(o);
}

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

static void put_detail(struct mb_recorder *r, int64_t id, const char *field, const char *key,
		       uint64_t count, uint64_t ns, uint64_t max_ns)
{
	mb_rows_begin(r->rows, MB_TABLE_DETAIL);
	mb_rows_int(r->rows, id);
	mb_rows_text(r->rows, field);
	mb_rows_text(r->rows, key);
	mb_rows_int(r->rows, (int64_t)count);
	mb_rows_int(r->rows, (int64_t)ns);
	mb_rows_int(r->rows, (int64_t)max_ns);
}

static bool slot_known(const struct mb_model *m, unsigned int slot)
{
	return !(m->unknown_slots[slot / 64 % 4] & (1ull << (slot % 64)));
}

static void put_account(struct mb_recorder *r, const struct mb_model *m, const struct mb_process *p,
			const struct written *w)
{
	const uint64_t *rss = p->rss_pages;
	struct mb_rows *o = r->rows;
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	mb_rows_begin(o, MB_TABLE_ACCOUNT);
	mb_rows_int(o, (int64_t)r->tick);
	mb_rows_int(o, w->id);
	mb_rows_int(o, (int64_t)(p->minor - w->minor));
	mb_rows_int(o, (int64_t)(p->major - w->major));
	put_pages(o, p->has_memory, rss[0] + rss[1] + rss[3]);
	put_pages(o, p->has_memory || p->peak_pages, p->peak_pages);
	put_pages(o, p->has_memory, rss[1]);
	put_pages(o, p->has_memory, rss[0]);
	put_pages(o, p->has_memory, rss[3]);
	put_pages(o, p->has_memory, rss[2]);
	put_pages(o, p->has_memory, p->total_vm_pages);
	put_share(o, p, p->pss_bytes);
	put_share(o, p, p->uss_bytes);
	for (size_t i = 0; i < n; i++) {
		unsigned int slot = c[i].slot;

		if (!slot_known(m, slot - (c[i].is_max ? 2 : 0)))
			mb_rows_null(o);
		else if (c[i].is_max) /* the longest so far; of this tick, if it has grown */
			p->values[slot] > w->values[slot] ?
				mb_rows_int(o, (int64_t)p->values[slot]) :
				mb_rows_null(o);
		else
			mb_rows_int(o, (int64_t)(p->values[slot] - w->values[slot]));
	}
}

/* Histograms and rows, as they are now, not as they have changed. */
static void put_details(struct mb_recorder *r, const struct mb_process *p, int64_t id)
{
	const struct mb_detail *d;
	const struct mb_row *row;
	char field[64], key[16];

	for (d = p->details; d; d = d->next) {
		snprintf(field, sizeof(field), "%s_%s", d->field->group, d->field->name);
		LL_FOREACH(d->rows, row)
			put_detail(r, id, field, row->key, row->stall.count, row->stall.ns,
				   row->stall.max_ns);
		if (!d->hist.count)
			continue;
		for (unsigned int b = 0; b < MB_HIST_BUCKETS; b++) {
			snprintf(key, sizeof(key), "%u", b);
			if (d->hist.buckets[b])
				put_detail(r, id, field, key, d->hist.buckets[b],
					   mb_hist_upper(b), d->hist.max);
		}
	}
}

static void take_process(struct mb_recorder *r, const struct mb_model *m, struct mb_process *p)
{
	bool is_new;
	struct written *w = written_get(r, p, &is_new);
	bool same_values, same_memory;

	if (!w) {
		r->lost_rows++;
		return;
	}
	w->seen = r->tick;
	same_values = !memcmp(w->values, p->values, mb_slots() * sizeof(*w->values)) &&
		      w->minor == p->minor && w->major == p->major;
	same_memory = !memcmp(w->rss_pages, p->rss_pages, sizeof(w->rss_pages)) &&
		      w->pss_bytes == p->pss_bytes && w->uss_bytes == p->uss_bytes;
	if (is_new || w->exited != p->exited || memcmp(w->comm, p->comm, sizeof(w->comm)) != 0 ||
	    !same_values)
		put_process(r, p, w->id);
	if (is_new || !same_values || !same_memory)
		put_account(r, m, p, w);
	if (is_new || !same_values)
		put_details(r, p, w->id);
	memcpy(w->values, p->values, mb_slots() * sizeof(*w->values));
	memcpy(w->rss_pages, p->rss_pages, sizeof(w->rss_pages));
	w->pss_bytes = p->pss_bytes;
	w->uss_bytes = p->uss_bytes;
	memcpy(w->comm, p->comm, sizeof(w->comm));
	w->minor = p->minor;
	w->major = p->major;
	w->exited = p->exited;
}

/* ---- a tick ---- */

static void put_tick(struct mb_recorder *r, const struct mb_moment *at)
{
	struct mb_rows *o = r->rows;

	mb_rows_begin(o, MB_TABLE_TICK);
	mb_rows_int(o, (int64_t)r->tick);
	mb_rows_int(o, (int64_t)at->t_ns);
	mb_rows_text(o, at->time);
	mb_rows_int(o, (int64_t)at->since_start_ns);
	mb_rows_int(o, (int64_t)at->self_cpu_ns);
	mb_rows_int(o, (int64_t)at->self_rss_bytes);
	if (at->bpf_ns_known)
		mb_rows_int(o, (int64_t)at->bpf_ns);
	else
		mb_rows_null(o);
	mb_rows_int(o, (int64_t)r->model->events);
}

static void put_lost(struct mb_recorder *r, const char *family, const char *reason, uint64_t count,
		     const struct mb_drop *d)
{
	if (!count)
		return;
	mb_rows_begin(r->rows, MB_TABLE_LOST);
	mb_rows_int(r->rows, (int64_t)r->tick);
	mb_rows_text(r->rows, family);
	mb_rows_text(r->rows, reason);
	mb_rows_int(r->rows, (int64_t)count);
	if (d) {
		mb_rows_int(r->rows, (int64_t)d->first_t_ns);
		mb_rows_int(r->rows, (int64_t)d->last_t_ns);
	} else {
		mb_rows_null(r->rows);
		mb_rows_null(r->rows);
	}
}

static void put_losses(struct mb_recorder *r, const struct mb_lost *now)
{
	for (unsigned int f = 0; f < MB_FAM_MAX; f++) {
		const struct mb_family *fam = mb_family_by_id(f);

		for (unsigned int reason = 0; fam && reason < MB_DROP_REASONS; reason++)
			put_lost(r, fam->name, mb_drop_reason_name(reason),
				 now->kernel[f][reason].count - r->lost.kernel[f][reason].count,
				 &now->kernel[f][reason]);
	}
	put_lost(r, "task", "process evicted", now->processes_evicted - r->lost.processes_evicted,
		 NULL);
	put_lost(r, "task", "thread evicted", now->threads_evicted - r->lost.threads_evicted, NULL);
	put_lost(r, "task", "event not decodable", now->undecodable - r->lost.undecodable, NULL);
	put_lost(r, "task", "not blamed", now->not_blamed - r->lost.not_blamed, NULL);
	put_lost(r, "record", "disk too slow", r->lost_rows, NULL);
	r->lost_rows = 0;
	r->lost = *now;
}

int mb_recorder_tick(struct mb_recorder *r, const struct mb_model *m, const struct mb_moment *at,
		     struct mb_err *e)
{
	struct written *w, *tmp;
	struct mb_process *p;

	put_tick(r, at);
	DL_FOREACH(m->all, p)
	take_process(r, m, p);
	HASH_ITER(hh, r->processes, w, tmp)
	{
		if (w->seen != r->tick) /* the model has forgotten it */
			written_free(r, w);
	}
	if (m->system.known && m->system.now.t_ns != r->system_t_ns)
		mb_system_rows(r->rows, r->tick, &m->system.now);
	r->system_t_ns = m->system.now.t_ns;
	put_losses(r, &m->lost);
	flush_chunk(r);
	r->tick++;
	if (!mb_db_commit(r->db, r->rows))
		r->lost_rows++;
	r->rows = mb_rows_new();
	return mb_db_error(r->db, e);
}

int mb_recorder_close(struct mb_recorder *r, struct mb_err *e)
{
	struct written *w, *tmp;
	int err;

	if (!r)
		return 0;
	err = mb_db_close(r->db, e);
	HASH_ITER(hh, r->processes, w, tmp)
	written_free(r, w);
	mb_rows_free(r->rows);
	free(r->chunk);
	free(r->event.buf);
	free(r);
	return err;
}
