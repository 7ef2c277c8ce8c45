// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* oom: kills by the out-of-memory killer, with trigger and victim distinguished. */
#include "memblame/family.h"
#include "model/model.h"

static const struct mb_field fields[] = {
	{ "oom", "kills_triggered", "OOM kills decided while it was allocating",
	  MB_LEDGER(oom.triggered), MB_FIELD_COUNTER, MB_UNIT_COUNT, "oom.kill" },
};

/* Fields of the victim; without its task only its id is known. */
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

/* Fields for the cause; unknown if the kernel's oom_control was not available. */
#define WHY(field, member, value, u, by)                                     \
	{                                                                    \
		.name = field, MB_MEMBER(mb_oom_event, member),              \
		.kind = MB_VALUE_##value, .unit = MB_UNIT_##u, .scale = by,  \
		.known_if = offsetof(struct mb_oom_event, total_pages)       \
	}

static const struct mb_event_field kill_fields[] = {
	{ "trigger.pid", MB_MEMBER(mb_oom_event, h.tgid), .kind = MB_VALUE_U32 },
	{ "trigger.tid", MB_MEMBER(mb_oom_event, h.tid), .kind = MB_VALUE_U32 },
	{ "trigger.comm", MB_MEMBER(mb_oom_event, trigger_comm), .kind = MB_VALUE_STRING },
	WHY("gfp_mask", gfp, U32, COUNT, 1),
	WHY("order", order, S32, COUNT, 1),
	WHY("limit_bytes", total_pages, U64, BYTES, MB_PAGE_SIZE),
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

/* Parts of a kill; oom/oom.h combines them. */
#define PART(type, name, s) { type, name, sizeof(struct s), NULL, 0, MB_EVENT_INTERNAL }

static const struct mb_event_kind events[] = {
	{ MB_OOM_EVENT_KILL, "kill", sizeof(struct mb_oom_event), kill_fields,
	  MB_ARRAY_SIZE(kill_fields), MB_EVENT_KEEP },
	PART(MB_OOM_EVENT_TASK, "task", mb_oom_task_event),
	PART(MB_OOM_EVENT_ZONE, "zone", mb_oom_zone_event),
	PART(MB_OOM_EVENT_CANDIDATES_COMPLETE, "told", mb_oom_complete_event),
	PART(MB_OOM_EVENT_STACK, "stack", mb_oom_stack_event),
	PART(MB_OOM_EVENT_REAPER, "reaper", mb_oom_reaper_event),
	PART(MB_OOM_EVENT_SIGKILL, "sigkill", mb_oom_event),
};

static const struct mb_hook kill_hooks[] = {
	{ .name = "tp_btf",
	  .argument = { "mark_victim", "task" },
	  .programs = { "oom_mark_victim" },
	  .quality = MB_QUALITY_FULL },
	{ .name = "fentry",
	  .programs = { "oom_kill", "oom_kill_end", "oom_mark_member" },
	  .quality = MB_QUALITY_FULL },
	{ .name = "tp_btf id",
	  .programs = { "oom_mark_victim_id" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "of the victim only the process id is known" },
};

static const struct mb_hook stack_hooks[] = {
	{ .name = "tp_btf", .programs = { "oom_dying" }, .quality = MB_QUALITY_FULL },
};

static const struct mb_hook reaper_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "oom_reaped", "oom_reaper_skipped" },
	  .quality = MB_QUALITY_FULL },
};

static const struct mb_hook sigkill_hooks[] = {
	{ .name = "tp_btf", .programs = { "oom_sigkill" }, .quality = MB_QUALITY_FULL },
};

static const struct mb_hook log_hooks[] = {
	{ .name = "kmsg", .file = "/dev/kmsg", .quality = MB_QUALITY_FULL },
};

static const struct mb_probe_point probe_points[] = {
	{ "kill", "whom did the OOM killer kill, and for whom?", kill_hooks, 3,
	  "OOM kills are not seen", false },
	{ "victim_stack", "where was a victim when it died?", stack_hooks, 1,
	  "a victim's stack is not known", false },
	{ "reaper", "did the OOM reaper free a victim's memory?", reaper_hooks, 1,
	  "what the OOM reaper did is not known", false },
	{ "sigkill", "which process killed another (systemd-oomd, earlyoom)?", sigkill_hooks, 1,
	  "kills by a process are not seen", false },
	{ "log", "what does the kernel's log say of a kill?", log_hooks, 1,
	  "reports of kills are without the kernel's log", false },
};

const struct mb_family mb_family_oom = {
	.id = MB_FAM_oom,
	.name = "oom",
	MB_TABLE(fields),
	MB_TABLE(events),
	MB_TABLE(probe_points),
};
