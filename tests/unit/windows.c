// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Random lives of processes over random ticks, sessions, boots, clock changes and levels of the budget. Each window of
 * the recording must match the test's own account, for every column, and adjacent windows must add up to the whole.
 * MB_CASES: how many cases; MB_FROM: from this one on; MB_CASE: this one only. With sanitizers more by default.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "memblame/sink.h"
#include "record/recorder.h"
#include "record/report.h"
#include "scratch.h"
#include "unit.h"

#include "chance.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CASES 1000
#endif
#endif
#ifndef CASES
#define CASES 200
#endif

#define LIVES 24
#define TICKS 36
#define MIN_NS (300 * 1000000ull)
#define NOT_YET (-1)

/* What a process did in a tick, and what it had at the end of the tick. */
struct step {
	int64_t minor, major;
	int64_t *values; /* by column; a maximum is the maximum so far if it grew, else 0 */
	uint64_t pages[4], peak_pages;
	bool row; /* something changed, so the recording has a row */
	uint64_t seen[4]; /* bit per column: it was counted in some part of the tick */
};

struct life {
	uint32_t pid;
	uint64_t start_ns;
	int boot, born, died, ended_known; /* ticks; NOT_YET */
	int last; /* the last tick in which it lived; NOT_YET: it lives to the end */
	struct step steps[TICKS];
	struct mb_process *p;
	uint64_t written_minor; /* to detect changes as the recorder does */
};

struct moment {
	struct mb_sample_meta at;
	int session, boot;
	uint64_t interval_ns;
	uint64_t off; /* families that were not traced */
	uint64_t events;
	bool governed; /* the session has a budget */
	bool partial; /* hooks were off in the session, in this tick or before */
	uint64_t level_ns[MB_LEVELS]; /* time at each level */
};

static struct {
	struct sim sim;
	struct life lives[LIVES];
	struct moment moments[TICKS];
	int n_lives, n_moments, sessions;
	bool retained;
	struct mb_retention keep;
	int64_t *store; /* storage for all values */
	size_t n_columns;
	bool has[3][256]; /* by session and column */
} w;

static char dir[64], path[96];
static int at_case;

#define fail_in_case(format, ...) fail_msg("case %d: " format, at_case, __VA_ARGS__)

static bool chance(double p)
{
	return uniform(&w.sim) < p;
}

static int below(int n)
{
	return (int)(uniform(&w.sim) * n);
}

/* ---- the world ---- */

static void on_forget(void *arg, struct mb_model *m, struct mb_process *p)
{
	(void)m;
	mb_recorder_forget(arg, p);
}

static void give_birth(struct mb_model *m, int tick, int boot, uint64_t t_ns)
{
	struct life *l;

	if (w.n_lives == LIVES)
		return;
	l = &w.lives[w.n_lives++];
	l->pid = 100 + (uint32_t)w.n_lives;
	l->start_ns = t_ns - (uint64_t)below((int)(MIN_NS / 2));
	l->boot = boot;
	l->born = tick;
	l->died = l->ended_known = l->last = NOT_YET;
	l->p = mb_model_process(m, l->pid, l->start_ns);
	snprintf(l->p->comm, sizeof(l->p->comm), "p%u", l->pid);
	l->p->has_memory = true;
	l->p->rss_pages[1] = l->p->peak_pages = 1;
}

/* The same process in the model of a later session: its counts start from zero again. */
static void meet_again(struct mb_model *m, struct life *l)
{
	l->p = mb_model_process(m, l->pid, l->start_ns);
	snprintf(l->p->comm, sizeof(l->p->comm), "p%u", l->pid);
	l->p->has_memory = true;
	l->p->rss_pages[1] = l->steps[l->last].pages[1];
	l->p->peak_pages = l->steps[l->last].peak_pages;
	l->last = NOT_YET;
}

/* The level from which on a column is not counted, and nothing else counts what it lacks. */
static enum mb_level left_out_from(const struct mb_column *c)
{
	const struct mb_probe_point *q = mb_field_probe_point(c->family, c->field);

	return q && !q->has_rest ? q->off_from : MB_LEVEL_FULL;
}

static uint64_t off_ns(int tick, enum mb_level from)
{
	uint64_t ns = 0;

	for (enum mb_level level = from; from && level < MB_LEVELS; level++)
		ns += w.moments[tick].level_ns[level];
	return ns;
}

