// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* What of a window was counted, from the recorded steps of the level and from the accounts. */
#include "record/coverage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct mb_err *e)
{
	return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
}

/* ---- sessions ---- */

static struct mb_coverage_session *add_session(struct mb_coverage *c, sqlite3_int64 first,
					       sqlite3_int64 last)
{
	struct mb_coverage_session *more =
		realloc(c->sessions, (c->n_sessions + 1) * sizeof(*more));

	if (!more)
		return NULL;
	c->sessions = more;
	more[c->n_sessions] = (struct mb_coverage_session){ .first = first, .last = last };
	return &more[c->n_sessions++];
}

/* The sessions that have ticks in the window. Recordings of memblame record have one. */
static int load_sessions(struct mb_coverage *c, struct mb_reader *r, const struct mb_window *w,
			 struct mb_err *e)
{
	sqlite3_stmt *s;
	int code;

	if (!mb_reader_is_retained(r))
		return add_session(c, 0, INT64_MAX) ? 0 : no_memory(e);
	s = mb_reader_query(
		r,
		"SELECT * FROM (SELECT first_tick, lead(first_tick, 1, 9223372036854775807) OVER (ORDER BY first_tick)"
		" AS next FROM session) WHERE first_tick <= ?2 AND next > ?1 ORDER BY first_tick",
		w->first, w->last);
	while ((code = s ? sqlite3_step(s) : SQLITE_ERROR) == SQLITE_ROW) {
		if (!add_session(c, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1) - 1)) {
			sqlite3_finalize(s);
			return no_memory(e);
		}
	}
	sqlite3_finalize(s);
	if (code != SQLITE_DONE)
		return mb_reader_damaged(r, e);
	if (!c->n_sessions && !add_session(c, w->first, INT64_MAX))
		return no_memory(e);
	if (c->sessions[0].first > w->first) /* damaged: every tick has a session */
		c->sessions[0].first = w->first;
	return 0;
}

/* ---- levels ---- */

/* Walks along the ticks and the steps of one session. */
struct walk {
	struct mb_coverage *c;
	struct mb_coverage_session *of;
	sqlite3_stmt *steps;
	struct mb_level_event next; /* the next step */
	bool has_next, is_cut; /* is_cut: the recording has lost the session's first ticks */
	struct mb_levels now;
	bool begun;
	uint64_t before[MB_LEVELS]; /* time at each level up to the last tick */
};

static void fetch(struct walk *w)
{
	w->has_next = false;
	while (!w->has_next && sqlite3_step(w->steps) == SQLITE_ROW) {
		const void *data = sqlite3_column_blob(w->steps, 0);

		w->has_next = data && sqlite3_column_bytes(w->steps, 0) == sizeof(w->next);
		if (w->has_next)
			memcpy(&w->next, data, sizeof(w->next));
	}
}

static void steps_until(struct walk *w, uint64_t t_ns)
{
	struct mb_levels *sum = &w->c->levels;

	while (w->has_next && w->next.h.t_ns <= t_ns) {
		mb_levels_add(&w->now, &w->next);
		if (w->begun && w->now.now >= MB_LEVEL_ITERATOR && !sum->partial_ns)
			sum->partial_ns = w->next.h.t_ns;
		fetch(w);
	}
}

/* The window, or a session in it, begins at t_ns. */
static void begin_at(struct walk *w, uint64_t t_ns)
{
	struct mb_levels *sum = &w->c->levels;

	fetch(w);
	if (w->has_next && w->is_cut && w->next.h.t_ns > t_ns) {
		/* the step before it was deleted with its tick */
		struct mb_level_event first = w->next;

		first.h.t_ns = t_ns;
		first.to = first.from;
		first.tick_divisor = first.tick_divisor_from;
		mb_levels_add(&w->now, &first);
	}
	steps_until(w, t_ns);
	w->begun = true;
	if (w->now.now >= MB_LEVEL_ITERATOR && !sum->partial_ns)
		sum->partial_ns = t_ns;
	for (enum mb_level level = 0; level < MB_LEVELS; level++)
		w->before[level] = mb_levels_ns(&w->now, level, t_ns);
}

static struct mb_coverage_tick *add_tick(struct mb_coverage *c)
{
	struct mb_coverage_tick *more;

