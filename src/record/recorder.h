/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What of a session goes into a recording: the accounts of each tick, events worth keeping, losses; and
 * with raw, every record that the model was fed with, so that the session can be played again.
 */
#ifndef MB_RECORD_RECORDER_H
#define MB_RECORD_RECORDER_H

#include "model/ingest.h"
#include "record/db.h"

struct mb_recorder;

/* Create the recording at path. Returns 0 or -errno with *e set; close it in either case. */
int mb_recorder_open(struct mb_recorder **out, const char *path, bool raw, struct mb_err *e);

/*
 * Open a recording that is kept for ever within limits, or begin it: ticks and processes are numbered on from
 * those there are, and a process that is still alive keeps its number. What is no recording, or damaged, is
 * moved aside (PATH.corrupt-TIME) with a warning. It is never raw. Once it is open nothing that the disk does is
 * an error: what cannot be written is tried again, and what there is no room for is counted. Returns 0 or
 * -errno with *e set (another memblame has it; made by record, or by a newer memblame; -ENOSPC: the disk is full
 * now); close it in either case.
 */
int mb_recorder_open_retained(struct mb_recorder **out, const char *path, const struct mb_retention *keep,
			      struct mb_err *e);

/* Kept: other limits from now on. The oldest ticks go, and the file gets shorter, in small steps. */
void mb_recorder_retain(struct mb_recorder *r, const struct mb_retention *keep);

/* Kept: how it is. For any thread, until it is closed. */
void mb_recorder_state(struct mb_recorder *r, struct mb_recorder_state *st);

/*
 * A process leaves the model (mb_model.on_forget): its last changes go with the coming tick. p: as the model
 * has it still; with its numbers up to date.
 */
void mb_recorder_forget(struct mb_recorder *r, const struct mb_process *p);

/* Something known once, e.g. "command"; and how a question was answered. For before the first tick. */
void mb_recorder_info(struct mb_recorder *r, const char *key, const char *value);
void mb_recorder_hook(struct mb_recorder *r, const char *family, const char *question,
		      const char *hook, const char *quality, const char *missing);

/* The model that is recorded: it says who the process of an event is. */
void mb_recorder_watch(struct mb_recorder *r, const struct mb_model *m);

/* As mb_ingest.keep, with the recorder as its argument. */
void mb_recorder_keep(void *recorder, enum mb_ingest_type type, const void *data, size_t len);

/*
 * The model has taken in a tick, or its summary: write what has changed since the last call, however long ago
 * that was. Returns 0, or -errno with *e set when the recording cannot be written any more; a kept one always can.
 * While the disk takes nothing and 16 MiB wait, kept ones write nothing: what changes is added up until there is
 * room, so that no count is missing, only the moments between.
 */
int mb_recorder_tick(struct mb_recorder *r, const struct mb_model *m, const struct mb_sample_meta *at,
		     struct mb_err *e);

/* Write what is still queued and close. Returns 0 or -errno with *e set. r may be NULL. */
int mb_recorder_close(struct mb_recorder *r, struct mb_err *e);

/*
 * A record of raw data: this, then len bytes, then padding to a multiple of 8.
 */
struct mb_raw_record {
	uint32_t len;
	uint16_t type; /* enum mb_ingest_type */
	uint16_t pad;
};

#endif
