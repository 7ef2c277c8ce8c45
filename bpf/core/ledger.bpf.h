/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A thread's ledger: find it, make it. */
#ifndef MEMBLAME_LEDGER_H
#define MEMBLAME_LEDGER_H

#include "core/compat.bpf.h"
#include "core/emit.bpf.h"

/* The task's ledger, or NULL where it is not traced. */
MB_INLINE struct mb_ledger *ledger_of(struct task_struct *task)
{
	__u32 tid;

	if (!knobs.hash_ledgers)
		return bpf_task_storage_get(&ledgers, task, NULL, 0);
	tid = BPF_CORE_READ(task, pid);
	return bpf_map_lookup_elem(&ledgers_by_tid, &tid);
}

MB_INLINE struct mb_ledger *ledger_insert(struct task_struct *task)
{
	struct mb_ledger *zero;
	__u32 key = 0, tid;

	if (!knobs.hash_ledgers)
		return bpf_task_storage_get(&ledgers, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	zero = bpf_map_lookup_elem(&ledger_zero, &key);
	tid = BPF_CORE_READ(task, pid);
	if (!zero || bpf_map_update_elem(&ledgers_by_tid, &tid, zero, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&ledgers_by_tid, &tid);
}

/* The task is not traced any more. */
MB_INLINE void ledger_delete(struct task_struct *task)
{
	__u32 tid;

	if (!knobs.hash_ledgers) {
		bpf_task_storage_delete(&ledgers, task);
		return;
	}
	tid = BPF_CORE_READ(task, pid);
	bpf_map_delete_elem(&ledgers_by_tid, &tid);
}

/* exec gave the thread its leader's id: its ledger must be found under that. */
MB_INLINE void ledger_rename(__u32 old_tid, __u32 tid)
{
	struct mb_ledger *l;

	if (!knobs.hash_ledgers || old_tid == tid)
		return;
	l = bpf_map_lookup_elem(&ledgers_by_tid, &old_tid);
	if (l)
		bpf_map_update_elem(&ledgers_by_tid, &tid, l, BPF_ANY);
	bpf_map_delete_elem(&ledgers_by_tid, &old_tid);
}

/*
 * Make a ledger. born: the thread starts its life now, or was started by us, so that the
 * kernel's own counts are the trace's counts; otherwise they are where counting begins.
 */
MB_INLINE struct mb_ledger *ledger_create(struct task_struct *task, bool born)
{
	struct mb_ledger *l = ledger_insert(task);

	if (!l) {
		count_drop(MB_FAM_task, MB_DROP_NO_LEDGER);
		return NULL;
	}
	l->task.born_ns = bpf_ktime_get_boot_ns();
	l->task.born_tid = task->pid;
	l->task.born = born;
	if (!born) {
		l->task.min_base = task->min_flt;
		l->task.maj_base = task->maj_flt;
	}
	return l;
}

#endif