	if (c->n == c->room) {
		more = realloc(c->ticks, (c->room + 1024) * sizeof(*more));
		if (!more)
			return NULL;
		c->ticks = more;
		c->room += 1024;
	}
	c->ticks[c->n] = c->n ? c->ticks[c->n - 1] : (struct mb_coverage_tick){ .ns = 0 };
	return &c->ticks[c->n++];
}

static bool take_tick(struct walk *w, sqlite3_stmt *s)
{
	uint64_t t_ns = (uint64_t)sqlite3_column_int64(s, 1);
	int64_t length = sqlite3_column_int64(s, 2);
	struct mb_coverage_tick *t = add_tick(w->c);
	uint64_t off_ns = 0;

	if (!t)
		return false;
	if (!w->begun)
		begin_at(w, length > 0 && (uint64_t)length < t_ns ? t_ns - (uint64_t)length : 0);
	steps_until(w, t_ns);
	t->tick = sqlite3_column_int64(s, 0);
	t->ns += length > 0 ? (uint64_t)length : 0;
	for (int level = MB_LEVELS - 1; level >= 0; level--) {
		uint64_t ns = mb_levels_ns(&w->now, level, t_ns),
			 passed = ns > w->before[level] ? ns - w->before[level] : 0;

		w->before[level] = ns;
		w->c->levels.ns[level] += passed;
		off_ns += passed;
		t->off_ns[level] += off_ns;
	}
	w->c->levels.since_ns = t_ns;
	return true;
}

/* The session's ticks in the window. */
static sqlite3_stmt *query_ticks(struct mb_reader *r, sqlite3_int64 first, sqlite3_int64 last)
{
	return mb_reader_query(
		r,
		mb_reader_has(r, "tick", "interval_ns") ?
			"SELECT tick, t_ns, interval_ns FROM tick WHERE tick BETWEEN ?1 AND ?2 ORDER BY tick" :
			"SELECT * FROM (SELECT tick, t_ns, t_ns - lag(t_ns, 1, t_ns - since_start_ns) OVER (ORDER BY tick)"
			" FROM tick) WHERE tick BETWEEN ?1 AND ?2 ORDER BY tick",
		first, last);
}

static int walk_session(struct mb_coverage *c, struct mb_reader *r, const struct mb_window *window,
			struct mb_coverage_session *of, sqlite3_int64 oldest, struct mb_err *e)
{
	sqlite3_int64 first = of->first > window->first ? of->first : window->first;
	sqlite3_int64 last = of->last < window->last ? of->last : window->last;
	struct walk w = { .c = c, .of = of, .is_cut = of->first < oldest };
	uint64_t ns = c->n ? c->ticks[c->n - 1].ns : 0;
	sqlite3_stmt *ticks = query_ticks(r, first, last);
	int code, err = 0;

	w.steps = mb_reader_query(
		r,
		"SELECT data FROM event WHERE tick BETWEEN ?1 AND ?2 AND family = 'task' AND name = 'level'"
		" ORDER BY event",
		of->first, last);
	while (!err &&
	       (code = ticks && w.steps ? sqlite3_step(ticks) : SQLITE_ERROR) == SQLITE_ROW) {
		if (!take_tick(&w, ticks))
			err = no_memory(e);
	}
	if (!err && code != SQLITE_DONE)
		err = mb_reader_damaged(r, e);
	sqlite3_finalize(ticks);
	sqlite3_finalize(w.steps);
	of->governed = w.now.governed;
	if (!of->governed && c->n) /* it traced everything */
		c->levels.ns[MB_LEVEL_FULL] += c->ticks[c->n - 1].ns - ns;
	c->rest_unknown |= w.now.partial_ns != 0;
	c->levels.governed |= w.now.governed;
	c->levels.now = w.now.now;
	c->levels.tick_divisor = w.now.governed ? w.now.tick_divisor : 1;
	memcpy(c->levels.off_since_ns, w.now.off_since_ns, sizeof(w.now.off_since_ns));
	return err;
}

static int load_levels(struct mb_coverage *c, struct mb_reader *r, const struct mb_window *w,
		       struct mb_err *e)
{
	sqlite3_stmt *s = mb_reader_query(r, "SELECT ifnull(min(tick), 0), ?1, ?2 FROM tick", 0, 0);
	sqlite3_int64 oldest;
	int err = 0;

