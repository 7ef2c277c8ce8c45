// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* oom: kills by the out-of-memory killer, with trigger and victim told apart. */
#include "memblame/family.h"

static const struct mb_field fields[] = {
	{ "oom", "kills_triggered", "OOM kills decided while it was allocating",
	  MB_LEDGER(oom.triggered), MB_FIELD_COUNTER, MB_UNIT_COUNT, "oom.kill" },
};

/* Of the victim; where its task was not at hand, only its id is known. */
#define VICTIM(field, member, value, u)                                      \
	{                                                                    \
		.name = "victim." field, MB_MEMBER(mb_oom_event, member),    \
		.kind = MB_VALUE_##value, .unit = MB_UNIT_##u,               \
		.known_if = offsetof(struct mb_oom_event, victim_start_ns)   \
	}
#define VICTIM_PAGES(field, member)                                          \
	{                                                                    \
		.name = "victim." field, MB_MEMBER(mb_oom_event, member),    \
		.kind = MB_VALUE_U64, .unit = MB_UNIT_BYTES,                 \
		.scale = MB_PAGE_SIZE,                                       \
		.known_if = offsetof(struct mb_oom_event, victim_start_ns)   \
	}

static const struct mb_event_field kill_fields[] = {
	{ "trigger.pid", MB_MEMBER(mb_oom_event, h.tgid), .kind = MB_VALUE_U32 },
	{ "trigger.tid", MB_MEMBER(mb_oom_event, h.tid), .kind = MB_VALUE_U32 },
	{ "trigger.comm", MB_MEMBER(mb_oom_event, trigger_comm), .kind = MB_VALUE_STRING },
	{ "victim.pid", MB_MEMBER(mb_oom_event, victim_tgid), .kind = MB_VALUE_U32 },
	VICTIM("comm", victim_comm, STRING, COUNT),
	VICTIM("uid", victim_uid, U32, COUNT),
	VICTIM("oom_score_adj", oom_score_adj, S32, COUNT),
	VICTIM_PAGES("total_vm_bytes", total_vm_pages),
	VICTIM_PAGES("anon_rss_bytes", rss_pages[1]),
	VICTIM_PAGES("file_rss_bytes", rss_pages[0]),
	VICTIM_PAGES("shmem_rss_bytes", rss_pages[3]),
	VICTIM_PAGES("swap_bytes", rss_pages[2]),
	VICTIM("pgtables_bytes", pgtables_bytes, U64, BYTES),
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
