// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Text for users: the summary of a run, a table per interval, a line per event. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "memblame/sink.h"
#include "sinks/system.h"
#include "sinks/text.h"

#define ROWS_INTERVAL 20
#define ROWS_SUMMARY 30

/*
 * The columns of both tables. Fields are found by name, so a column is empty if no family has the field. The causes of
 * faults add up to MINOR and MAJOR, so rarer causes are in a column with others.
 */
static const struct column {
	const char *group, *name, *title;
	int width;
	const char *also[4]; /* names of further fields of the group, in the same column */
} columns[] = {
	{ "faults", "minor", "MINOR", 9, { NULL } },
	{ "faults", "major", "MAJOR", 7, { NULL } },
	{ "faults", "anon", "ANON", 9, { NULL } },
	{ "faults", "file", "FILE", 7, { "file_io" } },
	{ "faults", "cow", "COW", 7, { NULL } },
	{ "faults", "shmem", "SHMEM", 7, { NULL } },
	{ "faults", "swap", "SWAP", 7, { NULL } },
	{ "faults", "other", "OTHER", 7, { "mkwrite", "hugetlb", "numa", "userfault" } },
	{ "vma", "mapped_bytes", "MAPPED", 10, { NULL } },
	{ "writeback", "dirtied_bytes", "DIRTIED", 10, { NULL } },
};

static const struct mb_field *find_field(const char *group, const char *name,
					 const struct mb_family **family)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		const struct mb_field *f = mb_family_field(fam[i], group, name);

		if (f) {
			*family = fam[i];
			return f;
		}
	}
	return NULL;
}

struct ranked {
	const struct mb_process *p;
	uint64_t stalled_ns, minor, major; /* MB_NO_VALUE: not known */
};

/* Compare in descending order; MB_NO_VALUE is the smallest value. */
static int most(uint64_t a, uint64_t b)
{
	int64_t x = (int64_t)a, y = (int64_t)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* The sort order of tables, by displayed columns (SORTED). */
static int by_faults(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int order = most(x->minor, y->minor);

	if (!order)
		order = most(x->major, y->major);
	if (!order)
		order = most(x->stalled_ns, y->stalled_ns);
	return order ? order : x->p->tgid < y->p->tgid ? -1 : x->p->tgid > y->p->tgid;
}

#define SORTED "Sorted by MINOR, then MAJOR.\n"

static int by_time_lost(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return most(x->stalled_ns, y->stalled_ns);
}

static void rank_all(const struct mb_snapshot *s, const struct mb_process *all, struct ranked *list, size_t *n)
{
	const struct mb_family *fam;
	unsigned int minor = mb_slot(find_field("faults", "minor", &fam));
	unsigned int major = mb_slot(find_field("faults", "major", &fam));
	const struct mb_process *p;

	DL_FOREACH(all, p)
	{
		struct ranked r = { p, mb_snapshot_stalled_ns(s, p), mb_snapshot_value(s, p, minor),
				    mb_snapshot_value(s, p, major) };

		if (mb_snapshot_lists(s, p) && (s->interval || mb_snapshot_selects(s, p) || r.stalled_ns ||
						r.minor || r.major || p->exited))
			list[(*n)++] = r;
	}
}

static struct ranked *rank(const struct mb_snapshot *s, size_t *n)
{
	struct ranked *list = calloc(s->model->n_processes + s->model->ended.n_rows + 1, sizeof(*list));

	*n = 0;
	if (!list)
		return NULL;
	rank_all(s, s->model->all, list, n);
	rank_all(s, s->model->ended.rows, list, n);
	qsort(list, *n, sizeof(*list), by_faults);
	return list;
}

/* Names are untrusted: no control character may reach a terminal. */
void mb_text_name(struct mb_out *o, const char *name, int width)
{
	char clean[1024];

	mb_out_printf(o, "%-*s", width, mb_utf8_clean(clean, sizeof(clean), name));
}

void mb_text_title(struct mb_out *o, const struct mb_snapshot *s, const char *title)
{
	mb_out_printf(o, "%s%s%s\n", s->color ? "\033[1m" : "", title, s->color ? "\033[0m" : "");
}

/* What the further fields of a column add; what is not known adds nothing. */
static uint64_t also(const struct mb_snapshot *s, const struct mb_process *p, const struct column *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(c->also) / sizeof(c->also[0]) && c->also[i]; i++) {
		const struct mb_family *fam;
		const struct mb_field *f = find_field(c->group, c->also[i], &fam);
		uint64_t v = f && mb_field_known(s->model, fam, f) ? mb_snapshot_value(s, p, mb_slot(f)) : 0;

		sum += v == MB_NO_VALUE ? 0 : v;
	}
	return sum;
}

