/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A thread's ledger: find it, make it. */
#ifndef MEMBLAME_LEDGER_H
#define MEMBLAME_LEDGER_H

#include "core/emit.bpf.h"

/* The task's ledger, or NULL where it is not traced. */
MB_INLINE struct mb_ledger *ledger_of(struct task_struct *task)
{
	return bpf_task_storage_get(&ledgers, task, NULL, 0);
}

/*
 * Make a ledger. born: the thread starts its life now, or was started by us, so that the
 * kernel's own counts are the trace's counts; otherwise they are where counting begins.
 */
MB_INLINE struct mb_ledger *ledger_create(struct task_struct *task, bool born)
{
	struct mb_ledger *l;

	l = bpf_task_storage_get(&ledgers, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
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