	if (!s || sqlite3_step(s) != SQLITE_ROW) {
		sqlite3_finalize(s);
		return mb_reader_damaged(r, e);
	}
	oldest = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	for (size_t i = 0; i < c->n_sessions && !err; i++)
		err = walk_session(c, r, w, &c->sessions[i], oldest, e);
	if (!c->levels.governed)
		memset(&c->levels, 0, sizeof(c->levels));
	return err;
}

/* ---- accounts ---- */

/* One expression per column, of its name; "0" for those that the recording does not have. */
static char *per_column(struct mb_reader *r, const char *start, const char *expression,
			const char *end)
{
	sqlite3_str *sql = sqlite3_str_new(mb_reader_sqlite(r));
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	sqlite3_str_appendall(sql, start);
	for (size_t i = 0; i < n; i++) {
		if (!c[i].is_max && mb_reader_has(r, "account", c[i].name))
			sqlite3_str_appendf(sql, expression, c[i].name);
		else
			sqlite3_str_appendall(sql, ", 0");
	}
	sqlite3_str_appendall(sql, end);
	return sqlite3_str_finish(sql);
}

/* Which columns have values in the session, at any time. */
static int load_known(struct mb_reader *r, struct mb_coverage_session *of, struct mb_err *e)
{
	char *sql = per_column(r, "SELECT 0", ", max(%s IS NOT NULL)",
			       " FROM account WHERE tick BETWEEN ?1 AND ?2");
	sqlite3_stmt *s = sql ? mb_reader_query(r, sql, of->first, of->last) : NULL;
	bool found = s && sqlite3_step(s) == SQLITE_ROW;
	size_t n;

	sqlite3_free(sql);
	mb_columns(&n);
	of->known = calloc(n + 1, sizeof(*of->known));
	for (size_t i = 0; found && of->known && i < n; i++)
		of->known[i] = sqlite3_column_int(s, 1 + (int)i);
	sqlite3_finalize(s);
	if (!found)
		return mb_reader_damaged(r, e);
	return of->known ? 0 : no_memory(e);
}

static const struct mb_coverage_session *session_of(const struct mb_coverage *c, sqlite3_int64 tick)
{
	size_t i = 0;

	while (i + 1 < c->n_sessions && c->sessions[i + 1].first <= tick)
		i++;
	return &c->sessions[i];
}

/* A tick in which some account lacks columns. The level explains the lack if the session has them at other times. */
static void add_other(struct mb_coverage *c, sqlite3_stmt *s)
{
	sqlite3_int64 tick = sqlite3_column_int64(s, 0);
	uint64_t ns = sqlite3_column_int64(s, 1) > 0 ? (uint64_t)sqlite3_column_int64(s, 1) : 0;
	const struct mb_coverage_session *of = session_of(c, tick);
	size_t n;
	const struct mb_column *columns = mb_columns(&n);

	for (size_t i = 0; i < n; i++) {
		enum mb_level from = mb_coverage_off_from(&columns[i]);
		uint64_t off = 0;

		if (columns[i].is_max || !sqlite3_column_int(s, 2 + (int)i))
			continue;
		if (from && of->governed && of->known[i])
			continue;
		if (from)
			off = mb_coverage_off_ns(c, from, tick, tick);
		c->other_ns[i] += ns > off ? ns - off : 0;
	}
}

static int load_other(struct mb_coverage *c, struct mb_reader *r, const struct mb_window *w,
		      struct mb_err *e)
{
	sqlite3_stmt *s;
	char *sql;
	size_t n;
	int code;

	mb_columns(&n);
	c->other_ns = calloc(n + 1, sizeof(*c->other_ns));
	if (!c->other_ns)
		return no_memory(e);
	if (!mb_reader_has(r, "tick", "interval_ns"))
		return 0;
	sql = per_column(
		r, "SELECT tick, interval_ns", ", max(%s IS NULL)",
		" FROM account JOIN tick USING (tick) WHERE tick BETWEEN ?1 AND ?2 GROUP BY tick");
	s = sql ? mb_reader_query(r, sql, w->first, w->last) : NULL;
	sqlite3_free(sql);
	while ((code = s ? sqlite3_step(s) : SQLITE_ERROR) == SQLITE_ROW)
		add_other(c, s);
	sqlite3_finalize(s);
	return code == SQLITE_DONE ? 0 : mb_reader_damaged(r, e);
}

