// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * fault: page faults by cause. The kernel itself counts faults (task->min_flt, maj_flt); these
 * programs only determine the cause of each: from its error code at entry, and from the page
 * counter of the process that it changed. A fault is classified when the thread's next fault begins
 * or when its ledger is read, because only then the kernel's counter shows whether it succeeded.
 */
#include "core/bits.bpf.h"
#include "core/compat.bpf.h"
#include "core/trace_level.bpf.h"
#include "core/stack.bpf.h"
#include "core/stall.bpf.h"
#include "core/reclaimed_pages.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Not inline, like flush(): inlining would only slow down the many faults that are not timed. */
static __noinline void add_latency(struct mb_fault_ledger *f, __u64 ns, __u32 weight)
{
	__u32 bit = ns ? highest_bit(ns) : 0, i = 0;

	if (ns > f->latency_max_ns)
		f->latency_max_ns = ns;
	if (bit >= MB_FAULT_MIN_BITS)
		i = (bit - MB_FAULT_MIN_BITS) * 4 + (ns >> (bit - 2) & 3);
	if (i >= MB_FAULT_BUCKETS)
		i = MB_FAULT_BUCKETS - 1;
	f->latency[MB_BOUNDED(i, MB_FAULT_BUCKETS - 1)] += weight;
}

static __noinline void emit_sample(struct mb_fault_pending *p, __u32 class, bool major, __u64 ns)
{
	struct mb_fault_event *e;
	void *ring = cpu_ring();

	if (!ring)
		return;
	e = emit_try_reserve_in(ring, MB_FAM_fault, MB_FAULT_EVENT_SAMPLE, sizeof(*e), p->start_ns);
	if (!e) {
		count_drop(MB_FAM_fault, MB_DROP_UNTIMED);
		return;
	}
	e->addr = p->addr;
	e->ip = p->ip;
	e->latency_ns = ns;
	e->error = p->error;
	e->seq = p->seq;
	e->class_id = class;
	e->major = major;
	e->pad = 0;
	emit_submit(ring, e);
}

static __noinline void flush(struct mb_fault_ledger *f)
{
	struct mb_fault_batch_event *e;
	void *ring = cpu_ring();

	if (!ring)
		return;
	e = emit_try_reserve_in(ring, MB_FAM_fault, MB_FAULT_EVENT_BATCH, sizeof(*e),
				f->batch[0].t_ns);
	if (!e) {
		count_drops(MB_FAM_fault, MB_DROP_RING_FULL, MB_FAULT_BATCH);
		return;
	}
	__builtin_memcpy(e->batch, f->batch, sizeof(e->batch));
	emit_submit(ring, e);
}

MB_INLINE void stream(struct mb_fault_ledger *f, __u32 class, bool major, __u64 ns)
{
	struct mb_fault_pending *p = &f->pending;
	struct mb_fault_record *r;
	__u64 i = MB_BOUNDED(f->n_batch, MB_FAULT_BATCH - 1);

	r = &f->batch[i];
	r->t_ns = p->start_ns;
	r->addr = p->addr;
	r->ip = p->ip;
	r->latency_ns = ns;
	r->seq = p->seq;
	r->error = p->error;
	r->class_id = class;
	r->major = major;
	if (i == MB_FAULT_BATCH - 1)
		flush(f);
	f->n_batch = (i + 1) & (MB_FAULT_BATCH - 1);
}

/*
 * A fault in memory registered with userfaultfd has ended, or (if not returned) ended some time
 * ago. If the thread slept in it and mapped no page itself, another thread resolved the fault. A
 * fault in the kernel is part of a system call that continues after it and may sleep for another
 * reason.
 */