/* Whether hooks saw the process in the tick at all. off_since: as in struct mb_levels, at the tick's end. */
static bool is_seen(const struct life *l, const struct mb_column *c, int tick, const uint64_t *off_since)
{
	enum mb_level from = left_out_from(c);

	return off_ns(tick, from) < w.moments[tick].interval_ns && !(off_since[from] && l->start_ns >= off_since[from]);
}

static void add_to(struct life *l, struct step *s, size_t c)
{
	const struct mb_column *col = &mb_columns(&w.n_columns)[c];
	int64_t v = 1 + below(1000);

	if (!s->seen[c / 64 % 4] || !(s->seen[c / 64 % 4] >> c % 64 & 1))
		return;
	if (col->is_max) {
		if ((uint64_t)v <= l->p->values[col->slot])
			return;
		l->p->values[col->slot] = (uint64_t)v;
		s->values[c] = v;
		return;
	}
	if (col->field->kind == MB_FIELD_SIGNED && chance(0.3))
		v = -v;
	l->p->values[col->slot] += (uint64_t)v;
	s->values[c] += v;
}

static void live(const struct mb_model *m, struct life *l, int tick, bool is_new)
{
	struct step *s = &l->steps[tick];
	struct mb_process *p = l->p;
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t i = 0; i < n; i++)
		s->seen[i / 64 % 4] |= (uint64_t)is_seen(l, &c[i], tick, m->levels.off_since_ns) << i % 64;
	s->row = is_new;
	if (chance(0.4)) {
		s->minor = below(1000) + 1;
		s->major = below(3);
		p->minor += (uint64_t)s->minor;
		p->major += (uint64_t)s->major;
		s->row = true;
		for (int i = below(6); i; i--)
			add_to(l, s, (size_t)below((int)w.n_columns));
	}
	if (chance(0.2)) {
		uint64_t before = p->rss_pages[1];

		p->rss_pages[1] = 1 + (uint64_t)below(100000);
		s->row |= p->rss_pages[1] != before;
	}
	/* a change of the peak alone writes no row */
	if (s->row && p->rss_pages[1] > p->peak_pages)
		p->peak_pages = p->rss_pages[1];
	memcpy(s->pages, p->rss_pages, sizeof(s->pages));
	s->peak_pages = p->peak_pages;
	if (chance(0.1)) {
		p->exited = p->exit_known = true;
		l->died = l->ended_known = l->last = tick;
	}
}

/* UTC follows the boot-time clock, except where the clock is set: for one tick, or for good. */
static void set_clock(struct mb_sample_meta *at, uint64_t t_ns, int64_t *off_ms)
{
	int64_t once = chance(0.08) ? (int64_t)between(&w.sim, -8e6, 8e6) : 0;

	if (chance(0.05))
		*off_ms += (int64_t)between(&w.sim, -8e6, 8e6);
	mb_utc_print(1767225600000ll + (int64_t)(t_ns / 1000000) + *off_ms + once, at->time, sizeof(at->time));
}

struct session {
	struct mb_recorder *r;
	struct mb_model m;
	int number, boot, first, ticks;
	uint64_t start_ns, t_ns, cpu_ns;
	int64_t off_ms;
	uint32_t off;
	bool governed, partial;
	uint64_t level_since_ns; /* up to then, the time at the level has been added; 0: no budget yet */
};

static void pass_level(struct session *s, struct moment *t, uint64_t until_ns)
{
	if (s->level_since_ns)
		t->level_ns[s->m.levels.now] += until_ns - s->level_since_ns;
	if (s->governed)
		s->level_since_ns = until_ns;
}

static void step_level(struct session *s, struct moment *t, uint64_t t_ns, enum mb_level to)
{
	struct mb_level_event e = { .h = { .t_ns = t_ns, .family = MB_FAM_task, .type = MB_TASK_EVENT_LEVEL,
					   .size = sizeof(e) },
				    .from = (uint16_t)s->m.levels.now, .to = (uint16_t)to, .tick_divisor_from = 1,
				    .tick_divisor = 1 };

	pass_level(s, t, t_ns);
	s->partial |= to == MB_LEVEL_ITERATOR;
	mb_model_level(&s->m, &e);
	mb_recorder_keep(s->r, MB_INGEST_EVENT, &e, sizeof(e));
}

