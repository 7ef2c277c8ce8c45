// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Text for people: who is to blame. */
#include <inttypes.h>
#include <stdio.h>

#include "model/model.h"
#include "sinks/text.h"

#define ROWS 15
#define CULPRITS 5
#define FILES 3

static void put_culprit(struct mb_out *o, const struct mb_snapshot *s, const struct mb_victim *v,
			const struct mb_culprit *c)
{
	double ns = (double)mb_victim_ns(v);
	char pages[MB_UNITS_LEN], path[MB_PATH_LEN], pid[16] = "-";
	bool self = c->who.tgid == v->who.tgid && c->who.start_ns == v->who.start_ns;

	if (c->who.tgid)
		snprintf(pid, sizeof(pid), "%u", c->who.tgid);
	mb_out_printf(o, "%12s%5.1f %% %8s ", "", 100 * c->ns / ns, pid);
	mb_text_name(o, c->who.comm[0] ? c->who.comm : "?", 15);
	mb_out_printf(o, " %9s%s", mb_format(pages, MB_UNIT_BYTES,
					   (uint64_t)(c->pages_ns / ns) * MB_PAGE_SIZE),
		      self ? " (itself)" : "");
	for (uint32_t i = 0; i < c->n_files && i < FILES; i++) {
		mb_blame_path(&s->model->blame, &c->files[i].file, path);
		mb_out_printf(o, "%s", i ? ", " : "  ");
		if (path[0])
			mb_text_name(o, path, 0);
		else if (c->files[i].file.ino)
			mb_out_printf(o, "inode %" PRIu64 " on %u:%u", c->files[i].file.ino,
				      c->files[i].file.dev >> 20, c->files[i].file.dev & 0xfffff);
		else
			mb_out_printf(o, "small writes");
	}
	mb_out_printf(o, "%s\n", c->n_files > FILES ? ", ..." : "");
}

static void put_victim(struct mb_out *o, const struct mb_snapshot *s, const struct mb_victim *v)
{
	const char *device = mb_blame_device_name(&s->model->blame, v->key.bdi), *sep = "";
	char ns[MB_UNITS_LEN];

	mb_out_printf(o, "%8u ", v->who.tgid);
	mb_text_name(o, v->who.comm[0] ? v->who.comm : "?", 15);
	mb_out_printf(o, " lost %s", mb_format(ns, MB_UNIT_NS, mb_victim_ns(v)));
	if (!v->key.what)
		mb_out_printf(o, " on %s", device ? device : "?");
	mb_out_printf(o, ": ");
	for (int w = 0; w < MB_BLAME_WHATS; w++) {
		if (!v->count[w])
			continue;
		mb_out_printf(o, "%s%s %s (%" PRIu64 " times)", sep, mb_blame_what_name(w),
			      mb_format(ns, MB_UNIT_NS, v->ns[w]), v->count[w]);
		sep = ", ";
	}
	if (v->key.what && v->marks.known) {
		char f[MB_UNITS_LEN], lo[MB_UNITS_LEN];

		mb_out_printf(o, "; zone %s %d: free %s, low %s", v->marks.zone, v->marks.node,
			      mb_format(f, MB_UNIT_BYTES, v->marks.free_pages * MB_PAGE_SIZE),
			      mb_format(lo, MB_UNIT_BYTES, v->marks.low_pages * MB_PAGE_SIZE));
	}
	mb_out_printf(o, "\n");
	for (uint32_t i = 0; i < v->n_culprits && i < CULPRITS; i++)
		put_culprit(o, s, v, &v->culprits[i]);
	if (!v->n_culprits)
		mb_out_printf(o, "%12sbehind nobody that memblame saw\n", "");
	else if (v->n_culprits > CULPRITS)
		mb_out_printf(o, "%12sand %u more; --json lists all\n", "", v->n_culprits - CULPRITS);
}

/* Returns the number of victims. */
static unsigned int put_victims(struct mb_out *o, const struct mb_snapshot *s, const struct mb_matrix *m,
				bool reclaim, const char *title)
{
	unsigned int n = 0;

	for (const struct mb_victim *v = m->victims; v; v = v->hh.next) {
		if ((v->key.what != 0) != reclaim || !mb_snapshot_shows(s, &v->who))
			continue;
		if (!n)
			mb_text_title(o, s, title);
		if (n++ < ROWS)
			put_victim(o, s, v);
	}
	if (n > ROWS)
		mb_out_printf(o, "%8s and %u more; --json lists all\n", "", n - ROWS);
	return n;
}

static void put_devices(struct mb_out *o, const struct mb_snapshot *s)
{
	char a[MB_UNITS_LEN], b[MB_UNITS_LEN], c[MB_UNITS_LEN], advice[MB_ADVICE_LEN];

	for (const struct mb_device *d = s->model->blame.devices; d; d = d->hh.next) {
		if (!d->stalls)
			continue;
		mb_out_printf(o, "%8s %s: %s dirty at worst", "", d->name[0] ? d->name : "?",
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

static void put_evictions(struct mb_out *o, const struct mb_snapshot *s, const struct mb_matrix *m)
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

void mb_text_blame(struct mb_out *o, const struct mb_snapshot *s)
{
	const struct mb_blame *b = &s->model->blame;
	struct mb_matrix *m = (struct mb_matrix *)(s->interval ? &b->interval : &b->total);
	char ns[MB_UNITS_LEN];
	unsigned int n;

	mb_blame_sort(m);
	if (s->interval)
		mb_out_printf(o, "%s\n", s->time);
	else
		mb_out_printf(o, "In %s:\n", mb_format(ns, MB_UNIT_NS, s->duration_ns));
	n = put_victims(o, s, m, false, "Held up by writeback, and by whose dirty pages");
	if (n)
		put_devices(o, s);
	n += put_victims(o, s, m, true, "Held up in reclaim, and by whose allocations");
	put_evictions(o, s, m);
	if (!n)
		mb_out_printf(o, "Nobody was held up.\n");
	mb_out_printf(o, "\n");
	if (!s->interval)
		mb_text_lost(o, &s->model->lost);
}
