// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Implementation of core/cgroup.bpf.h, linked once for all families. */
#include "core/cgroup.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

MB_INLINE struct mem_cgroup *memcg_of(__u64 css)
{
	return (void *)css - bpf_core_field_offset(struct mem_cgroup, css);
}

MB_INLINE __u64 parent_of(__u64 css)
{
	return (__u64)BPF_CORE_READ((struct cgroup_subsys_state *)css, parent);
}

__noinline __u64 cgroup_selected_up(__u64 cgroup)
{
	struct cgroup *at = (void *)cgroup;

	for (int i = 0; i < CGROUP_PIECE; i++) {
		__u64 id = compat_cgroup_id(at);

		for (__u32 j = 0; j < MB_MAX_CGROUPS && j < knobs.nr_cgroups; j++) {
			if (knobs.cgroup_ids[j] == id)
				return CGROUP_FOUND;
		}
		at = BPF_CORE_READ(at, self.parent, cgroup);
		if (!at)
			return CGROUP_NONE;
	}
	return (__u64)at;
}

__noinline __u64 cgroup_css_up(__u64 css, __u64 wanted)
{
	for (int i = 0; i < CGROUP_PIECE && css; i++) {
		if (css == wanted)
			return CGROUP_FOUND;
		css = parent_of(css);
	}
	return css;
}

__noinline __u64 cgroup_skip_up(__u64 css)
{
	for (int i = 0; i < CGROUP_PIECE && css; i++)
		css = parent_of(css);
	return css;
}

/*
 * A failed charge has been undone, so the usage is up to one charge below the limit: charges are
 * made in batches of 64 pages (mm/memcontrol.c, MEMCG_CHARGE_BATCH), or 512 for huge pages. Not
 * static, so that the verifier checks the function once and not for each level.
 */
__noinline __u64 cgroup_is_over(__u64 css, __u32 high)
{
	struct mem_cgroup *memcg = memcg_of(css);
	__u64 usage = BPF_CORE_READ(memcg, memory.usage.counter);

	if (high)
		return usage > BPF_CORE_READ(memcg, memory.high);
	return usage + 64 + 512 > BPF_CORE_READ(memcg, memory.max);
}

__noinline __u64 cgroup_over_up(__u64 css, __u32 high)
{
	for (__u32 up = 0; up < CGROUP_PIECE && css; up++) {
		if (cgroup_is_over(css, high))
			return up;
		css = parent_of(css);
	}
	return CGROUP_PIECE;
}

__noinline __u64 cgroup_distance_up(__u64 css, __u64 cgroup)
{
	for (__u32 up = 0; up < CGROUP_PIECE && css; up++) {
		if ((__u64)BPF_CORE_READ((struct cgroup_subsys_state *)css, cgroup) == cgroup)
			return up;
		css = parent_of(css);
	}
	return CGROUP_PIECE;
}

/*
 * Pages that can still be charged; "no limit" is a number that exceeds any machine
 * (PAGE_COUNTER_MAX). Not static, for the same reason as cgroup_is_over().
 */
__noinline __u64 cgroup_room_of(__u64 css)
{
	struct mem_cgroup *memcg = memcg_of(css);
	__u64 limit = BPF_CORE_READ(memcg, memory.max);
	__u64 usage = BPF_CORE_READ(memcg, memory.usage.counter);

	if (limit >= MB_OOM_NO_LIMIT)
		return ~0ull;
	return limit > usage ? limit - usage : 0;
}

__noinline __u64 cgroup_fullest_up(__u64 css, __u64 fullest)
{
	__u64 least = fullest ? cgroup_room_of(fullest) : ~0ull;

	for (int i = 0; i < CGROUP_PIECE && css; i++) {
		__u64 room = cgroup_room_of(css);

		if (room < least) {
			least = room;
			fullest = css;
		}
		css = parent_of(css);
	}
	return fullest;
}