static __noinline int userfault_end(struct task_struct *task, struct mb_ledger *l, bool returned)
{
	struct mb_fault_pending *p = &l->fault.pending;
	__u32 slept = (__u32)MB_TASK(task, nvcsw) - p->nvcsw;
	bool user = p->error & MB_PF_USER;
	__u64 now = bpf_ktime_get_boot_ns(), ns;

	p->kind &= ~MB_FAULT_KIND_ASKABLE;
	if (!slept || p->moved || !p->start_ns)
		return 0;
	p->kind |= MB_FAULT_KIND_USERFAULT;
	if (user ? !returned : slept > 1) {
		count_drop(MB_FAM_fault, MB_DROP_UNTIMED);
		return 0;
	}
	p->mapped_ns = now;
	ns = now - p->start_ns;
	stall_charge(l, STALL_SLOT(fault, userfault), ns > p->stalled_ns ? ns - p->stalled_ns : 0);
	emit_sample(p, MB_FAULT_USERFAULT, false, ns);
	return 0;
}

/* The last fault is over: count, time and stream it. */
MB_INLINE void finish(struct task_struct *task, struct mb_ledger *l, __u64 flt, __u64 maj)
{
	struct mb_fault_pending *p = &l->fault.pending;
	bool major = maj != p->maj, sampled = !(p->seq & sample_mask());
	__u32 class = pending_count(task, l, flt, major);
	__u64 ns = 0;

	if (p->mapped_ns)
		ns = p->mapped_ns - p->start_ns;
	/* for a fault that another thread resolved, a sample was already sent */
	if (ns && sampled && !major && class != MB_FAULT_FAILED && class != MB_FAULT_USERFAULT)
		add_latency(&l->fault, ns, sample_weight());
	if (streaming(MB_FAM_fault) && p->start_ns && (sampled || level_before(MB_LEVEL_SAMPLED)))
		stream(&l->fault, class, major, ns);
}

/*
 * Faults caused by fault_begin_kernel's own stack reads: they nest in the program, so the kernel
 * counts them as missed.
 */
__u64 own_traps;

/*
 * Send a page in the sample, or the first page of a huge page (which may contain sampled pages),
 * with the stack of the thread that touches it. Not static, so that the verifier checks it once,
 * separately.
 */
__noinline int emit_page(__u64 addr, __u64 regs, __u32 error)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);
	struct mb_page_event e = {};
	struct stack_source stack;
	void *ring = cpu_ring();

	if (!ring || !l)
		return 0;
	stack_source(task, l, regs, &stack);
	e.h.t_ns = bpf_ktime_get_boot_ns();
	e.mm = (__u64)BPF_CORE_READ(task, mm);
	e.addr = addr;
	e.error = error;
	stack_emit(ring, MB_FAM_fault, MB_FAULT_EVENT_PAGE, &e, &stack);
	if (!regs && stack.traps)
		__sync_fetch_and_add(&own_traps, stack.traps);
	return 0;
}

MB_INLINE bool wants_page(unsigned long addr)
{
	return knobs.page_mask &&
	       (mb_page_sampled(addr, knobs.page_mask) || mb_page_first_of_huge(addr));
}

/*
 * Approximate identity of the thread's current system call: its number, some arguments and the user
 * instruction pointer.
 */
MB_INLINE __u64 call_of(struct task_struct *task)
{
	struct pt_regs *regs = knobs.hash_ledgers ? compat_entry_regs(task) :
						    (struct pt_regs *)bpf_task_pt_regs(task);

	return BPF_CORE_READ(regs, ip) ^ BPF_CORE_READ(regs, si) ^ BPF_CORE_READ(regs, di) << 40 ^
	       BPF_CORE_READ(regs, orig_ax) << 52;
}

