// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * reclaim: stalls in reclaim, compaction and throttling; pages freed, and pages that others
 * reclaimed.
 */
#include <stdio.h>

#include "memblame/family.h"
#include "model/model.h"

#define STALL(name, probe_point, text) MB_STALL(reclaim, name, probe_point, text)
#define COUNT(name, member, unit, probe_point, text) \
	{ "reclaim", name, text, MB_LEDGER(reclaim.member), MB_FIELD_COUNTER, unit, probe_point }

enum {
	F_DIRECT,
	F_MEMCG,
	F_COMPACTION,
	F_THROTTLE,
	F_HIGH,
	F_RECLAIMED,
	F_TAKEN_FROM_ME,
	F_WAKEUPS,
	F_ALLOCATED,
	F_SHRINKERS,
	F_LIMIT_UP,
	F_FIELDS
};

static const struct mb_field fields[F_FIELDS] = {
	[F_DIRECT] = STALL(direct_reclaim, "reclaim.direct",
			   "freeing pages itself, the machine being short"),
	[F_MEMCG] = STALL(memcg_reclaim, "reclaim.memcg",
			  "freeing pages itself, its cgroup being at its limit"),
	[F_COMPACTION] = STALL(compaction, "reclaim.compaction",
			       "moving pages to make a large free block"),
	[F_THROTTLE] = STALL(throttle, "reclaim.throttle", "made to sleep in reclaim"),
	[F_HIGH] = STALL(high_throttle, "reclaim.high",
			 "made to sleep, its cgroup being over memory.high"),
	[F_RECLAIMED] =
	COUNT("pages_reclaimed", pages_reclaimed, MB_UNIT_PAGES, "reclaim.direct",
	      "pages it freed in direct and memcg reclaim"),
	[F_TAKEN_FROM_ME] = COUNT("pages_taken_from_me", pages_taken, MB_UNIT_PAGES, "reclaim.taken",
				  "of its mapped pages, those that somebody else reclaimed"),
	[F_WAKEUPS] = COUNT("kswapd_wakeups", kswapd_wakeups, MB_UNIT_COUNT, "reclaim.kswapd",
			    "times it woke kswapd"),
	[F_ALLOCATED] = COUNT("allocated_pages", allocated_pages, MB_UNIT_PAGES, "reclaim.alloc",
			      "pages it has taken from the free ones"),
	[F_SHRINKERS] = { "reclaim", "shrinkers", "time in slab shrinkers, within the stalls above", 0,
			  MB_FIELD_ROWS, MB_UNIT_NS, "reclaim.shrinkers" },
	/* not shown: see struct mb_reclaim_ledger */
	[F_LIMIT_UP] = { NULL, "limit_up", "whose limit it reclaimed for last", 0, MB_FIELD_DERIVED,
			 MB_UNIT_COUNT, NULL },
};

#define OF(member) MB_MEMBER(mb_reclaim_shown_event, member)

static const struct mb_event_field stall_fields[] = {
	{ "ns", OF(stall.ns), MB_VALUE_U64, MB_UNIT_NS },
	{ "total_ns", OF(stall.total_ns), MB_VALUE_U64, MB_UNIT_NS },
	{ "reclaimed_pages", OF(stall.pages), MB_VALUE_U64, MB_UNIT_PAGES },
	{ "order", OF(stall.order), MB_VALUE_U32, MB_UNIT_COUNT },
	{ "gfp", OF(stall.gfp), MB_VALUE_U32, MB_UNIT_COUNT },
	MB_CULPRIT_FIELDS(mb_reclaim_shown_event),
};

