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
	MB_RECLAIM_EVENT_RECLAIMED = 5, /* pages taken that no ledger has; always emitted */
	MB_RECLAIM_EVENT_HIGH = 6,
	MB_RECLAIM_EVENT_EVICTED = 7, /* from table evictions: not in a ring */
	MB_RECLAIM_EVENT_SHRUNK = 8, /* from table shrinkers: not in a ring */
	MB_RECLAIM_EVENT_SHRINKER = 9, /* the name of a shrinker, once; from user space */
	/* DIRECT to THROTTLE, and HIGH, as user space shows them: struct mb_reclaim_shown_event */
	MB_RECLAIM_EVENT_SHOWN = 16,
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct mb_reclaim_ledger {
	struct mb_stall direct_reclaim;
	struct mb_stall memcg_reclaim;
	struct mb_stall compaction;
	struct mb_stall throttle;
	struct mb_stall high_throttle;
	__u64 pages_reclaimed;
	__u64 pages_taken; /* from this thread's process; written by reclaimers, atomically */
	__u64 kswapd_wakeups;
	__u64 scanned_ns; /* when this thread, reclaiming, last scanned pages */
	__u64 allocated_pages; /* only where asked for (question reclaim.alloc) */
	__u64 shrink_ns; /* when the shrinker that it is in began */
	/*
	 * Whose limit the thread was reclaiming for last: 0 its own memory cgroup's, 1 that of the one
	 * above, and so on; MB_LIMIT_UNKNOWN; MB_LIMIT_MACHINE; MB_LIMIT_ASKED.
	 */
	__u32 limit_up;
	__u32 pad;
};

#define MB_LIMIT_UNKNOWN 255u /* some cgroup's */
#define MB_LIMIT_MACHINE 254u /* none: the machine was short of memory */
#define MB_LIMIT_ASKED 253u /* none: it was writing a cgroup's file that has memory reclaimed, or lowers a limit */

/* Key of table evictions, and what has changed in an entry: mapped pages taken away by a reclaimer. */
struct mb_eviction_key {
	__u64 owner_start_ns;
	__u64 by_start_ns; /* 0: not traced */
	__u32 owner; /* tgid */
	__u32 by;
	__u32 kind; /* enum mm_counter of the kernel: 0 file, 1 anonymous, 3 shared memory */
	__u32 pad;
};

struct mb_eviction_event {
	struct mb_event h;
	struct mb_eviction_key key;
	__u64 pages;
};

/* Key of table shrinkers, and what has changed in an entry: time in one slab shrinker. */
struct mb_shrink_key {
	__u64 start_ns;
	__u64 shrinker; /* address of its scan_objects() */
	__u32 tgid;
	__u32 pad;
};

struct mb_shrink_event {
	struct mb_event h;
	struct mb_shrink_key key;
	__u64 count;
	__u64 ns;
	__u64 objects; /* freed */
};

#define MB_SHRINKER_NAME_LEN 48

struct mb_shrinker_event {
	struct mb_event h;
	__u64 shrinker;
	char name[MB_SHRINKER_NAME_LEN]; /* the symbol of its scan_objects() */
};

/* A stall that ended (types DIRECT to THROTTLE, and HIGH). */
struct mb_reclaim_event {
	struct mb_event h; /* t_ns: its start */
	__u64 ns; /* exclusive */
	__u64 total_ns; /* with the stalls nested in it */
	__u64 pages;
	__u32 order;
	__u32 gfp;
	__u32 limit_up; /* as in struct mb_reclaim_ledger */
	__u32 pad;
};

/* The same with who is to blame most, and for how much of it. Type: SHOWN + that of the stall. */
struct mb_reclaim_shown_event {
	struct mb_reclaim_event stall;
	__u32 culprit; /* tgid; 0: not known */
	__u32 share_permille;
	char culprit_comm[MB_COMM_LEN];
};

/* A huge page of a file was taken from its owner at once: what the ledger does not have of it. */
struct mb_reclaimed_event {
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
