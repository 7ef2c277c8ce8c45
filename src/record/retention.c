// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A recording with retention limits: writes samples, and deletes the oldest ticks to stay within the limits. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/carry.h"
#include "record/db_file.h"

/* Limits of one step. A step is one short transaction, so that nothing has to wait for it. */
#define STEP_TICKS 64
#define STEP_BYTES (2u << 20)
#define STEP_PROCESSES 4096
#define STEP_PAGES 128
#define SHRINK_BYTES (1u << 20) /* fewer free bytes are retained for new data */
#define INDEX_BYTES (32u << 10) /* PATH-shm */

static void set_message(struct mb_db *db, const char *why, const char *reason)
{
	pthread_mutex_lock(&db->mutex);
	db->state.failed = why != NULL;
	snprintf(db->state.message, sizeof(db->state.message), "%.*s", (int)sizeof(db->state.message) - 1,
		 why ? why : "");
	db->reason = reason;
	pthread_mutex_unlock(&db->mutex);
}

static void clear_error(struct mb_db *db)
{
	pthread_mutex_lock(&db->mutex);
	db->error = 0;
	pthread_mutex_unlock(&db->mutex);
}

static void give_up(struct mb_db *db)
{
	if (db->sqlite && !sqlite3_get_autocommit(db->sqlite))
		sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

/* Update the state that mb_db_state() returns. */
static void update_state(struct mb_db *db, int64_t more_ticks)
{
	char oldest[32] = "";
	sqlite3_stmt *s = NULL;
	uint64_t log, bytes = mb_retention_bytes(db, &log);

	if (!sqlite3_prepare_v2(db->sqlite, "SELECT time, tick FROM tick ORDER BY tick LIMIT 1", -1, &s, NULL) &&
	    sqlite3_step(s) == SQLITE_ROW) {
		snprintf(oldest, sizeof(oldest), "%s",
			 sqlite3_column_text(s, 0) ? (const char *)sqlite3_column_text(s, 0) : "");
		db->oldest_tick = sqlite3_column_int64(s, 1);
	}
	sqlite3_finalize(s);
	pthread_mutex_lock(&db->mutex);
	db->state.bytes = bytes;
	db->state.ticks += (uint64_t)more_ticks;
	memcpy(db->state.oldest, oldest, sizeof(oldest));
	pthread_mutex_unlock(&db->mutex);
}

/* Checkpoint and truncate the WAL: only then does the database file have its final size. Does not wait for readers. */
static void empty_log(struct mb_db *db)
{
	sqlite3_busy_timeout(db->sqlite, 10);
	sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(db->sqlite, MB_DB_BUSY_MS);
}

/*
 * Whether a reader blocks the WAL from being reset. If so, nothing more is written, so that the files do not exceed
 * the limit.
 */
static bool is_log_stuck(struct mb_db *db)
{
	uint64_t log, bytes = mb_retention_bytes(db, &log), may = mb_retention_log_bytes(&db->keep);

	if (log > 2 * may) {
		empty_log(db);
		bytes = mb_retention_bytes(db, &log);
	}
	return db->keep.max_bytes && log > 2 * may && bytes > db->keep.max_bytes + db->keep.max_bytes / 32;
}

/* ---- writing ---- */

static int not_closing(void *arg)
{
	struct mb_db *db = arg;
	bool closing;

	pthread_mutex_lock(&db->mutex);
	closing = db->closing;
	pthread_mutex_unlock(&db->mutex);
	return closing;
}

/* Check the file once for damage, before anything is added to it. */
static void check_once(struct mb_db *db)
{
	sqlite3_stmt *s = NULL;
	int code;

	if (db->checked)
		return;
	sqlite3_progress_handler(db->sqlite, 100000, not_closing, db);
	code = sqlite3_prepare_v2(db->sqlite, "PRAGMA quick_check(1)", -1, &s, NULL);
	if (!code)
		code = sqlite3_step(s);
	if (code == SQLITE_ROW && sqlite3_column_text(s, 0) &&
	    strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0)
		code = SQLITE_CORRUPT;
	sqlite3_finalize(s);
	sqlite3_progress_handler(db->sqlite, 0, NULL, NULL);
	if (mb_retention_is_damage(code))
		mb_db_fail(db, SQLITE_CORRUPT);
	else
		db->checked = code == SQLITE_ROW;
}

/* Processes that the previous session left open have ended by its last tick, unless this session finds them again. */
static void write_head(struct mb_db *db)
{
	if (db->head_written)
		return;
	mb_db_run(db, "DELETE FROM info");
	mb_db_run(db, "UPDATE process SET gone_tick = (SELECT ifnull(max(tick), 0) FROM tick)"
		      " WHERE gone_tick IS NULL");
	if (db->head)
		mb_db_write_rows(db, db->head);
}

static void attempt(struct mb_db *db, const struct mb_job *j)
{
	clear_error(db);
	check_once(db);
	mb_db_run(db, "BEGIN IMMEDIATE");
	write_head(db);
	mb_db_write_rows(db, j->rows);
	mb_db_run(db, "COMMIT");
	give_up(db);
}

/* The file is damaged: move it aside and start a new one with this job. */
static void new_file(struct mb_db *db)
{
	struct mb_err e = { 0 };

	if (mb_retention_new_file(db, &e)) {
		mb_db_close_file(db);
		set_message(db, e.text, "disk error");
		return;
	}
	db->checked = true;
	db->head_written = false;
	pthread_mutex_lock(&db->mutex);
	db->generation++;
	db->state.ticks = 0;
	pthread_mutex_unlock(&db->mutex);
}

bool mb_retention_write(struct mb_db *db, const struct mb_job *j)
{
	if (!db->sqlite)
		new_file(db);
	if (!db->sqlite)
		return false;
	if (is_log_stuck(db)) {
		set_message(db, "somebody has been reading the recording for so long that its log cannot be emptied",
			    "being read");
		return false;
	}
	attempt(db, j);
	if (mb_retention_is_damage(db->error)) {
		new_file(db);
		if (!db->sqlite)
			return false;
		attempt(db, j);
	}
	if (mb_db_failed(db)) {
		/* a checkpoint can make room in the WAL */
		sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		set_message(db, db->message, (db->error & 0xff) == SQLITE_FULL ? "disk full" : "disk error");
		return false;
	}
	db->head_written = true;
	set_message(db, NULL, NULL);
	update_state(db, 1);
	return true;
}

/* ---- deletion ---- */

static void run_with(struct mb_db *db, const char *sql, int64_t before, int64_t limit)
{
	sqlite3_stmt *s = NULL;
	int code;

	if (mb_db_failed(db))
		return;
	code = sqlite3_prepare_v2(db->sqlite, sql, -1, &s, NULL);
	if (!code) {
		sqlite3_bind_int64(s, 1, before);
		if (sqlite3_bind_parameter_count(s) > 1)
			sqlite3_bind_int64(s, 2, limit);
		code = sqlite3_step(s);
	}
	if (code != SQLITE_DONE)
		mb_db_fail(db, code);
	sqlite3_finalize(s);
}

static void carry(struct mb_db *db, int64_t before)
{
	int code = mb_db_failed(db) ? SQLITE_OK : mb_carry_to(db->sqlite, before);

	if (code)
		mb_db_fail(db, code);
}

/*
 * Delete the ticks before one, after carrying forward the accounts of live processes and the level; then delete rows
 * that nothing refers to.
 */
static bool delete_before(struct mb_db *db, int64_t before)
{
	static const char *const statements[] = {
		/* the level in force stays known: the session's last step moves on to the oldest remaining tick */
		"UPDATE event SET tick = ?1 WHERE event = (SELECT max(event) FROM event WHERE tick < ?1 AND family = 'task'"
		" AND name = 'level' AND tick >= (SELECT max(first_tick) FROM session WHERE first_tick <= ?1))",
		"DELETE FROM account WHERE tick < ?1",
		"DELETE FROM system WHERE tick < ?1",
		"DELETE FROM zone WHERE tick < ?1",
		"DELETE FROM node WHERE tick < ?1",
		"DELETE FROM event WHERE tick < ?1",
		"DELETE FROM lost WHERE tick < ?1",
		"DELETE FROM detail WHERE process IN"
		" (SELECT process FROM process WHERE gone_tick < ?1 ORDER BY gone_tick LIMIT ?2)",
		"DELETE FROM process WHERE process IN"
		" (SELECT process FROM process WHERE gone_tick < ?1 ORDER BY gone_tick LIMIT ?2)",
		"DELETE FROM session WHERE session < (SELECT max(session) FROM session WHERE first_tick <= ?1)",
		"DELETE FROM hook WHERE session < (SELECT min(session) FROM session)",
		"DELETE FROM tick WHERE tick < ?1",
	};
	int64_t ticks = 0;

	mb_db_run(db, "BEGIN IMMEDIATE");
	carry(db, before);
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		run_with(db, statements[i], before, STEP_PROCESSES);
	if (!mb_db_failed(db))
		ticks = sqlite3_changes(db->sqlite); /* of the last statement */
	mb_db_run(db, "COMMIT");
	give_up(db);
	if (!mb_db_failed(db))
		update_state(db, -ticks);
	return ticks > 0 && !mb_db_failed(db);
}

/* The tick before which all must be deleted to bring the file to its allowed size, limited to one step. */
static int64_t too_much(struct mb_db *db, uint64_t used, uint64_t may, int64_t newest)
{
	uint64_t ticks = db->state.ticks ? db->state.ticks : 1, over, each = used / ticks + 1;
	int64_t before;

	if (used <= may)
		return db->oldest_tick;
	over = used - may < STEP_BYTES ? used - may : STEP_BYTES;
	over /= each; /* round down: a deleted tick cannot be restored */
	before = db->oldest_tick + (int64_t)(over < 1 ? 1 : over < STEP_TICKS ? over : STEP_TICKS);
	return before < newest ? before : newest;
}

/* Vacuum some pages if the file has too much free space, e.g. after a limit was lowered. */
static bool shrink(struct mb_db *db, uint64_t file, uint64_t used, uint64_t may)
{
	bool too_long = db->keep.max_bytes && file > may + may / 64 && file - used >= SHRINK_BYTES / 32;
	char sql[64];

	if (!too_long && (file - used < SHRINK_BYTES || file - used < file / 4))
		return false;
	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", STEP_PAGES);
	mb_db_run(db, sql);
	db->shrunk = true;
	return !mb_db_failed(db);
}

static bool retain(struct mb_db *db)
{
	uint64_t page, file, used, may, beside;
	int64_t newest, before, other;

	newest = mb_retention_number(db, "SELECT max(tick) FROM tick", -1);
	if (mb_db_failed(db) || newest < 0)
		return false;
	before = mb_retention_too_old(db, newest, STEP_TICKS);
	page = (uint64_t)mb_retention_number(db, "PRAGMA page_size", 4096);
	file = (uint64_t)mb_retention_number(db, "PRAGMA page_count", 0) * page;
	used = file - (uint64_t)mb_retention_number(db, "PRAGMA freelist_count", 0) * page;
	beside = mb_retention_log_bytes(&db->keep) + INDEX_BYTES;
	may = db->keep.max_bytes > 2 * beside ? db->keep.max_bytes - beside : db->keep.max_bytes / 2;
	if (db->keep.max_bytes) {
		other = too_much(db, used, may, newest);
		before = other > before ? other : before;
	}
	if (before > db->oldest_tick)
		return delete_before(db, before);
	return shrink(db, file, used, may);
}

bool mb_retention_retain(struct mb_db *db)
{
	char sql[128];
	bool more;

	if (!db->sqlite || db->state.failed || is_log_stuck(db))
		return false; /* reported when the next sample is written */
	clear_error(db);
	snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit = %llu; PRAGMA wal_autocheckpoint = %llu",
		 (unsigned long long)mb_retention_log_bytes(&db->keep),
		 (unsigned long long)mb_retention_log_bytes(&db->keep) / 4096);
	mb_db_run(db, sql);
	more = retain(db);
	clear_error(db); /* retried after the next sample */
	if (more)
		return true;
	if (db->shrunk)
		empty_log(db);
	db->shrunk = false;
	update_state(db, 0);
	return false;
}

