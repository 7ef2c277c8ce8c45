// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The tables of a recording, and the statements that insert rows. */
#include "record/schema.h"

#include <stdio.h>
#include <string.h>

#include "record/system.h"

static const char tables_sql[] =
	"CREATE TABLE IF NOT EXISTS info (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS session (session INTEGER PRIMARY KEY, first_tick INTEGER, boot_id TEXT,"
	" start_time TEXT, version TEXT, kernel TEXT, arch TEXT, sample_1_in INTEGER, pss INTEGER);"
	"CREATE TABLE IF NOT EXISTS hook (family TEXT, question TEXT, hook TEXT, quality TEXT, missing TEXT,"
	" session INTEGER);"
	"CREATE TABLE IF NOT EXISTS layout (family INTEGER, type INTEGER, event TEXT, event_bytes INTEGER,"
	" field TEXT, offset INTEGER, bytes INTEGER, kind INTEGER, unit INTEGER, scale INTEGER);"
	"CREATE TABLE IF NOT EXISTS tick (tick INTEGER PRIMARY KEY, t_ns INTEGER, time TEXT,"
	" since_start_ns INTEGER, self_cpu_ns INTEGER, self_rss_bytes INTEGER, bpf_ns INTEGER,"
	" events INTEGER, interval_ns INTEGER);"
	"CREATE TABLE IF NOT EXISTS process (process INTEGER PRIMARY KEY, pid INTEGER, ppid INTEGER,"
	" start_t_ns INTEGER, comm TEXT, exe TEXT, cgroup TEXT, container TEXT, exited INTEGER,"
	" exit_code INTEGER, threads INTEGER, last_tick INTEGER, container_name TEXT, inner_pid INTEGER,"
	" first_tick INTEGER, gone_tick INTEGER);"
	"CREATE TABLE IF NOT EXISTS detail (process INTEGER, field TEXT, key TEXT, count INTEGER, ns INTEGER,"
	" max_ns INTEGER, PRIMARY KEY (process, field, key)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS event (event INTEGER PRIMARY KEY, tick INTEGER, t_ns INTEGER, pid INTEGER,"
	" tid INTEGER, family TEXT, name TEXT, json TEXT, data BLOB);"
	"CREATE TABLE IF NOT EXISTS lost (tick INTEGER, family TEXT, reason TEXT, count INTEGER,"
	" first_t_ns INTEGER, last_t_ns INTEGER);"
	"CREATE TABLE IF NOT EXISTS raw (seq INTEGER PRIMARY KEY, tick INTEGER, frames INTEGER, bytes INTEGER,"
	" data BLOB);";

/* Indexes of a retained recording, used to find the rows of ticks that are deleted. */
static const char retention_sql[] = "CREATE INDEX IF NOT EXISTS process_gone ON process (gone_tick);"
			       "CREATE INDEX IF NOT EXISTS event_tick ON event (tick);"
			       "CREATE INDEX IF NOT EXISTS lost_tick ON lost (tick);";

#define ACCOUNT_HEAD                                                                            \
	"tick INTEGER, process INTEGER, minor INTEGER, major INTEGER, rss_bytes INTEGER,"       \
	" rss_peak_bytes INTEGER, anon_bytes INTEGER, file_bytes INTEGER, shmem_bytes INTEGER," \
	" swap_bytes INTEGER, vm_bytes INTEGER, pss_bytes INTEGER, uss_bytes INTEGER"

static const char view_sql[] =
	"CREATE VIEW IF NOT EXISTS accounts AS SELECT t.time, t.t_ns, p.pid, p.comm, p.exe, p.cgroup,"
	" p.container, a.* FROM account a JOIN tick t USING (tick) JOIN process p USING (process);";

/* In the order of enum mb_table. */
static const char *const table_names[] = {
	[MB_TABLE_INFO] = "info",	[MB_TABLE_SESSION] = "session", [MB_TABLE_HOOK] = "hook",
	[MB_TABLE_LAYOUT] = "layout",	[MB_TABLE_TICK] = "tick",	[MB_TABLE_PROCESS] = "process",
	[MB_TABLE_ACCOUNT] = "account", [MB_TABLE_DETAIL] = "detail",	[MB_TABLE_BUCKET] = "detail",
	[MB_TABLE_EVENT] = "event",	[MB_TABLE_LOST] = "lost",	[MB_TABLE_SYSTEM] = "system",
	[MB_TABLE_ZONE] = "zone",	[MB_TABLE_NODE] = "node",	[MB_TABLE_RAW] = "raw",
	[MB_TABLE_PROCESS_END] = "process",	[MB_TABLE_PREV_ENDED] = "process",
};

static int run(sqlite3 *sqlite, const char *sql)
{
	return sqlite3_exec(sqlite, sql, NULL, NULL, NULL);
}

static int make_tables(sqlite3 *sqlite)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);
	char sql[16384];
	int code, len;

	code = run(sqlite, tables_sql);
	len = snprintf(sql, sizeof(sql), "CREATE TABLE IF NOT EXISTS account (" ACCOUNT_HEAD);
	for (size_t i = 0; i < n; i++)
		len += snprintf(sql + len, sizeof(sql) - (size_t)len, ", %s INTEGER", c[i].name);
	snprintf(sql + len, sizeof(sql) - (size_t)len, ", PRIMARY KEY (tick, process)) WITHOUT ROWID");
	if (!code)
		code = run(sqlite, sql);
	if (!code)
		code = mb_system_schema() ? run(sqlite, mb_system_schema()) : SQLITE_NOMEM;
	return code ? code : run(sqlite, view_sql);
}

