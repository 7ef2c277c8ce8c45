/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the reclaim family: reclaim stalls, kswapd runs, pages taken. */
#ifndef MEMBLAME_ABI_RECLAIM_H
#define MEMBLAME_ABI_RECLAIM_H

enum mb_reclaim_event_type {
	MB_RECLAIM_EVENT_DIRECT = 0,
	MB_RECLAIM_EVENT_MEMCG = 1,
	MB_RECLAIM_EVENT_COMPACTION = 2,
	MB_RECLAIM_EVENT_THROTTLE = 3,
	MB_RECLAIM_EVENT_KSWAPD = 4, /* one run of kswapd; always emitted */
	MB_RECLAIM_EVENT_TAKEN = 5, /* pages taken that no ledger has; always emitted */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct mb_reclaim_ledger {
	struct mb_stall direct_reclaim;
	struct mb_stall memcg_reclaim;
	struct mb_stall compaction;
	struct mb_stall throttle;
	__u64 pages_reclaimed;
	__u64 pages_taken; /* from this thread's process; written by reclaimers, atomically */
	__u64 kswapd_wakeups;
	__u64 scanned_ns; /* when this thread, reclaiming, last scanned pages */
};

/* A stall that ended (types DIRECT to THROTTLE). */
struct mb_reclaim_event {
	struct mb_event h; /* t_ns: its start */
	__u64 ns; /* exclusive */
	__u64 total_ns; /* with the stalls nested in it */
	__u64 pages;
	__u32 order;
	__u32 gfp;
};

/* A huge page of a file was taken from its owner at once: what the ledger does not have of it. */
struct mb_taken_event {
	struct mb_event h;
	__u64 pages;
	__u32 owner; /* tgid */
	__u32 pad;
};

struct mb_kswapd_event {
	struct mb_event h; /* t_ns: its start */
	__u64 end_ns;
	__u64 pages;
	__u32 node;
	__u32 order;
	__u32 waker_tgid; /* 0: not seen */
	__u32 waker_tid;
	char waker_comm[MB_COMM_LEN];
};

#pragma GCC diagnostic pop
#endif
