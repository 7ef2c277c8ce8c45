/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One accessor per kernel difference, documenting what changed, where, and when the accessor can be
 * removed. Programs never test for a kernel version; they call these accessors.
 */
#ifndef MEMBLAME_COMPAT_H
#define MEMBLAME_COMPAT_H

#include "core/maps.bpf.h"

/*
 * A tracepoint argument by name (args.def). Its position is known at load time, so the verifier
 * keeps only one of these loads and, for a pointer, its type. The kernel allows at most 12
 * arguments.
 */
#define COMPAT_ARG_CASE(i)                                                          \
	case i:                                                                     \
		v = ctx[i];                                                         \
		/* or the compiler makes all cases one load at a variable offset */ \
		asm volatile("" : "+r"(v));                                         \
		return v;

MB_INLINE __u64 compat_arg(const __u64 *ctx, enum mb_arg arg)
{
	__u64 v;

	switch (knobs.args[arg]) {
		COMPAT_ARG_CASE(0)
		COMPAT_ARG_CASE(1)
		COMPAT_ARG_CASE(2)
		COMPAT_ARG_CASE(3)
		COMPAT_ARG_CASE(4)
		COMPAT_ARG_CASE(5)
		COMPAT_ARG_CASE(6)
		COMPAT_ARG_CASE(7)
		COMPAT_ARG_CASE(8)
		COMPAT_ARG_CASE(9)
		COMPAT_ARG_CASE(10)
		COMPAT_ARG_CASE(11)
	}
	return 0;
}

#define MB_ARG_OF(ctx, tracepoint, argument) compat_arg(ctx, MB_ARG_##tracepoint##_##argument)

/*
 * The current task, and a field of it. Before 5.11 (3ca1032ab7ab) there is no typed pointer to the
 * current task, and every field has to be read by a helper call. Can be removed when 5.10 is no
 * longer supported, as can hash_ledgers.
 */
MB_INLINE struct task_struct *compat_current(void)
{
	if (knobs.hash_ledgers)
		return (struct task_struct *)bpf_get_current_task();
	return bpf_get_current_task_btf();
}

#define MB_TASK(task, field) (knobs.hash_ledgers ? BPF_CORE_READ(task, field) : (task)->field)

/*
 * One of a process's page counters, read the same way as the kernel's own fast path. 6.2
 * (f1a7941243c1) made them per-CPU counters, whose "count" deviates by less than max(32, 2 * CPUs)
 * pages per CPU; before, each thread cached up to 64 changes. The exact sum needs the addresses of
 * per-CPU data, which a kernel without KALLSYMS_ALL does not expose: user space reads it from
 * /proc.
 */
static __noinline __s64 mm_counter_v61(struct mm_struct___v61 *mm, int member)
{
	/* a separate function, or the compiler hoists the relocation out of the branch */
	return BPF_CORE_READ(mm, rss_stat.count[member & 3].counter);
}

static __noinline __s64 mm_counter(struct mm_struct *mm, int member)
{
	/* a variable index needs the element's size in the running kernel */
	__u64 at = bpf_core_field_offset(struct mm_struct, rss_stat) +
		   (__u64)(member & 3) * bpf_core_type_size(struct percpu_counter) +
		   bpf_core_field_offset(struct percpu_counter, count);
	__s64 pages = 0;

	bpf_probe_read_kernel(&pages, sizeof(pages), (void *)mm + at);
	return pages;
}

MB_INLINE __u64 compat_mm_counter(struct mm_struct *mm, int member)
{
	__s64 pages;

	if (bpf_core_type_exists(struct mm_rss_stat___v61))
		pages = mm_counter_v61((void *)mm, member);
	else
		pages = mm_counter(mm, member);
	return pages > 0 ? pages : 0;
}

/*
 * Pages of a folio that the verifier knows to be a folio. Uses direct loads instead of helper
 * calls, because this runs for each dirtied page. Flags were a plain word until 6.18
 * (53fbef56e07d). The order of a large folio is in the low byte of _flags_1 since 6.6
 * (ebc1baf5c9b4). Before 5.16 there are only pages, and the result is 1.
 */
MB_INLINE __u32 compat_folio_pages(struct folio *folio)
{
	unsigned long flags, flags_1;

	if (!bpf_core_type_exists(struct folio))
		return 1;
	if (bpf_core_field_exists(((struct folio___v618 *)0)->flags.f))
		flags = ((struct folio___v618 *)folio)->flags.f;
	else
		flags = folio->flags;
	if (!(flags & (1ul << bpf_core_enum_value(enum pageflags, PG_head))))
		return 1;
	flags_1 = folio->_flags_1;
	return 1u << (flags_1 & 31);
}

