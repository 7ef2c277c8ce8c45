/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Selection of traced threads, decided once per thread: a thread is traced if and only if it has a
 * ledger. The iterator creates ledgers for existing threads (filter_selects), and fork creates them
 * for new threads before they first run (filter_follows), so that hooks on hot paths have nothing
 * to decide.
 */
#ifndef MEMBLAME_FILTER_H
#define MEMBLAME_FILTER_H

#include "core/cgroup.bpf.h"
#include "core/maps.bpf.h"

MB_INLINE bool is_listed(__u32 tgid)
{
	for (__u32 i = 0; i < MB_MAX_PIDS && i < knobs.nr_pids; i++) {
		if (knobs.pids[i] == tgid)
			return true;
	}
	return false;
}

/* Is the existing thread selected? first: the thread is looked at for the first time. */
MB_INLINE bool filter_selects(struct task_struct *task, bool first)
{
	switch (knobs.select) {
	case MB_SELECT_ALL:
		return true;
	case MB_SELECT_CGROUPS:
		return in_selected_cgroup(task);
	default: /* later, the same pid could belong to another process */
		return first && is_listed(task->tgid);
	}
}

/* Is the new thread to be traced, given whether its creator is traced? */
MB_INLINE bool filter_follows(struct task_struct *child, __u64 clone_flags, bool parent_traced)
{
	switch (knobs.select) {
	case MB_SELECT_ALL:
		return true;
	case MB_SELECT_TREE:
		return parent_traced;
	case MB_SELECT_PIDS:
		return parent_traced && (clone_flags & CLONE_THREAD);
	default: /* clone3 can start the child in a cgroup other than its parent's */
		return in_selected_cgroup(child);
	}
}

#endif
