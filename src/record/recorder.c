// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Converts the model into rows: what has changed in each tick. */
#include "record/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "memblame/sink.h"
#include "record/system.h"
#include "record/written_state.h"

#define RAW_CHUNK (256 * 1024) /* records are compressed and stored in chunks of this size */

#define PENDING_MAX (8u << 20) /* retained recording: rows that wait for the next commit while the queue has no room */
#define FOUND_TICKS 3 /* after so many ticks of a session the model has all live processes, if it has room */
#define REASONS 4 /* reasons for lost data */

/* Keys of table info that are also columns of table session, in the order of its columns. */
static const char *const session_keys[] = { "boot_id", "start_time",  "version", "kernel",
					    "arch",    "sample_1_in", "pss" };
#define MB_SESSION_KEYS (sizeof(session_keys) / sizeof(session_keys[0]))

static const char *const reasons[REASONS] = { "disk too slow", "disk full", "disk error", "being read" };

struct mb_recorder {
	struct mb_db *db;
	const struct mb_model *model;
	struct mb_out event; /* only a memory buffer for one event as JSON */
	struct mb_rows *rows; /* for the next commit */
	struct mb_rows *head; /* retained recording: describes the session; NULL after the first tick */
	struct mb_written_state written;
	uint64_t tick;
	uint32_t ticks; /* retained recording: ticks of this session */
	int64_t session;
	struct mb_prev_session prev; /* retained recording: what the file contained when opened */
	char known[MB_SESSION_KEYS][128]; /* the values of session_keys */
	bool retained;
	bool begun; /* the row of the session has been written */
	uint64_t generation; /* as mb_db_generation() */
	uint64_t written_t_ns; /* time of the last written sample; 0: none */
	uint64_t lost_rows; /* commits and chunks that were dropped because the queue was full */
	uint64_t lost_moments[REASONS]; /* retained recording: samples not written, by reason */
	struct mb_lost lost; /* losses as last written */
	uint64_t system_t_ns; /* time of the last written system sample */
	bool raw;
	char *chunk;
	size_t chunk_len;
	uint64_t chunk_records;
	bool ended; /* the chunk has the last record, which marks the recording as complete */
};