/* Returns the thread's ledger; NULL: the thread is not traced, or the fault is not its own. */
MB_INLINE struct mb_ledger *fault_begin(unsigned long addr, struct pt_regs *regs, __u32 error)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);
	struct mb_fault_pending *p;
	__u64 maj, flt;

	if (!l || (knobs.stacks && l->task.reads_stack) || !level_before(MB_LEVEL_ITERATOR))
		return NULL;
	if (l->task.depth) /* activity of the thread ends an open-ended stall */
		stall_close_open(l, bpf_ktime_get_boot_ns());
	p = &l->fault.pending;
	maj = MB_TASK(task, maj_flt);
	flt = MB_TASK(task, min_flt) + maj;
	p->version++;
	barrier();
	if (p->kind & MB_FAULT_KIND_ASKABLE)
		userfault_end(task, l, false);
	if (p->seq && !p->settled)
		finish(task, l, flt, maj);
	p->flt = flt;
	p->maj = maj;
	p->error = error;
	p->moved = 0;
	p->settled = 0;
	p->mapping = 0;
	p->mapped_ns = 0;
	p->stalled_ns = 0;
	p->addr = addr;
	p->numa = numa_faults(task);
	p->kind = 0;
	p->failed = 0;
	if (streaming(MB_FAM_fault))
		p->ip = regs->ip;
	p->start_ns = 0;
	p->seq++;
	barrier();
	p->version++;
	if ((streaming(MB_FAM_fault) || knobs.time_all_faults || !(p->seq & sample_mask())) &&
	    level_before(MB_LEVEL_COUNTS))
		p->start_ns = bpf_ktime_get_boot_ns();
	return l;
}

MB_INLINE struct mb_ledger *begin_user(unsigned long addr, struct pt_regs *regs,
				       unsigned long error)
{
	struct mb_ledger *l = fault_begin(addr, regs, error | MB_PF_USER);

	if (l && wants_page(addr))
		emit_page(addr, number_of(regs), error);
	return l;
}

SEC("?tp_btf/page_fault_user")
int BPF_PROG(fault_begin_user, unsigned long addr, struct pt_regs *regs, unsigned long error)
{
	begin_user(addr, regs, error);
	return 0;
}

MB_INLINE struct mb_ledger *begin_kernel(unsigned long addr, struct pt_regs *regs,
					 unsigned long error)
{
	struct mb_ledger *l;

	if ((__s64)addr < 0) /* kernel address: not a fault of the process */
		return NULL;
	l = fault_begin(addr, regs, error & ~MB_PF_USER);
	if (l)
		l->fault.pending.call = call_of(compat_current());
	if (l && wants_page(addr))
		emit_page(addr, 0, error);
	return l;
}

SEC("?tp_btf/page_fault_kernel")
int BPF_PROG(fault_begin_kernel, unsigned long addr, struct pt_regs *regs, unsigned long error)
{
	begin_kernel(addr, regs, error);
	return 0;
}

/*
 * Faults resolved by another thread (userfaultfd), on kernels without trampolines. No tracepoint
 * reports them, but a callback can be scheduled that runs when the thread returns to user space. So
 * that other faults do not pay for this, address spaces with such memory are recorded at the call
 * that registers it (fault_remap).
 */
__u32 userfault_spaces; /* number of address spaces found so far */

/* Keyed by mm_struct. If an entry is evicted, after 1,024 others, its faults count as other. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} userfaults SEC(".maps");

/* Keyed by thread id. A fault that finds no entry, beyond 1,024 waiting threads, is not timed. */
struct userfault_wait {
	struct bpf_task_work work;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct userfault_wait);
} userfault_waits SEC(".maps");

/* __weak: kernels without it still load the object, except for the programs that call it. */
extern int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *work,
					      void *map__map, bpf_task_work_callback_t callback,
					      void *aux__prog) __weak __ksym;

static int userfault_returned(struct bpf_map *map, void *key, void *value)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mb_ledger *l = ledger_of(task);

	if (l && (l->fault.pending.kind & MB_FAULT_KIND_ASKABLE))
		userfault_end(task, l, true);
	return 0;
}

