// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* oom: kills by the out-of-memory killer, with trigger and victim told apart. */
#include "memblame/family.h"

static const struct mb_field fields[] = {
	{ "oom", "kills_triggered", "OOM kills decided while it was allocating",
	  MB_LEDGER(oom.triggered), MB_FIELD_COUNTER, MB_UNIT_COUNT, "oom.kill" },
};

#define PAGES(name, member)                                                                       \
	{ name,	       MB_MEMBER(mb_oom_event, member), MB_VALUE_U64, MB_UNIT_BYTES, NULL, false, \
	  MB_PAGE_SIZE }

static const struct mb_event_field kill_fields[] = {
	{ "trigger.pid", MB_MEMBER(mb_oom_event, h.tgid), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false,
	  0 },
	{ "trigger.tid", MB_MEMBER(mb_oom_event, h.tid), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false,
	  0 },
	{ "trigger.comm", MB_MEMBER(mb_oom_event, trigger_comm), MB_VALUE_STRING, MB_UNIT_COUNT,
	  NULL, false, 0 },
	{ "victim.pid", MB_MEMBER(mb_oom_event, victim_tgid), MB_VALUE_U32, MB_UNIT_COUNT, NULL,
	  false, 0 },
	{ "victim.comm", MB_MEMBER(mb_oom_event, victim_comm), MB_VALUE_STRING, MB_UNIT_COUNT, NULL,
	  false, 0 },
	{ "victim.uid", MB_MEMBER(mb_oom_event, victim_uid), MB_VALUE_U32, MB_UNIT_COUNT, NULL,
	  false, 0 },
	{ "victim.oom_score_adj", MB_MEMBER(mb_oom_event, oom_score_adj), MB_VALUE_S32,
	  MB_UNIT_COUNT, NULL, false, 0 },
	PAGES("victim.total_vm_bytes", total_vm_pages),
	PAGES("victim.anon_rss_bytes", rss_pages[1]),
	PAGES("victim.file_rss_bytes", rss_pages[0]),
	PAGES("victim.shmem_rss_bytes", rss_pages[3]),
	PAGES("victim.swap_bytes", rss_pages[2]),
	{ "victim.pgtables_bytes", MB_MEMBER(mb_oom_event, pgtables_bytes), MB_VALUE_U64,
	  MB_UNIT_BYTES, NULL, false, 0 },
};

static const struct mb_event_kind events[] = {
	{ MB_OOM_EVENT_KILL, "kill", sizeof(struct mb_oom_event), kill_fields,
	  MB_ARRAY_SIZE(kill_fields), MB_EVENT_KEEP },
};

static const struct mb_hook kill_hooks[] = {
	{ .name = "tp_btf",
	  .argument = { "mark_victim", "task" },
	  .programs = { "oom_mark_victim" },
	  .quality = MB_QUALITY_FULL },
	{ .name = "fentry", .programs = { "oom_kill" }, .quality = MB_QUALITY_FULL },
	{ .name = "tp_btf id",
	  .programs = { "oom_mark_victim_id" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "of the victim only the process id is known" },
};

static const struct mb_question questions[] = {
	{ "kill", "whom did the OOM killer kill, and for whom?", kill_hooks, 3,
	  "OOM kills are not seen" },
};

const struct mb_family mb_family_oom = {
	.id = MB_FAM_oom,
	.name = "oom",
	.fields = fields,
	.n_fields = MB_ARRAY_SIZE(fields),
	.events = events,
	.n_events = MB_ARRAY_SIZE(events),
	.questions = questions,
	.n_questions = MB_ARRAY_SIZE(questions),
};
