/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The maps and knobs that all families share: declared here, defined in maps.bpf.c. */
#ifndef MEMBLAME_MAPS_H
#define MEMBLAME_MAPS_H

#include "core/kernel.h"

#ifndef MB_SHARED
#define MB_SHARED extern
#endif

MB_SHARED const volatile struct mb_knobs knobs SEC(".rodata.knobs");

MB_SHARED volatile struct mb_trace_level trace_level SEC(".data.trace_level");

/* Counters of every traced thread. Only the running thread writes to its own ledger: no atomics. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mb_ledger);
} ledgers SEC(".maps");

/*
 * Ledgers by thread id, for threads without task storage: core/ledger.bpf.h. Preallocated; a thread
 * that finds the map full is counted as lost.
 */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* the loader sets the required size */
	__type(key, __u32);
	__type(value, struct mb_ledger);
} ledgers_by_tid SEC(".maps");

/* Number of ledgers in ledgers_by_tid. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} spare_ledgers SEC(".maps");

/* Temporary copy for swapping two ledgers: too large for the BPF stack. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mb_ledger);
} exchange_room SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* the loader creates each ring with the requested size */
};

/* One ring per CPU: a single shared ring does not scale with the number of CPUs. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1); /* the loader sets the number of possible CPUs */
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

/* Ring for process life cycle and OOM kills, which a flood of faults cannot fill. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} urgent SEC(".maps");

MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mb_drops);
} drops SEC(".maps");

/*
 * Processes whose code uses frame pointers, as detected by user space; keyed by tgid. LRU: entries
 * of exited processes are evicted first.
 */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} frame_pointers SEC(".maps");

/*
 * Allocator calls that were interrupted by a signal handler on an alternate stack, by thread: see
 * heap.bpf.c.
 */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct mb_heap_ledger);
} heap_aside SEC(".maps");

/*
 * The last owner that a reclaiming task took pages from. Keyed by task, because it may migrate to
 * another CPU: see core/reclaimed_pages.bpf.h.
 */
struct last_reclaimed {
	__u32 owner;
	__u32 events; /* changes of the owner's counter, plus further pages of batched changes */
};

MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct last_reclaimed);
} reclaimed SEC(".maps");

/*
 * Tables: hashes of counters that only grow. User space reads them at each tick, converts changed
 * entries to events, and removes entries that have not changed for a while. Preallocated; updates
 * that find a table full are counted as lost (MB_DROP_TABLE_FULL).
 */

/* Lengths of stalls, by process and kind; 1,024 entries of half a KiB. */
struct stall_lengths {
	__u64 buckets[MB_STALL_BUCKETS];
};

MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct mb_stall_key);
	__type(value, struct stall_lengths);
} stall_lengths SEC(".maps");

/* A zero entry, used to initialize others: too large for the BPF stack. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stall_lengths);
} stall_lengths_zero SEC(".maps");

/* Pages by the process that dirtied or wrote them, and by file. */
struct dirtied_pages {
	__u64 dirtied;
	__u64 written;
};

MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct mb_dirtied_key);
	__type(value, struct dirtied_pages);
} dirtied SEC(".maps");

/* Evicted mapped pages by owner, reclaiming process, and kind. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, struct mb_eviction_key);
	__type(value, __u64);
} evictions SEC(".maps");

/*
 * A folio that a reclaiming task is unmapping. Keyed by task, because it may migrate to another CPU
 * meanwhile.
 */
struct unmapping {
	__u64 mm;
	__s32 mapped; /* the folio's mappings at the start */
	__u32 seen; /* changes of mm's counter since then */
	__u32 kind; /* enum mm_counter of the last change */
	__u32 pad;
};

/* By task. If the map is full (1,024 concurrent reclaiming tasks), each change counts as one page. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct unmapping);
} unmappings SEC(".maps");

#endif