static const struct mb_event_field kswapd_fields[] = {
	{ "end_t_ns", MB_MEMBER(mb_kswapd_event, end_ns), MB_VALUE_U64, MB_UNIT_COUNT, NULL, false,
	  0 },
	{ "reclaimed_pages", MB_MEMBER(mb_kswapd_event, pages), MB_VALUE_U64, MB_UNIT_PAGES, NULL,
	  false, 0 },
	{ "node", MB_MEMBER(mb_kswapd_event, node), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false, 0 },
	{ "order", MB_MEMBER(mb_kswapd_event, order), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false, 0 },
	{ "woken_by.pid", MB_MEMBER(mb_kswapd_event, waker_tgid), MB_VALUE_U32, MB_UNIT_COUNT, NULL,
	  true, 0 },
	{ "woken_by.tid", MB_MEMBER(mb_kswapd_event, waker_tid), MB_VALUE_U32, MB_UNIT_COUNT, NULL,
	  true, 0 },
	{ "woken_by.comm", MB_MEMBER(mb_kswapd_event, waker_comm), MB_VALUE_STRING, MB_UNIT_COUNT,
	  NULL, true, 0 },
};

static const struct mb_event_field reclaimed_fields[] = {
	{ "owner.pid", MB_MEMBER(mb_reclaimed_event, owner), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false,
	  0 },
	{ "pages", MB_MEMBER(mb_reclaimed_event, pages), MB_VALUE_U64, MB_UNIT_PAGES, NULL, false, 0 },
};

#define STALL_EVENT(type, name)                                                                      \
	{ type, name, sizeof(struct mb_reclaim_event), NULL, 0, MB_EVENT_INTERNAL },                 \
	{                                                                                            \
		MB_RECLAIM_EVENT_SHOWN + (type), name, sizeof(struct mb_reclaim_shown_event),        \
			stall_fields, MB_ARRAY_SIZE(stall_fields), MB_EVENT_MADE                           \
	}

static const struct mb_event_kind events[] = {
	STALL_EVENT(MB_RECLAIM_EVENT_DIRECT, "direct_reclaim"),
	STALL_EVENT(MB_RECLAIM_EVENT_MEMCG, "memcg_reclaim"),
	STALL_EVENT(MB_RECLAIM_EVENT_COMPACTION, "compaction"),
	STALL_EVENT(MB_RECLAIM_EVENT_THROTTLE, "throttle"),
	STALL_EVENT(MB_RECLAIM_EVENT_HIGH, "high_throttle"),
	{ MB_RECLAIM_EVENT_RECLAIMED, "taken", sizeof(struct mb_reclaimed_event), reclaimed_fields,
	  MB_ARRAY_SIZE(reclaimed_fields), MB_EVENT_INTERNAL },
	{ MB_RECLAIM_EVENT_EVICTED, "evicted", sizeof(struct mb_eviction_event), NULL, 0,
	  MB_EVENT_INTERNAL },
	{ MB_RECLAIM_EVENT_SHRUNK, "shrunk", sizeof(struct mb_shrink_event), NULL, 0,
	  MB_EVENT_INTERNAL },
	{ MB_RECLAIM_EVENT_SHRINKER, "shrinker", sizeof(struct mb_shrinker_event), NULL, 0,
	  MB_EVENT_INTERNAL },
	{ MB_RECLAIM_EVENT_KSWAPD, "kswapd", sizeof(struct mb_kswapd_event), kswapd_fields,
	  MB_ARRAY_SIZE(kswapd_fields), MB_EVENT_KEEP },
};

static const struct mb_hook direct_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "reclaim_direct_begin", "reclaim_direct_end" },
	  .optional = { "reclaim_node_begin", "reclaim_node_end" },
	  .quality = MB_QUALITY_FULL },
};

static const struct mb_hook memcg_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "reclaim_memcg_begin", "reclaim_memcg_end" },
	  .quality = MB_QUALITY_FULL },
};

static const struct mb_hook compaction_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "reclaim_compaction_begin", "reclaim_compaction_end" },
	  .quality = MB_QUALITY_FULL },
};

#define THROTTLE_MISSING \
	"sleeps of allocations below the reserve (throttle_direct_reclaim) have no tracepoint"

static const struct mb_hook throttle_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "reclaim_throttled", "reclaim_shrink_inactive" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = THROTTLE_MISSING },
	{ .name = "tp_btf congestion",
	  .programs = { "reclaim_congestion_wait", "reclaim_iff_congested", "reclaim_shrink_inactive" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = THROTTLE_MISSING },
};

