// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Writes a recording: rows, queue and writer thread. */
#include "record/db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>
#include <zstd.h>

#include "record/db_file.h"
#include "record/schema.h"

/*
 * Raw records are dropped when this many bytes are queued, because the disk is too slow. Rows are small and may use
 * twice as much, so that accounts survive when raw records are dropped.
 */
#define QUEUE_BYTES (64u << 20)
/* Retained recording: samples are rare, and the next sample includes the changes of a skipped one. */
#define RETAINED_QUEUE_BYTES (16u << 20)
#define RETRY_S 10 /* retained recording: delay after a failed write */
#define ZSTD_LEVEL 1
#define LEAVE_WAL_MS 100 /* for readers to finish */

struct mb_rows {
	char *data;
	size_t size, room;
	bool failed;
};

/* ---- rows: a type byte and a value per column ---- */

enum { COLUMN_ROW = 'r', COLUMN_INT = 'i', COLUMN_TEXT = 't', COLUMN_BLOB = 'b', COLUMN_NULL = 'n' };

struct mb_rows *mb_rows_new(void)
{
	return calloc(1, sizeof(struct mb_rows));
}

size_t mb_rows_size(const struct mb_rows *r)
{
	return r ? r->size : 0;
}

static void append(struct mb_rows *r, const void *data, size_t len)
{
	if (!r || r->failed)
		return;
	if (r->size + len > r->room) {
		size_t room = 2 * (r->room + len) + 4096;
		char *bigger = realloc(r->data, room);

		if (!bigger) {
			r->failed = true;
			return;
		}
		r->data = bigger;
		r->room = room;
	}
	memcpy(r->data + r->size, data, len);
	r->size += len;
}

static void put(struct mb_rows *r, char type, const void *data, size_t len)
{
	append(r, &type, 1);
	if (len)
		append(r, data, len);
}

void mb_rows_begin(struct mb_rows *r, enum mb_table table)
{
	char t = (char)table;

	put(r, COLUMN_ROW, &t, 1);
}

void mb_rows_int(struct mb_rows *r, int64_t v)
{
	put(r, COLUMN_INT, &v, sizeof(v));
}

void mb_rows_text(struct mb_rows *r, const char *s)
{
	if (s)
		put(r, COLUMN_TEXT, s, strlen(s) + 1);
	else
		mb_rows_null(r);
}

void mb_rows_blob(struct mb_rows *r, const void *data, uint32_t size)
{
	put(r, COLUMN_BLOB, &size, sizeof(size));
	append(r, data, size);
}

void mb_rows_null(struct mb_rows *r)
{
	put(r, COLUMN_NULL, NULL, 0);
}

void mb_rows_free(struct mb_rows *r)
{
	if (r)
		free(r->data);
	free(r);
}

/* ---- the thread ---- */

void mb_db_fail(struct mb_db *db, int code)
{
	pthread_mutex_lock(&db->mutex);
	if (!db->error) {
		db->error = code ? code : SQLITE_ERROR;
		snprintf(db->message, sizeof(db->message), "%s",
			 code == SQLITE_FULL ? "no space left on device" :
					       sqlite3_errmsg(db->sqlite));
	}
	pthread_mutex_unlock(&db->mutex);
}

bool mb_db_failed(struct mb_db *db)
{
	bool yes;

	pthread_mutex_lock(&db->mutex);
	yes = db->error != 0;
	pthread_mutex_unlock(&db->mutex);
	return yes;
}

void mb_db_run(struct mb_db *db, const char *sql)
{
	int code;

	if (mb_db_failed(db))
		return;
	code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
	if (code != SQLITE_OK)
		mb_db_fail(db, code);
}

static void step(struct mb_db *db, sqlite3_stmt *s)
{
	int code = mb_db_failed(db) ? SQLITE_DONE : sqlite3_step(s);

	if (code != SQLITE_DONE)
		mb_db_fail(db, code);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
}