static void put_cell(struct mb_out *o, const struct mb_snapshot *s, const struct mb_process *p,
		     const struct column *c)
{
	const struct mb_family *fam;
	const struct mb_field *f = find_field(c->group, c->name, &fam);
	char buf[MB_UNITS_LEN];
	uint64_t v;

	if (!f || !mb_field_known(s->model, fam, f)) {
		mb_out_printf(o, " %*s", c->width, "?");
		return;
	}
	v = mb_snapshot_value(s, p, mb_slot(f));
	if (v != MB_NO_VALUE)
		v += also(s, p, c);
	if (f->unit == MB_UNIT_BYTES && v == 0)
		mb_out_printf(o, " %*s", c->width, "-");
	else
		mb_out_printf(o, " %*s", c->width, mb_format_number(buf, f->unit, v));
}

static void put_share(struct mb_out *o, const struct mb_process *p, uint64_t bytes)
{
	char buf[MB_UNITS_LEN];

	mb_out_printf(o, " %9s", p->exited || bytes == MB_UNKNOWN ?
					 "-" :
					 mb_format(buf, MB_UNIT_BYTES, bytes));
}

/* Growth during the last minute, or for as long as the history covers. */
static void put_growth(struct mb_out *o, const struct mb_snapshot *s, const struct mb_process *p)
{
	char bytes[MB_UNITS_LEN], text[MB_UNITS_LEN + 1];
	uint64_t ns;
	int64_t pages = mb_history_growth(p, s->t_ns, &ns);

	mb_format(bytes, MB_UNIT_BYTES, (uint64_t)(pages < 0 ? -pages : pages) * MB_PAGE_SIZE);
	snprintf(text, sizeof(text), "%c%s", pages < 0 ? '-' : '+', bytes);
	mb_out_printf(o, " %10s", p->has_memory && !p->exited && pages ? text : "-");
}

static void put_row(struct mb_out *o, const struct mb_snapshot *s, const struct ranked *r)
{
	const struct mb_process *p = r->p;
	uint64_t rss = p->rss_pages[0] + p->rss_pages[1] + p->rss_pages[3];
	char a[MB_UNITS_LEN], b[MB_UNITS_LEN], c[MB_UNITS_LEN];

	char pid[16] = "", name[MB_ENDED_NAME_LEN];

	if (!p->is_sum)
		snprintf(pid, sizeof(pid), "%u", p->tgid);
	mb_out_printf(o, "%8s ", pid);
	mb_text_name(o, mb_process_name(p, name), 15);
	for (size_t i = 0; i < MB_ARRAY_SIZE(columns); i++)
		put_cell(o, s, p, &columns[i]);
	mb_out_printf(o, " %9s %9s %9s",
		      r->stalled_ns ? mb_format_number(a, MB_UNIT_NS, r->stalled_ns) : "-",
		      p->has_memory ? mb_format(b, MB_UNIT_BYTES, rss * MB_PAGE_SIZE) : "-",
		      p->peak_pages ? mb_format(c, MB_UNIT_BYTES, p->peak_pages * MB_PAGE_SIZE) :
				      "-");
	if (s->history)
		put_growth(o, s, p);
	if (s->model->pss) {
		put_share(o, p, p->pss_bytes);
		put_share(o, p, p->uss_bytes);
	}
	if (p->is_sum)
		mb_out_printf(o, " %u processes\n", p->ended_processes);
	else
		mb_out_printf(o, "%s\n", s->interval && p->exited ? " exited" : "");
}

static void put_table(struct mb_out *o, const struct mb_snapshot *s, size_t rows)
{
	size_t n;
	struct ranked *list = rank(s, &n);

	mb_out_printf(o, "%s%8s %-15s", s->color ? "\033[1m" : "", "PID", "COMMAND");
	for (size_t i = 0; i < MB_ARRAY_SIZE(columns); i++)
		mb_out_printf(o, " %*s", columns[i].width, columns[i].title);
	mb_out_printf(o, " %9s %9s %9s", "STALLED", "RSS", "PEAK");
	if (s->history)
		mb_out_printf(o, " %10s", "GROWTH");
	if (s->model->pss)
		mb_out_printf(o, " %9s %9s", "PSS", "USS");
	mb_out_printf(o, "%s\n", s->color ? "\033[0m" : "");
	for (size_t i = 0; list && i < n && i < rows; i++)
		put_row(o, s, &list[i]);
	if (n > rows)
		mb_out_printf(o, "%8s and %zu more; --json lists all\n", "", n - rows);
	if (!s->interval && s->model->n_processes + s->model->ended.n_rows > n)
		mb_out_printf(o, "%8s and %zu without faults; --json lists all\n", "",
			      s->model->n_processes + s->model->ended.n_rows - n);
	free(list);
	if (!s->interval)
		mb_out_printf(o, SORTED);
}

