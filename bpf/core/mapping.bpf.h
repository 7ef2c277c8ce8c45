/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Looks up the mapping at a fault address, for faults whose cause does not follow from the page
 * counters. At the start of a fault, bpf_find_vma would cost an extra interrupt (12 us in a virtual
 * machine), because interrupts are disabled there.
 *
 * The lookup is done after the fault: when the thread's next fault begins, before the thread itself
 * changes its mappings (fault_remap), when the thread exits, and by the iterator for its copy of a
 * ledger. So the result can only be wrong if another thread maps something else at the same address
 * in between.
 */
#ifndef MEMBLAME_MAPPING_H
#define MEMBLAME_MAPPING_H

#include "core/compat.bpf.h"

/*
 * Address of the vm_area_struct at addr or of the tree's entry there; 0: none. Global, in
 * mapping.bpf.c, so that the verifier checks it once.
 */
__u64 mapping_find(__u64 mm, __u64 addr);

/* Bits of mb_fault_pending.kind for a mapping. */
MB_INLINE __u32 mapping_kind(struct vm_area_struct *vma)
{
	unsigned long flags = BPF_CORE_READ(vma, vm_flags);
	__u32 kind = MB_FAULT_KIND_KNOWN;

	if (flags & VM_HUGETLB)
		kind |= MB_FAULT_KIND_HUGETLB;
	if (flags & VM_SHARED)
		kind |= MB_FAULT_KIND_SHARED;
	if (!(flags & VM_WRITE))
		kind |= MB_FAULT_KIND_READONLY;
	if (!BPF_CORE_READ(vma, vm_ops)) /* vma_is_anonymous() */
		kind |= MB_FAULT_KIND_ANON;
	return kind;
}

/*
 * NUMA hint faults of the thread, as far as the scheduler records them. The scheduler resets the
 * sum now and then, but each fault changes it. 0: none so far.
 */
MB_INLINE __u64 numa_faults(struct task_struct *task)
{
	unsigned long sums[2] = {};

	if (!bpf_core_field_exists(task->numa_faults_locality) || !MB_TASK(task, numa_faults))
		return 0;
	bpf_probe_read_kernel(sums, sizeof(sums),
			      (void *)task + bpf_core_field_offset(struct task_struct,
								   numa_faults_locality));
	return sums[0] + sums[1];
}

/*
 * Sequence number of changes to an address space. Returns false if this kernel has none, or if a
 * change is in progress.
 */
MB_INLINE bool mapping_seq(struct mm_struct *mm, __u32 *seq)
{
	if (bpf_core_field_exists(((struct mm_struct___v613 *)mm)->mm_lock_seq.sequence)) {
		*seq = BPF_CORE_READ((struct mm_struct___v613 *)mm, mm_lock_seq.sequence);
		return !(*seq & 1);
	}
	if (!bpf_core_field_exists(mm->mm_lock_seq))
		return false;
	*seq = BPF_CORE_READ(mm, mm_lock_seq);
	return true;
}

/*
 * Look up the mapping for the ledger's pending fault; the thread is the current one, or is not
 * running.
 */
static __noinline void mapping_ask(struct task_struct *task, struct mb_fault_ledger *f)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct mb_fault_pending *p = &f->pending;
	struct mb_fault_mapping *known = &f->mapping;
	struct vm_area_struct *vma;
	bool lasting;
	__u32 seq = 0;

	if (!mm)
		return;
	if (!p->moved && !(p->error & MB_PF_PROT) && numa_faults(task) != p->numa) {
		p->kind = MB_FAULT_KIND_NUMA;
		return;
	}
	if (!bpf_core_type_exists(struct maple_range_64)) {
		/* fault_end is in use, and has not seen the kernel's access succeed */
		if (!(p->error & MB_PF_USER) && !p->mapping)
			p->kind = MB_FAULT_KIND_NOWHERE;
		return;
	}
	lasting = mapping_seq(mm, &seq);
	if (!lasting || known->mm != (__u64)mm || known->seq != seq || p->addr < known->start ||
	    p->addr >= known->end) {
		vma = (void *)mapping_find((__u64)mm, p->addr);
		known->mm = 0;
		known->start = BPF_CORE_READ(vma, vm_start);
		known->end = BPF_CORE_READ(vma, vm_end);
		if (p->addr < known->start || p->addr >= known->end) {
			p->kind = MB_FAULT_KIND_NOWHERE;
			return;
		}
		known->kind = mapping_kind(vma);
		known->seq = seq;
		known->mm = lasting ? (__u64)mm : 0;
	}
	p->kind = known->kind;
}

/*
 * Look up the mapping if it is needed to determine the cause. flt: the thread's faults as counted
 * by the kernel.
 */
MB_INLINE void mapping_explain(struct task_struct *task, struct mb_fault_ledger *f, __u64 flt)
{
	if (f->pending.seq && flt != f->pending.flt && !f->pending.settled &&
	    mb_fault_asks_mapping(&f->pending))
		mapping_ask(task, f);
}

#endif
