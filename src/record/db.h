/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Writing a recording: a SQLite database (docs/recording.md) behind a thread and a bounded queue, so
 * that a slow disk never holds up who traces. What is queued between two commits is one transaction.
 */
#ifndef MB_RECORD_DB_H
#define MB_RECORD_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MB_DB_APPLICATION 0x6d626c6d /* "mblm": PRAGMA application_id of a recording */
#define MB_DB_SCHEMA 1 /* PRAGMA user_version; raised when a table changes its meaning */
#define MB_DB_SCHEMA_RETAINED 2 /* of a recording with several sessions, whose oldest ticks go */

enum mb_table {
	MB_TABLE_INFO,
	MB_TABLE_SESSION,
	MB_TABLE_HOOK,
	MB_TABLE_LAYOUT,
	MB_TABLE_TICK,
	MB_TABLE_PROCESS,
	MB_TABLE_ACCOUNT,
	MB_TABLE_DETAIL, /* a row of a list, what it has grown by */
	MB_TABLE_BUCKET, /* the same of a bucket of a histogram */
	MB_TABLE_EVENT,
	MB_TABLE_LOST,
	MB_TABLE_SYSTEM,
	MB_TABLE_ZONE,
	MB_TABLE_NODE,
	MB_TABLE_RAW,
	MB_TABLE_PROCESS_END, /* no table: a tick, and a process of which nothing comes after it */
	MB_TABLE_PREV_ENDED, /* nor this: a tick at which a process of the session before is known to have ended */
	MB_TABLES
};

struct mb_db;
struct mb_rows;

/* How much of a recording is kept: the oldest ticks go. */
struct mb_retention {
	uint64_t max_age_ns; /* 0: any */
	uint64_t max_bytes; /* on disk, with what lies beside the file; 0: any */
};

/* How a kept recording is. */
struct mb_recorder_state {
	uint64_t bytes; /* on disk: the file and what lies beside it */
	uint64_t ticks; /* kept */
	uint64_t waiting_bytes; /* in memory, for the disk */
	uint64_t lost; /* what could not be written: moments, events and processes' last accounts */
	bool failed; /* the last attempt to write did not succeed; it is tried again */
	char message[200]; /* why */
	char oldest[32]; /* time of the oldest tick kept, RFC 3339; "": none */
};

/* What a kept recording had when it was opened. */
struct mb_prev_session {
	int64_t tick; /* the largest; -1: none */
	int64_t process;
	int64_t session;
	char boot_id[40]; /* of the last session; "": not known */
	/* Called for each process that the last session followed to its end. */
	void (*take)(void *arg, int64_t id, uint32_t pid, uint64_t start_ns, int64_t first_tick);
	void *arg;
};

/*
 * Create the file, readable by its owner only, with all tables; it must not be there yet. Starts the
 * thread. Returns 0 or -errno with *e set.
 */
int mb_db_create(struct mb_db **out, const char *path, struct mb_err *e);

/*
 * Open a recording that is kept, or create it: what is no recording, or damaged, is moved aside with a
 * warning. keep is copied; take and arg of *past are set, the rest is filled in. As above otherwise.
 */
int mb_db_keep(struct mb_db **out, const char *path, const struct mb_retention *keep,
	       struct mb_prev_session *prev, struct mb_err *e);

/* Other limits from now on. */
void mb_db_retain(struct mb_db *db, const struct mb_retention *keep);

/*
 * What describes the session, written with its first commit, and again should the file be found damaged and
 * a new one be begun. Takes ownership.
 */
void mb_db_head(struct mb_db *db, struct mb_rows *head);

/* How many times a new file was begun while writing: what is told once must be told again. */
uint64_t mb_db_generation(struct mb_db *db);

/* Kept: is there room in the queue? NULL: yes; else the reason for which a moment is lost, which is counted. */
const char *mb_db_no_room(struct mb_db *db);

/* Count something that is lost for the same reason. */
void mb_db_count_lost(struct mb_db *db);

/* For any thread. */
void mb_db_state(struct mb_db *db, struct mb_recorder_state *st);

/* Rows to write, built column by column in the order of the table; owned by the caller until queued. */
struct mb_rows *mb_rows_new(void);
void mb_rows_free(struct mb_rows *r); /* r may be NULL */
void mb_rows_begin(struct mb_rows *r, enum mb_table table);
void mb_rows_int(struct mb_rows *r, int64_t v);
void mb_rows_text(struct mb_rows *r, const char *s); /* NULL: null */
void mb_rows_blob(struct mb_rows *r, const void *data, uint32_t size);
void mb_rows_null(struct mb_rows *r);
size_t mb_rows_size(const struct mb_rows *r); /* in memory; r may be NULL */

/*
 * Queue rows, and commit all that is queued so far. Takes ownership. False: the queue is full (the disk
 * is too slow), or there was no memory for some row; they are gone.
 */
bool mb_db_commit(struct mb_db *db, struct mb_rows *r);

/*
 * Queue raw records (recorder.c); data is malloc'ed, and owned by the queue from now on. As above. last: it
 * ends the recording, and has the room that rows have, or a recording that is whole would look cut off.
 */
bool mb_db_raw(struct mb_db *db, void *data, size_t size, uint64_t tick, uint64_t records, bool last);

/* Has writing failed? *e says how; -ENOSPC: the disk is full. Cheap. */
int mb_db_error(struct mb_db *db, struct mb_err *e);

/* Write what is queued, end the thread, close. Returns 0 or -errno with *e set. db may be NULL. */
int mb_db_close(struct mb_db *db, struct mb_err *e);

/* Columns of the account table that hold the number of a slot, in order (recorder.c and report.c). */
struct mb_column {
	char name[64]; /* "stalls_file_io_ns" */
	unsigned int slot;
	const struct mb_family *family;
	const struct mb_field *field; /* of it */
	bool is_max; /* the longest so far, not a sum */
};

/* All of them; *n is their number. The array is made once and stays. */
const struct mb_column *mb_columns(size_t *n);

#endif