static __noinline int userfault_begin(struct mb_ledger *l, __u64 addr)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mb_fault_pending *p = &l->fault.pending;
	__u64 mm = (__u64)BPF_CORE_READ(task, mm);
	struct userfault_wait *w, zero = {};
	struct vm_area_struct *vma;
	__u32 tid = task->pid;

	if (l->fault.userfaults_seen != userfault_spaces) {
		l->fault.userfaults_seen = userfault_spaces;
		l->fault.userfaults = bpf_map_lookup_elem(&userfaults, &mm) != NULL;
	}
	vma = l->fault.userfaults ? (void *)mapping_find(mm, addr) : NULL;
	if (!vma || !BPF_CORE_READ(vma, vm_userfaultfd_ctx.ctx))
		return 0;
	p->kind = mapping_kind(vma) | MB_FAULT_KIND_ASKABLE;
	p->nvcsw = task->nvcsw;
	if (!p->start_ns)
		p->start_ns = bpf_ktime_get_boot_ns();
	w = bpf_map_lookup_elem(&userfault_waits, &tid);
	if (!w) {
		bpf_map_update_elem(&userfault_waits, &tid, &zero, BPF_NOEXIST);
		w = bpf_map_lookup_elem(&userfault_waits, &tid);
	}
	if (w)
		bpf_task_work_schedule_resume_impl(task, &w->work, &userfault_waits,
						   userfault_returned, NULL);
	return 0;
}

SEC("?tp_btf/page_fault_user")
int BPF_PROG(fault_begin_user_waits, unsigned long addr, struct pt_regs *regs, unsigned long error)
{
	struct mb_ledger *l = begin_user(addr, regs, error);

	if (l && (l->fault.userfaults || l->fault.userfaults_seen != userfault_spaces))
		userfault_begin(l, addr);
	return 0;
}

SEC("?tp_btf/page_fault_kernel")
int BPF_PROG(fault_begin_kernel_waits, unsigned long addr, struct pt_regs *regs,
	     unsigned long error)
{
	struct mb_ledger *l = begin_kernel(addr, regs, error);

	if (l && (l->fault.userfaults || l->fault.userfaults_seen != userfault_spaces))
		userfault_begin(l, addr);
	return 0;
}

/*
 * A page counter has changed: the current thread's, in a fault, or another process's, whose page is
 * being reclaimed.
 */
SEC("?tp_btf/rss_stat")
int BPF_PROG(fault_moved, struct mm_struct *mm, int member)
{
	struct task_struct *task = compat_current();
	struct mb_fault_pending *p;
	struct mb_ledger *l;

	if (MB_TASK(task, flags) & PF_MEMALLOC) { /* reclaim, perhaps within this fault */
		count_reclaimed(task, mm, member);
		return 0;
	}
	if (MB_TASK(task, mm) != mm)
		return 0;
	l = ledger_of(task);
	if (!l)
		return 0;
	p = &l->fault.pending;
	/* the kernel has counted the fault, so it is over: this is a later unmap */
	if (MB_TASK(task, min_flt) + MB_TASK(task, maj_flt) != p->flt)
		return 0;
	/* or the fault failed in an earlier call, and now the kernel faults in a page itself */
	if (!(p->error & MB_PF_USER) && p->call != call_of(task))
		return 0;
	p->moved |= 1u << (member & 3);
	/* with fault_end, every fault is timed there */
	if (p->start_ns && knobs.sample_mask && !(p->seq & sample_mask()))
		p->mapped_ns = bpf_ktime_get_boot_ns();
	return 0;
}

/* The counter that a fault in this mapping would change; see fault_moved. */
MB_INLINE __u32 moved_by_mapping(struct vm_area_struct *vma, __u32 flags)
{
	struct file *file = BPF_CORE_READ(vma, vm_file);
	unsigned long vm_flags = BPF_CORE_READ(vma, vm_flags);

	if (vm_flags & VM_HUGETLB)
		return 0;
	if (!file || (!(vm_flags & VM_SHARED) && (flags & FAULT_FLAG_WRITE)))
		return 1 << MM_ANONPAGES;
	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) == TMPFS_MAGIC)
		return 1 << MM_SHMEMPAGES;
	return 1 << MM_FILEPAGES;
}

