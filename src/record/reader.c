// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads a recording. */
#include "record/reader.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "record/recorder.h"
#include "record/upgrade.h"

#define CHUNK_MAX (16u << 20) /* decompressed; the recorder's chunks are 256 KiB */

struct mb_reader {
	char *path;
	sqlite3 *sqlite;
	sqlite3_stmt *info;
	bool retained;
	bool needs_log; /* part of the recording is in a file beside it, which cannot be used here */
	char answer[256]; /* returned by mb_reader_session() */
};

static int pragma(sqlite3 *sqlite, const char *name, sqlite3_int64 *value)
{
	sqlite3_stmt *s = NULL;
	char sql[64];
	int code;

	snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	code = sqlite3_prepare_v2(sqlite, sql, -1, &s, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(s);
	if (code == SQLITE_ROW)
		*value = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return code == SQLITE_ROW ? 0 : -EIO;
}

int mb_reader_damaged(struct mb_reader *r, struct mb_err *e)
{
	return mb_err_set(e, MB_EXIT_FAILED, 0, "'%s' is damaged: %s", r->path,
			  sqlite3_errmsg(r->sqlite));
}

static int check(struct mb_reader *r, struct mb_err *e)
{
	sqlite3_int64 application = 0, schema = 0;

	if (pragma(r->sqlite, "application_id", &application) ||
	    pragma(r->sqlite, "user_version", &schema))
		return mb_err_set(e, MB_EXIT_FAILED, 0, "cannot read '%s': %s%s", r->path,
				  sqlite3_errmsg(r->sqlite), r->needs_log ? ": copy it, with the files beside it whose names"
				  " begin with its own, to a place where you can write" : "");
	if (application != MB_DB_APPLICATION)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "'%s' is no recording of memblame", r->path);
	if (schema > MB_DB_SCHEMA_RETAINED)
		return mb_err_set(e, MB_EXIT_FAILED, 0,
				  "'%s' is of a newer memblame (schema %lld, this one reads up to %d)",
				  r->path, (long long)schema, MB_DB_SCHEMA_RETAINED);
	r->retained = schema == MB_DB_SCHEMA_RETAINED;
	/*
	 * a read transaction: a snapshot of the recording until closed, even if ticks are written or deleted
	 * meanwhile
	 */
	if (r->retained && sqlite3_exec(r->sqlite, "BEGIN", NULL, NULL, NULL))
		return mb_reader_damaged(r, e);
	if (sqlite3_prepare_v2(r->sqlite, "SELECT value FROM info WHERE key = ?", -1, &r->info, NULL))
		return mb_reader_damaged(r, e);
	return 0;
}

/* ---- opening ---- */

static int open_file(struct mb_reader *r, const char *name, int flags)
{
	sqlite3_close(r->sqlite);
	r->sqlite = NULL;
	if (sqlite3_open_v2(name, &r->sqlite, flags, NULL))
		return -EIO;
	/* an untrusted schema may contain views and triggers that call functions */
	sqlite3_db_config(r->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(r->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return 0;
}

/* Whether SQLite cannot read the file for want of a file beside it that it may write. */
static bool needs_files(struct mb_reader *r)
{
	sqlite3_int64 schema;

	if (!pragma(r->sqlite, "schema_version", &schema))
		return false;
	switch (sqlite3_errcode(r->sqlite) & 0xff) {
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
	case SQLITE_PERM:
		return true;
	default:
		return false;
	}
}

static bool has_beside(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;
	int len = snprintf(name, sizeof(name), "%s%s", path, suffix);

	/* if it cannot be looked up, it may be there */
	return len >= (int)sizeof(name) || (stat(name, &st) ? errno != ENOENT : st.st_size > 0);
}

/* A recorder holds a lock on the file from its start to its end. */
static bool is_being_written(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool locked = fd < 0 || (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK);

	if (fd >= 0)
		close(fd); /* and the lock with it, so that a recorder can begin */
	return locked;
}

/*
 * In a place without write access: a recording in WAL mode can be read as it is if all of it is in the file and nobody
 * writes to it.
 */
static int open_immutable(struct mb_reader *r)
{
	size_t room = 3 * strlen(r->path) + sizeof("file://?immutable=1"), len;
	char *uri;
	int err;

	r->needs_log = has_beside(r->path, "-wal") || has_beside(r->path, "-journal");
	if (r->needs_log || is_being_written(r->path))
		return 0; /* the reason for which it cannot be read stands */
	uri = malloc(room);
	if (!uri)
		return -ENOMEM;
	len = (size_t)snprintf(uri, room, "file:%s", r->path[0] == '/' ? "//" : "");
	for (const char *at = r->path; *at; at++) {
		bool plain = isalnum((unsigned char)*at) || strchr("/-_.", *at);

		len += (size_t)snprintf(uri + len, room - len, plain ? "%c" : "%%%02X", (unsigned char)*at);
	}
	snprintf(uri + len, room - len, "?immutable=1");
	err = open_file(r, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
	free(uri);
	return err;
}

int mb_reader_open(struct mb_reader **out, const char *path, struct mb_err *e)
{
	struct mb_reader *r = calloc(1, sizeof(*r));
	int flags, err;

	*out = r;
	if (!r || !(r->path = strdup(path)))
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	if (access(path, R_OK))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot read '%s'", path);
	/* a killed recorder leaves data in the WAL; opening read-write, if permitted, recovers it */
	flags = access(path, W_OK) ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	err = open_file(r, path, flags);
	if (!err && needs_files(r))
		err = open_immutable(r);
	if (err)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "cannot open '%s': %s", path,
				  r->sqlite ? sqlite3_errmsg(r->sqlite) : "no memory");
	return check(r, e);
}

void mb_reader_close(struct mb_reader *r)
{
	if (!r)
		return;
	sqlite3_finalize(r->info);
	sqlite3_close(r->sqlite);
	free(r->path);
	free(r);
}

sqlite3 *mb_reader_sqlite(struct mb_reader *r)
{
	return r->sqlite;
}

sqlite3_stmt *mb_reader_query(struct mb_reader *r, const char *sql, sqlite3_int64 first, sqlite3_int64 last)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(r->sqlite, sql, -1, &s, NULL))
		return NULL;
	sqlite3_bind_int64(s, 1, first);
	sqlite3_bind_int64(s, 2, last);
	return s;
}