/* The level changes at random within the tick; with the session's first tick, the budget begins. */
static void govern(struct session *s, struct moment *t, bool is_first)
{
	uint64_t at = s->t_ns - t->interval_ns + 1000;

	if (!s->governed)
		return;
	if (is_first)
		step_level(s, t, at, MB_LEVEL_FULL);
	while (chance(0.25)) {
		at += (uint64_t)between(&w.sim, 0, (double)(s->t_ns - at));
		step_level(s, t, at, (enum mb_level)below(MB_LEVELS));
	}
	pass_level(s, t, s->t_ns);
	t->governed = true;
	t->partial = s->partial;
}

static void begin(struct session *s)
{
	struct mb_err e = { 0 };
	char boot[16];
	int err = w.retained ? mb_recorder_open_retained(&s->r, path, &w.keep, &e) : mb_recorder_open(&s->r, path, false, &e);

	if (err)
		fail_msg("%s", e.text);
	snprintf(boot, sizeof(boot), "boot-%d", s->boot);
	mb_recorder_info(s->r, "boot_id", boot);
	for (unsigned int f = 0; f < MB_FAM_MAX; f++) {
		const struct mb_family *fam = mb_family_by_id(f);

		if (fam && !(s->off >> f & 1))
			mb_recorder_hook(s->r, fam->name, "q", "test", "full", NULL);
	}
	mb_model_init(&s->m);
	s->m.off = s->off;
	s->m.recorded = true; /* the model derives nothing: each column has the value set here */
	mb_recorder_watch(s->r, &s->m);
	s->m.on_forget = on_forget;
	s->m.on_forget_arg = s->r;
}

/* Processes that lived when the last session ended have ended since, or the new session meets them again. */
static void take_over(struct session *s)
{
	for (int i = 0; i < w.n_lives; i++) {
		struct life *l = &w.lives[i];

		if (l->died != NOT_YET)
			continue;
		if (l->boot == s->boot && chance(0.6)) {
			meet_again(&s->m, l);
			continue;
		}
		l->died = s->first;
		l->ended_known = l->boot != s->boot ? s->first : s->ticks >= 3 ? s->first + 2 : NOT_YET;
	}
}

static void tick(struct session *s)
{
	int n = w.n_moments++;
	struct moment *t = &w.moments[n];
	struct mb_err e = { 0 };

	t->interval_ns = MIN_NS + (uint64_t)between(&w.sim, 0, 3e9);
	s->t_ns += t->interval_ns;
	govern(s, t, n == s->first);
	for (int i = 0; i < w.n_lives; i++) {
		struct life *l = &w.lives[i];

		if (l->p && l->died == NOT_YET)
			live(&s->m, l, n, n == s->first);
	}
	for (int i = n == s->first ? 4 : below(3); i; i--) {
		int born = w.n_lives;

		give_birth(&s->m, n, s->boot, s->t_ns);
		if (w.n_lives > born)
			live(&s->m, &w.lives[born], n, true);
	}
	s->cpu_ns += (uint64_t)below(1000000);
	s->m.events += (uint64_t)below(5000);
	t->session = s->number;
	t->boot = s->boot;
	t->off = s->off;
	t->events = s->m.events;
	t->at = (struct mb_sample_meta){ .t_ns = s->t_ns, .since_start_ns = s->t_ns - s->start_ns, .self_cpu_ns = s->cpu_ns,
				    .bpf_ns = s->cpu_ns / 2, .bpf_ns_known = 1, .self_rss_bytes = MB_UNKNOWN };
	set_clock(&t->at, s->t_ns, &s->off_ms);
	if (mb_recorder_tick(s->r, &s->m, &t->at, &e))
		fail_msg("%s", e.text);
	if (chance(0.3)) {
		for (int i = 0; i < w.n_lives; i++) {
			if (w.lives[i].died != NOT_YET)
				w.lives[i].p = NULL;
		}
		mb_model_forget_ended(&s->m, 0);
	}
}

