/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Shared by the files that write a recording: db.c (queue and thread) and retention.c (retained recordings). */
#ifndef MB_RECORD_DB_FILE_H
#define MB_RECORD_DB_FILE_H

#include <pthread.h>
#include <sqlite3.h>

#include "record/db.h"

#define MB_DB_BUSY_MS 60000 /* another process has the file locked, e.g. for a checkpoint */

/* One unit of work: rows followed by a commit, or raw records. */
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
	int lock_fd; /* excludes a second recorder; closed last, because closing it drops SQLite's own locks */
	sqlite3 *sqlite;
	sqlite3_stmt *insert[MB_TABLES];
	pthread_t thread;
	bool started;
	bool retained;

	/* Retained recording. Once the writer thread runs, only that thread uses these fields. */
	bool checked; /* the file has been checked for damage */
	bool head_written;
	struct mb_rows *head; /* owned; protected by the mutex until the first commit */
	struct mb_retention keep; /* the limits in force */
	int64_t oldest_tick; /* -1: none */
	bool shrunk; /* free pages have been returned to the file system */

	pthread_mutex_t mutex;
	pthread_cond_t some;
	struct mb_job *queue;
	size_t queued;
	bool closing;
	int error; /* a SQLite code; nothing is written after it. Retained recording: of the current attempt */
	char message[200];
	struct mb_retention keep_next;
	bool keep_changed;
	uint64_t generation;
	struct mb_recorder_state state; /* without what is queued */
	const char *reason; /* why data is being lost now */
};

/* db.c: record a failure with its SQLite code, unless there already is one; check for a failure. */
void mb_db_fail(struct mb_db *db, int code);
bool mb_db_failed(struct mb_db *db);

/* db.c: run SQL; write encoded rows. Both do nothing after a failure, and record their own. */
void mb_db_run(struct mb_db *db, const char *sql);
void mb_db_write_rows(struct mb_db *db, const struct mb_rows *r);

/* db.c: start the writer thread. Returns 0 or -errno with *e set. */
int mb_db_start(struct mb_db *db, struct mb_err *e);

/* db.c: allocate a struct mb_db; opens no file. Returns 0 or -errno with *e set; call mb_db_close() in either case. */
int mb_db_new(struct mb_db **out, const char *path, struct mb_err *e);

/* db.c: finalize the statements, close the database, then close lock_fd. */
void mb_db_close_file(struct mb_db *db);

/* retention.c: write a job. Returns false if that is not possible now; the caller retries. */
bool mb_retention_write(struct mb_db *db, const struct mb_job *j);

/* retention.c: do one step of enforcing the limits. Returns false if nothing is left to do. */
bool mb_retention_retain(struct mb_db *db);

/*
 * retention_age.c: the tick before which all ticks are older than the age limit, but at most newest. Examines at most
 * `most` ticks, starting at the oldest one.
 */
int64_t mb_retention_too_old(struct mb_db *db, int64_t newest, int most);

/* retention_file.c: open the recording, or create it. Returns 0 or -errno with *e set. */
int mb_retention_open_file(struct mb_db *db, struct mb_err *e);

/* retention_file.c: the file is damaged, so move it aside and create a new one. Returns 0 or -errno with *e set. */
int mb_retention_new_file(struct mb_db *db, struct mb_err *e);

/* retention_file.c: whether the SQLite code means a file that SQLite cannot read. */
bool mb_retention_is_damage(int code);

/* The first column of the first row, or not_there if there is no row. Failures are recorded in db. */
int64_t mb_retention_number(struct mb_db *db, const char *sql, int64_t not_there);

/* Size in bytes of the database with its WAL and shared-memory files. *log is set to the size of the WAL alone. */
uint64_t mb_retention_bytes(const struct mb_db *db, uint64_t *log);

/* The part of the size limit that the WAL may use, in bytes. */
uint64_t mb_retention_log_bytes(const struct mb_retention *keep);

#endif
