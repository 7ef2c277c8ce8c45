// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The file of a retained recording: each session opens it again; a damaged file is moved aside. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "record/db_file.h"
#include "record/schema.h"

#define PAGE_BYTES 4096
#define LOG_BYTES_MIN (64u << 10)
#define LOG_BYTES_MAX (4u << 20)

enum found { FOUND_RECORDING, FOUND_NOTHING, FOUND_DAMAGE };

bool mb_retention_is_damage(int code)
{
	return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

uint64_t mb_retention_log_bytes(const struct mb_retention *keep)
{
	uint64_t share = keep->max_bytes / 64;

	if (!keep->max_bytes || share > LOG_BYTES_MAX)
		return LOG_BYTES_MAX;
	return share < LOG_BYTES_MIN ? LOG_BYTES_MIN : share;
}

uint64_t mb_retention_bytes(const struct mb_db *db, uint64_t *log)
{
	static const char *const beside[] = { "", "-wal", "-shm" };
	uint64_t sum = 0;

	*log = 0;
	for (size_t i = 0; i < 3; i++) {
		char path[4096];
		struct stat st;

		snprintf(path, sizeof(path), "%s%s", db->path, beside[i]);
		if (stat(path, &st))
			continue;
		sum += (uint64_t)st.st_size;
		if (i == 1)
			*log = (uint64_t)st.st_size;
	}
	return sum;
}

int64_t mb_retention_number(struct mb_db *db, const char *sql, int64_t not_there)
{
	int64_t v = not_there;
	sqlite3_stmt *s = NULL;
	int code;

	if (mb_db_failed(db))
		return v;
	code = sqlite3_prepare_v2(db->sqlite, sql, -1, &s, NULL);
	if (!code)
		code = sqlite3_step(s);
	if (code == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL)
		v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		mb_db_fail(db, code);
	return v;
}

/*
 * The lock is on the file, not on its name: the file may be renamed between open and lock, so check it after locking.
 */
static int claim(struct mb_db *db, struct mb_err *e)
{
	struct stat mine, there;

	do {
		if (db->lock_fd >= 0)
			close(db->lock_fd);
		db->lock_fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (db->lock_fd < 0 || fstat(db->lock_fd, &mine))
			return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot open '%s'", db->path);
		if (!S_ISREG(mine.st_mode))
			return mb_err_set(e, MB_EXIT_FAILED, 0, "'%s' is no file", db->path);
		if (flock(db->lock_fd, LOCK_EX | LOCK_NB))
			return mb_err_set(e, MB_EXIT_FAILED, 0,
					  "'%s' is being written by another memblame: one at a time", db->path);
	} while (stat(db->path, &there) || there.st_ino != mine.st_ino || there.st_dev != mine.st_dev);
	if ((mine.st_mode & 07777) != 0600 && fchmod(db->lock_fd, 0600))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot make '%s' readable by its owner only",
				  db->path);
	return 0;
}

/* Rename the file and its WAL. They are otherwise unchanged, so that they can be examined. */
static int move_aside(struct mb_db *db, struct mb_err *e)
{
	static const char *const beside[] = { "-wal", "-shm" };
	char time_text[32], to[4096], from[4096], other[4200];
	time_t now = time(NULL);
	struct tm tm;
	int n = 1;

	if (db->sqlite)
		sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	for (int t = 0; t < MB_TABLES; t++) {
		sqlite3_finalize(db->insert[t]);
		db->insert[t] = NULL;
	}
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
	gmtime_r(&now, &tm);
	strftime(time_text, sizeof(time_text), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(to, sizeof(to), "%s.corrupt-%s", db->path, time_text);
	while (!access(to, F_OK)) /* a second one within the same second */
		snprintf(to, sizeof(to), "%s.corrupt-%s-%d", db->path, time_text, ++n);
	if (rename(db->path, to))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot rename '%s', which is damaged", db->path);
	for (size_t i = 0; i < 2; i++) {
		snprintf(from, sizeof(from), "%s%s", db->path, beside[i]);
		snprintf(other, sizeof(other), "%s%s", to, beside[i]);
		if (rename(from, other) && errno != ENOENT)
			return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot rename '%s'", from);
	}
	close(db->lock_fd);
	db->lock_fd = -1;
	mb_warn("'%s' is damaged or no recording: it is '%s' now, and a new one is begun", db->path, to);
	return 0;
}

/* Find out what the file is. Failures other than damage are recorded in db. */
static enum found look(struct mb_db *db)
{
	int64_t application, tables;

	application = mb_retention_number(db, "PRAGMA application_id", 0);
	tables = mb_retention_number(db, "SELECT count(*) FROM sqlite_master", 0);
	if (mb_db_failed(db))
		return mb_retention_is_damage(db->error) ? FOUND_DAMAGE : FOUND_NOTHING;
	if (!application && !tables)
		return FOUND_NOTHING;
	return application == MB_DB_APPLICATION ? FOUND_RECORDING : FOUND_DAMAGE;
}

static int check_version(struct mb_db *db, struct mb_err *e)
{
	int64_t schema = mb_retention_number(db, "PRAGMA user_version", 0);

	if (mb_db_failed(db))
		return 0; /* reported like any other failure */
	if (schema < MB_DB_SCHEMA_RETAINED)
		return mb_err_set(e, MB_EXIT_FAILED, 0,
				  "'%s' was made by memblame record, which is not written to again: move it away",
				  db->path);
	if (schema > MB_DB_SCHEMA_RETAINED)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "'%s' is of a newer memblame (schema %lld): move it away",
				  db->path, (long long)schema);
	return 0;
}