static void run_session(int number, int boot, int ticks, uint64_t t_ns)
{
	struct session s = { .number = number, .boot = boot, .first = w.n_moments, .ticks = ticks, .start_ns = t_ns,
			     .t_ns = t_ns };
	struct mb_err e = { 0 };

	s.governed = chance(0.5);
	if (chance(0.3))
		s.off = 1u << mb_family_by_name(chance(0.5) ? "fault" : "vma")->id;
	begin(&s);
	take_over(&s);
	for (int i = 0; i < ticks; i++)
		tick(&s);
	for (int i = 0; i < w.n_lives; i++) {
		struct life *l = &w.lives[i];

		if (l->died == NOT_YET)
			l->last = w.n_moments - 1;
		l->p = NULL;
	}
	if (mb_recorder_close(s.r, &e))
		fail_msg("%s", e.text);
	mb_model_free(&s.m);
}

static void make_world(int seed)
{
	uint64_t t_ns = 5000000000ull;
	int64_t *store;
	int boot = 0;

	store = w.store;
	memset(&w, 0, sizeof(w));
	w.sim = seeded(seed, 0, 0);
	mb_columns(&w.n_columns);
	w.store = store ? store : malloc(sizeof(int64_t) * LIVES * TICKS * w.n_columns);
	memset(w.store, 0, sizeof(int64_t) * LIVES * TICKS * w.n_columns);
	for (size_t i = 0; i < LIVES * TICKS; i++)
		w.lives[i / TICKS].steps[i % TICKS].values = w.store + i * w.n_columns;
	w.retained = chance(0.7);
	w.sessions = w.retained ? 1 + below(3) : 1;
	if (w.retained && chance(0.4))
		w.keep.max_age_ns = (uint64_t)between(&w.sim, 2e9, 30e9);
	for (int i = 0; i < w.sessions; i++) {
		if (i && chance(0.4)) {
			boot++;
			t_ns = 3000000000ull;
		}
		run_session(i, boot, 1 + below(TICKS / 3), t_ns);
		t_ns = w.moments[w.n_moments - 1].at.t_ns + (uint64_t)between(&w.sim, 0, 60e9);
	}
}

/* ---- what the recording says ---- */

static struct {
	struct mb_process *processes; /* a copy of each */
	uint64_t *values, *uncounted;
	bool *unknown; /* by slot */
	uint64_t level_ns[MB_LEVELS];
	int n;
	uint64_t cpu_ns, bpf_ns, events, duration_ns;
} got;

static void take_snapshot(struct mb_out *o, const struct mb_snapshot *s)
{
	const struct mb_process *p;
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	(void)o;
	got.n = 0;
	for (p = s->model->all; p; p = p->next) {
		assert_true(got.n < LIVES);
		got.processes[got.n] = *p;
		memcpy(got.values + (size_t)got.n * mb_slots(), p->values, mb_slots() * sizeof(uint64_t));
		got.n++;
	}
	for (size_t i = 0; i < n; i++) {
		got.unknown[c[i].slot] = !mb_field_known(s->model, c[i].family, c[i].field);
		if (!c[i].is_max)
			got.uncounted[c[i].slot] = mb_field_untraced_ns(s->model, c[i].family, c[i].field, s->t_ns);
		if (c[i].field->kind == MB_FIELD_STALL) /* the model knows the time of the first slot only */
			got.uncounted[c[i].slot] = got.uncounted[mb_slot(c[i].field)];
	}
	for (enum mb_level level = 0; level < MB_LEVELS; level++)
		got.level_ns[level] = mb_levels_ns(&s->model->levels, level, s->t_ns);
	got.cpu_ns = s->self_cpu_ns;
	got.bpf_ns = s->bpf_ns;
	got.events = s->model->events;
	got.duration_ns = s->duration_ns;
}

static const struct mb_sink sink = { .name = "test", .snapshot = take_snapshot };

static void look(struct mb_reader *r, int first, int last, bool whole)
{
	struct mb_window win = { .first = first, .last = last, .whole = whole };
	struct mb_err e = { 0 };

	if (mb_report_summary(r, &win, &sink, NULL, &e))
		fail_in_case("%s", e.text);
}

static bool is_off(int tick, const struct mb_column *c)
{
	const struct moment *t = &w.moments[tick];

	return (t->off >> c->family->id & 1) || (c->field->is_rest && t->partial);
}

