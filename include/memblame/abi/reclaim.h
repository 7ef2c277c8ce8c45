/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the reclaim family: reclaim stalls, kswapd runs, reclaimed pages. */
#ifndef MEMBLAME_ABI_RECLAIM_H
#define MEMBLAME_ABI_RECLAIM_H

enum mb_reclaim_event_type {
	MB_RECLAIM_EVENT_DIRECT = 0,
	MB_RECLAIM_EVENT_MEMCG = 1,
	MB_RECLAIM_EVENT_COMPACTION = 2,
	MB_RECLAIM_EVENT_THROTTLE = 3,
	MB_RECLAIM_EVENT_KSWAPD = 4, /* one run of kswapd; always emitted */
	MB_RECLAIM_EVENT_RECLAIMED = 5, /* reclaimed pages that are in no ledger; always emitted */
	MB_RECLAIM_EVENT_HIGH = 6,
	MB_RECLAIM_EVENT_EVICTED = 7, /* from table evictions; not in a ring */
	MB_RECLAIM_EVENT_SHRUNK = 8, /* from table shrinkers; not in a ring */
	MB_RECLAIM_EVENT_SHRINKER = 9, /* the name of a shrinker, sent once by user space */
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
	__u64 pages_taken; /* pages reclaimed from this thread's process; written atomically by the reclaiming tasks */
	__u64 kswapd_wakeups;
	__u64 scanned_ns; /* when this thread last scanned pages during reclaim */
	__u64 allocated_pages; /* only on request (probe point reclaim.alloc) */
	__u64 shrink_ns; /* when the current shrinker call began */
	/*
	 * Whose limit the thread last reclaimed for: 0: its own memory cgroup, 1: the parent, and
	 * so on; MB_LIMIT_UNKNOWN; MB_LIMIT_MACHINE; MB_LIMIT_ASKED.
	 */
	__u32 limit_up;
	__u32 pad;
};

#define MB_LIMIT_UNKNOWN 255u /* some cgroup, unknown which */
#define MB_LIMIT_MACHINE 254u /* none: the machine was short of memory */
#define MB_LIMIT_ASKED 253u /* none: the thread wrote to a cgroup file that triggers reclaim or lowers a limit */

/*
 * Key of table evictions: mapped pages that a reclaiming task evicted. Changed entries become
 * events.
 */
struct mb_eviction_key {
	__u64 owner_start_ns;
	__u64 by_start_ns; /* 0: not traced */
	__u32 owner; /* tgid */
	__u32 by;
	__u32 kind; /* the kernel's enum mm_counter: 0 file, 1 anonymous, 3 shared memory */
	__u32 pad;
};

struct mb_eviction_event {
	struct mb_event h;
	struct mb_eviction_key key;
	__u64 pages;
};

/* Key of table shrinkers: time in one slab shrinker. Changed entries become events. */
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
	char name[MB_SHRINKER_NAME_LEN]; /* symbol name of its scan_objects() */
};

/* A completed stall (types DIRECT to THROTTLE, and HIGH). */
struct mb_reclaim_event {
	struct mb_event h; /* t_ns: start of the stall */
	__u64 ns; /* exclusive of nested stalls */
	__u64 total_ns; /* including nested stalls */
	__u64 pages;
	__u32 order;
	__u32 gfp;
	__u32 limit_up; /* as in struct mb_reclaim_ledger */
	__u32 pad;
};

/* The same, with the main culprit and its share. Type: SHOWN + type of the stall. */
struct mb_reclaim_shown_event {
	struct mb_reclaim_event stall;
	__u32 culprit; /* tgid; 0: unknown */
	__u32 share_permille;
	char culprit_comm[MB_COMM_LEN];
};

/*
 * A huge page of a file was reclaimed from its owner at once: the pages that are not in the owner's
 * ledger.
 */
struct mb_reclaimed_event {
	struct mb_event h;
	__u64 pages;
	__u32 owner; /* tgid */
	__u32 pad;
};

struct mb_kswapd_event {
	struct mb_event h; /* t_ns: start of the run */
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
