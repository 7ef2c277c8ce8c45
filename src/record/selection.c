// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Restricts a recording by temporary views with the names of its tables, so that no query needs to know of it. */
#include "record/selection.h"

#include <errno.h>
#include <string.h>

/* Mount points of the hierarchies of memory cgroups, v1 and v2; the longer one first. */
static const char *const mounts[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };

/* The path below the hierarchy's root, without a slash at its end: "" for the root. len: of it. */
static const char *path_of(const char *cgroup, size_t *len)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		size_t n = strlen(mounts[i]);

		if (strncmp(cgroup, mounts[i], n) == 0 && (cgroup[n] == '/' || !cgroup[n])) {
			cgroup += n;
			break;
		}
	}
	while (*cgroup == '/')
		cgroup++;
	*len = strlen(cgroup);
	while (*len && cgroup[*len - 1] == '/')
		(*len)--;
	return cgroup;
}

/* A condition on a row of process: it is in this cgroup or below it. */
static void add_cgroup(sqlite3_str *sql, const char *cgroup)
{
	size_t len;
	const char *path = path_of(cgroup, &len);
	char *text = sqlite3_mprintf("/%.*s", (int)len, path);

	if (!len)
		sqlite3_str_appendf(sql, "cgroup IS NOT NULL");
	else
		sqlite3_str_appendf(sql, "cgroup = %Q OR substr(cgroup, 1, %d) = %Q || '/'", text, (int)strlen(text) + 1, text);
	sqlite3_free(text);
}

static int run(struct mb_reader *r, sqlite3_str *str, struct mb_err *e)
{
	char *sql = sqlite3_str_finish(str);
	int code = sql ? sqlite3_exec(mb_reader_sqlite(r), sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return code ? mb_reader_damaged(r, e) : 0;
}

/* Is there a process that meets the condition? Takes the string. Returns 1, 0, or -errno with *e set. */
static int exists(struct mb_reader *r, sqlite3_str *str, struct mb_err *e)
{
	char *sql = sqlite3_str_finish(str);
	sqlite3_stmt *s = NULL;
	int found = -1;

	if (sql && !sqlite3_prepare_v2(mb_reader_sqlite(r), sql, -1, &s, NULL) && sqlite3_step(s) == SQLITE_ROW)
		found = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	sqlite3_free(sql);
	return found < 0 ? mb_reader_damaged(r, e) : found;
}

#define EXISTS "SELECT EXISTS (SELECT 1 FROM main.process WHERE "

static int check(const struct mb_selection *sel, struct mb_reader *r, struct mb_err *e)
{
	for (size_t i = 0; i < sel->n_pids; i++) {
		sqlite3_str *sql = sqlite3_str_new(mb_reader_sqlite(r));
		int found;

		sqlite3_str_appendf(sql, EXISTS "pid = %u)", sel->pids[i]);
		found = exists(r, sql, e);
		if (found <= 0)
			return found ? found : mb_err_set(e, MB_EXIT_FAILED, 0, "no process %u in the recording", sel->pids[i]);
	}
	for (size_t i = 0; i < sel->n_cgroups; i++) {
		sqlite3_str *sql = sqlite3_str_new(mb_reader_sqlite(r));
		int found;

		sqlite3_str_appendall(sql, EXISTS);
		add_cgroup(sql, sel->cgroups[i]);
		sqlite3_str_appendall(sql, ")");
		found = exists(r, sql, e);
		if (found <= 0)
			return found ? found :
				       mb_err_set(e, MB_EXIT_FAILED, 0, "no process of cgroup '%s' in the recording", sel->cgroups[i]);
	}
	return 0;
}

static void select_processes(const struct mb_selection *sel, sqlite3_str *sql)
{
	const char *either = "";

	sqlite3_str_appendall(sql, "CREATE TEMP VIEW process AS SELECT * FROM main.process WHERE ");
	for (size_t i = 0; i < sel->n_pids; i++, either = " OR ")
		sqlite3_str_appendf(sql, "%spid = %u", either, sel->pids[i]);
	for (size_t i = 0; i < sel->n_cgroups; i++, either = " OR ") {
		sqlite3_str_appendall(sql, either);
		add_cgroup(sql, sel->cgroups[i]);
	}
	if (!*either)
		sqlite3_str_appendall(sql, "1");
	sqlite3_str_appendall(sql, ";");
}

/* Is it a number of a family that was not selected? */
static bool is_left_out(const struct mb_selection *sel, const char *column)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t i = 0; sel->families && i < n; i++) {
		if (strcmp(c[i].name, column) == 0)
			return !(sel->families >> c[i].family->id & 1);
	}
	return false;
}

