// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Text output: what grows, the worst first, with the code that allocates it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaks/levels.h"
#include "leaks/view.h"
#include "sinks/text.h"

#define ROWS 12
#define FRAMES 6
#define OUTLOOKS 6 /* maximum number of processes, and of cgroups */

static const char *rate(char *buf, size_t size, int64_t bytes_per_s)
{
	char text[MB_UNITS_LEN];

	snprintf(buf, size, "%s%s/s", bytes_per_s < 0 ? "-" : "",
		 mb_format(text, MB_UNIT_BYTES, (uint64_t)(bytes_per_s < 0 ? -bytes_per_s : bytes_per_s)));
	return buf;
}

/* Format a long time in days and hours; for these, seconds do not matter. */
static const char *long_time(char *buf, size_t size, uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	if (s < 3 * 60)
		snprintf(buf, size, "%" PRIu64 " s", s);
	else if (s < 3 * 3600)
		snprintf(buf, size, "%" PRIu64 " min", s / 60);
	else if (s < 3 * 86400)
		snprintf(buf, size, "%" PRIu64 " h", s / 3600);
	else if (s < 1000ull * 86400)
		snprintf(buf, size, "%" PRIu64 " d", s / 86400);
	else
		snprintf(buf, size, "years");
	return buf;
}

static void put_frames(struct mb_out *o, const struct mb_leak_row *r)
{
	unsigned int first = mb_leak_first_frame(r), n = r->n_sources - first;
	char name[512];

	if (!r->n_sources)
		mb_out_printf(o, "%10s%s\n", "",
			      r->group->key.stack ? "without a stack" :
			      mb_leak_level_info(r->group->key.level)->of_process ?
						    "from before tracing, or without a stack" :
						    "");
	for (unsigned int i = 0; i < n && i < FRAMES; i++) {
		mb_out_printf(o, "%10s%s ", "", i ? "called by" : "       in");
		mb_text_name(o, mb_leak_source_name(&r->sources[first + i], name, sizeof(name)), 0);
		mb_out_printf(o, "\n");
	}
	if (n > FRAMES)
		mb_out_printf(o, "%10s          and %u more\n", "", n - FRAMES);
}

/* Explain why the verdict is not more certain. */
static void put_missing(struct mb_out *o, const struct mb_leak_row *r)
{
	char buf[64];
	const char *text = mb_missing_text(&r->trend, buf, sizeof(buf));

	if (text && r->trend.missing == MB_MISSING_VALUES)
		mb_out_printf(o, "%10s%s\n", "", text);
	else if (text)
		mb_out_printf(o, "%10smissing: %s\n", "", text);
}

/* The same memory seen as pages and regions, summed up by level. */
static void put_evidence(struct mb_out *o, const struct mb_leak_row *r, bool compared)
{
	uint64_t bytes[MB_LEAK_LEVELS] = { 0 };
	char text[MB_UNITS_LEN];
	bool any = false;

	for (size_t i = 0; i < r->n_evidence; i++)
		bytes[r->evidence[i].group->key.level] +=
			mb_leak_shown_bytes(compared ? r->evidence[i].second_bytes : r->evidence[i].group->bytes);
	for (int level = 0; level < MB_LEAK_LEVELS; level++) {
		if (!bytes[level])
			continue;
		mb_format(text, MB_UNIT_BYTES, bytes[level]);
		if (any)
			mb_out_printf(o, ", %s in %ss", text, mb_leak_level_name((enum mb_leak_level)level));
		else
			mb_out_printf(o, "%10sthe same memory: %s in %ss", "", text,
				      mb_leak_level_name((enum mb_leak_level)level));
		any = true;
	}
	if (any)
		mb_out_printf(o, "\n");
}

static const char *amount(char *buf, int64_t bytes)
{
	return mb_format(buf, MB_UNIT_BYTES, mb_leak_shown_bytes(bytes));
}

/* The outstanding amount, or for a comparison the amounts at the two points in time. */
static void put_amounts(struct mb_out *o, const struct mb_leak_row *r, bool compared)
{
	const struct mb_leak_group *g = r->group;
	char bytes[MB_UNITS_LEN], then[MB_UNITS_LEN], grown[MB_UNITS_LEN], growth[MB_UNITS_LEN + 1];

	if (!compared) {
		mb_out_printf(o, " %10s %9" PRIu64, amount(bytes, g->bytes), mb_leaks_count(g));
		return;
	}
	snprintf(growth, sizeof(growth), "%c%s", r->growth_bytes < 0 ? '-' : '+',
		 amount(grown, r->growth_bytes < 0 ? -r->growth_bytes : r->growth_bytes));
	mb_out_printf(o, " %10s %10s %10s", amount(then, g->first_bytes), amount(bytes, r->second_bytes), growth);
}

