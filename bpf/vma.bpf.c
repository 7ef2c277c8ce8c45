// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * vma: mmap, munmap, mremap and brk per process, observed at the mmap write lock that each of them
 * acquires. Between lock and unlock no other thread changes total_vm, so its change is due to this
 * call; calls that do not get as far as the lock change nothing. Hooks on the system calls
 * themselves would slow down every system call of the machine.
 *
 * On request (knobs.regions) each change is also sent, with its stack. At the unlock the resulting
 * address is not available, but the arguments are, and the area that the kernel found; user space
 * derives the mapping from these.
 */
#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"
#include "core/trace_level.bpf.h"
#include "core/stack.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PAGE_MASK (~((1ull << PAGE_SHIFT) - 1))
#define PROT_EXEC 4

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
 * Did the call fail, judging by its arguments and its effect? Its result is not known yet. Only a
 * MAP_FIXED mmap can succeed without a change of size: it replaces mappings. munmap acquires the
 * lock before it checks its arguments (mm/vma.c, do_vmi_munmap).
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

#define CALL32_OLD_MMAP 90

/*
 * The call's number and arguments in 64-bit form. For a 32-bit call the number is reported as
 * unknown. The old mmap has its arguments in memory, which is not read, so it is treated as an
 * unspecified call.
 */
MB_INLINE void region_args(struct task_struct *task, const struct stack_pt_regs *r, struct mb_region_event *e)
{
	bool compat = BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;

	e->args[0] = compat ? r->bx : r->di;
	e->args[1] = compat ? r->cx : r->si;
	e->args[2] = r->dx;
	e->args[3] = compat ? r->si : r->r10;
	e->args[4] = compat ? r->di : r->r8;
	e->args[5] = compat ? r->bp << PAGE_SHIFT : r->r9;
	e->call = compat ? MB_CALL_UNKNOWN : r->orig_ax;
	if (compat && r->orig_ax == CALL32_OLD_MMAP)
		e->op = MB_VMA_OTHER;
}

#define PATH_NAMES 24

/* The path components of a file, innermost first, across mounts. Returns the number of bytes used. */
MB_INLINE __u32 path_of(struct file *file, char *to)
{
	struct dentry *d = BPF_CORE_READ(file, f_path.dentry), *parent;
	struct vfsmount *v = BPF_CORE_READ(file, f_path.mnt);
	struct mount *m = (void *)v - bpf_core_field_offset(struct mount, mnt), *up;
	const unsigned char *name;
	__u64 used = 0, at;
	long n;

	for (int i = 0; i < PATH_NAMES; i++) {
		if (d == BPF_CORE_READ(m, mnt.mnt_root)) {
			up = BPF_CORE_READ(m, mnt_parent);
			if (up == m)
				break;
			d = BPF_CORE_READ(m, mnt_mountpoint);
			m = up;
			continue;
		}
		parent = BPF_CORE_READ(d, d_parent);
		if (parent == d)
			break;
		name = BPF_CORE_READ(d, d_name.name);
		at = used;
		asm volatile("" : "+r"(at)); /* before 5.11 the verifier forgets the bounds of spilled registers */
		if (at > MB_CODE_PATH - MB_CODE_NAME)
			break;
		n = bpf_probe_read_kernel_str(to + at, MB_CODE_NAME, name);
		if (n <= 0 || n > MB_CODE_NAME)
			break;
		used += n;
		d = parent;
	}
	return used;
}

/*
 * Identify the file that is mapped as code by its descriptor, which the call has open. Not static,
 * so that the verifier checks it once, separately, and not for each path through the rest of the
 * program.
 */
__noinline int emit_code(__u64 t_ns, __u32 fd)
{
	struct task_struct *task = compat_current();
	void *ring = cpu_ring();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct mb_region_code_event *e;
	struct file *file = NULL, **files;
	struct inode *inode;

	if (!ring || fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	files = BPF_CORE_READ(table, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), files + fd) || !file)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	e = emit_reserve_in(ring, MB_FAM_vma, MB_VMA_CODE, sizeof(*e), t_ns);
	if (!e)
		return 0;
	e->ino = BPF_CORE_READ(inode, i_ino);
	e->bytes = BPF_CORE_READ(inode, i_size);
	compat_mtime(inode, &e->mtime_s, &e->mtime_ns);
	e->pad = 0;
	e->path_bytes = path_of(file, e->path);
	emit_submit_now(e); /* the file may be gone soon */
	return 0;
}

/*
 * The call is about to end, or has ended with result: send its arguments and effect. Not static,
 * like emit_code(): for each caller the verifier took half a second.
 */
