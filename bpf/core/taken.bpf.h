/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Pages that reclaim takes from their owner. They show at the same tracepoint as the pages that
 * faults bring, and a second program there would cost every fault some 15 ns: whichever of the
 * fault and the reclaim family is loaded first calls this from its own.
 */
#ifndef MEMBLAME_TAKEN_H
#define MEMBLAME_TAKEN_H

#include "core/ledger.bpf.h"

/*
 * The current task, which is reclaiming (PF_MEMALLOC), changes a page counter of mm: if that is
 * not its own, a page was taken from mm's owner. (try_to_unmap changes the counter once per page;
 * a page that goes to swap changes the swap counter as well.) The owner may be running: atomic.
 */
MB_INLINE void count_taken(struct task_struct *task, struct mm_struct *mm, int member)
{
	struct task_struct *owner = mm->owner;
	struct mb_ledger *l;

	if (task->mm == mm || member == MM_SWAPENTS || !owner)
		return;
	l = ledger_of(owner);
	if (l)
		__sync_fetch_and_add(&l->reclaim.pages_taken, 1);
}

#endif