static void put_row(struct mb_out *o, const struct mb_leak_row *r, bool compared)
{
	const struct mb_leak_group *g = r->group;
	char speed[MB_UNITS_LEN + 4], error[MB_UNITS_LEN];

	mb_out_printf(o, "%-8s%8u ", mb_verdict_name(r->trend.verdict), g->key.tgid);
	mb_text_name(o, g->comm[0] ? g->comm : "-", 15);
	mb_out_printf(o, " %-6s", mb_leak_level_name(g->key.level));
	put_amounts(o, r, compared);
	mb_out_printf(o, " %12s %5.0f %%", rate(speed, sizeof(speed), r->trend.slope_bytes_per_s),
		      100 * r->trend.confidence);
	if (r->what) {
		mb_out_printf(o, "  ");
		mb_text_name(o, r->what, 0);
	}
	if (r->error_bytes)
		mb_out_printf(o, "  (+-%s)", mb_format(error, MB_UNIT_BYTES, r->error_bytes));
	mb_out_printf(o, "\n");
	put_missing(o, r);
	put_frames(o, r);
	put_evidence(o, r, compared);
}

/* What is not known about the process's heap. */
static void put_seen(struct mb_out *o, const struct mb_leak_heap_seen *seen)
{
	char bytes[MB_UNITS_LEN], time[MB_UNITS_LEN];

	if (seen->before_known)
		mb_format(bytes, MB_UNIT_BYTES, seen->before_bytes);
	else
		snprintf(bytes, sizeof(bytes), "unknown");
	mb_format(time, MB_UNIT_NS, seen->since_ns);
	if (seen->how == MB_HEAP_SEEN_NONE)
		mb_out_printf(o, "%10sno allocator is known in it: its blocks are not seen\n", "");
	else if (seen->how == MB_HEAP_SEEN_FIRST)
		mb_out_printf(o, "%10sits blocks are seen from its first instruction on\n", "");
	else if (seen->how == MB_HEAP_SEEN_LATE)
		mb_out_printf(o, "%10sits blocks are seen from %s after its start on; own memory before: %s\n", "", time,
			      bytes);
	else if (seen->how == MB_HEAP_SEEN_FORKED)
		mb_out_printf(o, "%10sits blocks are seen from %s after it was forked on; own memory before: %s\n", "", time,
			      bytes);
	for (size_t i = 0; i < seen->n_later; i++) {
		const struct mb_leak_allocator *a = &seen->later[i];

		if (a->unseen_known && !a->unseen_ns)
			continue;
		mb_out_printf(o, "%10sthe allocator in ", "");
		mb_text_name(o, a->file, 0);
		if (a->unseen_known)
			mb_out_printf(o, " was not seen for its first %s\n", mb_format(time, MB_UNIT_NS, a->unseen_ns));
		else
			mb_out_printf(o, " was found later: its first blocks are not seen\n");
	}
}

/* Which frames have no names, and how to get them. */
static void put_jit(struct mb_out *o, const struct mb_leak_jit *jit)
{
	char bytes[MB_UNITS_LEN];

	if (jit->hint && jit->interpreted)
		mb_out_printf(o, "%10sits %s functions are not in these stacks, only their interpreter is: %s\n", "",
			      jit->runtime, jit->hint);
	else if (jit->hint)
		mb_out_printf(o, "%10s%" PRIu64 " of its frames in code that %s makes at run time have no names: %s\n", "",
			      jit->nameless, jit->runtime ? jit->runtime : "it", jit->hint);
	if (jit->frames && jit->unread_bytes)
		mb_out_printf(o, "%10sits perf map was not read whole, names may be missing: %s left\n", "",
			      mb_format(bytes, MB_UNIT_BYTES, jit->unread_bytes));
}

static void put_processes(struct mb_out *o, const struct mb_leaks_view *v)
{
	char tracked[MB_UNITS_LEN], before[MB_UNITS_LEN];

	for (size_t i = 0; i < v->n_processes && i < ROWS; i++) {
		const struct mb_leak_process *p = &v->processes[i];

		mb_out_printf(o, "%8u ", p->pid);
		mb_text_name(o, p->comm, 15);
		mb_out_printf(o, " has %s mapped, %s of it mapped before tracing\n",
			      mb_format(tracked, MB_UNIT_BYTES, p->tracked_bytes),
			      mb_format(before, MB_UNIT_BYTES, p->before_bytes));
		put_seen(o, &p->seen);
		put_jit(o, &p->jit);
	}
}

