/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the parts of the writing end share: db.c (queue and thread) and retention.c (a file that is kept). */
#ifndef MB_RECORD_DB_FILE_H
#define MB_RECORD_DB_FILE_H

#include <pthread.h>
#include <sqlite3.h>

#include "record/db.h"

#define MB_DB_BUSY_MS 60000 /* somebody else has the file locked, e.g. for a checkpoint */

/* One thing to write: rows with a commit after them, or raw records. */
struct mb_job {
	struct mb_rows *rows; /* NULL: raw */
	void *raw;
	size_t size;
	uint64_t tick, records;
	bool last;
	struct mb_job *next;
};

struct mb_db {
	char *path;
	int lock_fd; /* keeps a second recorder off; closed last, as closing drops SQLite's own locks */
	sqlite3 *sqlite;
	sqlite3_stmt *insert[MB_TABLES];
	pthread_t thread;
	bool started;
	bool retained;

	/* kept: the thread's own once it runs */
	bool checked; /* the file has been read through for damage */
	bool head_written;
	struct mb_rows *head; /* owned; under the mutex until the first commit */
	struct mb_retention keep; /* in force */
	int64_t oldest_tick; /* -1: none */
	bool shrunk; /* pages have been given back */

	pthread_mutex_t mutex;
	pthread_cond_t some;
	struct mb_job *queue;
	size_t queued;
	bool closing;
	int error; /* a SQLite code; nothing is written after it; kept: of this attempt */
	char message[200];
	struct mb_retention keep_next;
	bool keep_changed;
	uint64_t generation;
	struct mb_recorder_state state; /* without what is in the queue */
	const char *reason; /* for which something is lost now */
};

/* db.c: run SQL, note a failure, write encoded rows; what comes after a failure does nothing. */
void mb_db_fail(struct mb_db *db, int code);
bool mb_db_failed(struct mb_db *db);
void mb_db_run(struct mb_db *db, const char *sql);
void mb_db_write_rows(struct mb_db *db, const struct mb_rows *r);
int mb_db_start(struct mb_db *db, struct mb_err *e);
int mb_db_new(struct mb_db **out, const char *path, struct mb_err *e);
void mb_db_close_file(struct mb_db *db);

/* retention.c: write a job; false: not now, it is tried again. */
bool mb_retention_write(struct mb_db *db, const struct mb_job *j);

/* retention.c: a part of the work that keeps the limits; false: nothing is left to do. */
bool mb_retention_retain(struct mb_db *db);

/*
 * retention_age.c: the tick before which all are too old to be kept, or the newest one; no more of them than most, counted
 * from the oldest there is.
 */
int64_t mb_retention_too_old(struct mb_db *db, int64_t newest, int most);

/* retention_file.c: open the recording, or begin one. Returns 0 or -errno with *e set. */
int mb_retention_open_file(struct mb_db *db, struct mb_err *e);

/* retention_file.c: the file is damaged: move it aside and begin another. */
int mb_retention_new_file(struct mb_db *db, struct mb_err *e);

/* retention_file.c: is the code one of a file that no SQLite can read? */
bool mb_retention_is_damage(int code);

/* The first column of the first row; not_there where there is none. Failures are noted. */
int64_t mb_retention_number(struct mb_db *db, const char *sql, int64_t not_there);

/* Bytes of the file and what lies beside it; *log: of the log alone. */
uint64_t mb_retention_bytes(const struct mb_db *db, uint64_t *log);

/* The share of the limit that the log may have. */
uint64_t mb_retention_log_bytes(const struct mb_retention *keep);

#endif