/* The columns of a table or view that are selected. */
static int add_columns(const struct mb_selection *sel, struct mb_reader *r, const char *table, sqlite3_str *sql, struct mb_err *e)
{
	sqlite3_stmt *s = NULL;
	bool any = false;
	int code;

	if (sqlite3_prepare_v2(mb_reader_sqlite(r), "SELECT name FROM pragma_table_info(?1, 'main')", -1, &s, NULL))
		return mb_reader_damaged(r, e);
	sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
	while ((code = sqlite3_step(s)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0);

		if (!name || is_left_out(sel, name))
			continue;
		sqlite3_str_appendf(sql, "%s\"%w\"", any ? ", " : "", name);
		any = true;
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE && any ? 0 : mb_reader_damaged(r, e);
}

static int select_accounts(const struct mb_selection *sel, struct mb_reader *r, const char *table, sqlite3_str *sql,
			   struct mb_err *e)
{
	int err;

	sqlite3_str_appendf(sql, "CREATE TEMP VIEW %s AS SELECT ", table);
	err = add_columns(sel, r, table, sql, e);
	sqlite3_str_appendf(sql, " FROM main.%s WHERE process IN (SELECT process FROM temp.process);", table);
	return err;
}

/* Events and losses of the selected families. The levels concern the trace itself. */
static void select_families(const struct mb_selection *sel, sqlite3_str *sql)
{
	static const char *const tables[] = { "event", "hook" };

	for (size_t k = 0; k < 2; k++) {
		const char *either = "";

		sqlite3_str_appendf(sql, "CREATE TEMP VIEW %s AS SELECT * FROM main.%s WHERE (", tables[k], tables[k]);
		for (unsigned int id = 0; id < MB_FAM_MAX; id++) {
			if (!mb_family_by_id(id) || (sel->families && !(sel->families >> id & 1)))
				continue;
			sqlite3_str_appendf(sql, "%sfamily = %Q", either, mb_family_by_id(id)->name);
			either = " OR ";
		}
		sqlite3_str_appendall(sql, ")");
		if (k == 0 && (sel->n_pids || sel->n_cgroups))
			sqlite3_str_appendall(sql, " AND pid IN (SELECT pid FROM temp.process)");
		if (k == 0)
			sqlite3_str_appendall(sql, " OR name = 'level'");
		sqlite3_str_appendall(sql, ";");
	}
}

int mb_selection_apply(const struct mb_selection *sel, struct mb_reader *r, struct mb_err *e)
{
	sqlite3_str *sql;
	int err;

	if (!sel->n_pids && !sel->n_cgroups && !sel->families)
		return 0;
	err = check(sel, r, e);
	if (err)
		return err;
	sql = sqlite3_str_new(mb_reader_sqlite(r));
	select_processes(sel, sql);
	err = select_accounts(sel, r, "account", sql, e);
	if (!err)
		err = select_accounts(sel, r, "accounts", sql, e);
	if (err) {
		sqlite3_free(sqlite3_str_finish(sql));
		return err;
	}
	select_families(sel, sql);
	return run(r, sql, e);
}
