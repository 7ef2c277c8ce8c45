// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Computes the age of ticks. The boot-time clock is used, because it is never set. Within a boot, the age is the time
 * since then. For an earlier boot, it is the time to the last tick of that boot plus the traced time of all later
 * boots. Time during which the machine was off is not known and does not count.
 */
#include <stdlib.h>
#include <string.h>

#include "record/db_file.h"

/* Sessions, newest first; the last tick of a session is the one before the first tick of the next session. */
static const char sessions_sql[] =
	"SELECT first_tick, boot_id, (SELECT t_ns FROM tick WHERE tick < next ORDER BY tick DESC LIMIT 1) FROM"
	" (SELECT session, first_tick, boot_id, ifnull(lead(first_tick) OVER (ORDER BY session), 9223372036854775807)"
	" AS next FROM session) ORDER BY session DESC";

struct boot {
	char id[40]; /* "": not known; then each session counts as a separate boot */
	int64_t end_ns; /* time of its last tick on its own clock */
	int64_t later_ns; /* duration of all later boots */
};

/* Continue with the next older session, which is of the same boot or of an earlier one. */
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

/*
 * The first tick of a session, starting at from, that is not too old. Examines at most *left ticks and decrements
 * *left.
 */
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
	/* go back to the session that has the oldest tick */
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
