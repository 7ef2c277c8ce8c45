/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Stalls nest: a major fault enters direct reclaim, which compacts, which waits for writeback. Each
 * thread has a small stack of open stalls. When a stall ends, it is charged its own time minus the
 * time of the stalls nested in it, so that the kinds add up without counting any time twice.
 *
 * For some waits there is a hook at the start but not at the end: a folio under writeback, and the
 * pauses of balance_dirty_pages, which reports only the planned length. Such a stall is
 * "open-ended". It is closed when the function that sleeps returns (stall_end_open) or, if that has
 * no hook, at the thread's next activity that memblame sees (stall_close_open).
 */
#ifndef MEMBLAME_STALL_H
#define MEMBLAME_STALL_H

#include "core/ledger.bpf.h"
#include "core/trace_level.bpf.h"
#include "core/tables.bpf.h"

/* Offset of a mb_stall in the ledger, which identifies it on the stack. */
#define STALL_SLOT(family, name)                        \
	(__builtin_offsetof(struct mb_ledger, family) + \
	 __builtin_offsetof(struct mb_##family##_ledger, name))

#define STALL_OPEN_ENDED 0x80000000u

struct stall_time {
	__u64 start_ns;
	__u64 ns; /* exclusive of nested stalls */
	__u64 total_ns;
	__u64 info;
};

/* The entry at an index that is known to be below MB_STALL_DEPTH. */
MB_INLINE struct mb_stall_frame *stall_frame(struct mb_ledger *l, __u64 index)
{
	return &l->task.stack[MB_BOUNDED(index, MB_STALL_DEPTH - 1)];
}

/*
 * Add the current thread's stall to the table of lengths; start_ns: of its process. A global
 * function (stall.bpf.c), so that the verifier checks it once and not at each of its many call
 * sites, which took 200 ms.
 */
int stall_note_length(__u64 start_ns, __u32 slot, __u64 ns);

MB_INLINE void stall_charge(struct mb_ledger *l, __u32 slot, __u64 ns)
{
	struct mb_stall *s;

	slot &= ~STALL_OPEN_ENDED;
	if (slot > sizeof(*l) - sizeof(*s))
		return;
	s = (void *)l + slot;
	s->count++;
	s->ns += ns;
	if (ns > s->max_ns)
		s->max_ns = ns;
	stall_note_length(l->task.start_ns, slot, ns);
}

/* Add a stall of total_ns that has just ended to the stall that encloses it. */
MB_INLINE void stall_tell_outer(struct mb_ledger *l, __u32 depth, __u64 total_ns)
{
	if (depth > 0 && depth <= MB_STALL_DEPTH)
		stall_frame(l, depth - 1)->child_ns += total_ns;
	else
		l->fault.pending.stalled_ns += total_ns;
}

/* Pop the innermost stall and charge it, with now as its end. Returns false if none is open. */
MB_INLINE bool stall_pop(struct mb_ledger *l, __u64 now, struct stall_time *t)
{
	__u32 top = l->task.depth - 1;
	struct mb_stall_frame *f;

	if (top >= MB_STALL_DEPTH)
		return false;
	f = stall_frame(l, top);
	t->start_ns = f->start_ns;
	t->info = f->info;
	t->total_ns = now > f->start_ns ? now - f->start_ns : 0;
	t->ns = t->total_ns > f->child_ns ? t->total_ns - f->child_ns : 0;
	stall_charge(l, f->slot, t->ns);
	l->task.depth = top;
	stall_tell_outer(l, top, t->total_ns);
	return true;
}

MB_INLINE void stall_emit(__u16 type, const struct stall_time *t, const struct mb_bdi_state *on)
{
	struct mb_writeback_event *e;
	void *ring = cpu_ring();

	if (!ring)
		return;
	e = emit_reserve_in(ring, MB_FAM_writeback, type, sizeof(*e), t->start_ns);
	if (!e)
		return;
	e->ns = t->ns;
	e->total_ns = t->total_ns;
	__builtin_memcpy(&e->on, on, sizeof(e->on));
	emit_submit(ring, e);
}

MB_INLINE __u64 cpu_time(struct task_struct *task)
{
	return BPF_CORE_READ(task, se.sum_exec_runtime);
}

/*
 * The kernel updates CPU time at least once per tick; this is a tick at 100 Hz, the lowest
 * frequency.
 */
#define CPU_TIME_LAG_NS 10000000

/*
 * Lag of a running thread's cpu_time(), minus the constant offset between the scheduler's clock and
 * boot time. exec_start is in clock_task, which excludes interrupts and time stolen by the
 * hypervisor. A CPU may lose much of it while the thread sleeps, and the loss differs per CPU, so
 * it is added back (kernel/sched/core.c, update_rq_clock_task()). Without CONFIG_FAIR_GROUP_SCHED
 * the loss is unknown.
 */
MB_INLINE __u32 cpu_time_lag(struct task_struct *task, __u64 now)
{
	__u64 left_out = 0;

	if (bpf_core_field_exists(struct sched_entity, cfs_rq)) {
		struct rq *rq = BPF_CORE_READ(task, se.cfs_rq, rq);

		left_out = BPF_CORE_READ(rq, clock) - BPF_CORE_READ(rq, clock_task);
	}
	return now - BPF_CORE_READ(task, se.exec_start) - left_out;
}

/* Total time that a thread was runnable without a CPU; 0: not available in this kernel. */
MB_INLINE __u32 cpu_wait(struct task_struct *task)
{
	if (!bpf_core_field_exists(struct task_struct, sched_info))
		return 0;
	return BPF_CORE_READ(task, sched_info.run_delay);
}

/*
 * CPU time of the current thread since the open-ended stall f began; accurate to a tick if the
 * clocks do not match.
 */
MB_INLINE __u64 cpu_time_since(struct mb_ledger *l, struct mb_stall_frame *f, __u64 now)
{
	struct task_struct *task = compat_current();
	__s64 ran = cpu_time(task) - f->cpu_ns;
	__s32 more = cpu_time_lag(task, now) - l->writeback.run.open_lag;

	if (more < CPU_TIME_LAG_NS && more > -CPU_TIME_LAG_NS)
		ran += more;
	return ran > 0 ? ran : 0;
}

/* Pop the innermost stall, which is open-ended, with now as its end, and emit it. */
MB_INLINE void stall_pop_open(struct mb_ledger *l, __u64 now)
{
	struct stall_time t;

	if (!stall_pop(l, now, &t))
		return;
	stall_emit(t.info ? MB_WRITEBACK_EVENT_PAUSE : MB_WRITEBACK_EVENT_WAIT, &t, &l->writeback.open);
}

/*
 * The thread runs again: if its innermost stall is open-ended, that stall is over. It ended when
 * the thread started to run, so CPU time since then is subtracted. That can be long, because at
 * some levels the hooks that a running thread passes are detached. If the thread has slept for
 * another reason since, the current time is no indication: a pause is then assumed to have lasted
 * as planned, and a wait outside of any other stall is counted as not timed.
 */
static __noinline void stall_close_open(struct mb_ledger *l, __u64 now)
{
	__u32 top = l->task.depth - 1;
	struct mb_stall_frame *f;
	__u64 planned, end, preempted;
	bool slept;

	if (top >= MB_STALL_DEPTH)
		return;
	f = stall_frame(l, top);
	if (!(f->slot & STALL_OPEN_ENDED))
		return;
	planned = f->info;
	slept = (__u16)(MB_TASK(compat_current(), nvcsw) - f->nvcsw) > 1;
	if (!planned && slept && top == 0) {
		l->task.depth = 0;
		count_drop(MB_FAM_writeback, MB_DROP_UNTIMED);
		return;
	}
	end = now - cpu_time_since(l, f, now);
	/*
	 * run_delay is one sum of the delay at wake-up, which is part of the stall, and the delays
	 * of later preemptions, which are not. All are assumed to be equally long.
	 */
	preempted = (__u16)(MB_TASK(compat_current(), nivcsw) - f->nivcsw);
	if (preempted)
		end -= (__u32)(cpu_wait(compat_current()) - l->writeback.run.open_wait) * preempted / (preempted + 1);
	if ((planned && slept) || (__s64)(end - f->start_ns - planned) < 0)
		end = f->start_ns + planned;
	stall_pop_open(l, end);
}

/* The function in which an open-ended stall of this slot sleeps has returned: the stall ends now. */
MB_INLINE void stall_end_open(struct mb_ledger *l, __u32 slot)
{
	__u32 top = l->task.depth - 1;

	if (top < MB_STALL_DEPTH && stall_frame(l, top)->slot == (slot | STALL_OPEN_ENDED))
		stall_pop_open(l, bpf_ktime_get_boot_ns());
}

/* Index of this slot's entry on the stack, plus one; 0: not found. */
static __noinline __u32 stall_find(struct mb_ledger *l, __u32 slot)
{
	__u32 found = 0;

	for (__u32 i = 0; i < MB_STALL_DEPTH; i++) {
		if (i < l->task.depth && stall_frame(l, i)->slot == slot)
			found = i + 1;
	}
	return found;
}

/*
 * Stalls of the same kind do not nest. If one is open, its end was missed (MB_DROP_MISSED), and so
 * were the ends of the stalls nested in it. None of them is charged.
 */
MB_INLINE void stall_forget(struct mb_ledger *l, __u32 family, __u32 slot)
{
	__u32 found = stall_find(l, slot);

	if (!found)
		return;
	l->task.depth = found - 1;
	count_drop(family, MB_DROP_UNTIMED);
}

/* Start a stall. info is returned when it ends. */
MB_INLINE void stall_begin(struct mb_ledger *l, __u32 family, __u32 slot, __u64 now, __u64 info)
{
	struct task_struct *task = compat_current();
	struct mb_stall_frame *f;
	__u32 depth;

	stall_close_open(l, now);
	if (l->task.depth)
		stall_forget(l, family, slot);
	depth = l->task.depth;
	if (depth >= MB_STALL_DEPTH) {
		count_drop(family, MB_DROP_STALL_DEPTH);
		return;
	}
	f = stall_frame(l, depth);
	f->start_ns = now;
	f->child_ns = 0;
	f->info = info;
	f->slot = slot;
	f->nvcsw = MB_TASK(task, nvcsw);
	f->nivcsw = MB_TASK(task, nivcsw);
	f->cpu_ns = cpu_time(task);
	if (slot & STALL_OPEN_ENDED) {
		l->writeback.run.open_lag = cpu_time_lag(task, now);
		l->writeback.run.open_wait = cpu_wait(task);
	}
	l->task.depth = depth + 1;
}

/*
 * End the stall of this slot, and with it the nested stalls whose ends were missed. Returns false
 * if it is not on the stack (it began before tracing, or was not recorded because the stack was
 * full).
 */
MB_INLINE bool stall_end(struct mb_ledger *l, __u32 slot, __u64 now, struct stall_time *t)
{
	__u32 found;

	stall_close_open(l, now);
	found = l->task.depth ? stall_find(l, slot) : 0;
	if (!found)
		return false;
	l->task.depth = found;
	return stall_pop(l, now, t);
}

/* Like stall_end, but this was not a stall after all: only the stalls nested in it count. */
MB_INLINE void stall_cancel(struct mb_ledger *l, __u32 slot)
{
	__u32 top = l->task.depth - 1;

	if (top >= MB_STALL_DEPTH || stall_frame(l, top)->slot != slot)
		return;
	l->task.depth = top;
	stall_tell_outer(l, top, stall_frame(l, top)->child_ns);
}

/* Is the innermost open stall of this slot? */
MB_INLINE bool stall_is_innermost(struct mb_ledger *l, __u32 slot)
{
	__u32 top = l->task.depth - 1;

	return top < MB_STALL_DEPTH && stall_frame(l, top)->slot == slot;
}

/*
 * How often the thread has gone to sleep since the start of the stall of this slot, which must be
 * the innermost.
 */
MB_INLINE __u32 stall_sleeps(struct mb_ledger *l, __u32 slot)
{
	__u32 top = l->task.depth - 1;

	if (top >= MB_STALL_DEPTH || stall_frame(l, top)->slot != slot)
		return 0;
	return (__u16)(MB_TASK(compat_current(), nvcsw) - stall_frame(l, top)->nvcsw);
}

/* Charge ns at once, for a stall whose length is only known afterwards, or in advance. */
MB_INLINE void stall_add(struct mb_ledger *l, __u32 slot, __u64 ns)
{
	stall_charge(l, slot, ns);
	stall_tell_outer(l, l->task.depth, ns);
}

#endif
