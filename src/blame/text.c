// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The text format of blame tables. */
#include <inttypes.h>
#include <stdio.h>

#include "model/model.h"
#include "blame/view.h"
#include "sinks/text.h"

#define ROWS 15
#define CULPRITS 5
#define FILES 3

static void put_device_name(struct mb_out *o, const struct mb_snapshot *s, const char *bdi)
{
	char name[MB_DEVICE_LEN + MB_DEVICE_MOUNTS_LEN];

	mb_text_name(o, mb_device_text(&s->model->devices, bdi, name, sizeof(name)), 0);
}

/* Writes a file whose name is not known. */
static void put_inode(struct mb_out *o, const struct mb_snapshot *s, const struct mb_file_key *file)
{
	const char *bdi = mb_blame_device_name(mb_blame_of(s->model), file->bdi);

	mb_out_printf(o, "inode %" PRIu64 " on ", file->ino);
	if (bdi)
		put_device_name(o, s, bdi);
	else
		mb_out_printf(o, "%u:%u", file->dev >> 20, file->dev & 0xfffff);
}

static void put_files(struct mb_out *o, const struct mb_snapshot *s, const struct mb_culprit *c)
{
	char path[MB_PATH_LEN];

	for (uint32_t i = 0; i < c->n_files && i < FILES; i++) {
		mb_blame_path(mb_blame_of(s->model), &c->files[i].file, path);
		mb_out_printf(o, "%s", i ? ", " : "  ");
		if (path[0])
			mb_text_name(o, path, 0);
		else if (c->files[i].file.ino)
			put_inode(o, s, &c->files[i].file);
		else
			mb_out_printf(o, "small writes");
	}
	mb_out_printf(o, "%s\n", c->n_files > FILES ? ", ..." : "");
}

static bool is_member(const struct mb_program *p, const struct mb_process_ref *ref)
{
	for (uint32_t i = 0; i < p->n; i++) {
		if (p->members[i]->ref.tgid == ref->tgid && p->members[i]->ref.start_ns == ref->start_ns)
			return true;
	}
	return false;
}

/* Stands for the time for which nobody can be blamed. */
static bool is_unknown(const struct mb_program *p)
{
	return !p->n;
}

/* Writes one line for a program. For several processes, it shows their number instead of a PID. */
static void put_program(struct mb_out *o, const struct mb_snapshot *s, const struct mb_victim *v,
			const struct mb_program *p)
{
	const struct mb_culprit *c = &p->sum;
	double ns = (double)mb_victim_ns(v);
	char pages[MB_UNITS_LEN], pid[16] = "-";

	if (p->n > 1)
		snprintf(pid, sizeof(pid), "%u of", p->n);
	else if (c->ref.tgid)
		snprintf(pid, sizeof(pid), "%u", c->ref.tgid);
	mb_out_printf(o, "%12s%5.1f %% %8s ", "", 100 * c->ns / ns, pid);
	mb_text_name(o, c->ref.comm[0] ? c->ref.comm : "?", 15);
	mb_out_printf(o, " %9s", is_unknown(p) ? "-" :
				 mb_format(pages, MB_UNIT_BYTES, (uint64_t)(c->pages_ns / ns) * MB_PAGE_SIZE));
	if (is_member(p, &v->ref))
		mb_out_printf(o, p->n > 1 ? " (itself among them)" : " (itself)");
	put_files(o, s, c);
}

/*
 * Writes the culprits of a victim. If the victim is the only culprit, its own line says so instead.
 */
static void put_programs(struct mb_out *o, const struct mb_snapshot *s, const struct mb_victim *v)
{
	struct mb_program programs[MB_BLAME_PROGRAMS];
	uint32_t n = mb_victim_programs(v, programs);

	if (mb_victim_is_culprit(v, programs, n)) {
		if (v->key.cause == MB_BLAME_ASKED)
			mb_out_printf(o, "; asked for, by a write to a cgroup's file");
		else
			mb_out_printf(o, v->key.cause ? "; by its own allocations" : "; by its own pages");
		put_files(o, s, &programs[0].sum);
		return;
	}
	mb_out_printf(o, "\n");
	for (uint32_t i = 0; i < n && i < CULPRITS; i++)
		put_program(o, s, v, &programs[i]);
	if (!n)
		mb_out_printf(o, "%12sbehind nobody that memblame saw\n", "");
	else if (n > CULPRITS)
		mb_out_printf(o, "%12sand %u more; --json lists all\n", "", n - CULPRITS);
}

