/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The level (enum mb_level) that tracing is at now, and what a change of it asks of the programs.
 *
 * Before the hooks on hot paths are taken off, the level already says so: no fault and no call begins any
 * more. A grace period later the iterator closes what was begun (trace_level_settle), while what is still under way
 * is forgotten: it shows up in the kernel's own count only. On the way back the hooks are there before the level
 * says so. So nothing that began on one side of a gap can be taken to have ended on the other.
 */
#ifndef MEMBLAME_TRACE_LEVEL_H
#define MEMBLAME_TRACE_LEVEL_H

#include "core/mapping.bpf.h"
#include "core/maps.bpf.h"

/* Is tracing at a level before this one? The verifier sees no such question where no budget was given. */
MB_INLINE bool level_before(__u32 level)
{
	return !knobs.governed || trace_level.level < level;
}

/* Which minor faults are timed, see struct mb_knobs. */
MB_INLINE __u32 sample_mask(void)
{
	return knobs.governed ? trace_level.sample_mask : knobs.sample_mask;
}

/* How many of those that are timed at level full one that is timed now stands for. */
MB_INLINE __u32 sample_weight(void)
{
	return knobs.governed ? trace_level.weight : 1;
}

/* The pending fault is over: count it under its cause, if the kernel counted it at all. Returns its class. */
MB_INLINE __u32 pending_count(struct task_struct *task, struct mb_ledger *l, __u64 flt, bool major)
{
	struct mb_fault_pending *p = &l->fault.pending;
	__u32 class = MB_FAULT_FAILED;

	if (flt != p->flt) {
		if (mb_fault_asks_mapping(p))
			mapping_ask(task, &l->fault);
		class = mb_fault_classify(p, major, knobs.has_swap);
	}
	if (class != MB_FAULT_FAILED)
		l->fault.by_access[MB_BOUNDED(MB_FAULT_ACCESS(p->error), 7)]++;
	l->fault.by_class[MB_BOUNDED(class, MB_FAULT_CLASS_ROOM - 1)]++;
	return class;
}

/*
 * Close what hot hooks have begun in this ledger of the thread. It may run, but
 * no program changes these parts of its ledger any more. A fault that has gone on through the gap is counted as
 * failed, so that when the kernel counts it, it is among those of no known cause; of one that has ended, its hooks
 * have seen all.
 */
MB_INLINE void trace_level_settle(struct task_struct *task, struct mb_ledger *l)
{
	__u64 maj = task->maj_flt, flt = task->min_flt + maj;
	struct mb_fault_pending *p = &l->fault.pending;

	l->vma.op = MB_VMA_NONE;
	if (!p->seq || p->settled)
		return;
	pending_count(task, l, flt, maj != p->maj);
	p->start_ns = 0;
	p->mapped_ns = 0;
	p->settled = 1;
}

#endif
