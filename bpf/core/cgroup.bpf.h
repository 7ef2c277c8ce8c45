/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Cgroups lie within one another, as deep as anybody makes them. A walk up is cut into pieces for the verifier, each a
 * global function that it looks at once (bpf/cgroup.bpf.c); together they take MB_CGROUP_WALK levels, of which each
 * costs the kernel more memory than a machine has for as many.
 */
#ifndef MEMBLAME_CGROUP_H
#define MEMBLAME_CGROUP_H

#include "core/compat.bpf.h"

#define CGROUP_PIECE 64 /* levels of one call */
#define CGROUP_PIECES 64
#define MB_CGROUP_WALK (CGROUP_PIECE * CGROUP_PIECES)

/*
 * A piece of a walk from the cgroup (or its state, css) of this address on. Addresses are numbers: functions of ours
 * take no pointers. Returns CGROUP_FOUND, CGROUP_NONE where the root has been passed, else the address to go on from.
 */
#define CGROUP_NONE 0
#define CGROUP_FOUND 1

__u64 cgroup_selected_up(__u64 cgroup); /* one that is selected */
__u64 cgroup_css_up(__u64 css, __u64 wanted); /* that very css */

/* So many levels up, or CGROUP_NONE. */
__u64 cgroup_skip_up(__u64 css);

/* Whose limit is reached (high: memory.high)? How many levels up in this piece; CGROUP_PIECE: none of it is. */
__u64 cgroup_over_up(__u64 css, __u32 high);

/* How many levels up in this piece that cgroup is; CGROUP_PIECE: it is not in it. */
__u64 cgroup_distance_up(__u64 css, __u64 cgroup);

/* Of fullest (0: none so far) and those of this piece that have a limit, the one with the least room for more. */
__u64 cgroup_fullest_up(__u64 css, __u64 fullest);

/* Is the task's cgroup one of those selected, or below one? */
MB_INLINE bool in_selected_cgroup(struct task_struct *task)
{
	__u64 at = (__u64)compat_task_cgroup(task);

	for (int i = 0; i < CGROUP_PIECES && at > CGROUP_FOUND; i++)
		at = cgroup_selected_up(at);
	return at == CGROUP_FOUND;
}

/* Is the task in this memory cgroup or below it? */
MB_INLINE bool in_memcg(struct task_struct *task, struct mem_cgroup *memcg)
{
	__u64 at = (__u64)compat_task_memcg(task);
	__u64 of = (__u64)memcg + bpf_core_field_offset(struct mem_cgroup, css);

	for (int i = 0; i < CGROUP_PIECES && at > CGROUP_FOUND; i++)
		at = cgroup_css_up(at, of);
	return at == CGROUP_FOUND;
}

/*
 * Which memory cgroup is over its limit: 0 the task's own, 1 the one above, and so on; MB_LIMIT_UNKNOWN, also where it
 * is so far up that the number would mean something else.
 */
MB_INLINE __u32 memcg_over(struct task_struct *task, bool high)
{
	__u64 css = (__u64)compat_task_memcg(task);

	for (__u32 i = 0; i < MB_LIMIT_ASKED / CGROUP_PIECE && css; i++) {
		__u64 up = cgroup_over_up(css, high);

		if (up < CGROUP_PIECE)
			return i * CGROUP_PIECE + up;
		css = cgroup_skip_up(css);
	}
	return MB_LIMIT_UNKNOWN;
}

/*
 * How far above the task's own memory cgroup this one is; MB_LIMIT_UNKNOWN: the task is not in it. It is compared by its
 * cgroup, which has been read: a pointer that is a tracepoint's argument is no number for the verifier.
 */
MB_INLINE __u32 memcg_levels_up(struct task_struct *task, struct mem_cgroup *memcg)
{
	__u64 css = (__u64)compat_task_memcg(task);
	__u64 of = (__u64)BPF_CORE_READ(memcg, css.cgroup);

	for (__u32 i = 0; i < MB_LIMIT_ASKED / CGROUP_PIECE && css; i++) {
		__u64 up = cgroup_distance_up(css, of);

		if (up < CGROUP_PIECE)
			return i * CGROUP_PIECE + up;
		css = cgroup_skip_up(css);
	}
	return MB_LIMIT_UNKNOWN;
}

/* Of the cgroups with a limit that the task is in, the one with the least room for more; NULL: none has one. */
MB_INLINE struct mem_cgroup *fullest_memcg(struct task_struct *task)
{
	__u64 css = (__u64)compat_task_memcg(task), fullest = 0;

	for (int i = 0; i < CGROUP_PIECES && css; i++) {
		fullest = cgroup_fullest_up(css, fullest);
		css = cgroup_skip_up(css);
	}
	return fullest ? (void *)fullest - bpf_core_field_offset(struct mem_cgroup, css) : NULL;
}

#endif