/* Writes which memory was short: a cgroup at its limit, or a zone. */
static void put_shortage(struct mb_out *o, const struct mb_victim *v)
{
	char a[MB_UNITS_LEN], b[MB_UNITS_LEN];
	uint64_t limit = mb_victim_limit_bytes(v);

	if (v->limit_path) {
		mb_out_printf(o, "; limit of cgroup ");
		mb_text_name(o, v->limit_path[0] ? v->limit_path : "/", 0);
		if (limit != MB_UNKNOWN && v->limits.usage_bytes != MB_UNKNOWN)
			mb_out_printf(o, ": %s of %s used", mb_format(a, MB_UNIT_BYTES, v->limits.usage_bytes),
				      mb_format(b, MB_UNIT_BYTES, limit));
	} else if (v->key.cause == MB_BLAME_MEMCG || v->key.cause == MB_BLAME_HIGH) {
		mb_out_printf(o, "; whose limit is not known");
	} else if (v->marks.known) {
		mb_out_printf(o, "; zone %s %d: free %s, low %s", v->marks.zone, v->marks.node,
			      mb_format(a, MB_UNIT_BYTES, v->marks.free_pages * MB_PAGE_SIZE),
			      mb_format(b, MB_UNIT_BYTES, v->marks.low_pages * MB_PAGE_SIZE));
	}
}

static void put_victim(struct mb_out *o, const struct mb_snapshot *s, const struct mb_victim *v)
{
	const char *bdi = mb_blame_device_name(mb_blame_of(s->model), v->key.bdi), *sep = "";
	char ns[MB_UNITS_LEN];

	mb_out_printf(o, "%8u ", v->ref.tgid);
	mb_text_name(o, v->ref.comm[0] ? v->ref.comm : "?", 15);
	mb_out_printf(o, " lost %s", mb_format(ns, MB_UNIT_NS, mb_victim_ns(v)));
	if (!v->key.cause) {
		mb_out_printf(o, " on ");
		put_device_name(o, s, bdi ? bdi : "?");
	}
	mb_out_printf(o, ": ");
	for (int w = 0; w < MB_STALL_CAUSES; w++) {
		if (!v->count[w])
			continue;
		mb_out_printf(o, "%s%s %s (%" PRIu64 " times)", sep, mb_stall_cause_name(w),
			      mb_format(ns, MB_UNIT_NS, v->ns[w]), v->count[w]);
		sep = ", ";
	}
	if (v->key.cause)
		put_shortage(o, v);
	put_programs(o, s, v);
}

/* Returns whether there are any. */
static bool put_victims(struct mb_out *o, const struct mb_snapshot *s, const struct mb_blame_table *m,
			bool reclaim, const char *title)
{
	unsigned int n = 0;

	for (const struct mb_victim *v = m->victims; v; v = v->hh.next) {
		if ((v->key.cause != 0) != reclaim || !mb_snapshot_shows(s, &v->ref))
			continue;
		if (!n)
			mb_text_title(o, s, title);
		if (n++ < ROWS)
			put_victim(o, s, v);
	}
	if (n > ROWS)
		mb_out_printf(o, "%8s and %u more; --json lists all\n", "", n - ROWS);
	return n > 0;
}

static void put_devices(struct mb_out *o, const struct mb_snapshot *s)
{
	char a[MB_UNITS_LEN], b[MB_UNITS_LEN], c[MB_UNITS_LEN], advice[MB_ADVICE_LEN];

	for (const struct mb_device *d = mb_blame_of(s->model)->devices; d; d = d->hh.next) {
		if (!d->stalls)
			continue;
		mb_out_printf(o, "%8s ", "");
		put_device_name(o, s, d->name[0] ? d->name : "?");
		mb_out_printf(o, ": %s dirty at worst",
			      mb_format(a, MB_UNIT_BYTES, d->worst.bdi_dirty_pages * MB_PAGE_SIZE));
		if (d->worst.bdi_limit_pages)
			mb_out_printf(o, " of %s",
				      mb_format(b, MB_UNIT_BYTES,
						d->worst.bdi_limit_pages * MB_PAGE_SIZE));
		mb_out_printf(o, ", written at %s/s\n",
			      mb_format(c, MB_UNIT_BYTES,
					d->worst.written_pages_per_s * MB_PAGE_SIZE));
		mb_device_advice(d, &s->setup->dirty, advice);
		if (advice[0])
			mb_out_printf(o, "%8s %s\n", "", advice);
	}
}