static bool is_governed(int first, int last)
{
	bool any = false;

	for (int i = first; i <= last; i++)
		any |= w.moments[i].governed;
	return any;
}

/* The last tick up to `until` at which the process has a row; NOT_YET: none. */
static int last_row(const struct life *l, int until)
{
	for (; until >= 0; until--) {
		if (l->steps[until].row)
			return until;
	}
	return NOT_YET;
}

static bool lives_in(const struct life *l, int first, int last)
{
	if (l->born > last)
		return false;
	if (l->died == NOT_YET)
		return true;
	return l->last >= first;
}

/* Which columns the accounts of each session have, from the oldest remaining tick on. */
static void note_columns(int oldest)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);

	for (size_t at = 0; at < (size_t)w.n_lives * TICKS * n; at++) {
		const struct life *l = &w.lives[at / n / TICKS];
		int i = (int)(at / n % TICKS);
		size_t k = at % n;
		/* a process that was idle at the oldest tick has the account of an earlier one there */
		int session = w.moments[i > oldest ? i : oldest].session;

		if (l->steps[i].row && (l->steps[i].seen[k / 64 % 4] >> k % 64 & 1) && !is_off(i, &c[k]) &&
		    (i >= oldest || (i == last_row(l, oldest) && lives_in(l, oldest, oldest) &&
				     w.moments[i].session == session)))
			w.has[session][k] = true;
	}
}

static bool session_has(int tick, const struct mb_column *c)
{
	size_t n;

	return w.has[w.moments[tick].session][c - mb_columns(&n)];
}

/* The process ended in the oldest remaining tick, where its account is a carried one without the column. */
static bool is_lost(const struct life *l, size_t c, int tick, int oldest)
{
	int row = last_row(l, tick);

	return oldest && tick == oldest && row < tick && l->last == tick && l->died != NOT_YET &&
	       !(row != NOT_YET && (l->steps[row].seen[c / 64 % 4] >> c % 64 & 1));
}

/* Whether the column was counted in any part of the process's life in the window. */
static bool is_counted(const struct life *l, size_t c, int first, int last, int oldest)
{
	const struct mb_column *col = &mb_columns(&w.n_columns)[c];
	int end = l->last == NOT_YET || l->last > last ? last : l->last;
	bool any = false;

	for (int i = l->born > first ? l->born : first; i <= end; i++) {
		bool seen = i == l->born ? l->steps[i].seen[c / 64 % 4] >> c % 64 & 1 :
					   off_ns(i, left_out_from(col)) < w.moments[i].interval_ns;

		any |= seen && !is_off(i, col) && session_has(i, col) && !is_lost(l, c, i, oldest);
	}
	return any;
}

/*
 * Ticks before the oldest are gone. A process whose last row was in one of them has a row at the oldest tick instead,
 * without counts.
 */
static int64_t want_value(const struct life *l, size_t c, int first, int last, int oldest)
{
	const struct mb_column *col = &mb_columns(&w.n_columns)[c];
	int64_t sum = 0, longest = 0;
	bool known = false, rows = false;

	if (first == oldest && oldest > 0 && !l->steps[oldest].row && last_row(l, oldest) != NOT_YET) {
		rows = true;
		known = !is_off(last_row(l, oldest), col);
	}
	for (int i = first; i <= last; i++) {
		if (!l->steps[i].row)
			continue;
		rows = true;
		if (is_off(i, col))
			continue;
		known = true;
		sum += l->steps[i].values[c];
		longest = l->steps[i].values[c] > longest ? l->steps[i].values[c] : longest;
	}
	if (col->is_max && longest)
		return longest;
	if (col->is_max) /* the maximum did not grow: nothing happened, or it is not known */
		return want_value(l, c - 2, first, last, oldest) ? (int64_t)MB_NO_VALUE : 0;
	if (!rows)
		known = !is_off(last_row(l, last), col);
	if (left_out_from(col) && is_governed(first, last))
		known = is_counted(l, c, first, last, oldest);
	return known ? sum : (int64_t)MB_NO_VALUE;
}