/*
 * Number of mappings of a large folio's pages, minus one. 0 if the kernel does not maintain the
 * counter (before 6.10) and for a small folio, which is never partially mapped.
 */
MB_INLINE __s32 compat_folio_mapped(struct folio *folio)
{
	if (!bpf_core_field_exists(folio->_large_mapcount) || compat_folio_pages(folio) == 1)
		return 0;
	return BPF_CORE_READ(folio, _large_mapcount.counter);
}

/* The first alias (dentry) of an inode; NULL: it currently has none. */
MB_INLINE struct dentry *compat_first_name(struct inode *inode)
{
	void *alias = BPF_CORE_READ(inode, i_dentry.first);

	if (!alias)
		return NULL;
	if (bpf_core_field_exists(struct dentry___v619, d_u))
		return alias - bpf_core_field_offset(struct dentry___v619, d_u.d_alias);
	return alias - bpf_core_field_offset(struct dentry, d_alias);
}

/* Modification time of a file. */
MB_INLINE void compat_mtime(struct inode *inode, __u64 *s, __u64 *ns)
{
	struct inode___v610 *v610 = (void *)inode;
	struct inode___v66 *v66 = (void *)inode;

	if (bpf_core_field_exists(inode->i_mtime_sec)) {
		*s = BPF_CORE_READ(inode, i_mtime_sec);
		*ns = BPF_CORE_READ(inode, i_mtime_nsec);
	} else if (bpf_core_field_exists(v610->__i_mtime)) {
		*s = BPF_CORE_READ(v610, __i_mtime.tv_sec);
		*ns = BPF_CORE_READ(v610, __i_mtime.tv_nsec);
	} else {
		*s = BPF_CORE_READ(v66, i_mtime.tv_sec);
		*ns = BPF_CORE_READ(v66, i_mtime.tv_nsec);
	}
}

/*
 * The owner of the memory that a task uses (main thread of that process); NULL: none, or not
 * available in this kernel.
 */
MB_INLINE struct task_struct *compat_mm_owner(struct task_struct *task)
{
	struct mm_struct *mm;

	if (!bpf_core_field_exists(struct mm_struct, owner))
		return NULL;
	if (knobs.hash_ledgers)
		return BPF_CORE_READ(task, mm, owner);
	mm = task->mm;
	return mm ? mm->owner : NULL;
}

/*
 * Timer ticks per second (CONFIG_HZ). No interface provides it, as a kernel need not expose its
 * configuration. But jiffies started at -300 * HZ as 32 bits (INITIAL_JIFFIES,
 * include/linux/jiffies.h) when the monotonic clock started at 0: choose the HZ for which the two
 * agree best.
 */
MB_INLINE __u32 compat_hz(void)
{
	static const __u32 known[] = { 100, 250, 300, 1000 }; /* kernel/Kconfig.hz */
	__s64 ticks = bpf_jiffies64() - (1ull << 32);
	__s64 ms = (__s64)(bpf_ktime_get_ns() / 1000000) - 300000;
	__u64 least = ~0ull;
	__u32 hz = 250;

	for (int i = 0; i < 4; i++) {
		__s64 off = ticks * 1000 - ms * known[i];
		__u64 distance = off < 0 ? -off : off;

		if (distance < least) {
			least = distance;
			hz = known[i];
		}
	}
	return hz;
}

/* The task's memory cgroup; NULL: this kernel has no memory controller. */
MB_INLINE struct cgroup_subsys_state *compat_task_memcg(struct task_struct *task)
{
	struct cgroup_subsys_state *css = NULL;

	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		bpf_probe_read_kernel(&css, sizeof(css),
				      (void *)BPF_CORE_READ(task, cgroups) +
					      bpf_core_field_offset(struct css_set, subsys) +
					      bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) *
						      sizeof(css));
	return css;
}

/*
 * The cgroup of the task's memory cgroup, i.e. its directory. If the memory controller is on a v1
 * hierarchy, that is a separate directory; on v2 it is the task's cgroup in the unified hierarchy.
 */
MB_INLINE struct cgroup *compat_task_cgroup(struct task_struct *task)
{
	struct cgroup *unified = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	struct cgroup *memory = BPF_CORE_READ(compat_task_memcg(task), cgroup);

	if (!memory || BPF_CORE_READ(memory, root) == BPF_CORE_READ(unified, root))
		return unified;
	return memory;
}

