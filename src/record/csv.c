// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The accounts of a window as CSV. */
#include <string.h>

#include "record/carry.h"
#include "record/report.h"

/* Quote a cell as RFC 4180 requires. */
static void put_cell(struct mb_out *out, const char *s, bool first)
{
	if (!first)
		mb_out_text(out, ",", 1);
	if (!s)
		return;
	if (!strpbrk(s, ",\"\r\n")) {
		mb_out_text(out, s, strlen(s));
		return;
	}
	mb_out_text(out, "\"", 1);
	for (; *s; s++) {
		if (*s == '"')
			mb_out_text(out, "\"", 1);
		mb_out_text(out, s, 1);
	}
	mb_out_text(out, "\"", 1);
}

/*
 * Build the query for the accounts of the window. At the first tick of the window it includes idle processes, with
 * their carried accounts. ?1 and ?2 are the first and last tick of the window.
 */
static char *csv_sql(struct mb_reader *r, const struct mb_coverage *cover)
{
	sqlite3_str *sql = sqlite3_str_new(mb_reader_sqlite(r));

	sqlite3_str_appendall(sql, "SELECT * FROM accounts WHERE tick BETWEEN ?1 AND ?2");
	if (mb_reader_has(r, "process", "gone_tick")) {
		sqlite3_str_appendall(sql, " UNION ALL SELECT t.time, t.t_ns, p.pid, p.comm, p.exe, p.cgroup, p.container,"
					   " ?1, process");
		mb_carried_columns(mb_reader_sqlite(r), cover, NULL, sql);
		sqlite3_str_appendall(sql, " FROM " MB_LAST_ACCOUNTS " JOIN process p USING (process) JOIN (SELECT time,"
					   " t_ns FROM tick WHERE tick = ?1) t WHERE " MB_LIVES_ON " AND process NOT IN"
					   " (SELECT process FROM account WHERE tick = ?1)");
	}
	sqlite3_str_appendall(sql, " ORDER BY tick, process");
	return sqlite3_str_finish(sql);
}

int mb_report_csv(struct mb_reader *r, const struct mb_window *w, struct mb_out *out,
		  struct mb_err *e)
{
	struct mb_window first = { .first = w->first, .last = w->first };
	struct mb_coverage cover;
	sqlite3_stmt *s = NULL;
	char *sql = NULL;
	int code, err = mb_coverage_load(&cover, r, &first, e);

	if (!err)
		sql = csv_sql(r, &cover);
	mb_coverage_free(&cover);
	if (err)
		return err;
	code = sql ? sqlite3_prepare_v2(mb_reader_sqlite(r), sql, -1, &s, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (code)
		return mb_reader_damaged(r, e);
	sqlite3_bind_int64(s, 1, w->first);
	sqlite3_bind_int64(s, 2, w->last);
	for (int i = 0; i < sqlite3_column_count(s); i++)
		put_cell(out, sqlite3_column_name(s, i), i == 0);
	mb_out_text(out, "\n", 1);
	while ((code = sqlite3_step(s)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(s); i++)
			put_cell(out, (const char *)sqlite3_column_text(s, i), i == 0);
		mb_out_text(out, "\n", 1);
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? 0 : mb_reader_damaged(r, e);
}