static void check_process(const struct life *l, const struct mb_process *p, const uint64_t *values, int first, int last,
			  int oldest)
{
	size_t n;
	const struct mb_column *c = mb_columns(&n);
	int row = last_row(l, last), before = last_row(l, first - 1);
	bool ended = l->ended_known != NOT_YET && l->ended_known <= last;
	uint64_t peak = 0;
	int64_t minor = 0;

	for (int i = first; i <= last; i++)
		minor += l->steps[i].minor;
	if ((int64_t)p->minor != minor || p->rss_pages[1] != l->steps[row].pages[1] || p->exited != ended)
		fail_in_case("p%u in %d to %d: minor %llu, want %lld; rss %llu, want %llu; exited %d, want %d", l->pid, first,
			 last, (unsigned long long)p->minor, (long long)minor, (unsigned long long)p->rss_pages[1],
			 (unsigned long long)l->steps[row].pages[1], p->exited, ended);
	for (size_t i = 0; i < n; i++) {
		int64_t want = want_value(l, i, first, last, oldest);

		if ((int64_t)values[c[i].slot] != want)
			fail_in_case("%s of p%u in %d to %d: %lld, want %lld", c[i].name, l->pid, first, last,
				 (long long)values[c[i].slot], (long long)want);
	}
	/* a peak reached before the window does not count in the window */
	if (first == oldest || l->born > first || (before != NOT_YET && l->steps[row].peak_pages > l->steps[before].peak_pages))
		peak = l->steps[row].peak_pages;
	if ((l->born != first || peak) && p->peak_pages != peak)
		fail_in_case("peak of p%u (from %d, rows at %d and %d) in %d to %d: %llu, want %llu; oldest %d", l->pid, l->born,
			 before, row, first, last, (unsigned long long)p->peak_pages, (unsigned long long)peak, oldest);
}

static uint64_t counter(int tick, uint64_t (*of)(const struct moment *), int oldest)
{
	const struct moment *t = &w.moments[tick];

	if (tick && w.moments[tick - 1].session == t->session)
		return tick == oldest ? 0 : of(t) - of(t - 1); /* the tick before, to which this one adds, is gone */
	return of(t);
}

static uint64_t cpu_of(const struct moment *t)
{
	return t->at.self_cpu_ns;
}

static uint64_t events_of(const struct moment *t)
{
	return t->events;
}

static uint64_t want_uncounted(const struct mb_column *c, int first, int last)
{
	enum mb_level from = mb_field_off_from(c->family, c->field);
	bool known = !got.n; /* without processes nothing is said to be unknown */
	uint64_t ns = 0;
	size_t n;

	for (int i = first; i <= last; i++) {
		bool row = false;

		for (int j = 0; j < w.n_lives; j++)
			row |= w.lives[j].steps[i].row;
		/* a session that never has it cannot tell the level from other reasons */
		ns += row && (is_off(i, c) || (off_ns(i, from) && !session_has(i, c))) ? w.moments[i].interval_ns :
											  off_ns(i, from);
		/* what only the level left out is listed even if it was never counted in the window */
		known |= left_out_from(c) && w.moments[i].governed && session_has(i, c);
	}
	for (int j = 0; j < w.n_lives; j++)
		known |= lives_in(&w.lives[j], first, last) &&
			 want_value(&w.lives[j], (size_t)(c - mb_columns(&n)), first, last, 0) != (int64_t)MB_NO_VALUE;
	for (int i = first; i <= last && c->field->is_rest; i++)
		known &= !w.moments[i].partial || !got.n;
	return known ? ns : MB_NO_VALUE; /* a number that is not known at all has no partial time */
}

/* The time at each level, as far as the window's sessions have a budget; the others trace everything. */
static void check_levels(int first, int last)
{
	uint64_t want[MB_LEVELS] = { 0 };

	for (int i = first; i <= last && is_governed(first, last); i++) {
		for (enum mb_level level = 0; level < MB_LEVELS; level++)
			want[level] += w.moments[i].level_ns[level];
		want[MB_LEVEL_FULL] += w.moments[i].governed ? 0 : w.moments[i].interval_ns;
	}
	for (enum mb_level level = 0; level < MB_LEVELS; level++) {
		if (got.level_ns[level] != want[level])
			fail_in_case("%s in %d to %d: %llu, want %llu", mb_level_names[level], first, last,
				     (unsigned long long)got.level_ns[level], (unsigned long long)want[level]);
	}
}