/* A process's pid in its own, innermost pid namespace. */
MB_INLINE __u32 compat_inner_tgid(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	int nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      level * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(struct upid, nr));
	return nr;
}

MB_INLINE __u64 compat_cgroup_id(struct cgroup *cgrp)
{
	return BPF_CORE_READ(cgrp, kn, id);
}

/*
 * The registers with which a thread entered the kernel, for kernels without bpf_task_pt_regs
 * (before 5.15): at the end of its 16 KiB stack (arch/x86/include/asm/processor.h, task_pt_regs).
 */
MB_INLINE struct pt_regs *compat_entry_regs(struct task_struct *task)
{
	return BPF_CORE_READ(task, stack) + (16 << 10) - bpf_core_type_size(struct pt_regs);
}

/* Is the current thread in an ioctl(2) with this command? Requires bpf_task_pt_regs. */
MB_INLINE bool compat_is_ioctl(struct task_struct *task, __u32 command)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	if (task->thread_info.status & TS_COMPAT)
		return regs->orig_ax == 54 && (__u32)regs->cx == command;
	return regs->orig_ax == 16 && (__u32)regs->si == command;
}

/*
 * The file descriptor that the current thread writes to, if it is in a write system call; -1: it is
 * not.
 */
MB_INLINE __s64 compat_written_fd(struct task_struct *task)
{
	struct pt_regs *regs = knobs.hash_ledgers ? compat_entry_regs(task) :
						    (struct pt_regs *)bpf_task_pt_regs(task);
	__s64 call = BPF_CORE_READ(regs, orig_ax);

	if (MB_TASK(task, thread_info.status) & TS_COMPAT) /* write, writev, pwrite64, pwritev, pwritev2 */
		return call == 4 || call == 146 || call == 181 || call == 334 || call == 379 ?
			       (__u32)BPF_CORE_READ(regs, bx) :
			       -1;
	return call == 1 || call == 20 || call == 18 || call == 296 || call == 328 ?
		       (__u32)BPF_CORE_READ(regs, di) :
		       -1;
}

/* The file of that descriptor; NULL: none. */
MB_INLINE struct file *compat_written_file(struct task_struct *task)
{
	__s64 fd = compat_written_fd(task);
	struct files_struct *files = MB_TASK(task, files);
	struct fdtable *table;
	struct file *file = NULL;

	if (fd < 0 || !files)
		return NULL;
	table = BPF_CORE_READ(files, fdt);
	if (fd < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	return file;
}

/*
 * The address-space call that the current thread is in, and its arguments. They are read from the
 * registers at kernel entry, so no system call needs a hook. Covers x86-64 and 32-bit call numbers
 * (arch/x86/entry/syscalls/syscall_{64,32}.tbl). In a page fault orig_ax is -1.
 */
struct compat_vma_call {
	enum mb_vma_op op;
	__u64 addr;
	__u64 len;
	__u64 flags;
};

MB_INLINE void compat_vma_args32(struct pt_regs *regs, struct compat_vma_call *c)
{
	switch (regs->orig_ax) {
	case 90: /* old_mmap: its arguments are in user memory, which is not read */
	case 192: /* mmap2 */
		c->op = MB_VMA_MMAP;
		break;
	case 91:
		c->op = MB_VMA_MUNMAP;
		break;
	case 163:
		c->op = MB_VMA_MREMAP;
		break;
	case 45:
		c->op = MB_VMA_BRK;
		break;
	}
	c->addr = regs->bx;
	c->len = regs->orig_ax == 90 ? 0 : regs->cx;
	c->flags = regs->si;
}

MB_INLINE void compat_vma_call(struct task_struct *task, struct compat_vma_call *c)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	c->op = MB_VMA_NONE;
	if (task->thread_info.status & TS_COMPAT) {
		compat_vma_args32(regs, c);
		return;
	}
	switch (regs->orig_ax) {
	case 9:
		c->op = MB_VMA_MMAP;
		break;
	case 11:
		c->op = MB_VMA_MUNMAP;
		break;
	case 25:
		c->op = MB_VMA_MREMAP;
		break;
	case 12:
		c->op = MB_VMA_BRK;
		break;
	}
	c->addr = regs->di;
	c->len = regs->si;
	c->flags = regs->r10;
}

#endif
