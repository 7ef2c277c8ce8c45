/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The memory of one cgroup as its files have it: limits, use, and what of that is no obstacle. */
#ifndef MB_HOST_CGROUP_LIMITS_H
#define MB_HOST_CGROUP_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#define MB_NO_LIMIT UINT64_MAX

struct mb_cgroup_memory {
	uint64_t usage_bytes; /* memory.current, memory.usage_in_bytes */
	uint64_t reclaimable_bytes; /* of that: page cache on the lists that reclaim looks at, slab that shrinks */
	uint64_t swapped_bytes;
	uint64_t max_bytes,
		high_bytes; /* memory.max or memory.limit_in_bytes; memory.high; MB_NO_LIMIT */
	uint64_t swap_max_bytes; /* of what may be swapped out (v2) */
	uint64_t both_max_bytes, both_bytes; /* of memory and swap together (v1), and their use */
	bool no_swap; /* nothing is swapped out here (v1: memory.swappiness 0) */
};

/* dir: the cgroup's directory. False: it is gone, or has no memory controller. */
bool mb_cgroup_memory_read(int dir, struct mb_cgroup_memory *m);

/* Does a cgroup above count, and limit, what is in those below it? Not so in v1 without memory.use_hierarchy. */
bool mb_cgroup_memory_is_whole(int dir);

#endif
