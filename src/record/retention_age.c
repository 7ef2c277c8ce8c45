// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * How old ticks are: by the boot-time clock, which nobody sets. Within a boot, the time between; of an earlier boot, its
 * own time to its last tick, and that of all boots since. How long the machine was off is not known and does not count.
 */
#include <stdlib.h>
#include <string.h>

#include "record/db_file.h"

/* The last tick that a session can have: before the next one's first. */
static const char sessions_sql[] =
	"SELECT first_tick, boot_id, (SELECT t_ns FROM tick WHERE tick < next ORDER BY tick DESC LIMIT 1) FROM"
	" (SELECT session, first_tick, boot_id, ifnull(lead(first_tick) OVER (ORDER BY session), 9223372036854775807)"
	" AS next FROM session) ORDER BY session DESC";

struct boot {
	char id[40]; /* "": not known, and then each session is one */
	int64_t end_ns; /* on its own clock, of its last tick */
	int64_t later_ns; /* of all boots after it */
};

/* The next older session: of the same boot, or of another. */
static void add_session(struct boot *b, sqlite3_stmt *s)
{
	const char *id = (const char *)sqlite3_column_text(s, 1);

	if (id && b->id[0] && !strcmp(id, b->id))
		return;
	b->later_ns += b->end_ns;
	b->end_ns = sqlite3_column_int64(s, 2);
	b->id[0] = '\0';
	if (id && strlen(id) < sizeof(b->id))
		strcpy(b->id, id);
}

/* Of the ticks of a session from one on, so many at most, the first that is not too old; left: how many more. */
static int64_t first_young(struct mb_db *db, const struct boot *b, int64_t from, int64_t last, int *left)
{
	int64_t limit = b->later_ns + b->end_ns - (int64_t)db->keep.max_age_ns;
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(db->sqlite, "SELECT tick, t_ns FROM tick WHERE tick BETWEEN ?1 AND ?2 ORDER BY tick", -1,
			       &s, NULL))
		return from;
	sqlite3_bind_int64(s, 1, from);
	sqlite3_bind_int64(s, 2, last);
	while (*left && sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int64(s, 1) < limit) {
		from = sqlite3_column_int64(s, 0) + 1;
		--*left;
	}
	sqlite3_finalize(s);
	return from;
}

int64_t mb_retention_too_old(struct mb_db *db, int64_t newest, int most)
{
	int64_t before = db->oldest_tick, first = 0, last = newest;
	struct boot b = { .end_ns = 0 };
	sqlite3_stmt *s = NULL;

	if (!db->keep.max_age_ns || db->keep.max_age_ns > INT64_MAX ||
	    sqlite3_prepare_v2(db->sqlite, sessions_sql, -1, &s, NULL))
		return before;
	/* back to the one that has the oldest tick */
	while (sqlite3_step(s) == SQLITE_ROW) {
		last = first ? first - 1 : newest;
		add_session(&b, s);
		first = sqlite3_column_int64(s, 0);
		if (first <= before)
			break;
	}
	sqlite3_finalize(s);
	before = first_young(db, &b, before, last, &most);
	return before < newest ? before : newest;
}
