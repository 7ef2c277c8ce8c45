// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Converts the state of the machine to rows of a recording, and back. */
#include "record/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

const char *mb_system_schema(void)
{
	static char *sql;
	size_t size = 2048 + MB_SYS_NUMBERS * 64, len;

	if (sql)
		return sql;
	sql = malloc(size);
	if (!sql)
		return NULL;
	len = (size_t)snprintf(sql, size, "CREATE TABLE IF NOT EXISTS system (tick INTEGER PRIMARY KEY, t_ns INTEGER");
	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		len += (size_t)snprintf(sql + len, size - len, ", %s INTEGER",
					mb_system_numbers[i].column);
	len += (size_t)snprintf(sql + len, size - len,
				", zones_left_out INTEGER, nodes_left_out INTEGER);"
				"CREATE TABLE IF NOT EXISTS zone (tick INTEGER, node INTEGER, zone TEXT,"
				" free_pages INTEGER, min_pages INTEGER, low_pages INTEGER,"
				" high_pages INTEGER, managed_pages INTEGER");
	for (unsigned int i = 0; i < MB_SYSTEM_ORDERS; i++)
		len += (size_t)snprintf(sql + len, size - len, ", free_%u INTEGER", i);
	len += (size_t)snprintf(sql + len, size - len,
				", PRIMARY KEY (tick, node, zone));"
				"CREATE TABLE IF NOT EXISTS node (tick INTEGER, node INTEGER");
	for (int i = 0; i < MB_NUMA_COUNTS; i++)
		len += (size_t)snprintf(sql + len, size - len, ", %s INTEGER",
					mb_system_node_names[i]);
	snprintf(sql + len, size - len, ", PRIMARY KEY (tick, node));");
	return sql;
}

static void put(struct mb_rows *r, uint64_t v)
{
	if (v == MB_UNKNOWN)
		mb_rows_null(r);
	else
		mb_rows_int(r, (int64_t)v);
}

static void put_zone(struct mb_rows *r, uint64_t tick, const struct mb_system_zone *z)
{
	mb_rows_begin(r, MB_TABLE_ZONE);
	mb_rows_int(r, (int64_t)tick);
	mb_rows_int(r, z->node);
	mb_rows_text(r, z->name);
	put(r, z->free_pages);
	put(r, z->min_pages);
	put(r, z->low_pages);
	put(r, z->high_pages);
	put(r, z->managed_pages);
	for (uint32_t i = 0; i < MB_SYSTEM_ORDERS; i++)
		put(r, i < z->orders ? z->free_blocks[i] : MB_UNKNOWN);
}

void mb_system_rows(struct mb_rows *r, uint64_t tick, const struct mb_system *s)
{
	mb_rows_begin(r, MB_TABLE_SYSTEM);
	mb_rows_int(r, (int64_t)tick);
	mb_rows_int(r, (int64_t)s->t_ns);
	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		put(r, s->values[i]);
	mb_rows_int(r, s->zones_left_out);
	mb_rows_int(r, s->nodes_left_out);
	for (uint32_t i = 0; i < s->n_zones; i++)
		put_zone(r, tick, &s->zones[i]);
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		mb_rows_begin(r, MB_TABLE_NODE);
		mb_rows_int(r, (int64_t)tick);
		mb_rows_int(r, s->nodes[i].node);
		for (int j = 0; j < MB_NUMA_COUNTS; j++)
			put(r, s->nodes[i].counts[j]);
	}
}

/* ---- reading ---- */

static uint64_t number(sqlite3_stmt *s, int column)
{
	return sqlite3_column_type(s, column) == SQLITE_INTEGER ?
		       (uint64_t)sqlite3_column_int64(s, column) :
		       MB_UNKNOWN;
}

/* Find columns by name, as a recording of another build may have fewer or more of them. */
static uint64_t named(sqlite3_stmt *s, const char *name)
{
	for (int i = 0; i < sqlite3_column_count(s); i++) {
		if (!strcmp(sqlite3_column_name(s, i), name))
			return number(s, i);
	}
	return MB_UNKNOWN;
}

static uint32_t named_u32(sqlite3_stmt *s, const char *name)
{
	uint64_t v = named(s, name);

	return v == MB_UNKNOWN ? 0 : (uint32_t)v;
}