static void put_evictions(struct mb_out *o, const struct mb_snapshot *s, const struct mb_blame_table *m)
{
	static const char *const kinds[4] = { "file", "anonymous", "swap", "shared" };
	char bytes[MB_UNITS_LEN];
	unsigned int n = 0;

	for (const struct mb_eviction_pair *p = m->evictions; p; p = p->hh.next) {
		if (!mb_snapshot_shows(s, &p->owner))
			continue;
		if (!n)
			mb_text_title(o, s, "Mapped pages taken away");
		if (n++ >= ROWS)
			continue;
		mb_out_printf(o, "%8u ", p->owner.tgid);
		mb_text_name(o, p->owner.comm[0] ? p->owner.comm : "?", 15);
		mb_out_printf(o, " %9s %-9s by %u ",
			      mb_format(bytes, MB_UNIT_BYTES, p->pages * MB_PAGE_SIZE),
			      kinds[p->key.kind & 3], p->by.tgid);
		mb_text_name(o, p->by.comm[0] ? p->by.comm : "?", 0);
		mb_out_printf(o, "\n");
	}
}

static void put_ref(struct mb_out *o, const struct mb_process_ref *ref)
{
	mb_text_name(o, ref->comm[0] ? ref->comm : "?", 0);
	if (ref->tgid)
		mb_out_printf(o, " (pid %u)", ref->tgid);
}

/* Writes whom the victim waited for most. */
static void put_main_culprit(struct mb_out *o, const struct mb_victim *v)
{
	struct mb_program programs[MB_BLAME_PROGRAMS];
	uint32_t n = mb_victim_programs(v, programs);
	const struct mb_program *p = &programs[0];

	if (n && is_unknown(&programs[n - 1]) && programs[n - 1].sum.ns > p->sum.ns)
		p = &programs[n - 1];
	if (mb_victim_is_culprit(v, programs, n)) {
		mb_out_printf(o, v->key.cause ? ", for its own allocations" : ", for its own pages");
	} else if (!n) {
		mb_out_printf(o, ", behind nobody that memblame saw");
	} else {
		mb_out_printf(o, ", %.1f %% of it for ", 100 * p->sum.ns / (double)mb_victim_ns(v));
		if (is_unknown(p)) {
			mb_out_printf(o, v->key.cause ? "memory of which it is not known why it was short" :
							"pages that were dirty before tracing");
		} else if (p->n > 1) {
			mb_out_printf(o, "%u processes of ", p->n);
			mb_text_name(o, p->sum.ref.comm[0] ? p->sum.ref.comm : "?", 0);
		} else {
			put_ref(o, &p->sum.ref);
		}
		if (is_member(p, &v->ref))
			mb_out_printf(o, p->n > 1 ? ", itself among them" : ", itself");
	}
}

/* Writes the answer in one sentence: who waited most, and for whom. */
static void put_sentence(struct mb_out *o, const struct mb_snapshot *s, const struct mb_blame_table *m)
{
	const struct mb_victim *most = NULL;
	char ns[MB_UNITS_LEN];

	for (const struct mb_victim *v = m->victims; v; v = v->hh.next) {
		if (mb_snapshot_shows(s, &v->ref) && (!most || mb_victim_ns(v) > mb_victim_ns(most)))
			most = v;
	}
	if (s->interval)
		mb_out_printf(o, "%s ", s->time);
	else
		mb_out_printf(o, "In %s, ", mb_format(ns, MB_UNIT_NS, s->duration_ns));
	if (!most) {
		mb_out_printf(o, "nobody was held up.\n");
		return;
	}
	put_ref(o, &most->ref);
	mb_out_printf(o, " was held up longest: %s", mb_format(ns, MB_UNIT_NS, mb_victim_ns(most)));
	put_main_culprit(o, most);
	mb_out_printf(o, ".\n");
}

void mb_text_blame(struct mb_out *o, const struct mb_snapshot *s)
{
	const struct mb_blame *b = mb_blame_of(s->model);
	struct mb_blame_table *m = (struct mb_blame_table *)(s->interval ? &b->interval : &b->total);

	mb_blame_sort(m);
	put_sentence(o, s, m);
	if (put_victims(o, s, m, false, "Held up by writeback, and by whose dirty pages"))
		put_devices(o, s);
	put_victims(o, s, m, true, "Held up in reclaim, and by whose allocations");
	put_evictions(o, s, m);
	mb_out_printf(o, "\n");
	if (!s->interval)
		mb_text_lost(o, &s->model->lost);
}
