/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Walks up the cgroup hierarchy. Cgroups can nest to any depth, so a walk is split for the verifier
 * into pieces of bounded length, each in a global function that the verifier checks once
 * (bpf/cgroup.bpf.c). Together the pieces cover MB_CGROUP_WALK levels; a hierarchy that deep needs
 * more kernel memory than a machine has.
 */
#ifndef MEMBLAME_CGROUP_H
#define MEMBLAME_CGROUP_H

#include "core/compat.bpf.h"

#define CGROUP_PIECE 64 /* levels per call */
#define CGROUP_PIECES 64
#define MB_CGROUP_WALK (CGROUP_PIECE * CGROUP_PIECES)

/*
 * One piece of a walk that starts at this cgroup address (or at its state, css). Addresses are
 * passed as numbers, because global BPF functions take no pointers to kernel objects. Returns
 * CGROUP_FOUND; CGROUP_NONE after the root; otherwise the address to continue from.
 */
#define CGROUP_NONE 0
#define CGROUP_FOUND 1

__u64 cgroup_selected_up(__u64 cgroup); /* search for a selected cgroup */
__u64 cgroup_css_up(__u64 css, __u64 wanted); /* search for the css wanted */

/* Go up by CGROUP_PIECE levels; CGROUP_NONE after the root. */
__u64 cgroup_skip_up(__u64 css);

/*
 * Whose limit is reached (high: memory.high)? Returns the number of levels up in this piece;
 * CGROUP_PIECE: none is.
 */
__u64 cgroup_over_up(__u64 css, __u32 high);

/* Number of levels up to cgroup in this piece; CGROUP_PIECE: not found. */
__u64 cgroup_distance_up(__u64 css, __u64 cgroup);

/*
 * The cgroup with the least room below its limit, among fullest (0: none so far) and the cgroups of
 * this piece.
 */
__u64 cgroup_fullest_up(__u64 css, __u64 fullest);

/* Is the task's cgroup one of the selected ones, or below one? */
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
 * Which memory cgroup is over its limit? 0: the task's own, 1: its parent, and so on.
 * MB_LIMIT_UNKNOWN: none, or so many levels up that the number would collide with another
 * MB_LIMIT_* value.
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
 * Levels from the task's own memory cgroup up to memcg; MB_LIMIT_UNKNOWN: the task is not in memcg.
 * Compares the cgroup pointer that it reads from memcg: the verifier does not accept a pointer from
 * a tracepoint argument as a number.
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

/*
 * Of the task's cgroups with a limit, the one with the least room below its limit; NULL: none has a
 * limit.
 */
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