/* No process has more kinds of stalls than fit into its ledger. */
#define STALLS_MOST 128u
_Static_assert(sizeof(struct mb_ledger) <= STALLS_MOST * sizeof(struct mb_stall), "more kinds of stalls");

struct stalled {
	const char *name;
	uint64_t count, ns, max_ns;
};

static int longest_first(const void *a, const void *b)
{
	return most(((const struct stalled *)a)->ns, ((const struct stalled *)b)->ns);
}

/* The stalls of a process by kind, the most time first. Returns how many kinds. */
static size_t stalls_of(const struct mb_snapshot *s, const struct mb_process *p, struct stalled list[STALLS_MOST])
{
	size_t n, found = 0;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];
			unsigned int slot = mb_slot(f);

			if (f->kind != MB_FIELD_STALL || !mb_field_known(s->model, fam[i], f) ||
			    !mb_snapshot_value(s, p, slot))
				continue;
			list[found++] = (struct stalled){ f->name, mb_snapshot_value(s, p, slot),
							  mb_snapshot_value(s, p, slot + 1), mb_process_value(p, slot + 2) };
		}
	}
	qsort(list, found, sizeof(*list), longest_first);
	return found;
}

/* One line per process with stalls, one clause per kind of stall. */
static void put_stalls(struct mb_out *o, const struct mb_snapshot *s, const struct mb_process *p)
{
	char ns[MB_UNITS_LEN], times[MB_UNITS_LEN], max[MB_UNITS_LEN], name[MB_ENDED_NAME_LEN];
	struct stalled list[STALLS_MOST];
	size_t n;

	if (!mb_snapshot_stalled_ns(s, p))
		return;
	n = stalls_of(s, p, list);
	mb_out_printf(o, "  ");
	if (!p->is_sum)
		mb_out_printf(o, "%u ", p->tgid);
	mb_text_name(o, mb_process_name(p, name), 0);
	for (size_t i = 0; i < n; i++)
		mb_out_printf(o, "%s%s %s (%s times, longest %s)", i ? ", " : ": ", list[i].name,
			      mb_format_number(ns, MB_UNIT_NS, list[i].ns),
			      mb_format_number(times, MB_UNIT_COUNT, list[i].count),
			      mb_format_number(max, MB_UNIT_NS, list[i].max_ns));
	mb_out_printf(o, "\n");
}

static void put_time_lost(struct mb_out *o, const struct mb_snapshot *s)
{
	size_t n;
	struct ranked *list = rank(s, &n);

	if (list)
		qsort(list, n, sizeof(*list), by_time_lost);
	if (list && n && list[0].stalled_ns) {
		mb_out_printf(o, "\nTime lost, most first:\n");
		for (size_t i = 0; i < n && i < ROWS_SUMMARY; i++)
			put_stalls(o, s, list[i].p);
	}
	free(list);
}

void mb_text_lost(struct mb_out *o, const struct mb_lost *l)
{
	if (!mb_lost_total(l)) {
		mb_out_printf(o, "Nothing was lost.\n");
		return;
	}
	mb_out_printf(o, "Lost:");
	for (unsigned int f = 0; f < MB_FAM_MAX; f++) {
		for (unsigned int r = 0; r < MB_DROP_REASONS; r++) {
			if (l->kernel[f][r].count)
				mb_out_printf(o, " %llu %s (%s);", l->kernel[f][r].count,
					      mb_family_by_id(f)->name, mb_drop_reason_name(r));
		}
	}
	if (l->processes_evicted + l->processes_waiting + l->threads_evicted)
		mb_out_printf(o, " %" PRIu64 " processes and %" PRIu64 " threads (no room);",
			      l->processes_evicted + l->processes_waiting, l->threads_evicted);
	if (l->not_blamed)
		mb_out_printf(o, " %" PRIu64 " stalls, pages and names (no room to blame);",
			      l->not_blamed);
	if (l->events_not_retained + l->undecodable)
		mb_out_printf(o, " %" PRIu64 " events (not kept or not decodable);",
			      l->events_not_retained + l->undecodable);
	if (l->not_recorded)
		mb_out_printf(o, " %" PRIu64 " moments and the like (not recorded);", l->not_recorded);
	mb_out_printf(o, "\n");
}