/* A number in the CSV is empty if it was not counted in that tick: here one that levels leave out. */
static void check_csv_cell(const char *line, uint32_t pid, int tick)
{
	const struct life *l = NULL;
	size_t n, k = 0;
	const struct mb_column *c = mb_columns(&n);
	int64_t want;

	while (strcmp(c[k].name, "vma_mmap_calls"))
		k++;
	for (int i = 0; i < w.n_lives; i++) {
		if (w.lives[i].pid == pid)
			l = &w.lives[i];
	}
	/* behind the columns of the view, tick, process, minor, major and 9 of memory */
	for (size_t i = 0; i < 7 + 2 + 2 + 9 + k; i++)
		line = strchr(line, ',') + 1;
	want = want_value(l, k, tick, tick, 0);
	if (want == (int64_t)MB_NO_VALUE ? *line != ',' : *line == ',' || atoll(line) != want)
		fail_in_case("CSV of tick %d: p%u has %.8s..., want %lld", tick, pid, line, (long long)want);
}

/* CSV: the first tick lists all live processes, and nothing appears twice. */
static void check_csv(struct mb_reader *r, int first, int last, int oldest)
{
	struct mb_window win = { .first = first, .last = last };
	int64_t minor = 0, want = 0;
	int living = 0, want_living = 0;
	struct mb_err e = { 0 };
	struct mb_out out;
	char *text;
	size_t len;

	for (int i = 0; i < w.n_lives; i++) {
		want_living += lives_in(&w.lives[i], first, first);
		for (int t = first; t <= last; t++)
			want += w.lives[i].steps[t].minor;
	}
	assert_int_equal(mb_out_to_memory(&out), 0);
	if (mb_report_csv(r, &win, &out, &e))
		fail_in_case("%s", e.text);
	mb_out_text(&out, "", 1);
	text = mb_out_take(&out, &len, &e);
	assert_non_null(text);
	for (char *line = strchr(text, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
		char *field = line;

		for (int i = 0; i < 7; i++)
			field = strchr(field, ',') + 1;
		living += atoi(field) == first;
		if (!oldest)
			check_csv_cell(line, (uint32_t)atoi(strchr(strchr(line, ',') + 1, ',') + 1), atoi(field));
		field = strchr(strchr(field, ',') + 1, ',') + 1; /* behind tick and process */
		minor += atoll(field);
	}
	if (living != want_living || minor != want)
		fail_in_case("CSV of %d to %d: %d live, want %d; minor %lld, want %lld", first, last, living, want_living,
			     (long long)minor, (long long)want);
	free(text);
}

/* `oldest` is the tick at which the recording begins. */
static void check_window(struct mb_reader *r, int first, int last, int oldest)
{
	uint64_t cpu = 0, events = 0, ns = 0;
	size_t n;
	const struct mb_column *c = mb_columns(&n);
	int found = 0;

	look(r, first, last, false);
	for (int i = first; i <= last; i++) {
		cpu += counter(i, cpu_of, oldest);
		events += counter(i, events_of, oldest);
		ns += w.moments[i].interval_ns;
	}
	if (got.cpu_ns != cpu || got.events != events || got.duration_ns != ns)
		fail_in_case("%d to %d: CPU %llu, want %llu; events %llu, want %llu; for %llu, want %llu", first, last,
			     (unsigned long long)got.cpu_ns, (unsigned long long)cpu, (unsigned long long)got.events,
			     (unsigned long long)events, (unsigned long long)got.duration_ns, (unsigned long long)ns);
	for (int i = 0; i < w.n_lives; i++) {
		const struct life *l = &w.lives[i];
		int at = 0;

		while (at < got.n && (got.processes[at].tgid != l->pid || got.processes[at].start_ns != l->start_ns))
			at++;
		if ((at < got.n) != lives_in(l, first, last))
			fail_in_case("p%u (%d to %d) is %sin %d to %d", l->pid, l->born, l->last, at < got.n ? "" : "not ",
				 first, last);
		if (at == got.n)
			continue;
		check_process(l, &got.processes[at], got.values + (size_t)at * mb_slots(), first, last, oldest);
		found++;
	}
	assert_int_equal(found, got.n);
	check_csv(r, first, last, oldest);
	check_levels(first, last);
	/* in a window without a process there is no number that could be known */
	for (size_t i = 0; i < n && oldest == 0 && got.n; i++) {
		uint64_t want = c[i].is_max ? 0 : want_uncounted(&c[i], first, last);

		if (!c[i].is_max && (got.unknown[c[i].slot] ? MB_NO_VALUE : got.uncounted[c[i].slot]) != want)
			fail_in_case("%s in %d to %d was not counted for %llu, want %llu", c[i].name, first, last,
				     (unsigned long long)got.uncounted[c[i].slot], (unsigned long long)want);
	}
}

/* Random cuts at "+SECONDS": each tick must be in exactly one window. */
static void check_cuts(struct mb_reader *r, int oldest)
{
	char from[32] = "+0", to[32];
	uint64_t all = 0, at = 0;
	struct mb_window win;
	int next = oldest;

	for (int i = oldest; i < w.n_moments; i++)
		all += w.moments[i].interval_ns;
	while (at < all) {
		struct mb_err e = { 0 };
		int err;

		at += (uint64_t)between(&w.sim, 1e8, (double)all);
		snprintf(to, sizeof(to), "+%.3f", (double)at / 1e9);
		err = mb_report_window(r, from, at < all ? to : NULL, &win, &e);
		if (!err) {
			assert_int_equal(win.first, next);
			next = (int)win.last + 1;
		} else if (!strstr(e.text, "nothing lies") && !strstr(e.text, "begins after") &&
			   !strstr(e.text, "ends before")) {
			fail_in_case("%s to %s: %s", from, to, e.text);
		}
		strcpy(from, to);
	}
	assert_int_equal(next, w.n_moments);
}

static int64_t age_ns(int tick)
{
	const struct moment *t = &w.moments[tick];
	int64_t age = 0;

	for (int i = tick; i < w.n_moments; i++) {
		if (i + 1 < w.n_moments && w.moments[i + 1].boot == w.moments[i].boot)
			continue;
		age += (int64_t)w.moments[i].at.t_ns; /* the last one of its boot */
	}
	return age - (int64_t)t->at.t_ns;
}

static int oldest_tick(void)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int v;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT min(tick) FROM tick", -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

/* Checks the whole recording; returns whether old ticks were removed. */
static bool check_world(void)
{
	struct mb_reader *r = NULL;
	struct mb_err e = { 0 };
	int oldest = oldest_tick();

	note_columns(oldest);
	/* no tick is removed before its time, whatever UTC says */
	if (oldest)
		assert_true(w.keep.max_age_ns && age_ns(oldest - 1) > (int64_t)w.keep.max_age_ns);
	if (mb_reader_open(&r, path, &e))
		fail_in_case("%s", e.text);
	check_window(r, oldest, w.n_moments - 1, oldest);
	for (int i = 0; i < 4; i++) {
		int first = oldest + below(w.n_moments - oldest);

		check_window(r, first, first + below(w.n_moments - first), oldest);
	}
	check_cuts(r, oldest);
	mb_reader_close(r);
	return oldest;
}

static void test_random_lives(void **state)
{
	const char *cases = getenv("MB_CASES"), *one = getenv("MB_CASE"), *from = getenv("MB_FROM");
	int first = one ? atoi(one) : from ? atoi(from) : 0;
	int n = cases ? atoi(cases) : CASES, cut = 0, sessions = 0;

	(void)state;
	/* in memory: the test is not about disks */
	strcpy(dir, "/dev/shm/mb-windows-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.db", dir);
	got.processes = calloc(LIVES, sizeof(*got.processes));
	got.values = calloc(LIVES * (size_t)mb_slots(), sizeof(*got.values));
	got.uncounted = calloc(mb_slots(), sizeof(*got.uncounted));
	got.unknown = calloc(mb_slots(), sizeof(*got.unknown));
	for (int i = first; i < (one ? first + 1 : n); i++) {
		at_case = i;
		make_world(i);
		cut += check_world();
		sessions += w.sessions > 1;
		scratch_empty(dir);
	}
	print_message("%d worlds without their oldest ticks, %d of several sessions\n", cut, sessions);
	assert_true(one || (cut > (n - first) / 20 && sessions > (n - first) / 20));
	free(got.processes);
	free(got.values);
	free(got.uncounted);
	free(got.unknown);
	free(w.store);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
