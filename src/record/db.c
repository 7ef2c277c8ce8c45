// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The writing end of a recording: schema, queue and thread. */
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

#include "record/system.h"

/*
 * Raw frames that find that much waiting are dropped: the disk is too slow. Rows, which are little,
 * have as much again, so that accounts outlast the frames.
 */
#define QUEUE_BYTES (64u << 20)
#define BUSY_MS 60000 /* somebody else has the file locked, e.g. for a checkpoint */
#define ZSTD_LEVEL 1

struct mb_rows {
	char *data;
	size_t size, room;
	bool failed;
};

/* One thing to write: rows with a commit after them, or raw frames. */
struct job {
	struct mb_rows *rows; /* NULL: raw */
	void *raw;
	size_t size;
	uint64_t tick, frames;
	bool last;
	struct job *next;
};

struct mb_db {
	char *path;
	int lock_fd; /* keeps a second recorder off; closed last, as closing drops SQLite's own locks */
	sqlite3 *sqlite;
	sqlite3_stmt *insert[MB_TABLES];
	sqlite3_stmt *insert_raw;
	pthread_t thread;
	bool started;

	pthread_mutex_t mutex;
	pthread_cond_t some;
	struct job *queue;
	size_t queued;
	bool closing;
	int error; /* a SQLite code; nothing is written after it */
	char message[200];
};

/* ---- rows: a type byte and a value per column ---- */

enum { COLUMN_ROW = 'r', COLUMN_INT = 'i', COLUMN_TEXT = 't', COLUMN_BLOB = 'b', COLUMN_NULL = 'n' };