/* ---- events ---- */

static void put_event_field(struct mb_out *o, const struct mb_event *e,
			    const struct mb_event_field *f)
{
	uint64_t v = mb_event_number(e, f);
	char buf[MB_PATH_LEN], unit[MB_UNITS_LEN];

	if (mb_event_field_is_null(e, f))
		return;
	if (f->kind == MB_VALUE_FLAGS32) {
		for (size_t i = 0; i < f->n_names; i++) {
			if (f->names[i] && (v >> i & 1))
				mb_out_printf(o, " %s", f->names[i]);
		}
		return;
	}
	mb_out_printf(o, " %s=", f->name);
	if (f->kind == MB_VALUE_STRING)
		mb_text_name(o, mb_event_string(e, f, buf), 0);
	else if (f->kind == MB_VALUE_ENUM16)
		mb_out_printf(o, "%s", v < f->n_names ? f->names[v] : "?");
	else if (f->kind == MB_VALUE_MILLI)
		mb_out_printf(o, "%" PRIu64 ".%03" PRIu64, v / 1000, v % 1000);
	else if (f->kind == MB_VALUE_HEX64)
		mb_out_printf(o, "0x%" PRIx64, v);
	else if (f->kind == MB_VALUE_S32 || (f->kind == MB_VALUE_S64 && (int64_t)v < 0))
		mb_out_printf(o, "%" PRId64, (int64_t)v);
	else
		mb_out_printf(o, "%s", mb_format(unit, f->unit, v));
}

static void text_event(struct mb_out *o, const char *comm, const struct mb_event *e)
{
	const struct mb_event_kind *k = mb_event_kind_of(e);

	mb_out_printf(o, "%5llu.%06llu %8u %8u ", e->t_ns / MB_NS_PER_S,
		      e->t_ns % MB_NS_PER_S / 1000, e->tgid, e->tid);
	mb_text_name(o, comm[0] ? comm : "?", 15);
	mb_out_printf(o, " %s.%s", mb_family_by_id(e->family)->name, k->name);
	for (size_t i = 0; i < k->n_fields; i++)
		put_event_field(o, e, &k->fields[i]);
	mb_out_printf(o, "\n");
}

/* ---- snapshots ---- */

static void put_summary_head(struct mb_out *o, const struct mb_snapshot *s)
{
	unsigned long long seen = s->model->n_processes + s->model->ended.processes;
	char ns[MB_UNITS_LEN], cpu[MB_UNITS_LEN];

	if (s->command) {
		mb_out_printf(o, "\n");
		mb_text_name(o, s->command, 0);
		if (s->command_status > 128)
			mb_out_printf(o, " was killed by signal %d (%s)", s->command_status - 128,
				      strsignal(s->command_status - 128));
		else
			mb_out_printf(o, " exited with status %d", s->command_status);
		mb_out_printf(o, " after %s", mb_format(ns, MB_UNIT_NS, s->duration_ns));
	} else {
		mb_out_printf(o, "\nIn %s", mb_format(ns, MB_UNIT_NS, s->duration_ns));
	}
	mb_out_printf(o, "; %llu process%s seen; memblame itself used %s of CPU.\n\n", seen, seen == 1 ? "" : "es",
		      mb_format(cpu, MB_UNIT_NS, s->self_cpu_ns));
}

static const char *const level_lacks[MB_LEVELS] = {
	[MB_LEVEL_SAMPLED] = "fewer faults are timed",
	[MB_LEVEL_COUNTS] = "faults are not timed: stalls in swap_in and file_io are not in the sums",
	[MB_LEVEL_ITERATOR] = "faults are counted, not explained; calls and pages dirtied are not counted",
};

/* With a budget: how long each level was in force. */
static void put_levels(struct mb_out *o, const struct mb_snapshot *s)
{
	const struct mb_levels *l = &s->model->levels;
	char buf[MB_UNITS_LEN];
	uint64_t less_ns = 0;
	bool first = true;

	if (!l->governed)
		return;
	for (enum mb_level level = MB_LEVEL_FULL + 1; level < MB_LEVELS; level++)
		less_ns += mb_levels_ns(l, level, s->t_ns);
	if (!less_ns) {
		mb_out_printf(o, "All was traced (level full): that was within the budget.\n\n");
		return;
	}
	mb_out_printf(o, "To keep to its budget, memblame was at level");
	for (enum mb_level level = 0; level < MB_LEVELS; level++) {
		uint64_t ns = mb_levels_ns(l, level, s->t_ns);

		if (!ns)
			continue;
		mb_out_printf(o, "%s %s for %s", first ? "" : ",", mb_level_names[level],
			      mb_format(buf, MB_UNIT_NS, ns));
		if (level_lacks[level])
			mb_out_printf(o, " (%s)", level_lacks[level]);
		first = false;
	}
	mb_out_printf(o, ".\n\n");
}

