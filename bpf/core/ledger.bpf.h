/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Finds a thread's ledger. Creation and deletion: core/ledger_life.bpf.h. */
#ifndef MEMBLAME_LEDGER_H
#define MEMBLAME_LEDGER_H

#include "core/compat.bpf.h"
#include "core/emit.bpf.h"

/*
 * Ledgers are in task storage. If the kernel has no task storage for tracing programs
 * (knobs.hash_ledgers), they are in a hash keyed by thread id. Task storage can also be refused for
 * a single thread: because memory cannot be allocated without sleeping (kmalloc_nolock() may fail
 * at any time, and since 7.0 always fails on CPUs without cmpxchg16b), or because the CPU is
 * already in a task storage operation (if programs can be preempted). The ledger of such a thread
 * goes into the hash instead, as a spare.
 */

/* Number of spares. It is almost always 0, and then no lookup in the hash is needed. */
MB_INLINE __u64 *spares(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&spare_ledgers, &key);
}

MB_INLINE bool hash_in_use(void)
{
	__u64 *n;

	if (knobs.hash_ledgers)
		return true;
	n = spares();
	return n && *n;
}

MB_INLINE struct mb_ledger *hash_lookup(struct task_struct *task)
{
	__u32 tid = BPF_CORE_READ(task, pid);

	return bpf_map_lookup_elem(&ledgers_by_tid, &tid);
}

/* The task's ledger; NULL: the task is not traced. */
MB_INLINE struct mb_ledger *ledger_of(struct task_struct *task)
{
	struct mb_ledger *l = NULL;

	if (!knobs.hash_ledgers)
		l = bpf_task_storage_get(&ledgers, task, NULL, 0);
	return l || !hash_in_use() ? l : hash_lookup(task);
}

/*
 * exec swaps the ids of the calling thread and its leader, so their entries in the hash must be
 * swapped as well.
 */
MB_INLINE void ledger_exchange(__u32 a, __u32 b)
{
	struct mb_ledger *of_a, *of_b, *room;
	__u32 key = 0;

	if (a == b || !hash_in_use())
		return;
	of_a = bpf_map_lookup_elem(&ledgers_by_tid, &a);
	of_b = bpf_map_lookup_elem(&ledgers_by_tid, &b);
	room = bpf_map_lookup_elem(&exchange_room, &key);
	if (!room)
		return;
	if (of_b)
		bpf_probe_read_kernel(room, sizeof(*room), of_b);
	if (of_a)
		bpf_map_update_elem(&ledgers_by_tid, &b, of_a, BPF_ANY);
	else
		bpf_map_delete_elem(&ledgers_by_tid, &b);
	if (of_b)
		bpf_map_update_elem(&ledgers_by_tid, &a, room, BPF_ANY);
	else
		bpf_map_delete_elem(&ledgers_by_tid, &a);
}

#endif