/* Open an in-memory database with the tables of this build, to learn their columns and the order of the columns. */
static int open_pattern(sqlite3 **out)
{
	int code = sqlite3_open(":memory:", out);

	return code ? code : make_tables(*out);
}

static int add_columns(sqlite3 *sqlite, sqlite3 *pattern, const char *table)
{
	sqlite3_stmt *s = NULL;
	char sql[256];
	int code;

	snprintf(sql, sizeof(sql), "SELECT name, type FROM pragma_table_info('%s')", table);
	code = sqlite3_prepare_v2(pattern, sql, -1, &s, NULL);
	while (!code && sqlite3_step(s) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0);

		if (!sqlite3_table_column_metadata(sqlite, NULL, table, name, NULL, NULL, NULL, NULL,
						   NULL))
			continue;
		snprintf(sql, sizeof(sql), "ALTER TABLE %s ADD COLUMN %s %s", table, name,
			 (const char *)sqlite3_column_text(s, 1));
		code = run(sqlite, sql);
	}
	sqlite3_finalize(s);
	return code;
}

static int make_retention(sqlite3 *sqlite)
{
	sqlite3 *pattern = NULL;
	int code = open_pattern(&pattern);

	for (int t = 0; t < MB_TABLES && !code; t++)
		code = add_columns(sqlite, pattern, table_names[t]);
	sqlite3_close(pattern);
	return code ? code : run(sqlite, retention_sql);
}

int mb_schema_make(sqlite3 *sqlite, bool retained)
{
	char sql[128];
	int code = run(sqlite, "BEGIN IMMEDIATE");

	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 MB_DB_APPLICATION, retained ? MB_DB_SCHEMA_RETAINED : MB_DB_SCHEMA);
	if (!code)
		code = run(sqlite, sql);
	if (!code)
		code = make_tables(sqlite);
	if (!code && retained)
		code = make_retention(sqlite);
	return code ? code : run(sqlite, "COMMIT");
}

/* Rows of table detail are differences, so writing one again adds to the existing row. */
static const char *conflict(enum mb_table t)
{
	switch (t) {
	case MB_TABLE_DETAIL:
		return " ON CONFLICT (process, field, key) DO UPDATE SET count = count + excluded.count,"
		       " ns = ns + excluded.ns, max_ns = max(max_ns, excluded.max_ns)";
	case MB_TABLE_BUCKET:
		return " ON CONFLICT (process, field, key) DO UPDATE SET count = count + excluded.count,"
		       " max_ns = max(max_ns, excluded.max_ns)";
	default:
		return "";
	}
}

static int prepare_insert(sqlite3 *sqlite, sqlite3 *pattern, enum mb_table t, sqlite3_stmt **out)
{
	bool adds = t == MB_TABLE_DETAIL || t == MB_TABLE_BUCKET;
	char sql[16384], values[2048];
	sqlite3_stmt *s = NULL;
	size_t len, marks = 0;
	int code;

	snprintf(sql, sizeof(sql), "SELECT name FROM pragma_table_info('%s')", table_names[t]);
	code = sqlite3_prepare_v2(pattern, sql, -1, &s, NULL);
	len = (size_t)snprintf(sql, sizeof(sql), "INSERT %sINTO %s (", adds ? "" : "OR REPLACE ",
			       table_names[t]);
	while (!code && sqlite3_step(s) == SQLITE_ROW) {
		len += (size_t)snprintf(sql + len, sizeof(sql) - len, "%s%s", marks ? ", " : "",
					(const char *)sqlite3_column_text(s, 0));
		marks += (size_t)snprintf(values + marks, sizeof(values) - marks, "%s?", marks ? "," : "");
	}
	sqlite3_finalize(s);
	snprintf(sql + len, sizeof(sql) - len, ") VALUES (%s)%s", values, conflict(t));
	return code ? code : sqlite3_prepare_v2(sqlite, sql, -1, out, NULL);
}

int mb_schema_prepare(sqlite3 *sqlite, sqlite3_stmt *insert[MB_TABLES])
{
	sqlite3 *pattern = NULL;
	int code = open_pattern(&pattern);

	for (int t = 0; t < MB_TABLES && !code; t++) {
		if (t == MB_TABLE_PROCESS_END)
			code = sqlite3_prepare_v2(sqlite,
						  "UPDATE process SET gone_tick = ?1 WHERE process = ?2", -1,
						  &insert[t], NULL);
		else if (t == MB_TABLE_PREV_ENDED)
			code = sqlite3_prepare_v2(sqlite,
						  "UPDATE process SET exited = 1, last_tick = ?1 WHERE process = ?2",
						  -1, &insert[t], NULL);
		else
			code = prepare_insert(sqlite, pattern, (enum mb_table)t, &insert[t]);
	}
	sqlite3_close(pattern);
	return code;
}
