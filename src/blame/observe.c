// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Connects the blame table to the model: handles events of writeback and reclaim, records of
 * limits, and ticks.
 */
#include <stdlib.h>
#include <string.h>

#include "blame/blame.h"
#include "memblame/family.h"
#include "model/model.h"

#define NAME "blame"

static void take_evicted(struct mb_blame *b, const struct mb_eviction_event *e)
{
	struct mb_process_ref owner, by;

	mb_model_process_ref(b->model, e->key.owner, e->key.owner_start_ns, &owner);
	mb_model_process_ref(b->model, e->key.by, e->key.by_start_ns, &by);
	mb_blame_eviction(b, &owner, &by, e);
}

static void take_reclaimed(struct mb_blame *b, const struct mb_reclaimed_event *e)
{
	const struct mb_process *p = mb_model_find(b->model, e->owner), *by = mb_model_find(b->model, e->h.tgid);
	struct mb_eviction_event more = { .pages = e->pages };

	if (!p)
		return;
	more.key.owner = e->owner;
	more.key.owner_start_ns = p->start_ns;
	more.key.by = e->h.tgid;
	more.key.by_start_ns = by ? by->start_ns : 0;
	take_evicted(b, &more);
}

static void take_stall(struct mb_blame *b, const struct mb_writeback_event *e)
{
	const struct mb_process *p = mb_model_find(b->model, e->h.tgid);
	struct mb_process_ref victim;

	if (!p)
		return;
	mb_model_process_ref(b->model, p->tgid, p->start_ns, &victim);
	mb_blame_stall(b, &victim, e);
}

static void take_dirtied(struct mb_blame *b, const struct mb_dirtied_event *e)
{
	struct mb_process_ref ref;

	mb_model_process_ref(b->model, e->key.tgid, e->key.start_ns, &ref);
	mb_blame_dirtied(b, e->key.start_ns ? &ref : NULL, e);
}

static void take_writeback(struct mb_blame *b, const struct mb_event *e)
{
	switch (e->type) {
	case MB_WRITEBACK_EVENT_PAUSE:
	case MB_WRITEBACK_EVENT_FSYNC:
	case MB_WRITEBACK_EVENT_WAIT:
		take_stall(b, (const struct mb_writeback_event *)e);
		break;
	case MB_WRITEBACK_EVENT_FILE:
		mb_blame_file(b, (const struct mb_file_event *)e);
		break;
	case MB_WRITEBACK_EVENT_DIRTIED:
		take_dirtied(b, (const struct mb_dirtied_event *)e);
		break;
	}
}

static void on_event(void *arg, const struct mb_event *e)
{
	struct mb_blame *b = arg;

	if (e->family == MB_FAM_writeback)
		take_writeback(b, e);
	else if (e->family == MB_FAM_reclaim && e->type == MB_RECLAIM_EVENT_RECLAIMED)
		take_reclaimed(b, (const struct mb_reclaimed_event *)e);
	else if (e->family == MB_FAM_reclaim && e->type == MB_RECLAIM_EVENT_EVICTED)
		take_evicted(b, (const struct mb_eviction_event *)e);
}

/* ---- adds the main culprit to stall events that are shown, as known so far ---- */

static void annotate_writeback(struct mb_blame *b, struct mb_blamed_event *shown)
{
	struct mb_file_key file;
	struct mb_process_ref ref;
	double share;

	if (!mb_blame_first(b, &shown->stall, &ref, &share, &file))
		return;
	shown->culprit = ref.tgid;
	shown->share_permille = (uint32_t)(share * 1000 + 0.5);
	memcpy(shown->culprit_comm, ref.comm, sizeof(shown->culprit_comm));
	mb_blame_path(b, &file, shown->culprit_file);
}

