// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Every query of docs/recording.md runs on the golden recordings, and says something of one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>
#include <sqlite3.h>

/* These say nothing when all is well. */
static const char *const may_be_empty[] = { "FROM lost" };

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 65536);

	if (!f || !text)
		fail_msg("cannot read %s", path);
	assert_in_range(fread(text, 1, 65535, f), 1, 65534);
	fclose(f);
	return text;
}

/* Rows of the query on one recording; fails when SQLite does not understand it. */
static int rows(const char *path, const char *sql)
{
	char uri[512];
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int n = 0, code;

	/* as it lies there: nothing may be written beside it */
	snprintf(uri, sizeof(uri), "file:%s?immutable=1", path);
	if (sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) ||
	    sqlite3_prepare_v2(db, sql, -1, &s, NULL))
		fail_msg("%s: %s: %s", path, sql, sqlite3_errmsg(db));
	while ((code = sqlite3_step(s)) == SQLITE_ROW)
		n++;
	if (code != SQLITE_DONE)
		fail_msg("%s: %s: %s", path, sql, sqlite3_errmsg(db));
	sqlite3_finalize(s);
	sqlite3_close(db);
	return n;
}

static void test_queries(void **state)
{
	char *doc = slurp(DOCS_DIR "/recording.md"), *at = doc, *end;
	int queries = 0;
	glob_t found;

	(void)state;
	assert_int_equal(glob(GOLDEN_DIR "/*.db", 0, NULL, &found), 0);
	while ((at = strstr(at, "```sql\n"))) {
		int n = 0;

		at += strlen("```sql\n");
		end = strstr(at, "```");
		assert_non_null(end);
		*end = '\0';
		for (size_t i = 0; i < found.gl_pathc; i++)
			n += rows(found.gl_pathv[i], at);
		for (size_t i = 0; i < sizeof(may_be_empty) / sizeof(may_be_empty[0]); i++)
			n += strstr(at, may_be_empty[i]) != NULL;
		if (!n)
			fail_msg("says nothing of any recording: %s", at);
		queries++;
		at = end + 1;
	}
	assert_true(queries >= 10);
	globfree(&found);
	free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