/* List the probe points that are off from this level on. Returns false if there are none. */
static bool put_questions(struct mb_out *o, const struct mb_model *m, enum mb_level from)
{
	const char *sep = "Not traced: ";
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_probe_points && !(m->off & (1u << fam[i]->id)); j++) {
			if (fam[i]->probe_points[j].off_from != from)
				continue;
			mb_out_printf(o, "%s%s.%s", sep, fam[i]->name, fam[i]->probe_points[j].name);
			sep = ", ";
		}
	}
	return sep[0] == ',';
}

/*
 * What the sums of a recording lack: one entry per family, with the longest time for which one of its numbers was not
 * counted.
 */
static bool put_uncounted(struct mb_out *o, const struct mb_snapshot *s)
{
	char ns[MB_UNITS_LEN], of[MB_UNITS_LEN];
	bool any = false;
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; s->model->uncounted_ns && i < n; i++) {
		uint64_t longest = 0;

		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];
			uint64_t off = f->group ? s->model->uncounted_ns[mb_slot(f)] : 0;

			if (mb_field_known(s->model, fam[i], f) && off > longest)
				longest = off;
		}
		if (!longest)
			continue;
		mb_out_printf(o, "Not traced: %s for up to %s of %s: sums lack what happened then.\n", fam[i]->name,
			      mb_format(ns, MB_UNIT_NS, longest), mb_format(of, MB_UNIT_NS, s->duration_ns));
		any = true;
	}
	return any;
}

/* What the sums lack: one line for all that was not traced for the same time. */
static void put_untraced(struct mb_out *o, const struct mb_snapshot *s)
{
	char ns[MB_UNITS_LEN], of[MB_UNITS_LEN];
	bool any = put_uncounted(o, s);

	for (enum mb_level from = MB_LEVEL_FULL + 1; from < MB_LEVELS; from++) {
		uint64_t off_ns = mb_levels_off_ns(&s->model->levels, from, s->t_ns);

		if (!off_ns || !put_questions(o, s->model, from))
			continue;
		mb_out_printf(o, " for %s of %s: sums lack what happened then.\n", mb_format(ns, MB_UNIT_NS, off_ns),
			      mb_format(of, MB_UNIT_NS, s->duration_ns));
		any = true;
	}
	if (any)
		mb_out_printf(o, "\n");
}

static void text_snapshot(struct mb_out *o, const struct mb_snapshot *s)
{
	if (s->interval) {
		mb_out_printf(o, "%s", s->time);
		if (s->model->levels.now)
			mb_out_printf(o, "  level %s: %s", mb_level_names[s->model->levels.now],
				      level_lacks[s->model->levels.now]);
		mb_out_printf(o, "\n");
		mb_system_text(o, s);
		put_table(o, s, ROWS_INTERVAL);
		mb_out_printf(o, "\n");
		return;
	}
	put_summary_head(o, s);
	put_levels(o, s);
	put_untraced(o, s);
	if (s->model->system.known) {
		mb_system_text(o, s);
		mb_out_printf(o, "\n");
	}
	put_table(o, s, ROWS_SUMMARY);
	put_time_lost(o, s);
	if (s->model->retained)
		mb_out_printf(o, "\nEvents:\n");
	for (const struct mb_retained_event *k = s->model->retained; k; k = k->next)
		text_event(o, mb_event_comm(s->model, (const struct mb_event *)k->data),
			   (const struct mb_event *)k->data);
	mb_out_printf(o, "\n");
	mb_text_lost(o, &s->model->lost);
}

static void text_stream_end(struct mb_out *o, const struct mb_snapshot *s)
{
	mb_out_printf(o, "\n%" PRIu64 " events. ", s->model->events);
	if (s->late_events)
		mb_out_printf(o, "%" PRIu64 " of them came after later ones had been shown. ", s->late_events);
	mb_text_lost(o, &s->model->lost);
}

const struct mb_sink mb_sink_text = {
	.name = "text",
	.snapshot = text_snapshot,
	.event = text_event,
	.stream_end = text_stream_end,
};
