// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The JSON format of blame tables (kind "blame"). */
#include "model/model.h"
#include "blame/view.h"
#include "sinks/json.h"

static void put_process_ref(struct mb_out *o, const char *key, const struct mb_snapshot *s,
			    const struct mb_process_ref *ref)
{
	const struct mb_process *p = mb_snapshot_process(s, ref);

	mb_json_object(o, key);
	mb_json_u64(o, "pid", ref->tgid);
	mb_json_str(o, "comm", ref->comm[0] ? ref->comm : NULL);
	mb_json_str(o, "cgroup", p ? p->cgroup_path : NULL);
	mb_json_object_end(o);
}

static void put_file(struct mb_out *o, const struct mb_snapshot *s, const struct mb_file_key *file,
		     uint64_t pages)
{
	char path[MB_PATH_LEN];

	mb_blame_path(mb_blame_of(s->model), file, path);
	mb_json_object(o, NULL);
	mb_json_str(o, "path", path[0] ? path : NULL);
	mb_json_u64_if(o, "inode", file->ino, file->ino);
	mb_json_u64(o, "dev_major", file->dev >> 20);
	mb_json_u64(o, "dev_minor", file->dev & 0xfffff);
	mb_json_u64(o, "pages", pages);
	mb_json_object_end(o);
}

static void put_files(struct mb_out *o, const struct mb_snapshot *s, const struct mb_culprit *c,
		      double ns)
{
	mb_json_array(o, "files");
	for (uint32_t i = 0; i < c->n_files; i++)
		put_file(o, s, &c->files[i].file, (uint64_t)(c->files[i].sum / ns + 0.5));
	mb_json_array_end(o);
}

/* The reason why a process is blamed for a stall in reclaim. */
static const char *reason(enum mb_stall_cause cause)
{
	switch (cause) {
	case MB_BLAME_MEMCG:
		return "allocated since the cgroup was last below its limit";
	case MB_BLAME_HIGH:
		return "allocated since the cgroup was last below memory.high";
	case MB_BLAME_ASKED:
		return "wrote a cgroup's file that has memory reclaimed or lowers a limit";
	default:
		return "allocated since free memory was last sufficient";
	}
}

/* Writes a culprit and its part of the victim's time. */
static void put_blame(struct mb_out *o, const struct mb_culprit *c, double ns)
{
	mb_json_u64_if(o, "pid", c->ref.tgid, c->ref.tgid);
	mb_json_str(o, "comm", c->ref.comm[0] ? c->ref.comm : NULL);
	mb_json_fixed(o, "share", (uint64_t)(c->ns / ns * 10000 + 0.5), 4);
	mb_json_u64(o, "blamed_ns", (uint64_t)(c->ns + 0.5));
	mb_json_u64(o, "pages", (uint64_t)(c->pages_ns / ns + 0.5));
}