static void take_zone(struct mb_system *m, sqlite3_stmt *s)
{
	struct mb_system_zone *z = &m->zones[m->n_zones++];
	char name[16];

	z->node = (uint32_t)number(s, 0);
	snprintf(z->name, sizeof(z->name), "%s",
		 sqlite3_column_text(s, 1) ? (const char *)sqlite3_column_text(s, 1) : "");
	z->free_pages = named(s, "free_pages");
	z->min_pages = named(s, "min_pages");
	z->low_pages = named(s, "low_pages");
	z->high_pages = named(s, "high_pages");
	z->managed_pages = named(s, "managed_pages");
	for (; z->orders < MB_SYSTEM_ORDERS; z->orders++) {
		uint64_t v;

		snprintf(name, sizeof(name), "free_%u", z->orders);
		v = named(s, name);
		if (v == MB_UNKNOWN)
			break;
		z->free_blocks[z->orders] = v;
	}
}

static void take_node(struct mb_system *m, sqlite3_stmt *s)
{
	struct mb_system_node *n = &m->nodes[m->n_nodes++];

	n->node = (uint32_t)number(s, 0);
	for (int i = 0; i < MB_NUMA_COUNTS; i++)
		n->counts[i] = named(s, mb_system_node_names[i]);
}

static int take_rows(struct mb_reader *r, struct mb_system *m, sqlite3_int64 tick, bool zones,
		     struct mb_err *e)
{
	sqlite3_stmt *s = NULL;
	int code = sqlite3_prepare_v2(mb_reader_sqlite(r),
				      zones ? "SELECT node, zone, * FROM zone WHERE tick = ? ORDER BY rowid" :
					      "SELECT node, * FROM node WHERE tick = ? ORDER BY rowid",
				      -1, &s, NULL);

	if (code != SQLITE_OK)
		return mb_reader_damaged(r, e);
	sqlite3_bind_int64(s, 1, tick);
	while ((code = sqlite3_step(s)) == SQLITE_ROW) {
		if (zones && m->n_zones < MB_SYSTEM_ZONES)
			take_zone(m, s);
		else if (!zones && m->n_nodes < MB_SYSTEM_NODES)
			take_node(m, s);
	}
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? 0 : mb_reader_damaged(r, e);
}

/* Read the sample that a query for one row of table system finds. *found is false if there is none. */
static int take_moment(struct mb_reader *r, struct mb_system *m, const char *sql, sqlite3_int64 tick,
		       sqlite3_int64 other, bool *found, struct mb_err *e)
{
	sqlite3_stmt *s = NULL;
	int code, err = 0;

	*found = false;
	if (sqlite3_prepare_v2(mb_reader_sqlite(r), sql, -1, &s, NULL))
		return mb_reader_damaged(r, e);
	sqlite3_bind_int64(s, 1, tick);
	sqlite3_bind_int64(s, 2, other); /* if the query has a second parameter */
	code = sqlite3_step(s);
	if (code == SQLITE_ROW) {
		*found = true;
		mb_system_init(m);
		tick = sqlite3_column_int64(s, 0);
		m->t_ns = named(s, "t_ns");
		for (int i = 0; i < MB_SYS_NUMBERS; i++)
			m->values[i] = named(s, mb_system_numbers[i].column);
		m->zones_left_out = named_u32(s, "zones_left_out");
		m->nodes_left_out = named_u32(s, "nodes_left_out");
		err = take_rows(r, m, tick, true, e);
		if (!err)
			err = take_rows(r, m, tick, false, e);
	} else if (code != SQLITE_DONE) {
		err = mb_reader_damaged(r, e);
	}
	sqlite3_finalize(s);
	return err;
}

/* ---- over several sessions ---- */

static void add(uint64_t *sum, uint64_t from, uint64_t to)
{
	uint64_t growth = mb_system_growth(from, to);

	if (growth != MB_UNKNOWN)
		*sum = *sum == MB_UNKNOWN ? growth : *sum + growth;
}

/* Add the increase within one session to the sum, which has the form of a sample. */
static void add_session(struct mb_system *sum, uint64_t *ns, const struct mb_system *from,
			const struct mb_system *to)
{
	*ns += to->t_ns - from->t_ns;
	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		add(&sum->values[i], from->values[i], to->values[i]);
	for (uint32_t i = 0; i < sum->n_nodes; i++) {
		const struct mb_system_node *a = mb_system_node_find(from, sum->nodes[i].node);
		const struct mb_system_node *b = mb_system_node_find(to, sum->nodes[i].node);

		for (int j = 0; a && b && j < MB_NUMA_COUNTS; j++)
			add(&sum->nodes[i].counts[j], a->counts[j], b->counts[j]);
	}
}

