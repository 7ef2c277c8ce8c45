/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Decides what of a session goes into a recording: the accounts of each tick, events worth recording, losses; and
 * with raw, every ingest record, so that the session can be replayed.
 */
#ifndef MB_RECORD_RECORDER_H
#define MB_RECORD_RECORDER_H

#include "model/ingest.h"
#include "record/db.h"

struct mb_recorder;

/* Create the recording at path. Returns 0 or -errno with *e set; call mb_recorder_close() in either case. */
int mb_recorder_open(struct mb_recorder **out, const char *path, bool raw, struct mb_err *e);

/*
 * Open or create a retained recording, which has no end but stays within limits. Tick and process numbers continue,
 * and a process that is still alive retains its number. A file that is damaged or not a recording is moved aside
 * (PATH.corrupt-TIME) with a warning. A retained recording is never raw. Once it is open, disk failures are not
 * errors: failed writes are retried, and data for which there is no room is counted as lost. Returns 0 or -errno with
 * *e set (another memblame has it open; made by record, or by a newer memblame; -ENOSPC: the disk is full now); call
 * mb_recorder_close() in either case.
 */
int mb_recorder_open_retained(struct mb_recorder **out, const char *path, const struct mb_retention *keep,
			      struct mb_err *e);

/* Retained recording: change the limits. The oldest ticks are deleted, and the file shrinks, in small steps. */
void mb_recorder_retain(struct mb_recorder *r, const struct mb_retention *keep);

/* Retained recording: get its state. Safe to call from any thread until the recorder is closed. */
void mb_recorder_state(struct mb_recorder *r, struct mb_recorder_state *st);

/*
 * A process leaves the model (mb_model.on_forget): write its last changes with the next tick. p is still in the
 * model, and its numbers are up to date.
 */
void mb_recorder_forget(struct mb_recorder *r, const struct mb_process *p);

/*
 * mb_recorder_info() writes a static value, e.g. "command"; mb_recorder_hook() how a question is answered. Call them
 * before the first tick.
 */
void mb_recorder_info(struct mb_recorder *r, const char *key, const char *value);
void mb_recorder_hook(struct mb_recorder *r, const char *family, const char *question,
		      const char *hook, const char *quality, const char *missing);

/* Set the model that is recorded. It identifies the process of an event. */
void mb_recorder_watch(struct mb_recorder *r, const struct mb_model *m);

/* Record one ingest record. Has the signature of mb_ingest.keep; recorder is the struct mb_recorder. */
void mb_recorder_keep(void *recorder, enum mb_ingest_type type, const void *data, size_t len);

/*
 * The model has ingested a tick, or its summary is complete: write what has changed since the last call, however long
 * ago that was. Returns 0, or -errno with *e set if the recording cannot be written any more; a retained recording
 * always returns 0. If the disk is stuck and 16 MiB are queued, a retained recording skips samples: changes
 * accumulate until there is room, so that no count is missing, only the samples in between.
 */
int mb_recorder_tick(struct mb_recorder *r, const struct mb_model *m, const struct mb_sample_meta *at,
		     struct mb_err *e);

/* Write what is still queued and close. Returns 0 or -errno with *e set. r may be NULL. */
int mb_recorder_close(struct mb_recorder *r, struct mb_err *e);

/* Header of a record of raw data. It is followed by len bytes, then by padding to a multiple of 8. */
struct mb_raw_record {
	uint32_t len;
	uint16_t type; /* enum mb_ingest_type */
	uint16_t pad;
};

#endif