void mb_db_write_rows(struct mb_db *db, const struct mb_rows *r)
{
	const char *at = r->data, *end = r->data + r->size;
	sqlite3_stmt *s = NULL;
	int column = 0;
	uint32_t size;
	int64_t v;

	while (at < end) {
		switch (*at++) {
		case COLUMN_ROW:
			if (s)
				step(db, s);
			s = db->insert[(unsigned char)*at++];
			column = 0;
			break;
		case COLUMN_INT:
			memcpy(&v, at, sizeof(v));
			at += sizeof(v);
			sqlite3_bind_int64(s, ++column, v);
			break;
		case COLUMN_TEXT:
			sqlite3_bind_text(s, ++column, at, -1, SQLITE_STATIC);
			at += strlen(at) + 1;
			break;
		case COLUMN_BLOB:
			memcpy(&size, at, sizeof(size));
			at += sizeof(size);
			sqlite3_bind_blob64(s, ++column, at, size, SQLITE_STATIC);
			at += size;
			break;
		default:
			sqlite3_bind_null(s, ++column);
		}
	}
	if (s)
		step(db, s);
}

static void write_raw(struct mb_db *db, const struct mb_job *j)
{
	size_t bound = ZSTD_compressBound(j->size), n;
	void *packed = malloc(bound);

	if (!packed) {
		mb_db_fail(db, SQLITE_NOMEM);
		return;
	}
	n = ZSTD_compress(packed, bound, j->raw, j->size, ZSTD_LEVEL);
	if (ZSTD_isError(n)) {
		mb_db_fail(db, SQLITE_ERROR);
	} else {
		/* its first column, the chunk number, is assigned by SQLite */
		sqlite3_stmt *s = db->insert[MB_TABLE_RAW];

		sqlite3_bind_int64(s, 2, (int64_t)j->tick);
		sqlite3_bind_int64(s, 3, (int64_t)j->records);
		sqlite3_bind_int64(s, 4, (int64_t)j->size);
		sqlite3_bind_blob64(s, 5, packed, n, SQLITE_STATIC);
		step(db, s);
	}
	free(packed);
}

