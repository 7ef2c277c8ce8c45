/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The memory of one cgroup from its files: limits, usage, and the part of the usage that can be
 * reclaimed.
 */
#ifndef MB_HOST_CGROUP_LIMITS_H
#define MB_HOST_CGROUP_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#define MB_NO_LIMIT UINT64_MAX

struct mb_cgroup_memory {
	uint64_t usage_bytes; /* memory.current, memory.usage_in_bytes */
	uint64_t reclaimable_bytes; /* part of usage_bytes: page cache on LRU lists, reclaimable slab */
	uint64_t swapped_bytes;
	uint64_t max_bytes,
		high_bytes; /* memory.max or memory.limit_in_bytes; memory.high; MB_NO_LIMIT */
	uint64_t swap_max_bytes; /* limit of swap (v2) */
	uint64_t both_max_bytes, both_bytes; /* limit of memory plus swap (v1), and their usage */
	bool no_swap; /* nothing is swapped out in this cgroup (v1: memory.swappiness is 0) */
};

/*
 * Reads the memory of a cgroup; dir: descriptor of its directory. Returns false if the cgroup is
 * gone or has no memory controller.
 */
bool mb_cgroup_memory_read(int dir, struct mb_cgroup_memory *m);

/*
 * Does a cgroup account and limit the memory of its descendants? Not in v1 without
 * memory.use_hierarchy. dir: descriptor of the cgroup's directory.
 */
bool mb_cgroup_memory_is_whole(int dir);

#endif