/* Counters are since boot: adjust now and first so that their difference is the increase within the window. */
static void set_sums(struct mb_system_state *s, const struct mb_system *sum)
{
	for (int i = 0; i < MB_SYS_NUMBERS; i++) {
		uint64_t grown = sum->values[i], *now = &s->now.values[i], *first = &s->first.values[i];

		switch (mb_system_numbers[i].kind) {
		case MB_SYSTEM_COUNT:
		case MB_SYSTEM_RATE:
			*now = grown;
			*first = 0;
			break;
		case MB_SYSTEM_TOTAL: /* the total itself is also shown */
			*first = grown != MB_UNKNOWN && *now != MB_UNKNOWN && grown <= *now ? *now - grown :
											      MB_UNKNOWN;
			break;
		default:
			break;
		}
	}
	s->first.n_nodes = s->now.n_nodes;
	for (uint32_t i = 0; i < s->now.n_nodes; i++) {
		memcpy(s->now.nodes[i].counts, sum->nodes[i].counts, sizeof(sum->nodes[i].counts));
		s->first.nodes[i].node = s->now.nodes[i].node;
		memset(s->first.nodes[i].counts, 0, sizeof(s->first.nodes[i].counts));
	}
}

/* first: first tick of the window. last: last tick of the window or the session, whichever is smaller. */
static int take_session(struct mb_reader *r, struct mb_system_state *s, struct mb_system *sum,
			sqlite3_int64 session_first, sqlite3_int64 first, sqlite3_int64 last, struct mb_err *e)
{
	struct mb_system from, to;
	bool found;
	int err;

	err = take_moment(r, &from,
			  "SELECT * FROM system WHERE tick < ?1 AND tick >= ?2 ORDER BY tick DESC LIMIT 1", first,
			  session_first, &found, e);
	if (!err && !found)
		err = take_moment(r, &from,
				  "SELECT * FROM system WHERE tick >= ?1 AND tick <= ?2 ORDER BY tick LIMIT 1",
				  first > session_first ? first : session_first, last, &found, e);
	if (!err && found)
		err = take_moment(r, &to,
				  "SELECT * FROM system WHERE tick <= ?1 AND tick >= ?2 ORDER BY tick DESC LIMIT 1",
				  last, session_first, &found, e);
	if (!err && found)
		add_session(sum, &s->scope_ns, &from, &to);
	return err;
}

/* Retained recording: sum the increases of all sessions. Between sessions nothing was recorded. */
static int take_sessions(struct mb_reader *r, const struct mb_window *w, struct mb_system_state *s,
			 struct mb_err *e)
{
	struct mb_system sum = s->now;
	sqlite3_stmt *q = NULL;
	int code, err = 0;

	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		sum.values[i] = MB_UNKNOWN;
	for (uint32_t i = 0; i < sum.n_nodes; i++) {
		for (int j = 0; j < MB_NUMA_COUNTS; j++)
			sum.nodes[i].counts[j] = MB_UNKNOWN;
	}
	if (sqlite3_prepare_v2(mb_reader_sqlite(r),
			       "SELECT first_tick, last FROM (SELECT first_tick, min(?2, ifnull(lead(first_tick) OVER"
			       " (ORDER BY session) - 1, ?2)) AS last FROM session) WHERE first_tick <= ?2"
			       " AND last >= ?1 ORDER BY first_tick",
			       -1, &q, NULL))
		return mb_reader_damaged(r, e);
	sqlite3_bind_int64(q, 1, w->first);
	sqlite3_bind_int64(q, 2, w->last);
	while (!err && (code = sqlite3_step(q)) == SQLITE_ROW)
		err = take_session(r, s, &sum, sqlite3_column_int64(q, 0), w->first, sqlite3_column_int64(q, 1),
				   e);
	if (!err && code != SQLITE_DONE)
		err = mb_reader_damaged(r, e);
	sqlite3_finalize(q);
	if (!err)
		set_sums(s, &sum);
	return err;
}

int mb_system_report(struct mb_reader *r, const struct mb_window *w, struct mb_system_state *s,
		     struct mb_err *e)
{
	bool found;
	int err;

	s->known = false;
	s->scope_ns = 0;
	if (sqlite3_table_column_metadata(mb_reader_sqlite(r), NULL, "system", "tick", NULL, NULL, NULL,
					  NULL, NULL) != SQLITE_OK)
		return 0; /* made by a build that did not have the table */
	err = take_moment(r, &s->now, "SELECT * FROM system WHERE tick <= ? ORDER BY tick DESC LIMIT 1",
			  w->last, 0, &found, e);
	if (err || !found)
		return err;
	s->known = true;
	/* the window starts where the tick before it ended; the recording starts with its first tick */
	err = take_moment(r, &s->first,
			  "SELECT * FROM system WHERE tick < ? ORDER BY tick DESC LIMIT 1", w->first,
			  0, &found, e);
	if (!err && !found)
		err = take_moment(r, &s->first,
				  "SELECT * FROM system WHERE tick >= ? ORDER BY tick LIMIT 1", 0,
				  0, &found, e);
	if (!err && mb_reader_is_retained(r))
		err = take_sessions(r, w, s, e);
	s->before = s->first;
	return err;
}
