/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Counts pages that reclaim takes from their owner. They appear at the same tracepoint as pages
 * that faults map, and a second program there would cost every fault some 15 ns. So whichever of
 * the fault and the reclaim family is loaded first calls this code from its own program.
 */
#ifndef MEMBLAME_RECLAIMED_PAGES_H
#define MEMBLAME_RECLAIMED_PAGES_H

#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"
#include "core/trace_level.bpf.h"
#include "core/tables.bpf.h"

#define HUGE_PAGES 512 /* 4 KiB pages mapped by one page-middle-directory (PMD) entry */

/* Count pages of the process with this ledger, reclaimed by the current task. */
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

/* Count one more change of this owner's counter by this task. */
MB_INLINE void note_last(__u64 by, __u32 owner)
{
	struct last_reclaimed *last = bpf_map_lookup_elem(&reclaimed, &by), first = { owner, 1 };

	if (!last) {
		bpf_map_update_elem(&reclaimed, &by, &first, BPF_ANY);
		return;
	}
	last->events = last->owner == owner ? last->events + 1 : 1;
	last->owner = owner;
}

/*
 * The current task, which is reclaiming (PF_MEMALLOC), changes a page counter of mm. If mm is not
 * its own, a page was reclaimed from mm's owner, or several pages (see reclaimed_batch_begin). A page
 * that goes to swap also changes the swap counter, which is ignored. The owner may be running:
 * atomic.
 *
 * A huge page of a file is unmapped with a single change (mm/huge_memory.c,
 * __split_huge_pmd_locked). Which page it was is only visible when the page leaves the page cache
 * next, so remember the owner until then.
 */
MB_INLINE void count_reclaimed(struct task_struct *task, struct mm_struct *mm, int member)
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
 * Since 7.0 several pages of a large folio are unmapped with one change of the counter (mm/rmap.c,
 * try_to_unmap_one). Their number follows from the folio's mapping count before and after. If the
 * owner itself unmaps parts of the same folio at that moment, the result is off by those pages.
 */
MB_INLINE void reclaimed_batch_begin(struct task_struct *task, struct folio *folio, struct mm_struct *mm)
{
	struct unmapping u = { .mm = (__u64)mm, .mapped = compat_folio_mapped(folio) };
	__u64 by = (__u64)task;

	if (u.mapped)
		bpf_map_update_elem(&unmappings, &by, &u, BPF_ANY);
}

MB_INLINE void reclaimed_batch_end(struct task_struct *task, struct folio *folio, struct mm_struct *mm)
{
	__u64 by = (__u64)task;
	struct task_struct *owner;
	struct last_reclaimed *last;
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
	last = bpf_map_lookup_elem(&reclaimed, &by);
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
 * A folio that the current task reclaims leaves the page cache. If the folio is huge and its
 * owner's counter has changed once, that change covered the whole folio: returns the number of
 * pages not counted yet, and sets *owner.
 */
MB_INLINE __u32 reclaimed_at_once(struct task_struct *task, struct folio *folio, __u32 *owner)
{
	__u64 by = (__u64)task;
	struct last_reclaimed *last = bpf_map_lookup_elem(&reclaimed, &by);
	__u32 events;

	if (!last || !last->owner)
		return 0;
	*owner = last->owner;
	events = last->events;
	last->owner = 0; /* done with this folio */
	return events == 1 && compat_folio_pages(folio) >= HUGE_PAGES ? HUGE_PAGES - 1 : 0;
}

#endif