/*
 * End of a fault, on kernels with trampolines: the mapping determines the counter that fault_moved
 * would have seen, and the time is exact. If a thread is preempted in this program, the kernel
 * skips it for other threads on the same CPU; fault_moved, which runs under the page table lock,
 * covers those. A fault that must be retried gets here again. A fault that the kernel triggers
 * itself has no registers and no recorded start.
 */
SEC("?fexit/handle_mm_fault")
int BPF_PROG(fault_end, struct vm_area_struct *vma, unsigned long address, unsigned int flags,
	     struct pt_regs *regs, unsigned int ret)
{
	struct task_struct *task = compat_current();
	struct mb_fault_pending *p;
	struct mb_ledger *l;

	if (!regs || (ret & (VM_FAULT_RETRY | VM_FAULT_ERROR)) || !level_before(MB_LEVEL_ITERATOR))
		return 0;
	l = ledger_of(task);
	if (!l)
		return 0;
	p = &l->fault.pending;
	p->mapping = MB_FAULT_ENDED | moved_by_mapping(vma, flags);
	p->kind = (p->kind & MB_FAULT_KIND_USERFAULT) | mapping_kind(vma);
	if (!p->moved && !(p->error & MB_PF_PROT) && numa_faults(task) != p->numa)
		p->kind |= MB_FAULT_KIND_NUMA;
	if (p->start_ns)
		p->mapped_ns = bpf_ktime_get_boot_ns();
	/* major faults are timed in fault_major_end */
	if (p->start_ns && (p->kind & MB_FAULT_KIND_USERFAULT) && !(ret & VM_FAULT_MAJOR) &&
	    !(flags & FAULT_FLAG_TRIED))
		emit_sample(p, MB_FAULT_USERFAULT, false, p->mapped_ns - p->start_ns);
	return 0;
}

/*
 * With trampolines: the wait for the thread that resolves a fault. The fault may also be one that
 * the kernel triggered itself.
 */
SEC("?fentry/handle_userfault")
int BPF_PROG(fault_wait_begin, struct vm_fault *vmf)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);
	struct mb_fault_pending *p;
	__u64 addr;

	if (!l || !level_before(MB_LEVEL_ITERATOR))
		return 0;
	p = &l->fault.pending;
	addr = bpf_core_field_exists(vmf->real_address) ? BPF_CORE_READ(vmf, real_address) :
							  BPF_CORE_READ(vmf, address);
	stall_begin(l, MB_FAM_fault, STALL_SLOT(fault, userfault), bpf_ktime_get_boot_ns(), 0);
	if (!((addr ^ p->addr) >> 21) && !p->failed &&
	    MB_TASK(task, min_flt) + MB_TASK(task, maj_flt) == p->flt)
		p->kind |= MB_FAULT_KIND_USERFAULT;
	return 0;
}

SEC("?fexit/handle_userfault")
int BPF_PROG(fault_wait_end)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct stall_time t;

	if (l)
		stall_end(l, STALL_SLOT(fault, userfault), bpf_ktime_get_boot_ns(), &t);
	return 0;
}

/*
 * A page comes from swap or from the swap cache. Applies to the thread's pending fault, unless that
 * fault is over.
 */
SEC("?fentry/do_swap_page")
int BPF_PROG(fault_swap)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);

	if (l && !l->fault.pending.failed &&
	    MB_TASK(task, min_flt) + MB_TASK(task, maj_flt) == l->fault.pending.flt)
		l->fault.pending.moved |= 1 << MM_SWAPENTS;
	return 0;
}

/* From now on, other threads may have to resolve faults in this address space. */
static __noinline void watch_userfaults(struct mm_struct *mm)
{
	__u64 key = (__u64)mm;
	__u32 one = 1;

	if (!bpf_map_update_elem(&userfaults, &key, &one, BPF_NOEXIST))
		__sync_fetch_and_add(&userfault_spaces, 1);
}

