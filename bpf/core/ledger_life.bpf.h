/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Creates and deletes a thread's ledger; used by the programs of task.bpf.c only. Fork, the
 * iterator (each of its readers) and a move into a cgroup may try to create the ledger of the same
 * thread concurrently on several CPUs. There is never more than one ledger, and it is complete
 * before others can find it.
 */
#ifndef MEMBLAME_LEDGER_LIFE_H
#define MEMBLAME_LEDGER_LIFE_H

#include "core/ledger.bpf.h"

/*
 * Number of threads with a ledger. User space still expects data from those that the iterator does
 * not report.
 */
__u64 traced;

MB_INLINE void count_spare(__s64 more)
{
	__u64 *n = spares();

	if (n)
		__sync_fetch_and_add(n, more);
	__sync_fetch_and_add(&traced, more);
}

MB_INLINE struct mb_ledger *hash_insert(struct task_struct *task, struct mb_ledger *room)
{
	__u32 tid = BPF_CORE_READ(task, pid);

	if (!bpf_map_update_elem(&ledgers_by_tid, &tid, room, BPF_NOEXIST))
		count_spare(1);
	return bpf_map_lookup_elem(&ledgers_by_tid, &tid);
}

MB_INLINE void hash_delete(struct task_struct *task)
{
	__u32 tid = BPF_CORE_READ(task, pid);

	if (hash_in_use() && !bpf_map_delete_elem(&ledgers_by_tid, &tid))
		count_spare(-1);
}

MB_INLINE bool is_from(const struct mb_ledger *l, const struct mb_ledger *room)
{
	return l->task.born_ns == room->task.born_ns && l->task.born == room->task.born;
}

/*
 * A NULL result does not mean that there is no ledger: a concurrent creation of the same ledger
 * also fails.
 */
MB_INLINE struct mb_ledger *storage_insert(struct task_struct *task, struct mb_ledger *room)
{
	struct mb_ledger *l = bpf_task_storage_get(&ledgers, task, room, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (l && is_from(l, room))
		__sync_fetch_and_add(&traced, 1);
	return l ? l : bpf_task_storage_get(&ledgers, task, NULL, 0);
}

/*
 * If a thread has both a ledger in task storage and a spare, delete the spare. Whoever creates one
 * looks for the other afterwards, so that of two concurrent creators at least one sees both.
 */
MB_INLINE struct mb_ledger *ledger_insert(struct task_struct *task, struct mb_ledger *room)
{
	struct mb_ledger *spare, *l;

	if (knobs.hash_ledgers)
		return hash_insert(task, room);
	l = storage_insert(task, room);
	if (!l) {
		spare = hash_insert(task, room);
		l = bpf_task_storage_get(&ledgers, task, NULL, 0);
		if (!l)
			return spare;
	}
	hash_delete(task);
	return l;
}

/*
 * The thread's ledger; created if there is none. born: the thread starts now, or was started by
 * memblame, so that the kernel's fault counters cover traced time only; otherwise their current
 * values become the base. room: a ledger of zeros except for what this function fills in, which no
 * other program uses meanwhile.
 */
MB_INLINE struct mb_ledger *ledger_create(struct task_struct *task, struct mb_ledger *room, bool born)
{
	struct mb_ledger *l;

	room->task.born_tid = task->pid;
	room->task.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	room->task.born = born;
	room->task.min_base = born ? 0 : task->min_flt;
	room->task.maj_base = born ? 0 : task->maj_flt;
	room->task.born_ns = bpf_ktime_get_boot_ns();
	l = ledger_insert(task, room);
	if (!l)
		count_drop(MB_FAM_task, MB_DROP_NO_LEDGER);
	return l;
}

#define ENOENT 2 /* bpf_task_storage_delete(): the task has no ledger there */

/*
 * Stop tracing the task. If this CPU is in a task storage operation already, the deletion fails and
 * the task stays traced; unless the task is being freed: then the kernel frees its storage as well.
 */
MB_INLINE void ledger_delete(struct task_struct *task, bool freed)
{
	if (!knobs.hash_ledgers) {
		long err = bpf_task_storage_delete(&ledgers, task);

		if (!err || (freed && err != -ENOENT))
			__sync_fetch_and_add(&traced, -1);
	}
	hash_delete(task);
}

#endif