static void write_job(struct mb_db *db, const struct mb_job *j)
{
	if (mb_db_failed(db))
		return;
	if (sqlite3_get_autocommit(db->sqlite))
		mb_db_run(db, "BEGIN");
	if (j->rows) {
		mb_db_write_rows(db, j->rows);
		mb_db_run(db, "COMMIT");
	} else {
		write_raw(db, j);
	}
	/* the part of this transaction that is already on disk must not look like part of the recording */
	if (mb_db_failed(db) && !sqlite3_get_autocommit(db->sqlite))
		sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

/* The job was written or dropped: remove it from the queue. */
static void done(struct mb_db *db, struct mb_job *j, bool lost)
{
	pthread_mutex_lock(&db->mutex);
	LL_DELETE(db->queue, j);
	db->queued -= j->size;
	db->state.lost += lost;
	pthread_mutex_unlock(&db->mutex);
	mb_rows_free(j->rows);
	free(j->raw);
	free(j);
}

/*
 * Retained recording: wait before the next attempt. Returns false if there is none, because the recording is closing.
 */
static bool wait_retry(struct mb_db *db)
{
	struct timespec until;
	int err = 0;
	bool again;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += RETRY_S;
	pthread_mutex_lock(&db->mutex);
	while (!db->closing && !db->keep_changed && !err)
		err = pthread_cond_timedwait(&db->some, &db->mutex, &until);
	again = !db->closing;
	pthread_mutex_unlock(&db->mutex);
	return again;
}

/*
 * Wait for work. Sets *j to the next job, or to NULL if only the retention limits have changed. Returns false at the
 * end.
 */
static bool next_job(struct mb_db *db, struct mb_job **j)
{
	bool end;

	pthread_mutex_lock(&db->mutex);
	while (!db->queue && !db->closing && !db->keep_changed)
		pthread_cond_wait(&db->some, &db->mutex);
	if (db->keep_changed)
		db->keep = db->keep_next;
	db->keep_changed = false;
	*j = db->queue;
	end = !db->queue && db->closing;
	pthread_mutex_unlock(&db->mutex);
	return !end;
}

static bool is_idle(struct mb_db *db)
{
	bool idle;

	pthread_mutex_lock(&db->mutex);
	idle = !db->queue && !db->closing;
	pthread_mutex_unlock(&db->mutex);
	return idle;
}

static void *writer(void *arg)
{
	struct mb_db *db = arg;
	struct mb_job *j;

	while (next_job(db, &j)) {
		if (j && !db->retained) {
			write_job(db, j);
			done(db, j, false);
		} else if (j && mb_retention_write(db, j)) {
			done(db, j, false);
		} else if (j) {
			if (!wait_retry(db))
				done(db, j, true);
			continue;
		}
		/* new data goes first, but deletion of old data must keep up */
		while (db->retained && mb_retention_retain(db) && is_idle(db))
			;
	}
	return NULL;
}

static size_t room_for(const struct mb_db *db, const struct mb_job *j)
{
	if (db->retained)
		return SIZE_MAX; /* see mb_db_no_room() */
	return j->rows || j->last ? 2 * QUEUE_BYTES : QUEUE_BYTES;
}

static bool enqueue(struct mb_db *db, struct mb_job *j)
{
	bool room;

	pthread_mutex_lock(&db->mutex);
	room = j && (db->retained || !db->error) && db->queued + j->size <= room_for(db, j);
	if (room) {
		db->queued += j->size;
		LL_APPEND(db->queue, j);
		pthread_cond_signal(&db->some);
	} else if (db->retained) {
		db->state.lost++;
	}
	pthread_mutex_unlock(&db->mutex);
	return room;
}

const char *mb_db_no_room(struct mb_db *db)
{
	const char *reason = NULL;

	pthread_mutex_lock(&db->mutex);
	if (db->queued > RETAINED_QUEUE_BYTES) {
		reason = db->reason ? db->reason : "disk too slow";
		db->state.lost++;
	}
	pthread_mutex_unlock(&db->mutex);
	return reason;
}

void mb_db_count_lost(struct mb_db *db)
{
	pthread_mutex_lock(&db->mutex);
	db->state.lost++;
	pthread_mutex_unlock(&db->mutex);
}

void mb_db_retain(struct mb_db *db, const struct mb_retention *keep)
{
	pthread_mutex_lock(&db->mutex);
	db->keep_next = *keep;
	db->keep_changed = true;
	pthread_cond_signal(&db->some);
	pthread_mutex_unlock(&db->mutex);
}

void mb_db_head(struct mb_db *db, struct mb_rows *head)
{
	pthread_mutex_lock(&db->mutex);
	mb_rows_free(db->head);
	db->head = head;
	pthread_mutex_unlock(&db->mutex);
}

uint64_t mb_db_generation(struct mb_db *db)
{
	uint64_t n;

	pthread_mutex_lock(&db->mutex);
	n = db->generation;
	pthread_mutex_unlock(&db->mutex);
	return n;
}

void mb_db_state(struct mb_db *db, struct mb_recorder_state *st)
{
	pthread_mutex_lock(&db->mutex);
	*st = db->state;
	st->waiting_bytes = db->queued;
	pthread_mutex_unlock(&db->mutex);
}

bool mb_db_commit(struct mb_db *db, struct mb_rows *r)
{
	struct mb_job *j = r && !r->failed ? calloc(1, sizeof(*j)) : NULL;

	if (j) {
		j->rows = r;
		j->size = r->size;
	}
	if (enqueue(db, j))
		return true;
	mb_rows_free(r);
	free(j);
	return false;
}

bool mb_db_raw(struct mb_db *db, void *data, size_t size, uint64_t tick, uint64_t records, bool last)
{
	struct mb_job *j = calloc(1, sizeof(*j));

	if (j)
		*j = (struct mb_job){ .raw = data,
				   .size = size,
				   .tick = tick,
				   .records = records,
				   .last = last };
	if (enqueue(db, j))
		return true;
	free(data);
	free(j);
	return false;
}

/* ---- opening and closing ---- */

static void create_tables(struct mb_db *db)
{
	int code;

	mb_db_run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
	code = mb_db_failed(db) ? SQLITE_OK : mb_schema_make(db->sqlite, false);
	if (!code && !mb_db_failed(db))
		code = mb_schema_prepare(db->sqlite, db->insert);
	if (code)
		mb_db_fail(db, code);
}

/* Create the file exclusively: an existing file is somebody's recording. */
static int claim(struct mb_db *db, struct mb_err *e)
{
	db->lock_fd = open(db->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (db->lock_fd < 0 && errno == EEXIST)
		return mb_err_set(e, MB_EXIT_FAILED, 0,
				  "'%s' is there already: remove it, or record to another file",
				  db->path);
	if (db->lock_fd < 0)
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot create '%s'", db->path);
	flock(db->lock_fd, LOCK_EX | LOCK_NB);
	return 0;
}

/*
 * Start the writer thread with all signals blocked: the session's loop handles them, and an unblocked one would end
 * the process.
 */
int mb_db_start(struct mb_db *db, struct mb_err *e)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&db->thread, NULL, writer, db);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return mb_err_set(e, MB_EXIT_FAILED, err, "cannot start the writer");
	db->started = true;
	return 0;
}

