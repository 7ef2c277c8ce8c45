// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Accounts of idle processes: which columns are levels that are carried forward, and what happens to the others. */
#include "record/carry.h"

#include <string.h>

/* The meaning of a column (docs/recording.md). */
enum kind {
	KEY, /* tick, process */
	LEVEL, /* the amount at the end of the tick */
	DELTA, /* the amount added during the tick */
	LONGEST, /* the maximum since the process started, in the tick in which it grew; else NULL */
};

static enum kind kind_of(const char *name)
{
	static const char *const levels[] = { "rss_bytes", "rss_peak_bytes", "anon_bytes", "file_bytes", "shmem_bytes",
					      "swap_bytes", "vm_bytes", "pss_bytes", "uss_bytes" };
	size_t len = strlen(name);

	if (!strcmp(name, "tick") || !strcmp(name, "process"))
		return KEY;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (!strcmp(name, levels[i]))
			return LEVEL;
	}
	return len > 7 && !strcmp(name + len - 7, "_max_ns") ? LONGEST : DELTA;
}

/* What an idle process has in a column that depends on the level; NULL: the column does not. */
static const char *by_level(const struct mb_coverage *cover, const char *name)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t i = 0; cover && cover->levels.governed && i < n; i++) {
		if (!strcmp(c[i].name, name) && mb_coverage_left_out(&c[i]))
			return mb_coverage_counted(cover, i, INT64_MIN + 1, INT64_MAX) ? "0" : "NULL";
	}
	return NULL;
}

void mb_carried_columns(sqlite3 *sqlite, const struct mb_coverage *cover, sqlite3_str *names, sqlite3_str *values)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(sqlite, "SELECT name FROM pragma_table_info('account')", -1, &s, NULL))
		return;
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0);
		enum kind kind = name ? kind_of(name) : KEY;
		const char *level = name ? by_level(cover, name) : NULL;

		if (kind == KEY)
			continue;
		if (names)
			sqlite3_str_appendf(names, ", \"%w\"", name);
		if (kind == LONGEST)
			sqlite3_str_appendall(values, ", NULL");
		else if (level)
			sqlite3_str_appendf(values, ", %s", level);
		else /* NULL stays NULL: not counted, so not known */
			sqlite3_str_appendf(values, ", \"%w\"%s", name, kind == DELTA ? " * 0" : "");
	}
	sqlite3_finalize(s);
}

/*
 * Build the INSERT statement for the columns of this file. Returns NULL if there is no memory or the file cannot be
 * read.
 */
static char *make_sql(sqlite3 *sqlite)
{
	sqlite3_str *names = sqlite3_str_new(sqlite), *values = sqlite3_str_new(sqlite);
	char *n, *v, *sql = NULL;

	mb_carried_columns(sqlite, NULL, names, values);
	n = sqlite3_str_finish(names);
	v = sqlite3_str_finish(values);
	if (n && v)
		sql = sqlite3_mprintf("INSERT OR IGNORE INTO account (tick, process%s) SELECT ?1, process%s FROM"
				      " " MB_LAST_ACCOUNTS " JOIN (SELECT process AS living FROM process p WHERE"
				      " " MB_LIVES_ON ") ON living = process",
				      n, v);
	sqlite3_free(n);
	sqlite3_free(v);
	return sql;
}

int mb_carry_to(sqlite3 *sqlite, int64_t tick)
{
	char *sql = make_sql(sqlite);
	sqlite3_stmt *s = NULL;
	int code = sql ? sqlite3_prepare_v2(sqlite, sql, -1, &s, NULL) : SQLITE_NOMEM;

	if (!code) {
		sqlite3_bind_int64(s, 1, tick);
		code = sqlite3_step(s);
	}
	sqlite3_finalize(s);
	sqlite3_free(sql);
	return code == SQLITE_DONE ? SQLITE_OK : code ? code : SQLITE_ERROR;
}