/* ---- interface ---- */

/* Whether the column is the stalled time of a kind of stall. */
static bool is_stalled(const struct mb_column *c)
{
	const char *end = c->name + strlen(c->name);

	return !strncmp(c->name, "stalls_", 7) && !c->is_max && !strcmp(end - 3, "_ns");
}

int mb_coverage_stalls(struct mb_reader *r, bool *counts, struct mb_err *e)
{
	struct mb_coverage_session all = { .first = INT64_MIN, .last = INT64_MAX };
	int err = load_known(r, &all, e);
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t i = 0; i < n && !err; i++)
		counts[i] = is_stalled(&c[i]) && all.known[i];
	free(all.known);
	return err;
}

int mb_coverage_load(struct mb_coverage *c, struct mb_reader *r, const struct mb_window *w,
		     struct mb_err *e)
{
	int err;

	memset(c, 0, sizeof(*c));
	err = load_sessions(c, r, w, e);
	if (!err)
		err = load_levels(c, r, w, e);
	for (size_t i = 0; i < c->n_sessions && !err && c->levels.governed; i++)
		err = load_known(r, &c->sessions[i], e);
	return err ? err : load_other(c, r, w, e);
}

void mb_coverage_free(struct mb_coverage *c)
{
	for (size_t i = 0; i < c->n_sessions; i++)
		free(c->sessions[i].known);
	free(c->sessions);
	free(c->ticks);
	free(c->other_ns);
	memset(c, 0, sizeof(*c));
}

enum mb_level mb_coverage_off_from(const struct mb_column *column)
{
	return mb_field_off_from(column->family, column->field);
}

bool mb_coverage_left_out(const struct mb_column *column)
{
	const struct mb_probe_point *q = mb_field_probe_point(column->family, column->field);

	return q && q->off_from && !q->has_rest && !column->is_max;
}

/* The number of ticks of the window up to one. */
static size_t ticks_until(const struct mb_coverage *c, sqlite3_int64 tick)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->ticks[middle].tick <= tick)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t mb_coverage_off_ns(const struct mb_coverage *c, enum mb_level level, sqlite3_int64 first,
			    sqlite3_int64 last)
{
	size_t from = ticks_until(c, first - 1), to = ticks_until(c, last);

	if (to <= from)
		return 0;
	return c->ticks[to - 1].off_ns[level] - (from ? c->ticks[from - 1].off_ns[level] : 0);
}

static uint64_t duration(const struct mb_coverage *c, sqlite3_int64 first, sqlite3_int64 last)
{
	size_t from = ticks_until(c, first - 1), to = ticks_until(c, last);

	return to <= from ? 0 : c->ticks[to - 1].ns - (from ? c->ticks[from - 1].ns : 0);
}

bool mb_coverage_counted(const struct mb_coverage *c, size_t column, sqlite3_int64 first,
			 sqlite3_int64 last)
{
	size_t n;
	enum mb_level from = mb_coverage_off_from(&mb_columns(&n)[column]);

	for (size_t i = 0; i < c->n_sessions && c->sessions[i].first <= last; i++) {
		const struct mb_coverage_session *s = &c->sessions[i];
		sqlite3_int64 begin = s->first > first ? s->first : first,
			      end = s->last < last ? s->last : last;

		if (begin <= end && s->known && s->known[column] &&
		    duration(c, begin, end) > mb_coverage_off_ns(c, from, begin, end))
			return true;
	}
	return false;
}

bool mb_coverage_known(const struct mb_coverage *c, size_t column)
{
	for (size_t i = 0; i < c->n_sessions; i++) {
		if (c->sessions[i].governed && c->sessions[i].known[column])
			return true;
	}
	return false;
}

uint64_t mb_coverage_uncounted_ns(const struct mb_coverage *c, size_t column)
{
	size_t n;
	enum mb_level from = mb_coverage_off_from(&mb_columns(&n)[column]);
	uint64_t off = from && c->n ? c->ticks[c->n - 1].off_ns[from] : 0;

	return off + c->other_ns[column];
}
