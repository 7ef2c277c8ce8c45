/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the oom family: kills by the out-of-memory killer. */
#ifndef MEMBLAME_ABI_OOM_H
#define MEMBLAME_ABI_OOM_H

enum mb_oom_event_type {
	MB_OOM_EVENT_KILL = 0,
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct mb_oom_ledger {
	__u64 triggered; /* kills decided while this thread was allocating */
};

/* One victim. The header's tgid and tid are the trigger: the thread that ran out of memory. */
struct mb_oom_event {
	struct mb_event h;
	__u64 victim_start_ns;
	__u64 total_vm_pages;
	__u64 rss_pages[4]; /* file, anon, swap entries, shmem (enum mm_counter) */
	__u64 pgtables_bytes;
	__u64 victim_cgroup;
	__u64 trigger_cgroup;
	__u32 victim_tgid;
	__u32 victim_uid;
	__s32 oom_score_adj;
	__u32 pad;
	char trigger_comm[MB_COMM_LEN];
	char victim_comm[MB_COMM_LEN];
};

#pragma GCC diagnostic pop
#endif