/* Use incremental vacuum so that freed pages can be returned if the limit is lowered, and limit the size of the WAL. */
static void set_up(struct mb_db *db, enum found found)
{
	char sql[256];
	int code;

	if (found == FOUND_NOTHING) {
		snprintf(sql, sizeof(sql), "PRAGMA page_size = %d; PRAGMA auto_vacuum = INCREMENTAL", PAGE_BYTES);
		mb_db_run(db, sql);
	}
	snprintf(sql, sizeof(sql),
		 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = %llu;"
		 "PRAGMA wal_autocheckpoint = %llu",
		 (unsigned long long)mb_retention_log_bytes(&db->keep),
		 (unsigned long long)mb_retention_log_bytes(&db->keep) / PAGE_BYTES);
	mb_db_run(db, sql);
	if (mb_db_failed(db))
		return;
	code = mb_schema_make(db->sqlite, true);
	if (!code)
		code = mb_schema_prepare(db->sqlite, db->insert);
	if (code)
		mb_db_fail(db, code);
}

static void clear_error(struct mb_db *db)
{
	pthread_mutex_lock(&db->mutex);
	db->error = 0;
	pthread_mutex_unlock(&db->mutex);
}

/* Open an existing file. *damage is set if the file is not a recording, which is not an error. */
static int open_there(struct mb_db *db, bool *damage, struct mb_err *e)
{
	enum found found;
	int err;

	*damage = false;
	clear_error(db);
	err = claim(db, e);
	if (err)
		return err;
	if (sqlite3_open_v2(db->path, &db->sqlite, SQLITE_OPEN_READWRITE, NULL))
		mb_db_fail(db, SQLITE_CANTOPEN);
	sqlite3_busy_timeout(db->sqlite, MB_DB_BUSY_MS);
	found = look(db);
	if (found == FOUND_RECORDING)
		err = check_version(db, e);
	if (err)
		return err;
	if (found != FOUND_DAMAGE && !mb_db_failed(db))
		set_up(db, found);
	*damage = found == FOUND_DAMAGE || mb_retention_is_damage(db->error);
	return *damage ? 0 : mb_db_error(db, e);
}

int mb_retention_open_file(struct mb_db *db, struct mb_err *e)
{
	mode_t mask = umask(077); /* for the files that SQLite creates beside it */
	bool damage;
	int err;

	err = open_there(db, &damage, e);
	if (!err && damage) {
		err = move_aside(db, e);
		if (!err)
			err = open_there(db, &damage, e);
		if (!err && damage)
			err = mb_err_set(e, MB_EXIT_FAILED, EIO, "cannot begin a recording at '%s'", db->path);
	}
	umask(mask);
	db->oldest_tick = err ? -1 : mb_retention_number(db, "SELECT min(tick) FROM tick", -1);
	return err;
}

int mb_retention_new_file(struct mb_db *db, struct mb_err *e)
{
	int err = db->sqlite ? move_aside(db, e) : 0;

	return err ? err : mb_retention_open_file(db, e);
}