/* ---- opening ---- */

static void take_prev(struct mb_db *db, struct mb_prev_session *prev)
{
	sqlite3_stmt *s = NULL;

	prev->tick = mb_retention_number(db, "SELECT max(tick) FROM tick", -1);
	prev->process = mb_retention_number(db, "SELECT max(process) FROM process", 0);
	prev->session = mb_retention_number(db, "SELECT max(session) FROM session", 0);
	if (!sqlite3_prepare_v2(db->sqlite, "SELECT boot_id FROM session ORDER BY session DESC LIMIT 1", -1, &s,
				NULL) &&
	    sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0))
		snprintf(prev->boot_id, sizeof(prev->boot_id), "%s", (const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	s = NULL;
	if (sqlite3_prepare_v2(db->sqlite,
			       "SELECT process, pid, start_t_ns, first_tick FROM process WHERE gone_tick IS NULL",
			       -1, &s, NULL))
		mb_db_fail(db, SQLITE_ERROR);
	while (s && sqlite3_step(s) == SQLITE_ROW)
		prev->take(prev->arg, sqlite3_column_int64(s, 0), (uint32_t)sqlite3_column_int64(s, 1),
			   (uint64_t)sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3));
	sqlite3_finalize(s);
	db->state.ticks = (uint64_t)mb_retention_number(db, "SELECT count(*) FROM tick", 0);
	update_state(db, 0);
}

int mb_db_keep(struct mb_db **out, const char *path, const struct mb_retention *keep,
	       struct mb_prev_session *prev, struct mb_err *e)
{
	int err = mb_db_new(out, path, e);
	struct mb_db *db = *out;

	if (err)
		return err;
	db->retained = true;
	db->keep = *keep;
	err = mb_retention_open_file(db, e);
	if (err)
		return err;
	take_prev(db, prev);
	if (mb_retention_is_damage(db->error)) {
		err = mb_retention_new_file(db, e);
		if (err)
			return err;
		take_prev(db, prev);
	}
	if (mb_db_error(db, e))
		return -EIO;
	return mb_db_start(db, e);
}