static enum mb_stall_cause cause_of(unsigned int type)
{
	switch (type) {
	case MB_RECLAIM_EVENT_MEMCG:
		return MB_BLAME_MEMCG;
	case MB_RECLAIM_EVENT_COMPACTION:
		return MB_BLAME_COMPACTION;
	case MB_RECLAIM_EVENT_THROTTLE:
		return MB_BLAME_THROTTLE;
	case MB_RECLAIM_EVENT_HIGH:
		return MB_BLAME_HIGH;
	default:
		return MB_BLAME_DIRECT;
	}
}

static void annotate_reclaim(struct mb_blame *b, struct mb_reclaim_shown_event *shown)
{
	const struct mb_event *h = &shown->stall.h;
	struct mb_process_ref ref;
	double share;

	if (!mb_blame_reclaim_first(b, h->tgid, cause_of(h->type - MB_RECLAIM_EVENT_SHOWN), shown->stall.limit_up, &ref,
				    &share))
		return;
	shown->culprit = ref.tgid;
	shown->share_permille = (uint32_t)(share * 1000 + 0.5);
	memcpy(shown->culprit_comm, ref.comm, sizeof(shown->culprit_comm));
}

static void on_annotate(void *arg, struct mb_event *shown)
{
	if (shown->family == MB_FAM_writeback && shown->size == sizeof(struct mb_blamed_event))
		annotate_writeback(arg, (struct mb_blamed_event *)shown);
	else if (shown->family == MB_FAM_reclaim && shown->size == sizeof(struct mb_reclaim_shown_event))
		annotate_reclaim(arg, (struct mb_reclaim_shown_event *)shown);
}

/* ---- records and ticks ---- */

static void on_record(void *arg, unsigned int type, const void *data, size_t len)
{
	struct mb_cgroup_limits l;
	char *path;

	if (type != MB_INGEST_LIMITS)
		return;
	memcpy(&l, data, sizeof(l));
	path = strndup((const char *)data + sizeof(l), len - sizeof(l));
	if (path)
		mb_blame_limits(arg, path, &l);
	free(path);
}

static void on_tick(void *arg, uint64_t t_ns)
{
	struct mb_blame *b = arg;

	mb_blame_tick(b, t_ns);
	mb_blame_reclaim(b);
	b->model->lost.not_blamed += b->evicted;
}

static void on_interval(void *arg)
{
	mb_blame_interval(arg);
}

/* ---- subscribing ---- */

static void on_free(void *arg)
{
	mb_blame_clear(arg);
	free(arg);
}

/* Slot of a field of the reclaim family. */
static unsigned int slot_of(const char *group, const char *name)
{
	return mb_slot(mb_family_field(mb_family_by_id(MB_FAM_reclaim), group, name));
}

static void find_slots(struct mb_reclaim_slots *s)
{
	s->stall[MB_BLAME_DIRECT] = slot_of("stalls", "direct_reclaim");
	s->stall[MB_BLAME_MEMCG] = slot_of("stalls", "memcg_reclaim");
	s->stall[MB_BLAME_COMPACTION] = slot_of("stalls", "compaction");
	s->stall[MB_BLAME_THROTTLE] = slot_of("stalls", "throttle");
	s->stall[MB_BLAME_HIGH] = slot_of("stalls", "high_throttle");
	s->allocated_pages = slot_of("reclaim", "allocated_pages");
	s->kswapd_wakeups = slot_of("reclaim", "kswapd_wakeups");
	s->limit_up = slot_of(NULL, "limit_up");
}

struct mb_blame *mb_blame_new(struct mb_model *m)
{
	struct mb_blame *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->model = m;
	find_slots(&b->slots);
	b->observer = (struct mb_observer){ .name = NAME,
					    .arg = b,
					    .event = on_event,
					    .annotate = on_annotate,
					    .record = on_record,
					    .tick = on_tick,
					    .interval = on_interval,
					    .free = on_free };
	mb_model_observe(m, &b->observer);
	return b;
}

struct mb_blame *mb_blame_of(const struct mb_model *m)
{
	return mb_model_observer(m, NAME);
}
