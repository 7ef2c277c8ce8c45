/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Writes a recording: a SQLite database (docs/recording.md) behind a thread and a bounded queue, so that a slow disk
 * never blocks the tracer. Everything queued between two commits is one transaction.
 */
#ifndef MB_RECORD_DB_H
#define MB_RECORD_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MB_DB_APPLICATION 0x6d626c6d /* "mblm": PRAGMA application_id of a recording */
#define MB_DB_SCHEMA 1 /* PRAGMA user_version; raised when the meaning of a table changes */
#define MB_DB_SCHEMA_RETAINED 2 /* user_version of a retained recording: several sessions, oldest ticks deleted */

enum mb_table {
	MB_TABLE_INFO,
	MB_TABLE_SESSION,
	MB_TABLE_HOOK,
	MB_TABLE_LAYOUT,
	MB_TABLE_TICK,
	MB_TABLE_PROCESS,
	MB_TABLE_ACCOUNT,
	MB_TABLE_DETAIL, /* a row of a list: the growth since it was last written */
	MB_TABLE_BUCKET, /* a histogram bucket: the growth since it was last written */
	MB_TABLE_EVENT,
	MB_TABLE_LOST,
	MB_TABLE_SYSTEM,
	MB_TABLE_ZONE,
	MB_TABLE_NODE,
	MB_TABLE_RAW,
	MB_TABLE_PROCESS_END, /* not a table: a tick, and a process that has no rows after it */
	/* not a table: a tick at which a process of the previous session was found to have ended */
	MB_TABLE_PREV_ENDED,
	MB_TABLES
};

struct mb_db;
struct mb_rows;

/* Retention limits of a recording. The oldest ticks are deleted when a limit is exceeded. */
struct mb_retention {
	uint64_t max_age_ns; /* 0: no limit */
	uint64_t max_bytes; /* on disk, including the WAL and shared-memory files; 0: no limit */
};

/* State of a retained recording. */
struct mb_recorder_state {
	uint64_t bytes; /* on disk: the database, its WAL and shared-memory files */
	uint64_t ticks; /* retained ticks */
	uint64_t waiting_bytes; /* queued in memory, not written yet */
	uint64_t lost; /* what could not be written: samples, events and last accounts of processes */
	bool failed; /* the last attempt to write failed; it will be retried */
	char message[200]; /* why */
	char oldest[32]; /* time of the oldest retained tick, RFC 3339; "": none */
};

/* What a retained recording contained when it was opened. */
struct mb_prev_session {
	int64_t tick; /* the largest tick number; -1: none */
	int64_t process;
	int64_t session;
	char boot_id[40]; /* of the last session; "": not known */
	/* Called for each process of the last session that was not seen to end. */
	void (*take)(void *arg, int64_t id, uint32_t pid, uint64_t start_ns, int64_t first_tick);
	void *arg;
};

/*
 * Create the file with all tables, readable by its owner only; it is an error if the file exists. Starts the writer
 * thread. Returns 0 or -errno with *e set.
 */
int mb_db_create(struct mb_db **out, const char *path, struct mb_err *e);

/*
 * Open a retained recording, or create it. A file that is damaged or not a recording is moved aside with a warning.
 * *keep is copied. The caller sets take and arg of *prev; the rest is filled in. Starts the writer thread. Returns 0
 * or -errno with *e set.
 */
int mb_db_keep(struct mb_db **out, const char *path, const struct mb_retention *keep,
	       struct mb_prev_session *prev, struct mb_err *e);

/* Change the retention limits. */
void mb_db_retain(struct mb_db *db, const struct mb_retention *keep);

/*
 * Set the rows that describe the session. They are written with its first commit, and again if the file turns out to
 * be damaged and a new one is started. Takes ownership of head.
 */
void mb_db_head(struct mb_db *db, struct mb_rows *head);

/*
 * How many times a new file was started while writing. After a change, data that is written once per file must be
 * written again.
 */
uint64_t mb_db_generation(struct mb_db *db);

/*
 * Retained recording: whether the queue has room. Returns NULL if it has; otherwise the reason why this sample is
 * lost, and counts the loss.
 */
const char *mb_db_no_room(struct mb_db *db);

/* Count one more loss for the same reason. */
void mb_db_count_lost(struct mb_db *db);

/* Fill *st with the state of a retained recording. Safe to call from any thread. */
void mb_db_state(struct mb_db *db, struct mb_recorder_state *st);

/* Rows to write, built column by column in the order of the table. Owned by the caller until queued. */
struct mb_rows *mb_rows_new(void);
void mb_rows_free(struct mb_rows *r); /* r may be NULL */

/* Start a row of a table, then add its columns. A lack of memory is reported by mb_db_commit(). */
void mb_rows_begin(struct mb_rows *r, enum mb_table table);
void mb_rows_int(struct mb_rows *r, int64_t v);
void mb_rows_text(struct mb_rows *r, const char *s); /* NULL: null */
void mb_rows_blob(struct mb_rows *r, const void *data, uint32_t size);
void mb_rows_null(struct mb_rows *r);

/* Size of the rows in memory, in bytes. r may be NULL. */
size_t mb_rows_size(const struct mb_rows *r);

/*
 * Queue rows, and commit everything queued so far. Takes ownership of r. Returns false if the rows are lost: the
 * queue is full (the disk is too slow), or there was no memory for some row.
 */
bool mb_db_commit(struct mb_db *db, struct mb_rows *r);

/*
 * Queue raw records (recorder.c). data is malloc'ed; the queue takes ownership. Returns as mb_db_commit(). last marks
 * the end of the recording: such a chunk may use the queue space reserved for rows, since without it a complete
 * recording would look truncated.
 */
bool mb_db_raw(struct mb_db *db, void *data, size_t size, uint64_t tick, uint64_t records, bool last);

/* Check whether writing has failed: returns 0 or -errno with *e set; -ENOSPC means that the disk is full. Cheap. */
int mb_db_error(struct mb_db *db, struct mb_err *e);

/* Write what is queued, end the thread and close. Returns 0 or -errno with *e set. db may be NULL. */
int mb_db_close(struct mb_db *db, struct mb_err *e);

/* Columns of the account table that hold the number of a slot, in order. Used by recorder.c and report.c. */
struct mb_column {
	char name[64]; /* "stalls_file_io_ns" */
	unsigned int slot;
	const struct mb_family *family;
	const struct mb_field *field; /* a field of that family */
	bool is_max; /* a maximum so far, not a sum */
};

/* All such columns; *n is set to their number. The array is static. */
const struct mb_column *mb_columns(size_t *n);

#endif
