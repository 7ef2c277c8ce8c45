// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * vma: mmap, munmap, mremap and brk per process, seen at the write lock that each of them takes
 * on the address space: between lock and unlock nobody else changes total_vm, so its change is
 * this call's doing, and calls that never get so far are not calls that changed anything. A hook
 * on the system calls themselves would slow every system call of the machine.
 */
#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PAGE_MASK (~((1ull << PAGE_SHIFT) - 1))

MB_INLINE void emit_call(struct compat_vma_call *c, __s64 delta_bytes, bool failed)
{
	struct mb_vma_event *e;
	void *ring = cpu_ring();

	if (!ring)
		return;
	e = emit_reserve_in(ring, MB_FAM_vma, c->op, sizeof(*e), bpf_ktime_get_boot_ns());
	if (!e)
		return;
	e->addr = c->addr;
	e->len = c->len;
	e->delta_bytes = delta_bytes;
	e->flags = c->flags;
	e->failed = failed;
	emit_submit(ring, e);
}

MB_INLINE void account(struct mb_vma_ledger *v, struct compat_vma_call *c, __s64 delta, bool failed)
{
	switch (c->op) {
	case MB_VMA_MMAP:
		if (failed) {
			v->mmap_failed++;
			break;
		}
		v->mmap_calls++;
		v->mmap_bytes += (c->len + ~PAGE_MASK) & PAGE_MASK;
		break;
	case MB_VMA_MUNMAP:
		if (failed)
			break;
		v->munmap_calls++;
		v->munmap_bytes += -delta;
		break;
	case MB_VMA_MREMAP:
		v->mremap_calls++;
		break;
	case MB_VMA_BRK:
		v->brk_calls++;
		if (delta > 0)
			v->brk_bytes += delta;
		break;
	default:
		break;
	}
	v->net_bytes += delta;
}

/*
 * Did the call fail, going by what it was asked and what it changed? Its result is not known yet.
 * Only a MAP_FIXED mmap can succeed and leave the size as it was: it replaces. munmap takes the
 * lock before it looks at its arguments (mm/vma.c, do_vmi_munmap).
 */
MB_INLINE bool has_failed(struct mm_struct *mm, struct compat_vma_call *c, __s64 delta)
{
	if (delta)
		return false;
	if (c->op == MB_VMA_MMAP)
		return !(c->flags & MAP_FIXED);
	if (c->op == MB_VMA_MUNMAP)
		return (c->addr & ~PAGE_MASK) || !c->len || c->addr > mm->task_size ||
		       c->len > mm->task_size - c->addr;
	return false;
}

SEC("?tp_btf/mmap_lock_acquire_returned")
int BPF_PROG(vma_lock, struct mm_struct *mm)
{
	bool write = MB_ARG_OF(ctx, mmap_lock_acquire_returned, write);
	bool success = MB_ARG_OF(ctx, mmap_lock_acquire_returned, success);
	struct task_struct *task = bpf_get_current_task_btf(); /* as old as this tracepoint */
	struct compat_vma_call c;
	struct mb_ledger *l;

	if (!write || !success || task->mm != mm)
		return 0;
	l = ledger_of(task);
	if (!l)
		return 0;
	compat_vma_call(task, &c);
	l->vma.op = c.op;
	l->vma.before_pages = mm->total_vm;
	return 0;
}

/* Also after munmap's downgrade to a read lock, which is when total_vm has changed. */
SEC("?tp_btf/mmap_lock_released")
int BPF_PROG(vma_unlock, struct mm_struct *mm)
{
	struct task_struct *task = bpf_get_current_task_btf(); /* as old as this tracepoint */
	struct compat_vma_call c;
	struct mb_ledger *l;
	__s64 delta;
	bool failed;

	if (task->mm != mm)
		return 0;
	l = ledger_of(task);
	if (!l || !l->vma.op)
		return 0;
	l->vma.op = MB_VMA_NONE;
	compat_vma_call(task, &c);
	delta = (__s64)(mm->total_vm - l->vma.before_pages) << PAGE_SHIFT;
	failed = has_failed(mm, &c, delta);
	account(&l->vma, &c, delta, failed);
	if (streaming(MB_FAM_vma))
		emit_call(&c, delta, failed);
	return 0;
}

/*
 * Before 5.11 the lock has no tracepoints. With trampolines the calls themselves can be hooked, at
 * no cost to others; what another thread changes meanwhile is then counted to this call.
 */
MB_INLINE int call_begin(enum mb_vma_op op)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);

	if (!l)
		return 0;
	l->vma.op = op;
	l->vma.before_pages = BPF_CORE_READ(task, mm, total_vm);
	return 0;
}

MB_INLINE int call_end(long ret)
{
	struct task_struct *task = compat_current();
	struct pt_regs *regs = compat_entry_regs(task);
	struct mb_ledger *l = ledger_of(task);
	struct compat_vma_call c;
	__s64 delta;
	bool failed;

	if (!l || !l->vma.op)
		return 0;
	c.op = l->vma.op;
	c.addr = BPF_CORE_READ(regs, di);
	c.len = BPF_CORE_READ(regs, si);
	c.flags = BPF_CORE_READ(regs, r10);
	l->vma.op = MB_VMA_NONE;
	delta = (__s64)(BPF_CORE_READ(task, mm, total_vm) - l->vma.before_pages) << PAGE_SHIFT;
	failed = c.op != MB_VMA_BRK && ret < 0 && ret >= -4095;
	account(&l->vma, &c, delta, failed);
	if (streaming(MB_FAM_vma))
		emit_call(&c, delta, failed);
	return 0;
}

#define CALL(name, op)                                                         \
	SEC("?fentry/__x64_sys_" #name)                                        \
	int vma_enter_##name(void *ctx)                                        \
	{                                                                      \
		return call_begin(op);                                         \
	}                                                                      \
	SEC("?fexit/__x64_sys_" #name)                                         \
	int vma_exit_##name(__u64 *ctx)                                        \
	{                                                                      \
		return call_end(ctx[1]); /* after the one argument */          \
	}

CALL(mmap, MB_VMA_MMAP)
CALL(munmap, MB_VMA_MUNMAP)
CALL(mremap, MB_VMA_MREMAP)
CALL(brk, MB_VMA_BRK)