__noinline int emit_region(__u32 op, __s64 delta, __u64 result)
{
	struct task_struct *task = compat_current();
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct mb_ledger *l = ledger_of(task);
	struct mb_region_event e = {};
	struct mb_vma_ledger *v;
	struct stack_source stack;
	void *ring = cpu_ring();

	if (!ring || !l)
		return 0;
	v = &l->vma;
	stack_source(task, l, 0, &stack);
	e.h.t_ns = bpf_ktime_get_boot_ns();
	e.mm = (__u64)mm;
	region_args(task, &stack.regs, &e);
	e.result = result;
	e.area_addr = v->area_addr;
	e.area_len = v->area_len;
	e.brk = BPF_CORE_READ(mm, brk);
	e.delta_bytes = delta;
	e.stack_delta_bytes = (__s64)(BPF_CORE_READ(mm, stack_vm) - v->before_stack_pages) << PAGE_SHIFT;
	e.total_vm_bytes = (__u64)BPF_CORE_READ(mm, total_vm) << PAGE_SHIFT;
	e.op = e.op ? e.op : op;
	/* the stack is not needed when memory is given back */
	if (delta <= 0 && op != MB_VMA_MMAP && op != MB_VMA_MREMAP) {
		stack.kind = MB_STACK_NONE;
		stack.depth = 0;
	}
	if (e.op == MB_VMA_MMAP && (e.args[2] & PROT_EXEC) && !(e.args[3] & MAP_ANONYMOUS))
		emit_code(e.h.t_ns, e.args[4]);
	/* code: it may contain an allocator, which should be probed before it is used much */
	stack.now = knobs.heap_mean && op == MB_VMA_MMAP && (e.args[2] & PROT_EXEC);
	stack_emit(ring, MB_FAM_vma, MB_VMA_REGION, &e, &stack);
	return 0;
}

/* Can the call have changed the mappings? */
MB_INLINE bool changes_regions(__u32 op, __s64 delta, bool failed)
{
	return delta || (!failed && (op == MB_VMA_MMAP || op == MB_VMA_MREMAP));
}

MB_INLINE int locked(__u64 *ctx, struct mm_struct *mm)
{
	bool write = MB_ARG_OF(ctx, mmap_lock_acquire_returned, write);
	bool success = MB_ARG_OF(ctx, mmap_lock_acquire_returned, success);
	struct task_struct *task = bpf_get_current_task_btf(); /* available since before this tracepoint */
	struct compat_vma_call c;
	struct mb_ledger *l;

	if (!write || !success || task->mm != mm || !level_before(MB_LEVEL_ITERATOR))
		return 0;
	l = ledger_of(task);
	if (!l)
		return 0;
	compat_vma_call(task, &c);
	l->vma.op = c.op;
	l->vma.before_pages = mm->total_vm;
	if (knobs.regions) {
		if (!c.op)
			l->vma.op = MB_VMA_OTHER;
		l->vma.before_stack_pages = mm->stack_vm;
		l->vma.area_addr = 0;
	}
	return 0;
}

SEC("?tp_btf/mmap_lock_acquire_returned")
int BPF_PROG(vma_lock, struct mm_struct *mm)
{
	return locked(ctx, mm);
}

/*
 * A thread that was preempted inside a program makes the kernel skip the program for others on the
 * CPU (docs/architecture.md). A second program, attached after the first, makes up for that,
 * because a mapping that is missed has no origin. Running both is harmless. For leaks only; call
 * counts are documented as possibly too low.
 */
SEC("?tp_btf/mmap_lock_acquire_returned")
int BPF_PROG(vma_lock_again, struct mm_struct *mm)
{
	return locked(ctx, mm);
}

/*
 * The kernel has searched for a free area, with or without success. The last search in a call
 * counts.
 */
MB_INLINE int found_area(unsigned long addr, struct vm_unmapped_area_info *info)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (!knobs.regions || !l || !l->vma.op)
		return 0;
	l->vma.area_addr = addr;
	l->vma.area_len = BPF_CORE_READ(info, length);
	return 0;
}

SEC("?tp_btf/vm_unmapped_area")
int BPF_PROG(vma_area, unsigned long addr, struct vm_unmapped_area_info *info)
{
	return found_area(addr, info);
}

SEC("?tp_btf/vm_unmapped_area")
int BPF_PROG(vma_area_again, unsigned long addr, struct vm_unmapped_area_info *info)
{
	return found_area(addr, info);
}