/*
 * The thread is about to change its mappings, so look up the mapping of its last fault now. Every
 * change requires the mmap write lock (include/linux/mmap_lock.h), which is acquired here.
 */
SEC("?tp_btf/mmap_lock_acquire_returned")
int BPF_PROG(fault_remap, struct mm_struct *mm)
{
	struct task_struct *task = bpf_get_current_task_btf(); /* available since before this tracepoint */
	struct mb_ledger *l;

	if (!MB_ARG_OF(ctx, mmap_lock_acquire_returned, write) || !level_before(MB_LEVEL_ITERATOR))
		return 0;
	l = ledger_of(task);
	/* in fork, the child's address space is a copy */
	if (compat_is_ioctl(task, UFFDIO_REGISTER) || (l && l->fault.userfaults && task->mm != mm))
		watch_userfaults(mm);
	if (l)
		mapping_explain(task, &l->fault, task->min_flt + task->maj_flt);
	return 0;
}

/* Page cache lookup in a file fault: record the start time, because it may become a major fault. */
SEC("?tp_btf/mm_filemap_fault")
int BPF_PROG(fault_filemap)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (l && !l->fault.pending.start_ns && level_before(MB_LEVEL_COUNTS))
		l->fault.pending.start_ns = bpf_ktime_get_boot_ns();
	return 0;
}

/* End of every major fault (PERF_COUNT_SW_PAGE_FAULTS_MAJ, period 1). */
SEC("?perf_event")
int fault_major_end(void *ctx)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);
	struct mb_fault_pending *p;
	__u64 ns, stalled;
	__u32 class;

	if (!l || !l->fault.pending.start_ns)
		return 0;
	p = &l->fault.pending;
	class = mb_fault_classify(p, true, knobs.has_swap);
	ns = bpf_ktime_get_boot_ns() - p->start_ns;
	stalled = p->stalled_ns < ns ? p->stalled_ns : ns;
	if (class == MB_FAULT_SWAP)
		stall_charge(l, STALL_SLOT(fault, swap_in), ns - stalled);
	else if (class == MB_FAULT_FILE_IO)
		stall_charge(l, STALL_SLOT(fault, file_io), ns - stalled);
	if (class == MB_FAULT_SHMEM) /* no I/O, and frequent */
		add_latency(&l->fault, ns, 1);
	else
		emit_sample(p, class, true, ns);
	p->mapped_ns = p->start_ns + ns;
	return 0;
}

/*
 * An access that ends in a signal: counts SIGSEGV by reason. The pending fault has failed,
 * regardless of later changes of the kernel's counter, which also includes faults that the kernel
 * triggers itself.
 */
SEC("?tp_btf/signal_generate")
int BPF_PROG(fault_signal, int sig, struct kernel_siginfo *info, struct task_struct *task)
{
	struct mb_ledger *l;
	bool failed;
	int code = 0;

	/* SEND_SIG_NOINFO and SEND_SIG_PRIV are small integers, not pointers */
	if ((sig != SIGSEGV && sig != SIGBUS) || (unsigned long)info < 4096 ||
	    task != compat_current())
		return 0;
	l = ledger_of(task);
	if (!l || bpf_probe_read_kernel(&code, sizeof(code), &info->si_code))
		return 0;
	if (sig == SIGSEGV && code == SEGV_MAPERR)
		l->fault.segv_unmapped++;
	else if (sig == SIGSEGV && code == SEGV_ACCERR)
		l->fault.segv_access++;
	failed = sig == SIGSEGV ? code >= SEGV_MAPERR && code <= SEGV_PKUERR :
				  code >= BUS_ADRERR && code <= BUS_MCEERR_AR;
	if (failed && MB_TASK(task, min_flt) + MB_TASK(task, maj_flt) == l->fault.pending.flt)
		l->fault.pending.failed = 1;
	return 0;
}