/* "the limit of cgroup /x (500 MiB, 180 MiB used)", with the memory that is reclaimed before the limit is hit. */
static void put_limit(struct mb_out *o, const struct mb_limit *l, const char *path)
{
	char bytes[MB_UNITS_LEN], used[MB_UNITS_LEN], more[MB_UNITS_LEN];
	const char *kind = !strcmp(l->kind, "cgroup high")	      ? "soft limit" :
			   !strcmp(l->kind, "cgroup memory and swap") ? "limit of memory and swap" :
									"limit";

	if (!l->path) {
		mb_out_printf(o, !strcmp(l->kind, "free memory") ? "the end of the machine's %s" : "the limit of its %s",
			      !strcmp(l->kind, "free memory") ? "memory" : l->kind);
	} else if (path && !strcmp(path, l->path)) {
		mb_out_printf(o, "its %s", kind);
	} else {
		mb_out_printf(o, "the %s of cgroup ", kind);
		mb_text_name(o, l->path, 0);
	}
	mb_out_printf(o, " (%s, %s used", mb_format(bytes, MB_UNIT_BYTES, l->bytes),
		      mb_format(used, MB_UNIT_BYTES, l->usage_bytes));
	/* omit less than a hundredth of the limit */
	if (l->reclaimable_bytes > l->bytes / 100)
		mb_out_printf(o, ", %s of it reclaimable", mb_format(more, MB_UNIT_BYTES, l->reclaimable_bytes));
	if (l->swap_bytes)
		mb_out_printf(o, ", %s of swap free", mb_format(more, MB_UNIT_BYTES, l->swap_bytes));
	mb_out_printf(o, ")");
}

/* The outlook of a process or cgroup. */
struct outlook_line {
	const struct mb_outlook *l;
	const char *name;
	uint32_t pid; /* 0: a cgroup */
	bool ended;
};

static void put_growth(struct mb_out *o, const struct mb_growth *g, bool ended)
{
	char speed[MB_UNITS_LEN + 4];

	if (!g->known)
		mb_out_printf(o, ended ? " ended before it could be said how it grows" :
					 " has been seen for too short a time to say how it grows");
	else if (g->slope_bytes_per_s > 0)
		mb_out_printf(o, ended ? " has ended; it grew %s" : " grows %s",
			      rate(speed, sizeof(speed), g->slope_bytes_per_s));
	else
		mb_out_printf(o, ended ? " has ended; it was not growing then" : " does not grow");
}

/* "sites (pid 12) grows 8.3 MiB/s; reaches the limit of cgroup /x (500 MiB, 180 MiB used) in 38 s" */
static void put_outlook(struct mb_out *o, const struct outlook_line *line)
{
	const struct mb_outlook *l = line->l;
	int64_t own = l->growth.slope_bytes_per_s, all = l->limit_slope_bytes_per_s;
	char speed[MB_UNITS_LEN + 4], time[32];

	if (!line->pid)
		mb_out_printf(o, "cgroup ");
	mb_text_name(o, line->name, 0);
	if (line->pid)
		mb_out_printf(o, " (pid %u)", line->pid);
	put_growth(o, &l->growth, line->ended);
	if (l->eta_known) {
		mb_out_printf(o, "; reaches ");
		put_limit(o, &l->limit, line->pid ? NULL : line->name);
		mb_out_printf(o, " in %s", long_time(time, sizeof(time), l->eta_ns));
		if (all - own > own / 10)
			mb_out_printf(o, ", as all that grows there together takes %s", rate(speed, sizeof(speed), all));
	} else if (own > 0 && l->limited && !line->ended) {
		mb_out_printf(o, "; not known when it reaches a limit: too new, or charged elsewhere");
	}
	mb_out_printf(o, "\n");
}

/* First those that reach their limit, the soonest first; then those that grow, the fastest first. */
static int soonest_first(const void *a, const void *b)
{
	const struct mb_outlook *x = ((const struct outlook_line *)a)->l, *y = ((const struct outlook_line *)b)->l;
	int64_t dx = x->growth.slope_bytes_per_s, dy = y->growth.slope_bytes_per_s;

	if (x->eta_known != y->eta_known)
		return x->eta_known ? -1 : 1;
	if (x->eta_known && x->eta_ns != y->eta_ns)
		return x->eta_ns < y->eta_ns ? -1 : 1;
	return dx > dy ? -1 : dx < dy;
}