SEC("?tp_btf/task_newtask")
int BPF_PROG(vma_fork, struct task_struct *child, __u64 clone_flags)
{
	struct mb_region_fork_event *e;
	void *ring = cpu_ring();

	if (!knobs.regions || !ring || (clone_flags & CLONE_VM) || !ledger_of(child))
		return 0;
	e = emit_reserve_in(ring, MB_FAM_vma, MB_VMA_FORK, sizeof(*e), bpf_ktime_get_boot_ns());
	if (!e)
		return 0;
	e->mm = (__u64)BPF_CORE_READ(compat_current(), mm);
	e->child_mm = (__u64)BPF_CORE_READ(child, mm);
	e->child_tgid = BPF_CORE_READ(child, tgid);
	e->pad = 0;
	emit_submit(ring, e);
	return 0;
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(vma_exec, struct task_struct *task)
{
	struct mb_region_exec_event *e;
	void *ring = cpu_ring();

	if (!knobs.regions || !ring || !ledger_of(task))
		return 0;
	e = emit_reserve_in(ring, MB_FAM_vma, MB_VMA_EXEC, sizeof(*e), bpf_ktime_get_boot_ns());
	if (!e)
		return 0;
	e->mm = (__u64)BPF_CORE_READ(task, mm);
	emit_submit(ring, e);
	return 0;
}

/* Also fires at munmap's downgrade to a read lock, when total_vm has already changed. */
MB_INLINE int released(struct mm_struct *mm)
{
	struct task_struct *task = bpf_get_current_task_btf(); /* available since before this tracepoint */
	struct compat_vma_call c;
	struct mb_ledger *l;
	__s64 delta;
	bool failed;

	if (task->mm != mm)
		return 0;
	l = ledger_of(task);
	if (!l || !l->vma.op)
		return 0;
	c.op = l->vma.op;
	l->vma.op = MB_VMA_NONE;
	delta = (__s64)(mm->total_vm - l->vma.before_pages) << PAGE_SHIFT;
	if (c.op == MB_VMA_OTHER) {
		if (knobs.regions && delta) /* regions is always set here; the verifier only knows from this check */
			emit_region(MB_VMA_OTHER, delta, MB_RESULT_UNKNOWN);
		return 0;
	}
	compat_vma_call(task, &c);
	failed = has_failed(mm, &c, delta);
	if (knobs.regions && changes_regions(c.op, delta, failed))
		emit_region(c.op, delta, MB_RESULT_UNKNOWN);
	account(&l->vma, &c, delta, failed);
	if (streaming(MB_FAM_vma) && level_before(MB_LEVEL_COUNTS))
		emit_call(&c, delta, failed);
	return 0;
}

SEC("?tp_btf/mmap_lock_released")
int BPF_PROG(vma_unlock, struct mm_struct *mm)
{
	return released(mm);
}

SEC("?tp_btf/mmap_lock_released")
int BPF_PROG(vma_unlock_again, struct mm_struct *mm)
{
	return released(mm);
}

/*
 * Before 5.11 the lock has no tracepoints. With trampolines the calls themselves can be hooked, at
 * no cost to other calls; changes that other threads make meanwhile are then attributed to this
 * call.
 */
MB_INLINE int call_begin(enum mb_vma_op op)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);

	if (!l || !level_before(MB_LEVEL_ITERATOR))
		return 0;
	l->vma.op = op;
	l->vma.before_pages = BPF_CORE_READ(task, mm, total_vm);
	l->vma.before_stack_pages = BPF_CORE_READ(task, mm, stack_vm);
	l->vma.area_addr = 0;
	return 0;
}

/*
 * regions: this program belongs to the set that sends regions. Only the set selected by
 * knobs.regions does anything. Before 6.8 the verifier checks emit_region() in each program that
 * calls it, which would take a second for the other set's four programs.
 */
MB_INLINE int call_end(long ret, bool regions)
{
	struct task_struct *task = compat_current();
	struct pt_regs *regs = compat_entry_regs(task);
	struct mb_ledger *l = ledger_of(task);
	struct compat_vma_call c;
	__s64 delta;
	bool failed;

	if (!l || !l->vma.op || knobs.regions != regions)
		return 0;
	c.op = l->vma.op;
	c.addr = BPF_CORE_READ(regs, di);
	c.len = BPF_CORE_READ(regs, si);
	c.flags = BPF_CORE_READ(regs, r10);
	l->vma.op = MB_VMA_NONE;
	delta = (__s64)(BPF_CORE_READ(task, mm, total_vm) - l->vma.before_pages) << PAGE_SHIFT;
	failed = c.op != MB_VMA_BRK && ret < 0 && ret >= -4095;
	if (regions && changes_regions(c.op, delta, failed))
		emit_region(c.op, delta, ret);
	account(&l->vma, &c, delta, failed);
	if (streaming(MB_FAM_vma) && level_before(MB_LEVEL_COUNTS))
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
		return call_end(ctx[1], false); /* after the single argument */   \
	}                                                                      \
	SEC("?fexit/__x64_sys_" #name)                                         \
	int vma_region_##name(__u64 *ctx)                                      \
	{                                                                      \
		return call_end(ctx[1], true);                                 \
	}

CALL(mmap, MB_VMA_MMAP)
CALL(munmap, MB_VMA_MUNMAP)
CALL(mremap, MB_VMA_MREMAP)
CALL(brk, MB_VMA_BRK)
