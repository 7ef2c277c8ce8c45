/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Pages that reclaim takes from their owner. They show at the same tracepoint as the pages that
 * faults bring, and a second program there would cost every fault some 15 ns: whichever of the
 * fault and the reclaim family is loaded first calls this from its own.
 */
#ifndef MEMBLAME_RECLAIMED_PAGES_H
#define MEMBLAME_RECLAIMED_PAGES_H

#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"
#include "core/trace_level.bpf.h"
#include "core/tables.bpf.h"

#define HUGE_PAGES 512 /* pages of 4 KiB that one page-middle-directory entry maps */

/* Pages of the process with this ledger, taken by the current task. */
static __noinline void note_eviction(struct mb_ledger *of, __u32 owner, __u32 kind, __u32 pages)
{
	struct mb_ledger *by = ledger_of(compat_current());
	struct mb_eviction_key key = {};
	__u64 zero = 0, *entry;

	if (!level_before(MB_LEVEL_COUNTS))
		return;
	key.owner_start_ns = of->task.start_ns;
	key.by_start_ns = by ? by->task.start_ns : 0;
	key.owner = owner;
	key.by = bpf_get_current_pid_tgid() >> 32;
	key.kind = kind;
	entry = table_entry(&evictions, &key, &zero, MB_FAM_reclaim);
	if (entry)
		__sync_fetch_and_add(entry, pages);
}

/* One more change of this owner's counter by this task. */
MB_INLINE void note_last(__u64 by, __u32 owner)
{
	struct last_taken *last = bpf_map_lookup_elem(&taken, &by), first = { owner, 1 };

	if (!last) {
		bpf_map_update_elem(&taken, &by, &first, BPF_ANY);
		return;
	}
	last->events = last->owner == owner ? last->events + 1 : 1;
	last->owner = owner;
}

/*
 * The current task, which is reclaiming (PF_MEMALLOC), changes a page counter of mm: if that is
 * not its own, a page was taken from mm's owner. (Or several: taken_batch_begin. A page that goes to
 * swap changes the swap counter as well.) The owner may be running: atomic.
 *
 * A huge page of a file is taken with one change (mm/huge_memory.c, __split_huge_pmd_locked). Which
 * page it is shows only when it leaves the page cache next: remember whose it was until then.
 */
MB_INLINE void count_taken(struct task_struct *task, struct mm_struct *mm, int member)
{
	struct task_struct *owner = mm->owner;
	__u64 by = (__u64)task;
	struct unmapping *u;
	struct mb_ledger *l;
	__u32 tgid;

	if (MB_TASK(task, mm) == mm || member == MM_SWAPENTS || !owner)
		return;
	l = ledger_of(owner);
	if (!l)
		return;
	tgid = BPF_CORE_READ(owner, tgid);
	__sync_fetch_and_add(&l->reclaim.pages_taken, 1);
	note_eviction(l, tgid, member & 3, 1);
	note_last(by, tgid);
	u = bpf_map_lookup_elem(&unmappings, &by);
	if (u && u->mm == (__u64)mm) {
		u->seen++;
		u->kind = member & 3;
	}
}

/*
 * From 7.0 on several pages of a large folio are taken from a mapping with one change of the counter
 * (mm/rmap.c, try_to_unmap_one). How many it was shows in the folio's count of mappings, before and
 * after. An owner that unmaps the same folio itself in that moment spoils it by those pages.
 */
MB_INLINE void taken_batch_begin(struct task_struct *task, struct folio *folio, struct mm_struct *mm)
{
	struct unmapping u = { .mm = (__u64)mm, .mapped = compat_folio_mapped(folio) };
	__u64 by = (__u64)task;

	if (u.mapped)
		bpf_map_update_elem(&unmappings, &by, &u, BPF_ANY);
}

MB_INLINE void taken_batch_end(struct task_struct *task, struct folio *folio, struct mm_struct *mm)
{
	__u64 by = (__u64)task;
	struct task_struct *owner;
	struct last_taken *last;
	struct unmapping *u;
	struct mb_ledger *l;
	__s32 more;
	__u32 kind;

	u = bpf_map_lookup_elem(&unmappings, &by);
	if (!u)
		return;
	more = u->seen ? u->mapped - compat_folio_mapped(folio) - (__s32)u->seen : 0;
	if (u->mm != (__u64)mm)
		more = 0;
	kind = u->kind;
	bpf_map_delete_elem(&unmappings, &by);
	if (more <= 0)
		return;
	last = bpf_map_lookup_elem(&taken, &by);
	if (last)
		last->events += more;
	owner = mm->owner;
	l = owner ? ledger_of(owner) : NULL;
	if (!l)
		return;
	__sync_fetch_and_add(&l->reclaim.pages_taken, more);
	note_eviction(l, BPF_CORE_READ(owner, tgid), kind, more);
}

/*
 * A folio that the current task reclaims leaves the page cache. If it is huge and its owner's
 * counter has changed once, that was all of it: returns the pages not counted yet, and *owner.
 */
MB_INLINE __u32 taken_at_once(struct task_struct *task, struct folio *folio, __u32 *owner)
{
	__u64 by = (__u64)task;
	struct last_taken *last = bpf_map_lookup_elem(&taken, &by);
	__u32 events;

	if (!last || !last->owner)
		return 0;
	*owner = last->owner;
	events = last->events;
	last->owner = 0; /* it is over for this folio */
	return events == 1 && compat_folio_pages(folio) >= HUGE_PAGES ? HUGE_PAGES - 1 : 0;
}

#endif