static void put_layout(struct mb_recorder *r)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_events; j++) {
			const struct mb_event_kind *k = &fam[i]->events[j];
			bool recorded = !(k->flags & MB_EVENT_MADE);

			for (size_t f = 0; recorded && (f < k->n_fields || f == 0); f++) {
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

/* Record the boot ID: within a boot, a process is identified by pid and start time. */
static void note_boot(struct mb_recorder *r)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	char id[64] = "";

	if (f && fgets(id, sizeof(id), f)) {
		id[strcspn(id, "\n")] = '\0';
		mb_recorder_info(r, "boot_id", id);
	}
	if (f)
		fclose(f);
}

static int make(struct mb_recorder **out, bool retained, bool raw, struct mb_err *e)
{
	struct mb_recorder *r = calloc(1, sizeof(*r));

	*out = r;
	if (!r || !(r->rows = mb_rows_new()) || (retained && !(r->head = mb_rows_new())))
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	r->raw = raw;
	r->retained = retained;
	if (mb_out_to_memory(&r->event))
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	note_boot(r);
	return 0;
}

int mb_recorder_open(struct mb_recorder **out, const char *path, bool raw, struct mb_err *e)
{
	int err = make(out, false, raw, e);

	if (err)
		return err;
	(*out)->session = 1;
	put_layout(*out);
	return mb_db_create(&(*out)->db, path, e);
}

static void take_prev(void *arg, int64_t id, uint32_t pid, uint64_t start_ns, int64_t first_tick)
{
	mb_written_prev(arg, id, pid, start_ns, first_tick);
}

int mb_recorder_open_retained(struct mb_recorder **out, const char *path, const struct mb_retention *keep,
			      struct mb_err *e)
{
	int err = make(out, true, false, e);
	struct mb_recorder *r = *out;

	if (err)
		return err;
	r->prev.take = take_prev;
	r->prev.arg = &r->written;
	err = mb_db_keep(&r->db, path, keep, &r->prev, e);
	r->tick = (uint64_t)(r->prev.tick + 1);
	r->written.last_id = r->prev.process;
	r->session = r->prev.session + 1;
	return err;
}

void mb_recorder_retain(struct mb_recorder *r, const struct mb_retention *keep)
{
	mb_db_retain(r->db, keep);
}

void mb_recorder_state(struct mb_recorder *r, struct mb_recorder_state *st)
{
	mb_db_state(r->db, st);
}

/* The rows that describe the session. */
static struct mb_rows *head(struct mb_recorder *r)
{
	return r->head ? r->head : r->rows;
}

void mb_recorder_info(struct mb_recorder *r, const char *key, const char *value)
{
	for (size_t i = 0; i < MB_SESSION_KEYS; i++) {
		if (!strcmp(key, session_keys[i]))
			snprintf(r->known[i], sizeof(r->known[i]), "%s", value ? value : "");
	}
	mb_rows_begin(head(r), MB_TABLE_INFO);
	mb_rows_text(head(r), key);
	mb_rows_text(head(r), value);
}

void mb_recorder_hook(struct mb_recorder *r, const char *family, const char *question,
		      const char *hook, const char *quality, const char *missing)
{
	mb_rows_begin(head(r), MB_TABLE_HOOK);
	mb_rows_text(head(r), family);
	mb_rows_text(head(r), question);
	mb_rows_text(head(r), hook);
	mb_rows_text(head(r), quality);
	mb_rows_text(head(r), missing);
	mb_rows_int(head(r), r->session);
}

/*
 * Write the row of the session. Called with the first tick, or with the first row of a process before it: then
 * everything that describes the session is known.
 */
static void begin_session(struct mb_recorder *r)
{
	if (r->begun)
		return;
	r->begun = true;
	mb_rows_begin(head(r), MB_TABLE_SESSION);
	mb_rows_int(head(r), r->session);
	mb_rows_int(head(r), (int64_t)r->tick);
	for (size_t i = 0; i < MB_SESSION_KEYS; i++)
		mb_rows_text(head(r), r->known[i][0] ? r->known[i] : NULL);
	if (!r->retained)
		return;
	if (!r->known[0][0] || strcmp(r->known[0], r->prev.boot_id) != 0)
		mb_written_prev_ended(&r->written, r->known[0][0] && r->prev.boot_id[0] ? r->rows : NULL, r->tick);
	mb_db_head(r->db, r->head);
	r->head = NULL;
}

/* ---- raw records ---- */

static void flush_chunk(struct mb_recorder *r)
{
	if (r->chunk_len &&
	    !mb_db_raw(r->db, r->chunk, r->chunk_len, r->tick, r->chunk_records, r->ended))
		r->lost_rows++;
	else if (!r->chunk_len)
		free(r->chunk);
	r->chunk = NULL;
	r->chunk_len = 0;
	r->chunk_records = 0;
}

/* ---- single events ---- */

/*
 * Rows made between two ticks wait for the next tick, which can be far away if the disk is full, so limit their size.
 */
static bool has_room(struct mb_recorder *r)
{
	if (!r->retained || mb_rows_size(r->rows) < PENDING_MAX)
		return true;
	r->lost_moments[0]++;
	mb_db_count_lost(r->db);
	return false;
}

static void put_event(struct mb_recorder *r, const struct mb_event *e, const struct mb_event_kind *k)
{
	if (!(k->flags & MB_EVENT_KEEP) || !has_room(r))
		return;
	r->event.len = 0;
	mb_sink_json.event(&r->event, mb_event_comm(r->model, e), e);
	r->event.buf[r->event.len ? r->event.len - 1 : 0] = '\0'; /* remove the end of line */
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

/*
 * A copy of an event without the stack that follows it: the process's own data does not go into a recording, which
 * has the unwound stack instead. Returns NULL if there is none.
 */
static const struct mb_event *without_stack(const struct mb_event *e, const struct mb_event_kind *k, char *room,
					    size_t size)
{
	struct mb_event *copy = (struct mb_event *)room;

	if (!(k->flags & MB_EVENT_STACK) || k->size > size)
		return NULL;
	memcpy(room, e, k->size);
	copy->size = (uint32_t)k->size;
	return copy;
}

void mb_recorder_keep(void *recorder, enum mb_ingest_type type, const void *data, size_t len)
{
	struct mb_recorder *r = recorder;
	struct mb_raw_record head = { .len = (uint32_t)len, .type = (uint16_t)type };
	_Alignas(8) char room[512];
	const struct mb_event *e = type == MB_INGEST_EVENT ? data : NULL, *cut;
	const struct mb_event_kind *k = e && len >= sizeof(*e) && e->size <= len ? mb_event_kind_of(e) : NULL;
	size_t padded;

	if (k)
		put_event(r, e, k);
	r->ended |= type == MB_INGEST_SUMMARY;
	if (!r->raw)
		return;
	cut = k ? without_stack(e, k, room, sizeof(room)) : NULL;
	if (cut) {
		data = cut;
		len = head.len = cut->size;
	}
	padded = (len + 7) & ~(size_t)7;
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
	r->chunk_records++;
}

/* ---- processes ---- */

static void take_process(struct mb_recorder *r, const struct mb_model *m, const struct mb_process *p)
{
	if (!mb_written_process(&r->written, r->rows, m, p, r->tick))
		r->lost_rows++;
}

void mb_recorder_forget(struct mb_recorder *r, const struct mb_process *p)
{
	if (!r->model || !has_room(r))
		return;
	begin_session(r);
	take_process(r, r->model, p);
	mb_written_forget(&r->written, r->rows, p);
}

/*
 * By now the model had time to find all live processes, so those of the previous session that it did not find have
 * ended.
 */
static void end_prev(struct mb_recorder *r, const struct mb_model *m)
{
	if (r->retained && ++r->ticks == FOUND_TICKS && !m->lost.processes_waiting)
		mb_written_prev_ended(&r->written, r->rows, r->tick);
}

/* ---- ticks ---- */

static void put_tick(struct mb_recorder *r, const struct mb_sample_meta *at)
{
	struct mb_rows *o = r->rows;

	mb_rows_begin(o, MB_TABLE_TICK);
	mb_rows_int(o, (int64_t)r->tick);
	mb_rows_int(o, (int64_t)at->t_ns);
	mb_rows_text(o, at->time);
	mb_rows_int(o, (int64_t)at->since_start_ns);
	mb_rows_int(o, (int64_t)at->self_cpu_ns);
	if (at->self_rss_bytes != MB_UNKNOWN)
		mb_rows_int(o, (int64_t)at->self_rss_bytes);
	else
		mb_rows_null(o);
	if (at->bpf_ns_known)
		mb_rows_int(o, (int64_t)at->bpf_ns);
	else
		mb_rows_null(o);
	mb_rows_int(o, (int64_t)r->model->events);
	mb_rows_int(o, (int64_t)(r->written_t_ns ? at->t_ns - r->written_t_ns : at->since_start_ns));
	r->written_t_ns = at->t_ns;
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
	if (r->ended) /* a level, not a counter: written once, at the end */
		put_lost(r, "task", "process without room", now->processes_waiting, NULL);
	put_lost(r, "task", "thread evicted", now->threads_evicted - r->lost.threads_evicted, NULL);
	put_lost(r, "task", "event not decodable", now->undecodable - r->lost.undecodable, NULL);
	put_lost(r, "task", "not blamed", now->not_blamed - r->lost.not_blamed, NULL);
	r->lost_moments[0] += r->lost_rows;
	for (size_t i = 0; i < REASONS; i++)
		put_lost(r, "record", reasons[i], r->lost_moments[i], NULL);
	memset(r->lost_moments, 0, sizeof(r->lost_moments));
	r->lost_rows = 0;
	r->lost = *now;
}

/*
 * Retained recording: whether there is room for a sample. If not, the loss is counted, and the next sample includes
 * its changes.
 */
static bool room_for_tick(struct mb_recorder *r)
{
	const char *why = r->retained ? mb_db_no_room(r->db) : NULL;

	for (size_t i = 0; why && i < REASONS; i++)
		r->lost_moments[i] += !strcmp(why, reasons[i]);
	return !why;
}

int mb_recorder_tick(struct mb_recorder *r, const struct mb_model *m, const struct mb_sample_meta *at,
		     struct mb_err *e)
{
	struct mb_process *p;

	if (!room_for_tick(r))
		return 0;
	begin_session(r);
	if (r->retained && mb_db_generation(r->db) != r->generation) {
		r->generation = mb_db_generation(r->db);
		mb_written_reset(&r->written);
	}
	put_tick(r, at);
	DL_FOREACH(m->all, p)
	take_process(r, m, p);
	mb_written_forget_unseen(&r->written, r->rows, r->tick);
	end_prev(r, m);
	if (m->system.known && m->system.now.t_ns != r->system_t_ns)
		mb_system_rows(r->rows, r->tick, &m->system.now);
	r->system_t_ns = m->system.now.t_ns;
	put_losses(r, &m->lost);
	flush_chunk(r);
	r->written.tick_t_ns = at->t_ns;
	r->tick++;
	if (!mb_db_commit(r->db, r->rows))
		r->lost_rows++;
	r->rows = mb_rows_new();
	return r->retained ? 0 : mb_db_error(r->db, e);
}

int mb_recorder_close(struct mb_recorder *r, struct mb_err *e)
{
	int err;

	if (!r)
		return 0;
	err = mb_db_close(r->db, e);
	mb_written_free(&r->written);
	mb_rows_free(r->head);
	mb_rows_free(r->rows);
	free(r->chunk);
	free(r->event.buf);
	free(r);
	return err;
}