int mb_db_new(struct mb_db **out, const char *path, struct mb_err *e)
{
	struct mb_db *db = calloc(1, sizeof(*db));
	pthread_condattr_t attr;

	*out = db;
	if (!db)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	db->lock_fd = -1;
	pthread_mutex_init(&db->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&db->some, &attr);
	pthread_condattr_destroy(&attr);
	db->path = strdup(path);
	return db->path ? 0 : mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
}

int mb_db_create(struct mb_db **out, const char *path, struct mb_err *e)
{
	int err = mb_db_new(out, path, e);
	struct mb_db *db = *out;
	mode_t mask;

	if (!err)
		err = claim(db, e);
	if (err)
		return err;
	mask = umask(077); /* for the WAL file that SQLite creates */
	if (sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE, NULL))
		mb_db_fail(db, SQLITE_CANTOPEN);
	sqlite3_busy_timeout(db->sqlite, MB_DB_BUSY_MS);
	if (!db->error)
		create_tables(db);
	umask(mask);
	if (mb_db_error(db, e)) {
		unlink(path); /* the file is still empty */
		return -EIO;
	}
	return mb_db_start(db, e);
}

int mb_db_error(struct mb_db *db, struct mb_err *e)
{
	int err = 0;

	pthread_mutex_lock(&db->mutex);
	if (db->error)
		err = mb_err_set(e, MB_EXIT_FAILED, 0, "writing to '%s' failed: %s", db->path,
				 db->message);
	if ((db->error & 0xff) == SQLITE_FULL)
		err = -ENOSPC;
	pthread_mutex_unlock(&db->mutex);
	return err;
}

void mb_db_close_file(struct mb_db *db)
{
	for (int t = 0; t < MB_TABLES; t++) {
		sqlite3_finalize(db->insert[t]);
		db->insert[t] = NULL;
	}
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	db->lock_fd = -1;
}

/*
 * The recording is complete: leave WAL mode, in which every reader needs to write beside the file. If somebody is
 * reading it, the file stays in WAL mode, in which nothing is lost either. A retained recording stays in it, because the
 * next session could not enter it again while somebody reads.
 */
static void leave_wal(struct mb_db *db)
{
	sqlite3_busy_timeout(db->sqlite, LEAVE_WAL_MS);
	sqlite3_exec(db->sqlite, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
}

int mb_db_close(struct mb_db *db, struct mb_err *e)
{
	int err = 0;

	if (!db)
		return 0;
	if (db->started) {
		pthread_mutex_lock(&db->mutex);
		db->closing = true;
		pthread_cond_signal(&db->some);
		pthread_mutex_unlock(&db->mutex);
		pthread_join(db->thread, NULL);
		err = mb_db_error(db, e);
		if (!err && !db->retained)
			leave_wal(db);
	}
	mb_db_close_file(db);
	mb_rows_free(db->head);
	pthread_mutex_destroy(&db->mutex);
	pthread_cond_destroy(&db->some);
	free(db->path);
	free(db);
	return err;
}