static void put_members(struct mb_out *o, const struct mb_program *p, double ns)
{
	mb_json_array(o, "members");
	for (uint32_t i = 0; i < p->n; i++) {
		mb_json_object(o, NULL);
		put_blame(o, p->members[i], ns);
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
}

static void put_culprits(struct mb_out *o, const struct mb_snapshot *s, const struct mb_victim *v)
{
	struct mb_program programs[MB_BLAME_PROGRAMS];
	uint32_t n = mb_victim_programs(v, programs);
	double ns = (double)mb_victim_ns(v);

	mb_json_array(o, "culprits");
	for (uint32_t i = 0; i < n && ns > 0; i++) {
		const struct mb_culprit *c = &programs[i].sum;

		mb_json_object(o, NULL);
		put_blame(o, c, ns);
		put_members(o, &programs[i], ns);
		if (v->key.cause)
			mb_json_str(o, "reason", reason(v->key.cause));
		else
			put_files(o, s, c, ns);
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
}

static void put_bdi(struct mb_out *o, const struct mb_snapshot *s, const char *bdi)
{
	const struct mb_device_name *n = bdi ? mb_device_name_of(&s->model->devices, bdi) : NULL;
	const char *mount = n ? mb_device_mount(n, 0) : NULL;

	mb_json_str(o, "bdi", bdi);
	mb_json_str(o, "device", n && n->device[0] ? n->device : NULL);
	mb_json_str(o, "mount", mount);
	mb_json_array(o, "mounts");
	for (size_t i = 0; n && (mount = mb_device_mount(n, i)); i++)
		mb_json_str(o, NULL, mount);
	mb_json_array_end(o);
}

static void put_on_device(struct mb_out *o, const struct mb_snapshot *s, const struct mb_victim *v)
{
	mb_json_object(o, NULL);
	put_process_ref(o, "victim", s, &v->ref);
	put_bdi(o, s, mb_blame_device_name(mb_blame_of(s->model), v->key.bdi));
	mb_json_u64(o, "pauses", v->count[MB_BLAME_PAUSE]);
	mb_json_u64(o, "paused_ns", v->ns[MB_BLAME_PAUSE]);
	mb_json_u64(o, "waits", v->count[MB_BLAME_WAIT]);
	mb_json_u64(o, "waited_ns", v->ns[MB_BLAME_WAIT]);
	mb_json_u64(o, "fsyncs", v->count[MB_BLAME_FSYNC]);
	mb_json_u64(o, "fsync_ns", v->ns[MB_BLAME_FSYNC]);
	mb_json_u64(o, "stalled_ns", mb_victim_ns(v));
	put_culprits(o, s, v);
	mb_json_object_end(o);
}

static void put_marks(struct mb_out *o, const struct mb_watermarks *w)
{
	if (!w->known) {
		mb_json_null(o, "watermarks");
		return;
	}
	mb_json_object(o, "watermarks");
	mb_json_s64(o, "node", w->node);
	mb_json_str(o, "zone", w->zone);
	mb_json_u64(o, "free_pages", w->free_pages);
	mb_json_u64(o, "min_pages", w->min_pages);
	mb_json_u64(o, "low_pages", w->low_pages);
	mb_json_u64(o, "high_pages", w->high_pages);
	mb_json_object_end(o);
}

/* The reason why a victim has no limit. */
static const char *limit_missing(const struct mb_victim *v)
{
	if (v->key.cause == MB_BLAME_ASKED)
		return "no limit: reclaim was asked for";
	if (!v->limit_path && (v->key.cause == MB_BLAME_MEMCG || v->key.cause == MB_BLAME_HIGH))
		return "none of the process's cgroups was seen at a limit";
	return NULL;
}

/* Writes the cgroup whose limit was reached; the path of the root is "/". */
static void put_limit(struct mb_out *o, const struct mb_victim *v)
{
	if (!v->limit_path) {
		mb_json_null(o, "limit");
		return;
	}
	mb_json_object(o, "limit");
	mb_json_str(o, "path", v->limit_path[0] ? v->limit_path : "/");
	mb_json_known(o, "bytes", mb_victim_limit_bytes(v));
	mb_json_known(o, "usage_bytes", v->limits.usage_bytes);
	mb_json_object_end(o);
}

static void put_in_reclaim(struct mb_out *o, const struct mb_snapshot *s, const struct mb_victim *v)
{
	enum mb_stall_cause cause = v->key.cause;

	mb_json_object(o, NULL);
	put_process_ref(o, "victim", s, &v->ref);
	mb_json_str(o, "what", mb_stall_cause_name(cause));
	mb_json_u64(o, "stalls", v->count[cause]);
	mb_json_u64(o, "stalled_ns", v->ns[cause]);
	put_marks(o, &v->marks);
	put_limit(o, v);
	mb_json_str(o, "limit_missing", limit_missing(v));
	if (v->woke_kswapd.tgid)
		put_process_ref(o, "kswapd_woken_by", s, &v->woke_kswapd);
	else
		mb_json_null(o, "kswapd_woken_by");
	put_culprits(o, s, v);
	mb_json_object_end(o);
}

static void put_device(struct mb_out *o, const struct mb_snapshot *s, struct mb_device *d)
{
	const struct mb_bdi_state *w = &d->worst;
	char advice[MB_ADVICE_LEN];
	bool limits = w->limit_pages != 0;

	mb_json_object(o, NULL);
	put_bdi(o, s, d->name[0] ? d->name : NULL);
	mb_json_u64(o, "stalls", d->stalls);
	mb_json_u64(o, "stalled_ns", d->stalled_ns);
	mb_json_u64(o, "dirtied_pages", d->dirtied_pages);
	mb_json_u64(o, "flusher_written_pages", d->written_pages);
	mb_device_sort(d);
	mb_json_array(o, "flusher_files");
	for (uint32_t i = 0; i < d->n_written; i++)
		put_file(o, s, &d->written[i].file, (uint64_t)d->written[i].sum);
	mb_json_array_end(o);
	mb_json_u64_if(o, "written_pages_per_s", d->worst_t_ns, w->written_pages_per_s);
	mb_json_u64_if(o, "worst_t_ns", d->worst_t_ns, d->worst_t_ns);
	mb_json_u64_if(o, "bdi_dirty_pages", d->worst_t_ns, w->bdi_dirty_pages);
	mb_json_u64_if(o, "bdi_limit_pages", limits, w->bdi_limit_pages);
	mb_json_u64_if(o, "dirty_pages", limits, w->dirty_pages);
	mb_json_u64_if(o, "limit_pages", limits, w->limit_pages);
	mb_json_u64_if(o, "background_pages", limits, w->background_pages);
	mb_device_advice(d, &s->setup->dirty, advice);
	mb_json_str(o, "advice", advice[0] ? advice : NULL);
	mb_json_object_end(o);
}

static void put_sysctls(struct mb_out *o, const struct mb_dirty_sysctls *d)
{
	mb_json_object(o, "sysctl");
	mb_json_known(o, "dirty_ratio", d->ratio);
	mb_json_known(o, "dirty_background_ratio", d->background_ratio);
	mb_json_known(o, "dirty_bytes", d->bytes);
	mb_json_known(o, "dirty_background_bytes", d->background_bytes);
	mb_json_known(o, "dirty_expire_centisecs", d->expire_centisecs);
	mb_json_known(o, "dirty_writeback_centisecs", d->writeback_centisecs);
	mb_json_object_end(o);
}

static void put_evictions(struct mb_out *o, const struct mb_snapshot *s, const struct mb_blame_table *m)
{
	static const char *const kinds[4] = { "file", "anon", "swap", "shmem" };

	mb_json_array(o, "evictions");
	for (const struct mb_eviction_pair *p = m->evictions; p; p = p->hh.next) {
		if (!mb_snapshot_shows(s, &p->owner))
			continue;
		mb_json_object(o, NULL);
		put_process_ref(o, "owner", s, &p->owner);
		put_process_ref(o, "by", s, &p->by);
		mb_json_u64(o, "pages", p->pages);
		mb_json_str(o, "kind", kinds[p->key.kind & 3]);
		mb_json_object_end(o);
	}
	mb_json_array_end(o);
}

void mb_blame_show(const struct mb_sink *sink, struct mb_out *o, const struct mb_snapshot *s)
{
	(sink->json ? mb_json_blame : mb_text_blame)(o, s);
}

void mb_json_blame(struct mb_out *o, const struct mb_snapshot *s)
{
	const struct mb_blame *b = mb_blame_of(s->model);
	struct mb_blame_table *m = (struct mb_blame_table *)(s->interval ? &b->interval : &b->total);
	const struct mb_victim *v;

	mb_blame_sort(m);
	mb_json_put_kind(o, "blame");
	mb_json_str(o, "scope", s->interval ? "interval" : "total");
	mb_json_put_head(o, s);
	mb_json_put_lost(o, &s->model->lost);
	mb_json_put_overhead(o, s);
	mb_json_array(o, "writeback");
	for (v = m->victims; v; v = v->hh.next) {
		if (!v->key.cause && mb_snapshot_shows(s, &v->ref))
			put_on_device(o, s, v);
	}
	mb_json_array_end(o);
	mb_json_array(o, "devices");
	for (struct mb_device *d = b->devices; d; d = d->hh.next)
		put_device(o, s, d);
	mb_json_array_end(o);
	put_sysctls(o, &s->setup->dirty);
	mb_json_array(o, "reclaim");
	for (v = m->victims; v; v = v->hh.next) {
		if (v->key.cause && mb_snapshot_shows(s, &v->ref))
			put_in_reclaim(o, s, v);
	}
	mb_json_array_end(o);
	put_evictions(o, s, m);
	mb_json_object_end(o);
	mb_json_end_line(o);
}
