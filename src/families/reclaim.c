// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* reclaim: stalls in reclaim, compaction and throttling; pages freed and pages taken. */
#include "memblame/family.h"
#include "model/model.h"

#define STALL(name, question, text) \
	{ "stalls", #name, text, MB_LEDGER(reclaim.name), MB_FIELD_STALL, MB_UNIT_NS, question }
#define COUNT(name, member, unit, question, text) \
	{ "reclaim", name, text, MB_LEDGER(reclaim.member), MB_FIELD_COUNTER, unit, question }

enum { F_TAKEN = 5 };

static const struct mb_field fields[] = {
	STALL(direct_reclaim, "reclaim.direct", "freeing pages itself, the machine being short"),
	STALL(memcg_reclaim, "reclaim.memcg",
	      "freeing pages itself, its cgroup being at its limit"),
	STALL(compaction, "reclaim.compaction", "moving pages to make a large free block"),
	STALL(throttle, "reclaim.throttle", "made to sleep in reclaim"),
	COUNT("pages_reclaimed", pages_reclaimed, MB_UNIT_PAGES, "reclaim.direct",
	      "pages it freed in direct and memcg reclaim"),
	[F_TAKEN] = COUNT("pages_taken_from_me", pages_taken, MB_UNIT_PAGES, "reclaim.taken",
			  "of its mapped pages, those that somebody else reclaimed"),
	COUNT("kswapd_wakeups", kswapd_wakeups, MB_UNIT_COUNT, "reclaim.kswapd",
	      "times it woke kswapd"),
};

static const struct mb_event_field stall_fields[] = {
	{ "ns", MB_MEMBER(mb_reclaim_event, ns), MB_VALUE_U64, MB_UNIT_NS, NULL, false, 0 },
	{ "total_ns", MB_MEMBER(mb_reclaim_event, total_ns), MB_VALUE_U64, MB_UNIT_NS, NULL, false,
	  0 },
	{ "reclaimed_pages", MB_MEMBER(mb_reclaim_event, pages), MB_VALUE_U64, MB_UNIT_PAGES, NULL,
	  false, 0 },
	{ "order", MB_MEMBER(mb_reclaim_event, order), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false,
	  0 },
	{ "gfp", MB_MEMBER(mb_reclaim_event, gfp), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false, 0 },
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

static const struct mb_event_field taken_fields[] = {
	{ "owner.pid", MB_MEMBER(mb_taken_event, owner), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false,
	  0 },
	{ "pages", MB_MEMBER(mb_taken_event, pages), MB_VALUE_U64, MB_UNIT_PAGES, NULL, false, 0 },
};

#define STALL_EVENT(type, name)                  \
	{                                        \
		type,                            \
		name,                            \
		sizeof(struct mb_reclaim_event), \
		stall_fields,                    \
		MB_ARRAY_SIZE(stall_fields),     \
		0                                \
	}

static const struct mb_event_kind events[] = {
	STALL_EVENT(MB_RECLAIM_EVENT_DIRECT, "direct_reclaim"),
	STALL_EVENT(MB_RECLAIM_EVENT_MEMCG, "memcg_reclaim"),
	STALL_EVENT(MB_RECLAIM_EVENT_COMPACTION, "compaction"),
	STALL_EVENT(MB_RECLAIM_EVENT_THROTTLE, "throttle"),
	{ MB_RECLAIM_EVENT_TAKEN, "taken", sizeof(struct mb_taken_event), taken_fields,
	  MB_ARRAY_SIZE(taken_fields), MB_EVENT_INTERNAL },
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

#define TAKEN_MISSING                                                                                \
	"a huge page that several processes map counts as one page; so do pages of a large folio "   \
	"that are taken at once, where there are no trampolines"

static const struct mb_hook taken_hooks[] = {
	{ .name = "tp_btf of fault",
	  .shares = "fault_moved",
	  .optional = { "reclaim_taken_huge", "reclaim_unmap_begin", "reclaim_unmap_end" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = TAKEN_MISSING },
	{ .name = "tp_btf",
	  .programs = { "reclaim_taken" },
	  .optional = { "reclaim_taken_huge", "reclaim_unmap_begin", "reclaim_unmap_end" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = TAKEN_MISSING },
};

static const struct mb_hook kswapd_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "reclaim_wakeup_kswapd", "reclaim_kswapd_wake", "reclaim_shrink_inactive",
			"reclaim_kswapd_sleep" },
	  .quality = MB_QUALITY_FULL },
};

static const struct mb_question questions[] = {
	{ "direct", "who reclaims because the machine is short?", direct_hooks, 1,
	  "direct reclaim is not seen" },
	{ "memcg", "who reclaims because its cgroup is at its limit?", memcg_hooks, 1,
	  "memcg reclaim is not seen" },
	{ "compaction", "who compacts memory?", compaction_hooks, 1, "compaction is not seen" },
	{ "throttle", "who is made to sleep in reclaim?", throttle_hooks, 2,
	  "sleeps in reclaim count as reclaim" },
	{ "high", "who is made to sleep for being over memory.high?", high_hooks, 2,
	  "sleeps of memory.high, which have no tracepoint, are not in throttle" },
	{ "taken", "whose pages are reclaimed by others?", taken_hooks, 2,
	  "pages taken are not counted" },
	{ "kswapd", "when does kswapd run, and for whom?", kswapd_hooks, 1,
	  "kswapd runs are not seen" },
};

static void consume(struct mb_model *m, const struct mb_event *event)
{
	const struct mb_taken_event *e = (const struct mb_taken_event *)event;
	struct mb_process *p;

	if (event->type != MB_RECLAIM_EVENT_TAKEN)
		return; /* the ledger has counted it; trace and the summary show it */
	p = mb_model_find(m, e->owner);
	if (p)
		p->values[mb_slot(&fields[F_TAKEN])] += e->pages;
}

const struct mb_family mb_family_reclaim = {
	.id = MB_FAM_reclaim,
	.name = "reclaim",
	.fields = fields,
	.n_fields = MB_ARRAY_SIZE(fields),
	.events = events,
	.n_events = MB_ARRAY_SIZE(events),
	.questions = questions,
	.n_questions = MB_ARRAY_SIZE(questions),
	.consume = consume,
};