struct mb_rows *mb_rows_new(void)
{
	return calloc(1, sizeof(struct mb_rows));
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

static void fail(struct mb_db *db, int code)
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

static bool failed(struct mb_db *db)
{
	bool yes;

	pthread_mutex_lock(&db->mutex);
	yes = db->error != 0;
	pthread_mutex_unlock(&db->mutex);
	return yes;
}

static void run(struct mb_db *db, const char *sql)
{
	int code;

	if (failed(db))
		return;
	code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
	if (code != SQLITE_OK)
		fail(db, code);
}

static void step(struct mb_db *db, sqlite3_stmt *s)
{
	int code = failed(db) ? SQLITE_DONE : sqlite3_step(s);

	if (code != SQLITE_DONE)
		fail(db, code);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
}

static void write_rows(struct mb_db *db, const struct mb_rows *r)
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

static void write_raw(struct mb_db *db, const struct job *j)
{
	size_t bound = ZSTD_compressBound(j->size), n;
	void *packed = malloc(bound);

	if (!packed) {
		fail(db, SQLITE_NOMEM);
		return;
	}
	n = ZSTD_compress(packed, bound, j->raw, j->size, ZSTD_LEVEL);
	if (ZSTD_isError(n)) {
		fail(db, SQLITE_ERROR);
	} else {
		sqlite3_bind_int64(db->insert_raw, 1, (int64_t)j->tick);
		sqlite3_bind_int64(db->insert_raw, 2, (int64_t)j->frames);
		sqlite3_bind_int64(db->insert_raw, 3, (int64_t)j->size);
		sqlite3_bind_blob64(db->insert_raw, 4, packed, n, SQLITE_STATIC);
		step(db, db->insert_raw);
	}
	free(packed);
}

static void write_job(struct mb_db *db, const struct job *j)
{
	if (failed(db))
		return;
	if (sqlite3_get_autocommit(db->sqlite))
		run(db, "BEGIN");
	if (j->rows) {
		write_rows(db, j->rows);
		run(db, "COMMIT");
	} else {
		write_raw(db, j);
	}
	/* what of this transaction is on the disk already must not look like a part of the recording */
	if (failed(db) && !sqlite3_get_autocommit(db->sqlite))
		sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

static void *writer(void *arg)
{
	struct mb_db *db = arg;
	struct job *j;

	for (;;) {
		pthread_mutex_lock(&db->mutex);
		while (!db->queue && !db->closing)
			pthread_cond_wait(&db->some, &db->mutex);
		j = db->queue;
		if (j)
			LL_DELETE(db->queue, j);
		pthread_mutex_unlock(&db->mutex);
		if (!j)
			return NULL;
		write_job(db, j);
		pthread_mutex_lock(&db->mutex);
		db->queued -= j->size;
		pthread_mutex_unlock(&db->mutex);
		mb_rows_free(j->rows);
		free(j->raw);
		free(j);
	}
}

static bool enqueue(struct mb_db *db, struct job *j)
{
	bool room;

	pthread_mutex_lock(&db->mutex);
	room = j && !db->error &&
	       db->queued + j->size <= (j->rows || j->last ? 2 * QUEUE_BYTES : QUEUE_BYTES);
	if (room) {
		db->queued += j->size;
		LL_APPEND(db->queue, j);
		pthread_cond_signal(&db->some);
	}
	pthread_mutex_unlock(&db->mutex);
	return room;
}

bool mb_db_commit(struct mb_db *db, struct mb_rows *r)
{
	struct job *j = r && !r->failed ? calloc(1, sizeof(*j)) : NULL;

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

bool mb_db_raw(struct mb_db *db, void *data, size_t size, uint64_t tick, uint64_t frames, bool last)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j)
		*j = (struct job){ .raw = data,
				   .size = size,
				   .tick = tick,
				   .frames = frames,
				   .last = last };
	if (enqueue(db, j))
		return true;
	free(data);
	free(j);
	return false;
}

/* ---- opening and closing ---- */

static const char schema[] =
	"CREATE TABLE info (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
	"CREATE TABLE hook (family TEXT, question TEXT, hook TEXT, quality TEXT, missing TEXT);"
	"CREATE TABLE layout (family INTEGER, type INTEGER, event TEXT, event_bytes INTEGER,"
	" field TEXT, offset INTEGER, bytes INTEGER, kind INTEGER, unit INTEGER, scale INTEGER);"
	"CREATE TABLE tick (tick INTEGER PRIMARY KEY, t_ns INTEGER, time TEXT, since_start_ns INTEGER,"
	" self_cpu_ns INTEGER, self_rss_bytes INTEGER, bpf_ns INTEGER, events INTEGER);"
	"CREATE TABLE process (process INTEGER PRIMARY KEY, pid INTEGER, ppid INTEGER,"
	" start_t_ns INTEGER, comm TEXT, exe TEXT, cgroup TEXT, container TEXT, exited INTEGER,"
	" exit_code INTEGER, threads INTEGER, last_tick INTEGER, container_name TEXT, inner_pid INTEGER);"
	"CREATE TABLE detail (process INTEGER, field TEXT, key TEXT, count INTEGER, ns INTEGER,"
	" max_ns INTEGER, PRIMARY KEY (process, field, key)) WITHOUT ROWID;"
	"CREATE TABLE event (event INTEGER PRIMARY KEY, tick INTEGER, t_ns INTEGER, pid INTEGER,"
	" tid INTEGER, family TEXT, name TEXT, json TEXT, data BLOB);"
	"CREATE TABLE lost (tick INTEGER, family TEXT, reason TEXT, count INTEGER,"
	" first_t_ns INTEGER, last_t_ns INTEGER);"
	"CREATE TABLE raw (seq INTEGER PRIMARY KEY, tick INTEGER, frames INTEGER, bytes INTEGER,"
	" data BLOB);";

#define ACCOUNT_HEAD                                                                          \
	"tick INTEGER, process INTEGER, minor INTEGER, major INTEGER, rss_bytes INTEGER,"     \
	" rss_peak_bytes INTEGER, anon_bytes INTEGER, file_bytes INTEGER, shmem_bytes INTEGER," \
	" swap_bytes INTEGER, vm_bytes INTEGER, pss_bytes INTEGER, uss_bytes INTEGER"
#define ACCOUNT_HEAD_COLUMNS 13

static const char view[] =
	"CREATE VIEW accounts AS SELECT t.time, t.t_ns, p.pid, p.comm, p.exe, p.cgroup, p.container,"
	" a.* FROM account a JOIN tick t USING (tick) JOIN process p USING (process);";

static void create_tables(struct mb_db *db)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);
	char pragmas[160], sql[16384];
	int len;

	snprintf(pragmas, sizeof(pragmas),
		 "PRAGMA application_id = %d; PRAGMA user_version = %d; PRAGMA journal_mode = WAL;"
		 "PRAGMA synchronous = FULL;",
		 MB_DB_APPLICATION, MB_DB_SCHEMA);
	run(db, pragmas);
	run(db, schema);
	len = snprintf(sql, sizeof(sql), "CREATE TABLE account (" ACCOUNT_HEAD);
	for (size_t i = 0; i < n; i++)
		len += snprintf(sql + len, sizeof(sql) - (size_t)len, ", %s INTEGER", c[i].name);
	snprintf(sql + len, sizeof(sql) - (size_t)len,
		 ", PRIMARY KEY (tick, process)) WITHOUT ROWID");
	run(db, sql);
	run(db, view);
	if (mb_system_schema())
		run(db, mb_system_schema());
	else
		fail(db, SQLITE_NOMEM);
}

