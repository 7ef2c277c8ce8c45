/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Wire structs of the oom family: kills by the out-of-memory killer, and the system state at that
 * time.
 */
#ifndef MEMBLAME_ABI_OOM_H
#define MEMBLAME_ABI_OOM_H

enum mb_oom_event_type {
	MB_OOM_EVENT_KILL = 0,
	MB_OOM_EVENT_TASK = 1, /* a process that could have been selected */
	MB_OOM_EVENT_ZONE = 2, /* a zone that the allocation could have used */
	MB_OOM_EVENT_CANDIDATES_COMPLETE = 3, /* all tasks and zones of a kill have been sent */
	MB_OOM_EVENT_STACK = 4, /* stack of a victim when it starts to die */
	MB_OOM_EVENT_REAPER = 5, /* outcome for the victim's memory, if the OOM reaper handled it */
	MB_OOM_EVENT_SIGKILL = 6, /* a process sent SIGKILL to another one; also a struct mb_oom_event */
};

/* enum oom_constraint of include/linux/oom.h */
enum mb_oom_constraint {
	MB_OOM_GLOBAL = 0,
	MB_OOM_CPUSET = 1,
	MB_OOM_MEMPOLICY = 2,
	MB_OOM_MEMCG = 3,
	MB_OOM_CONSTRAINTS
};

enum mb_oom_reaper {
	MB_OOM_REAPER_NONE = 0, /* the reaper reported nothing */
	MB_OOM_REAPED = 1,
	MB_OOM_REAPER_SKIPPED = 2, /* the victim had already freed its memory, or the reaper cannot reap it */
};

#define MB_OOM_NO_LIMIT 0x7ffffffffffffull /* pages: PAGE_COUNTER_MAX, include/linux/page_counter.h */
#define MB_OOM_STACK 24u /* stack frames */
#define MB_OOM_ZONE_NAME_LEN 16

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct mb_oom_ledger {
	__u64 triggered; /* kills decided while this thread was allocating */
};

/*
 * One victim. The header's tgid and tid are those of the trigger: the thread that ran out of
 * memory, or the thread that sent the signal. Its t_ns identifies the kill in all other events.
 */
struct mb_oom_event {
	struct mb_event h;
	__u64 victim_start_ns;
	__u64 total_vm_pages;
	__u64 rss_pages[4]; /* file, anon, swap entries, shmem (enum mm_counter) */
	__u64 pgtables_bytes;
	__u64 victim_cgroup;
	__u64 trigger_cgroup;
	__u64 trigger_start_ns;
	/* from the kernel's struct oom_control; all 0 if it was not available */
	__u64 total_pages; /* memory and swap available in total; scores are fractions of it */
	__s64 chosen_points; /* the victim's score, in pages */
	/*
	 * memory cgroup that hit its limit; SIGKILL: of the victim's cgroups with a limit, the one
	 * with the least room left
	 */
	__u64 memcg;
	__u64 memcg_usage_pages;
	__u64 memcg_limit_pages;
	__u64 memcg_swap_pages; /* v1: memory plus swap */
	__u64 memcg_swap_limit_pages;
	__u64 kernel_stack[MB_OOM_STACK]; /* of the trigger, innermost first; 0: end */
	__u64 user_stack[MB_OOM_STACK];
	__u32 victim_tgid;
	__u32 victim_inner_tgid; /* in the victim's own pid namespace */
	__u32 trigger_inner_tgid;
	__u32 victim_uid;
	__s32 oom_score_adj;
	__u32 chosen_tgid; /* with memory.oom.group: the process whose selection kills the group; 0: unknown */
	__u32 gfp;
	__s32 order;
	__u32 constraint; /* enum mb_oom_constraint */
	__u32 memcg_v1;
	char trigger_comm[MB_COMM_LEN];
	char victim_comm[MB_COMM_LEN];
};

struct mb_oom_task_event {
	struct mb_event h;
	__u64 kill_t_ns;
	__u64 start_ns;
	__u64 cgroup;
	__u64 total_vm_pages;
	__u64 rss_pages[4];
	__u64 pgtables_bytes;
	__u32 tgid;
	__u32 uid;
	__s32 oom_score_adj;
	__u32 mm_id; /* equal for processes that share an address space (its address / 64); 0: unknown */
	char comm[MB_COMM_LEN];
};

struct mb_oom_zone_event {
	struct mb_event h;
	__u64 kill_t_ns;
	__u64 free_pages;
	__u64 min_pages;
	__u64 low_pages;
	__u64 high_pages;
	__u64 managed_pages;
	__u32 node;
	__u32 pad;
	char name[MB_OOM_ZONE_NAME_LEN];
};

struct mb_oom_complete_event {
	struct mb_event h;
	__u64 kill_t_ns;
	__u32 tasks;
	__u32 tasks_left_out; /* dropped, no room in the ring */
};

struct mb_oom_stack_event {
	struct mb_event h; /* the victim */
	__u64 kill_t_ns;
	__u64 user_stack[MB_OOM_STACK];
};

struct mb_oom_reaper_event {
	struct mb_event h;
	__u32 victim_tid;
	__u32 outcome; /* enum mb_oom_reaper */
};

#pragma GCC diagnostic pop
#endif
