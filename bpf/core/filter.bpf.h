/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Who is traced, decided once per thread: a thread is traced if and only if it has a ledger.
 * Ledgers are made for existing threads by the iterator (filter_selects) and for new ones in
 * fork, before they first run (filter_follows), so that hot hooks have nothing to decide.
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

/* Does the existing thread belong to the selection? first: this is the first look at it. */
MB_INLINE bool filter_selects(struct task_struct *task, bool first)
{
	switch (knobs.select) {
	case MB_SELECT_ALL:
		return true;
	case MB_SELECT_CGROUPS:
		return in_selected_cgroup(task);
	default: /* later, the same number would be another process */
		return first && is_listed(task->tgid);
	}
}

/* Is the new thread to be traced, given whether the one that made it is? */
MB_INLINE bool filter_follows(struct task_struct *child, __u64 clone_flags, bool parent_traced)
{
	switch (knobs.select) {
	case MB_SELECT_ALL:
		return true;
	case MB_SELECT_TREE:
		return parent_traced;
	case MB_SELECT_PIDS:
		return parent_traced && (clone_flags & CLONE_THREAD);
	default: /* clone3 can start it in another cgroup than its parent's */
		return in_selected_cgroup(child);
	}
}

#endif