static void prepare_inserts(struct mb_db *db)
{
	static const struct {
		const char *table;
		int columns;
	} tables[MB_TABLES] = {
		[MB_TABLE_INFO] = { "info", 2 },       [MB_TABLE_HOOK] = { "hook", 5 },
		[MB_TABLE_LAYOUT] = { "layout", 10 },  [MB_TABLE_TICK] = { "tick", 8 },
		[MB_TABLE_PROCESS] = { "process", 14 }, [MB_TABLE_ACCOUNT] = { "account", 0 },
		[MB_TABLE_DETAIL] = { "detail", 6 },   [MB_TABLE_EVENT] = { "event", 9 },
		[MB_TABLE_LOST] = { "lost", 6 },       [MB_TABLE_SYSTEM] = { "system", MB_SYSTEM_COLUMNS },
		[MB_TABLE_ZONE] = { "zone", MB_ZONE_COLUMNS }, [MB_TABLE_NODE] = { "node", MB_NODE_COLUMNS },
	};
	size_t accounts;

	mb_columns(&accounts);
	for (int t = 0; t < MB_TABLES && !db->error; t++) {
		int n = tables[t].columns ? tables[t].columns :
					    ACCOUNT_HEAD_COLUMNS + (int)accounts;
		char sql[2048];
		int len = snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO %s VALUES (?",
				   tables[t].table);

		for (int i = 1; i < n; i++)
			len += snprintf(sql + len, sizeof(sql) - (size_t)len, ",?");
		snprintf(sql + len, sizeof(sql) - (size_t)len, ")");
		if (sqlite3_prepare_v2(db->sqlite, sql, -1, &db->insert[t], NULL))
			fail(db, SQLITE_ERROR);
	}
	if (!db->error &&
	    sqlite3_prepare_v2(db->sqlite,
			       "INSERT INTO raw (tick, frames, bytes, data) VALUES (?,?,?,?)", -1,
			       &db->insert_raw, NULL))
		fail(db, SQLITE_ERROR);
}

/* A file of our own, or nothing: what is there already is somebody's recording. */
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

/* Signals are for the session's loop: a thread that lets them through would end the process. */
static int start_writer(struct mb_db *db, struct mb_err *e)
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

int mb_db_create(struct mb_db **out, const char *path, struct mb_err *e)
{
	struct mb_db *db = calloc(1, sizeof(*db));
	mode_t mask;
	int err;

	*out = db;
	if (!db || !(db->path = strdup(path)))
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	pthread_mutex_init(&db->mutex, NULL);
	pthread_cond_init(&db->some, NULL);
	err = claim(db, e);
	if (err)
		return err;
	mask = umask(077); /* for the WAL beside it */
	if (sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE, NULL))
		fail(db, SQLITE_CANTOPEN);
	sqlite3_busy_timeout(db->sqlite, BUSY_MS);
	if (!db->error)
		create_tables(db);
	if (!db->error)
		prepare_inserts(db);
	umask(mask);
	if (mb_db_error(db, e)) {
		unlink(path); /* nothing is in it */
		return -EIO;
	}
	return start_writer(db, e);
}

int mb_db_error(struct mb_db *db, struct mb_err *e)
{
	int err = 0;

	pthread_mutex_lock(&db->mutex);
	if (db->error)
		err = mb_err_set(e, MB_EXIT_FAILED, 0, "writing to '%s' failed: %s", db->path,
				 db->message);
	pthread_mutex_unlock(&db->mutex);
	return err;
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
	}
	for (int t = 0; t < MB_TABLES; t++)
		sqlite3_finalize(db->insert[t]);
	sqlite3_finalize(db->insert_raw);
	sqlite3_close(db->sqlite);
	if (db->lock_fd > 0)
		close(db->lock_fd);
	pthread_mutex_destroy(&db->mutex);
	pthread_cond_destroy(&db->some);
	free(db->path);
	free(db);
	return err;
}