const char *mb_reader_info(struct mb_reader *r, const char *key)
{
	sqlite3_reset(r->info);
	sqlite3_bind_text(r->info, 1, key, -1, SQLITE_STATIC);
	if (sqlite3_step(r->info) != SQLITE_ROW)
		return NULL;
	return (const char *)sqlite3_column_text(r->info, 0);
}

long long mb_reader_missing(struct mb_reader *r)
{
	sqlite3_stmt *s = NULL;
	long long n = -1;

	if (!sqlite3_prepare_v2(r->sqlite, "SELECT ifnull(sum(count), 0) FROM lost WHERE family = 'record'",
				-1, &s, NULL) &&
	    sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

bool mb_reader_is_retained(struct mb_reader *r)
{
	return r->retained;
}

bool mb_reader_has(struct mb_reader *r, const char *table, const char *column)
{
	sqlite3_stmt *s = NULL;
	bool found = false;

	if (sqlite3_table_column_metadata(r->sqlite, NULL, table, column, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	/* that function is quick, but does not know views: see selection.c */
	if (!sqlite3_prepare_v2(r->sqlite, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2", -1, &s, NULL)) {
		sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 2, column, -1, SQLITE_STATIC);
		found = sqlite3_step(s) == SQLITE_ROW;
	}
	sqlite3_finalize(s);
	return found;
}

const char *mb_reader_session(struct mb_reader *r, sqlite3_int64 tick, const char *key)
{
	sqlite3_stmt *s = NULL;
	bool found = false;
	char sql[160];

	if (!r->retained || !mb_reader_has(r, "session", key))
		return mb_reader_info(r, key);
	snprintf(sql, sizeof(sql),
		 "SELECT %s FROM session WHERE first_tick <= ? ORDER BY session DESC LIMIT 1", key);
	if (!sqlite3_prepare_v2(r->sqlite, sql, -1, &s, NULL)) {
		sqlite3_bind_int64(s, 1, tick);
		found = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0);
	}
	if (found)
		snprintf(r->answer, sizeof(r->answer), "%s", (const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	return found ? r->answer : NULL;
}

int mb_reader_duration(struct mb_reader *r, sqlite3_int64 first, sqlite3_int64 last, uint64_t *ns,
		       struct mb_err *e)
{
	sqlite3_stmt *s = NULL;
	int code;

	if (sqlite3_prepare_v2(r->sqlite,
			       r->retained ? "SELECT sum(interval_ns) FROM tick WHERE tick BETWEEN ?1 AND ?2" :
					 /* the window begins where the tick before it ended */
					 "SELECT since_start_ns - (SELECT ifnull(max(since_start_ns), 0)"
					 " FROM tick WHERE tick < ?1) FROM tick WHERE tick = ?2",
			       -1, &s, NULL))
		return mb_reader_damaged(r, e);
	sqlite3_bind_int64(s, 1, first);
	sqlite3_bind_int64(s, 2, last);
	code = sqlite3_step(s);
	*ns = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
	sqlite3_finalize(s);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : mb_reader_damaged(r, e);
}

/* ---- raw records ---- */

int mb_reader_chunk(const void *data, size_t size, mb_ingest_sink take, void *arg)
{
	const char *at = data, *end = at + size;

	while (at < end) {
		struct mb_raw_record f;
		size_t padded;
		int err;

		if ((size_t)(end - at) < sizeof(f))
			return -EINVAL;
		memcpy(&f, at, sizeof(f));
		at += sizeof(f);
		padded = ((size_t)f.len + 7) & ~(size_t)7;
		if (padded > (size_t)(end - at))
			return -EINVAL;
		err = take(arg, f.type, at, f.len);
		if (err)
			return err;
		at += padded;
	}
	return 0;
}

/* Whether an event of this kind has that size in this build, or had it in an earlier one. */
static bool size_fits(const struct mb_event_kind *k, int size)
{
	return size == (int)k->size || (k->size == sizeof(struct mb_task_record) &&
					size == (int)mb_upgrade_task_record_bytes());
}

/* Whether the events of the build that wrote the recording have the same memory layout as in this build. */
static int check_layout(struct mb_reader *r, struct mb_err *e)
{
	sqlite3_stmt *s = NULL;
	bool same = true;
	size_t rows = 0;

	if (sqlite3_prepare_v2(r->sqlite, "SELECT family, type, event_bytes, field, offset, bytes FROM layout",
			       -1, &s, NULL))
		return mb_reader_damaged(r, e);
	while (same && sqlite3_step(s) == SQLITE_ROW) {
		const struct mb_family *f = mb_family_by_id((unsigned int)sqlite3_column_int(s, 0));
		const char *field = (const char *)sqlite3_column_text(s, 3);
		bool found = false;

		for (size_t i = 0; f && i < f->n_events; i++) {
			const struct mb_event_kind *k = &f->events[i];

			if (k->type != sqlite3_column_int(s, 1))
				continue;
			/* earlier builds also list kinds that are never in a recording */
			found = k->flags & MB_EVENT_MADE;
			if (found || !size_fits(k, sqlite3_column_int(s, 2)))
				continue;
			found = !field;
			for (size_t j = 0; j < k->n_fields && !found; j++)
				found = strcmp(k->fields[j].name ? k->fields[j].name : "", field) == 0 &&
					(int)k->fields[j].offset == sqlite3_column_int(s, 4) &&
					(int)k->fields[j].size == sqlite3_column_int(s, 5);
		}
		same = found;
		rows++;
	}
	sqlite3_finalize(s);
	if (!rows)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "'%s' was cut off before anything was recorded", r->path);
	if (!same)
		return mb_err_set(e, MB_EXIT_FAILED, 0,
				  "'%s' was written by another build of memblame (%s), whose events look "
				  "different: replay it with that one; report works",
				  r->path, mb_reader_info(r, "version"));
	return 0;
}

static int read_chunk(struct mb_reader *r, sqlite3_stmt *s, mb_ingest_sink take, void *arg,
		      struct mb_err *e)
{
	const void *packed = sqlite3_column_blob(s, 1);
	size_t packed_size = (size_t)sqlite3_column_bytes(s, 1), n;
	sqlite3_int64 size = sqlite3_column_int64(s, 0);
	void *data;
	int err;

	if (!packed || size <= 0 || size > CHUNK_MAX)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "'%s' is damaged: a chunk of %lld bytes",
				  r->path, (long long)size);
	data = malloc((size_t)size);
	if (!data)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for a chunk");
	n = ZSTD_decompress(data, (size_t)size, packed, packed_size);
	if (ZSTD_isError(n) || n != (size_t)size)
		err = mb_err_set(e, MB_EXIT_FAILED, 0, "'%s' is damaged: a chunk does not unpack",
				 r->path);
	else
		err = mb_reader_chunk(data, n, take, arg);
	free(data);
	if (err == -EINVAL && !e->text[0])
		mb_err_set(e, MB_EXIT_FAILED, 0, "'%s' is damaged: a frame that none is", r->path);
	return err;
}

int mb_reader_records(struct mb_reader *r, mb_ingest_sink take, void *arg, struct mb_err *e)
{
	sqlite3_stmt *s = NULL;
	size_t chunks = 0;
	int err, code = SQLITE_DONE;

	if (r->retained)
		return mb_err_set(e, MB_EXIT_FAILED, 0,
				  "'%s' has no events to play, as a permanent recording has none: report works",
				  r->path);
	err = check_layout(r, e);
	if (err)
		return err;
	if (sqlite3_prepare_v2(r->sqlite, "SELECT bytes, data FROM raw ORDER BY seq", -1, &s, NULL))
		return mb_reader_damaged(r, e);
	while (!err && (code = sqlite3_step(s)) == SQLITE_ROW) {
		err = read_chunk(r, s, take, arg, e);
		chunks++;
	}
	if (!err && code != SQLITE_DONE)
		err = mb_reader_damaged(r, e);
	sqlite3_finalize(s);
	if (!err && !chunks)
		err = mb_err_set(e, MB_EXIT_FAILED, 0,
				 "'%s' has no events to play: record with --raw; report works", r->path);
	return err;
}