static const struct mb_hook high_hooks[] = {
	{ .name = "fexit",
	  .programs = { "reclaim_high_begin", "reclaim_high_end" },
	  .quality = MB_QUALITY_FULL },
	{ .name = "fexit inline",
	  .programs = { "reclaim_over_high_begin", "reclaim_over_high_end" },
	  .quality = MB_QUALITY_FULL },
};

#define RECLAIMED_MISSING                                                                                \
	"a huge page that several processes map counts as one page; so do pages of a large folio "   \
	"that are taken at once, where there are no trampolines"

static const struct mb_hook reclaimed_hooks[] = {
	{ .name = "tp_btf of fault",
	  .requires = { "fault_moved" },
	  .optional = { "reclaim_taken_huge", "reclaim_unmap_begin", "reclaim_unmap_end" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = RECLAIMED_MISSING },
	{ .name = "tp_btf",
	  .programs = { "reclaim_taken" },
	  .optional = { "reclaim_taken_huge", "reclaim_unmap_begin", "reclaim_unmap_end" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = RECLAIMED_MISSING },
};

static const struct mb_hook kswapd_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "reclaim_wakeup_kswapd", "reclaim_kswapd_wake", "reclaim_shrink_inactive",
			"reclaim_kswapd_sleep" },
	  .quality = MB_QUALITY_FULL },
};

static const struct mb_hook alloc_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "reclaim_allocated" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "pages allocated in an interrupt count for the thread that was interrupted; pages that "
		     "are given back are not taken off" },
};

static const struct mb_hook shrinkers_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "reclaim_shrink_begin", "reclaim_shrink_end" },
	  .quality = MB_QUALITY_FULL },
};

static const struct mb_kern_table tables[] = {
	{ "evictions", MB_RECLAIM_EVENT_EVICTED },
	{ "shrinkers", MB_RECLAIM_EVENT_SHRUNK },
};

/*
 * Excludes reclaim_shrink_inactive: it runs once per some 32 pages, and is the only source for the
 * pages of a kswapd run.
 */
static const struct mb_hot hot[] = {
	{ "reclaim_taken", MB_LEVEL_ITERATOR },
	{ "reclaim_taken_huge", MB_LEVEL_ITERATOR },
	{ "reclaim_unmap_begin", MB_LEVEL_ITERATOR },
	{ "reclaim_unmap_end", MB_LEVEL_ITERATOR },
	{ "reclaim_allocated", MB_LEVEL_ITERATOR },
	{ "reclaim_shrink_begin", MB_LEVEL_COUNTS },
	{ "reclaim_shrink_end", MB_LEVEL_COUNTS },
};

static const struct mb_probe_point probe_points[] = {
	{ "direct", "who reclaims because the machine is short?", direct_hooks, 1,
	  "direct reclaim is not seen" },
	{ "memcg", "who reclaims because its cgroup is at its limit?", memcg_hooks, 1,
	  "memcg reclaim is not seen" },
	{ "compaction", "who compacts memory?", compaction_hooks, 1, "compaction is not seen" },
	{ "throttle", "who is made to sleep in reclaim?", throttle_hooks, 2,
	  "sleeps in reclaim count as reclaim" },
	{ "high", "who is made to sleep for being over memory.high?", high_hooks, 2,
	  "sleeps of memory.high, which have no tracepoint, are not seen" },
	{ "taken", "whose pages are reclaimed by others?", reclaimed_hooks, 2,
	  "pages taken are not counted", .off_from = MB_LEVEL_ITERATOR },
	{ "kswapd", "when does kswapd run, and for whom?", kswapd_hooks, 1,
	  "kswapd runs are not seen" },
	{ "shrinkers", "which slab shrinkers does reclaim spend its time in?", shrinkers_hooks, 1,
	  "time in shrinkers is not measured separately", .off_from = MB_LEVEL_COUNTS },
	{ .name = "alloc",
	  .asks = "who takes the free pages? (blame)",
	  .hooks = alloc_hooks,
	  .n_hooks = 1,
	  .without = "stalls in reclaim are laid upon nobody",
	  .on_request = true },
};

