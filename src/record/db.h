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

enum mb_table {
	MB_TABLE_INFO,
	MB_TABLE_HOOK,
	MB_TABLE_LAYOUT,
	MB_TABLE_TICK,
	MB_TABLE_PROCESS,
	MB_TABLE_ACCOUNT,
	MB_TABLE_DETAIL,
	MB_TABLE_EVENT,
	MB_TABLE_LOST,
	MB_TABLE_SYSTEM,
	MB_TABLE_ZONE,
	MB_TABLE_NODE,
	MB_TABLES
};

struct mb_db;

/*
 * Create the file, readable by its owner only, with all tables; it must not be there yet. Starts the
 * thread. Returns 0 or -errno with *e set.
 */
int mb_db_create(struct mb_db **out, const char *path, struct mb_err *e);

/* Rows to write, built column by column in the order of the table; owned by the caller until queued. */
struct mb_rows;
struct mb_rows *mb_rows_new(void);
void mb_rows_free(struct mb_rows *r); /* r may be NULL */
void mb_rows_begin(struct mb_rows *r, enum mb_table table);
void mb_rows_int(struct mb_rows *r, int64_t v);
void mb_rows_text(struct mb_rows *r, const char *s); /* NULL: null */
void mb_rows_blob(struct mb_rows *r, const void *data, uint32_t size);
void mb_rows_null(struct mb_rows *r);

/*
 * Queue rows, and commit all that is queued so far. Takes ownership. False: the queue is full (the disk
 * is too slow), or there was no memory for some row; they are gone.
 */
bool mb_db_commit(struct mb_db *db, struct mb_rows *r);

/*
 * Queue raw frames (recorder.c); data is malloc'ed, and owned by the queue from now on. As above. last: it
 * ends the recording, and has the room that rows have, or a recording that is whole would look cut off.
 */
bool mb_db_raw(struct mb_db *db, void *data, size_t size, uint64_t tick, uint64_t frames, bool last);

/* Has writing failed? *e says how. Cheap. */
int mb_db_error(struct mb_db *db, struct mb_err *e);

/* Write what is queued, end the thread, close. Returns 0 or -errno with *e set. db may be NULL. */
int mb_db_close(struct mb_db *db, struct mb_err *e);

/* Columns of the account table that hold the number of a slot, in order (recorder.c and report.c). */
struct mb_column {
	char name[64]; /* "stalls_file_io_ns" */
	unsigned int slot;
	bool is_max; /* the longest so far, not a sum */
};

/* All of them; *n is their number. The array is made once and stays. */
const struct mb_column *mb_columns(size_t *n);

#endif