/* all: also show those that do not grow */
static void put_outlooks(struct mb_out *o, struct outlook_line *lines, size_t n, bool all)
{
	qsort(lines, n, sizeof(*lines), soonest_first);
	for (size_t i = 0; i < n && i < OUTLOOKS; i++) {
		if (all || lines[i].l->eta_known || lines[i].l->growth.slope_bytes_per_s > 0)
			put_outlook(o, &lines[i]);
	}
}

/* Processes first, then their cgroups. */
static void put_all_outlooks(struct mb_out *o, const struct mb_leaks_view *v)
{
	size_t n = v->n_processes > v->n_cgroups ? v->n_processes : v->n_cgroups;
	struct outlook_line *lines = calloc(n + 1, sizeof(*lines));

	if (!lines) {
		mb_out_printf(o, "no memory to show limits\n");
		return;
	}
	for (size_t i = 0; i < v->n_processes; i++)
		lines[i] = (struct outlook_line){ &v->processes[i].outlook, v->processes[i].comm, v->processes[i].pid,
						  v->processes[i].ended };
	/* with few, i.e. selected, processes, also show those that do not grow */
	put_outlooks(o, lines, v->n_processes, v->n_processes <= OUTLOOKS);
	for (size_t i = 0; i < v->n_cgroups; i++)
		lines[i] = (struct outlook_line){ &v->cgroups[i].outlook, v->cgroups[i].path, 0, false };
	put_outlooks(o, lines, v->n_cgroups, false);
	free(lines);
}

/*
 * For a comparison: rows that changed. Otherwise leave out memory from before tracing that does not
 * grow: it is not a leak of any known call site.
 */
static bool is_of_interest(const struct mb_leaks_view *v, const struct mb_leak_row *r)
{
	return v->compared ? r->growth_bytes != 0 : r->trend.verdict >= MB_VERDICT_GROWING || r->group->key.stack;
}

static int most_grown_first(const void *a, const void *b)
{
	const struct mb_leak_row *x = *(const struct mb_leak_row *const *)a, *y = *(const struct mb_leak_row *const *)b;

	if (x->growth_bytes != y->growth_bytes)
		return x->growth_bytes > y->growth_bytes ? -1 : 1;
	return x < y ? -1 : x > y; /* keep the order of the view, the worst first */
}

/* Show the rows, the worst first; for a comparison, those that grew most first. */
static size_t put_rows(struct mb_out *o, const struct mb_leaks_view *v)
{
	const struct mb_leak_row **rows = calloc(v->n_rows + 1, sizeof(*rows));
	size_t n = 0, shown;

	for (size_t i = 0; rows && i < v->n_rows; i++) {
		if (is_of_interest(v, &v->rows[i]))
			rows[n++] = &v->rows[i];
	}
	if (rows && v->compared)
		qsort(rows, n, sizeof(*rows), most_grown_first);
	for (shown = 0; shown < n && shown < ROWS; shown++)
		put_row(o, rows[shown], v->compared);
	if (!rows)
		mb_out_printf(o, "no memory to show rows\n");
	else if (shown < n)
		mb_out_printf(o, "%10sand %zu more rows; --json lists all\n", "", n - shown);
	free(rows);
	return n;
}

void mb_text_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v)
{
	char duration[MB_UNITS_LEN], from[MB_UNITS_LEN], to[MB_UNITS_LEN];

	mb_out_printf(o, "%s after %s\n", s->time, mb_format(duration, MB_UNIT_NS, s->duration_ns));
	put_all_outlooks(o, v);
	if (v->compared)
		mb_out_printf(o, "what there was after %s and after %s, and what it grew by; speed and verdict are of all the time\n",
			      mb_format(from, MB_UNIT_NS, v->from_ns), mb_format(to, MB_UNIT_NS, v->to_ns));
	mb_text_title(o, s,
		      v->compared ?
			      "VERDICT      PID COMM            LEVEL       FIRST     SECOND     GROWTH        SPEED  SURE" :
			      "VERDICT      PID COMM            LEVEL  OUTSTANDING    COUNT        SPEED  SURE");
	if (!put_rows(o, v))
		mb_out_printf(o, v->compared ? "nothing grew or shrank between these moments\n" :
					       "nothing was mapped, touched or allocated that is still there\n");
	put_processes(o, v);
	if (v->ended_left_out)
		mb_out_printf(o, "not shown, as they have ended: %" PRIu64 " processes\n", v->ended_left_out);
	if (v->left_out)
		mb_out_printf(o, "left out for want of room: %" PRIu64 " places, stacks and events, with %s\n", v->left_out,
			      mb_format(duration, MB_UNIT_BYTES, v->left_out_bytes));
	if (!v->left_out || mb_lost_total(&s->model->lost))
		mb_text_lost(o, &s->model->lost);
	mb_out_printf(o, "\n");
}