/* Row name of a shrinker until its name is known. */
static const char *shrinker_key(uint64_t shrinker, char *buf, size_t size)
{
	snprintf(buf, size, "%#llx", (unsigned long long)shrinker);
	return buf;
}

static void take_shrunk(struct mb_model *m, const struct mb_shrink_event *e)
{
	struct mb_process *p = mb_model_account(m, e->key.tgid, e->key.start_ns);
	struct mb_stall more = { e->count, e->ns, 0 };
	const char *name = mb_model_shrinker(m, e->key.shrinker);
	char key[32];

	if (p)
		mb_process_row_add(p, &fields[F_SHRINKERS],
				   name ? name : shrinker_key(e->key.shrinker, key, sizeof(key)),
				   &more);
}

static void take_shrinker(struct mb_model *m, const struct mb_shrinker_event *e)
{
	char key[32], name[MB_SHRINKER_NAME_LEN + 1] = "";
	struct mb_process *p;

	__builtin_memcpy(name, e->name, sizeof(e->name));
	mb_model_name_shrinker(m, e->shrinker, name);
	shrinker_key(e->shrinker, key, sizeof(key));
	for (p = name[0] ? m->all : NULL; p; p = p->next)
		mb_process_row_rename(p, &fields[F_SHRINKERS], key, name);
}

/* A huge page that was reclaimed at once: the table has counted it as one page. */
static void take_reclaimed(struct mb_model *m, const struct mb_reclaimed_event *e)
{
	struct mb_process *p = mb_model_find(m, e->owner);

	if (p)
		p->values[mb_slot(&fields[F_TAKEN_FROM_ME])] += e->pages;
}

/* `trace`: show the stall; it is already counted in the ledger. */
static void show(struct mb_model *m, const struct mb_reclaim_event *e)
{
	struct mb_reclaim_shown_event shown = { .stall = *e };

	shown.stall.h.type = (uint16_t)(MB_RECLAIM_EVENT_SHOWN + e->h.type);
	shown.stall.h.size = sizeof(shown);
	mb_observers_annotate(m, &shown.stall.h); /* adds the culprit */
	mb_model_show(m, &shown.stall.h);
}

static void consume(struct mb_model *m, const struct mb_event *event)
{
	switch (event->type) {
	case MB_RECLAIM_EVENT_RECLAIMED:
		take_reclaimed(m, (const struct mb_reclaimed_event *)event);
		break;
	case MB_RECLAIM_EVENT_SHRUNK:
		take_shrunk(m, (const struct mb_shrink_event *)event);
		break;
	case MB_RECLAIM_EVENT_SHRINKER:
		take_shrinker(m, (const struct mb_shrinker_event *)event);
		break;
	case MB_RECLAIM_EVENT_DIRECT:
	case MB_RECLAIM_EVENT_MEMCG:
	case MB_RECLAIM_EVENT_COMPACTION:
	case MB_RECLAIM_EVENT_THROTTLE:
	case MB_RECLAIM_EVENT_HIGH:
		if (m->on_event && (m->stream & (1u << MB_FAM_reclaim)))
			show(m, (const struct mb_reclaim_event *)event);
		break;
	}
}

static void prepare(struct mb_model *m, const struct mb_ledger *before, struct mb_task_record *r)
{
	const struct mb_reclaim_ledger *l = &r->ledger.reclaim;
	struct mb_process *p;

	if (l->memcg_reclaim.count == before->reclaim.memcg_reclaim.count &&
	    l->high_throttle.count == before->reclaim.high_throttle.count &&
	    l->throttle.count == before->reclaim.throttle.count)
		return;
	p = mb_model_find_exactly(m, r->info.h.tgid, r->info.start_ns);
	if (p)
		p->values[mb_slot(&fields[F_LIMIT_UP])] = l->limit_up;
}

const struct mb_family mb_family_reclaim = {
	.id = MB_FAM_reclaim,
	.name = "reclaim",
	MB_TABLE(fields),
	MB_TABLE(events),
	MB_TABLE(probe_points),
	MB_TABLE(hot),
	MB_TABLE(tables),
	.prepare = prepare,
	.consume = consume,
};
