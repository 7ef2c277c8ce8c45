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

/* Counters of every traced thread. Only the running thread writes its own: no atomics. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mb_ledger);
} ledgers SEC(".maps");

/*
 * The same by thread id, for threads without task storage: core/ledger.bpf.h. Preallocated; a thread
 * that finds it full is counted as lost.
 */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* the loader makes it as large as it must be */
	__type(key, __u32);
	__type(value, struct mb_ledger);
} ledgers_by_tid SEC(".maps");

/* How many ledgers ledgers_by_tid holds. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} spare_ledgers SEC(".maps");

/* Where one ledger waits while two change places: too large for the BPF stack. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mb_ledger);
} exchange_room SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* the loader makes each shard the size asked for */
};

/* One ring per CPU: a single shared ring slows down as CPUs are added. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1); /* the loader sets the number of possible CPUs */
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

/* Process life and OOM kills: a flood of faults cannot fill this one. */
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

/* Processes whose code keeps frame pointers, as user space has found out: by tgid. Those that ended go first. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} frame_pointers SEC(".maps");

/* Calls of allocators that a signal handler on an alternate stack has interrupted, by thread: see heap.bpf.c. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct mb_heap_ledger);
} heap_aside SEC(".maps");

/* What a reclaimer took last, by task, which may change its CPU meanwhile: see core/reclaimed_pages.bpf.h. */
struct last_taken {
	__u32 owner;
	__u32 events; /* changes of its counter; with those that came at once, pages */
};

MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct last_taken);
} taken SEC(".maps");

/*
 * Tables: hashes of counters that only grow. User space reads them at each tick, makes an event of what
 * has changed in an entry, and removes entries that have not changed for a while. Preallocated; what
 * finds a table full is counted as lost (MB_DROP_TABLE_FULL).
 */

/* Lengths of stalls, by process and kind; 1,024 of half a KiB. */
struct stall_lengths {
	__u64 buckets[MB_STALL_BUCKETS];
};

MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct mb_stall_key);
	__type(value, struct stall_lengths);
} stall_lengths SEC(".maps");

/* An entry of zeros, to make others from: too large for the BPF stack. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stall_lengths);
} stall_lengths_zero SEC(".maps");

/* Pages by who dirtied or wrote them, and of which file. */
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

/* Mapped pages by whose they were, who took them, and of which kind. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, struct mb_eviction_key);
	__type(value, __u64);
} evictions SEC(".maps");

/* A mapping of a folio that a reclaimer is taking away: it may change its CPU meanwhile. */
struct unmapping {
	__u64 mm;
	__s32 mapped; /* the folio's mappings when that began */
	__u32 seen; /* changes of mm's counter since */
	__u32 kind; /* enum mm_counter of the last */
	__u32 pad;
};

/* By task. One that finds it full (1,024 reclaimers at once) counts each change as one page. */
MB_SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct unmapping);
} unmappings SEC(".maps");

#endif
