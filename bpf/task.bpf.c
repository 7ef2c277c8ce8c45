// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * task: process life cycle. New threads get their ledger in fork, before they run. A thread's last
 * record is its exit record. The iterator reads all ledgers once per tick, and creates ledgers for
 * threads that existed before tracing began.
 */
#include "core/compat.bpf.h"
#include "core/dirtied.bpf.h"
#include "core/filter.bpf.h"
#include "core/ledger_life.bpf.h"
#include "core/trace_level.bpf.h"
#include "core/stall.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set by user space during the first pass of the iterator only. */
__u32 first_pass;

/*
 * Template for new ledgers, one per creating program: none of these programs can nest with itself
 * on a CPU.
 */
enum creator {
	CREATOR_FORK,
	CREATOR_CGROUP,
	CREATORS
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CREATORS);
	__type(key, __u32);
	__type(value, struct mb_ledger);
} creators SEC(".maps");

/*
 * The iterator can be preempted, so each of its readers has its own buffer, to build a record and a
 * ledger in. Usually memblame is the only reader. LRU: the least recently active reader is evicted.
 */
struct reader {
	struct mb_task_record record;
	struct mb_ledger ledger;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct reader);
} readers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reader);
} reader_zero SEC(".maps");

MB_INLINE struct reader *reader_room(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), key = 0;
	struct reader *r = bpf_map_lookup_elem(&readers, &tid), *zero;

	if (r)
		return r;
	zero = bpf_map_lookup_elem(&reader_zero, &key);
	if (!zero || bpf_map_update_elem(&readers, &tid, zero, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&readers, &tid);
}

MB_INLINE struct mb_ledger *trace(struct task_struct *task, __u32 creator, bool born)
{
	struct mb_ledger *room = bpf_map_lookup_elem(&creators, &creator);

	return room ? ledger_create(task, room, born) : NULL;
}

MB_INLINE void fill_memory(struct task_struct *task, struct mb_task_info *r)
{
	/*
	 * a kernel thread has no memory of its own, but may borrow a process's memory
	 * (kthread_use_mm)
	 */
	struct mm_struct *mm = MB_TASK(task, flags) & PF_KTHREAD ? NULL : BPF_CORE_READ(task, mm);
	__u64 rss = 0, peak;

	r->peak_pages = BPF_CORE_READ(task, signal, maxrss);
	r->has_mm = mm != NULL;
	if (!mm)
		return;
	r->mm = (__u64)mm;
	r->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	for (int i = 0; i < NR_MM_COUNTERS; i++) {
		r->rss_pages[i] = compat_mm_counter(mm, i);
		if (i != MM_SWAPENTS)
			rss += r->rss_pages[i];
	}
	peak = BPF_CORE_READ(mm, hiwater_rss);
	if (rss > peak)
		peak = rss;
	if (peak > r->peak_pages)
		r->peak_pages = peak;
}

/* 0: in the initial pid namespace, or the task has no pid any more. */
MB_INLINE __u32 inner_tgid(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, thread_pid, level) ? compat_inner_tgid(task) : 0;
}

/* Identity of the process in its namespaces; reported by the first thread. */
MB_INLINE void fill_inside(struct task_struct *task, struct mb_task_info *r)
{
	struct uts_namespace *uts = BPF_CORE_READ(task, nsproxy, uts_ns);

	r->inner_tgid = inner_tgid(task);
	if (uts && BPF_CORE_READ(uts, ns.inum) != PROC_UTS_INIT_INO)
		BPF_CORE_READ_STR_INTO(&r->host_name, uts, name.nodename);
}

/*
 * Does this thread report the data that all threads of the process share? The first thread does. If
 * it has exited while others continue, it has no memory any more and is not reported: then each of
 * the others does.
 */
MB_INLINE bool speaks_for_process(struct task_struct *task)
{
	return task->tgid == task->pid || !BPF_CORE_READ(task, group_leader, mm);
}

/* Everything except the process's memory, which only one thread needs to report. */
MB_INLINE void fill_info(struct task_struct *task, struct mb_ledger *l, struct mb_task_info *r,
			 __u16 type)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	__builtin_memset(r, 0, sizeof(*r));
	r->h.t_ns = bpf_ktime_get_boot_ns();
	r->h.tgid = task->tgid;
	r->h.tid = task->pid;
	r->h.family = MB_FAM_task;
	r->h.type = type;
	r->h.size = sizeof(struct mb_task_record);
	r->start_ns = l->task.start_ns;
	r->exit_code = task->exit_code;
	r->late = l->task.late;
	if (r->late) /* other objects that the task points to may have been freed */
		return;
	r->cgroup = compat_cgroup_id(compat_task_cgroup(task));
	r->ppid = BPF_CORE_READ(task, real_parent, tgid);
	r->threads = BPF_CORE_READ(task, signal, nr_threads);
	/* the leader's name, so that the process has the same name as in ps */
	BPF_CORE_READ_STR_INTO(&r->comm, leader, comm);
	if (speaks_for_process(task))
		fill_inside(task, r);
}

SEC("?tp_btf/task_newtask")
int BPF_PROG(task_newtask, struct task_struct *child, __u64 clone_flags)
{
	struct task_struct *parent = compat_current();
	struct mb_fork_event *e;
	struct mb_ledger *l;

	if (!filter_follows(child, clone_flags, ledger_of(parent) != NULL))
		return 0;
	l = trace(child, CREATOR_FORK, true);
	if (l) /* the iterator may have created it first; the child has not run yet */
		l->task.born = 1;
	if (clone_flags & CLONE_THREAD)
		return 0;
	e = emit_reserve_in(&urgent, MB_FAM_task, MB_TASK_EVENT_FORK, sizeof(*e),
			    bpf_ktime_get_boot_ns());
	if (!e)
		return 0;
	e->start_ns = child->start_boottime;
	e->child_tgid = child->tgid;
	e->child_tid = child->pid;
	e->child_inner_tgid = inner_tgid(child);
	e->pad = 0;
	BPF_CORE_READ_STR_INTO(&e->comm, child, comm);
	emit_submit(&urgent, e);
	return 0;
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(task_exec, struct task_struct *task, __u32 old_tid, struct linux_binprm *bprm)
{
	struct mb_exec_event *e;

	ledger_exchange(old_tid, task->pid);
	if (!ledger_of(task))
		return 0;
	e = emit_reserve_in(&urgent, MB_FAM_task, MB_TASK_EVENT_EXEC, sizeof(*e),
			    bpf_ktime_get_boot_ns());
	if (!e)
		return 0;
	e->start_ns = task->start_boottime;
	e->old_tid = old_tid;
	e->pad = 0;
	BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
	bpf_probe_read_kernel_str(e->path, sizeof(e->path), BPF_CORE_READ(bprm, filename));
	emit_submit(&urgent, e);
	return 0;
}

/* A process moves into a selected cgroup: trace it from now on, not from the next tick on. */
SEC("?tp_btf/cgroup_attach_task")
int BPF_PROG(task_cgroup, struct cgroup *to, const char *path, struct task_struct *task)
{
	if (knobs.select == MB_SELECT_CGROUPS && !(task->flags & PF_EXITING) && !ledger_of(task) &&
	    in_selected_cgroup(task))
		trace(task, CREATOR_CGROUP, false);
	return 0;
}

/*
 * A new cgroup may be removed before user space looks up its path. Cgroups of other v1 hierarchies
 * have ids that overlap.
 */
SEC("?tp_btf/cgroup_mkdir")
int BPF_PROG(task_mkdir, struct cgroup *cgrp, const char *path)
{
	struct cgroup *own = compat_task_cgroup(compat_current());
	struct mb_cgroup_event *e;

	if (BPF_CORE_READ(cgrp, root) != BPF_CORE_READ(own, root))
		return 0;
	e = emit_reserve_in(&urgent, MB_FAM_task, MB_TASK_EVENT_CGROUP, sizeof(*e),
			    bpf_ktime_get_boot_ns());
	if (!e)
		return 0;
	e->cgroup = compat_cgroup_id(cgrp);
	/* a full buffer means that the path was truncated */
	if (bpf_probe_read_kernel_str(e->path, sizeof(e->path), path) == sizeof(e->path)) {
		e->below.no_path = 0;
		e->below.parent = compat_cgroup_id(BPF_CORE_READ(cgrp, self.parent, cgroup));
		bpf_probe_read_kernel_str(e->below.name, sizeof(e->below.name), BPF_CORE_READ(cgrp, kn, name));
	}
	emit_submit(&urgent, e);
	return 0;
}

/*
 * Exit status of the process as seen by wait(2): exit_group and fatal signals set the group's code,
 * and since 5.18 the last thread does so too; otherwise it is the first thread's code, however long
 * ago that thread exited.
 */
MB_INLINE __s32 final_exit_code(struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(task, signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

MB_INLINE void copy_ledger(struct task_struct *task, struct mb_ledger *l, struct mb_task_record *r)
{
	bpf_probe_read_kernel(&r->ledger, sizeof(r->ledger), l);
	r->info.min_flt = task->min_flt;
	r->info.maj_flt = task->maj_flt;
	r->ledger.writeback.dirtied_pages += r->ledger.writeback.dirtied_by_kernel;
}

/*
 * The exit record was sent. If the memory is shared, its cleanup can still fault (see struct
 * mb_late_event), so the ledger is retained to count these faults. Otherwise it must be deleted, or
 * the iterator would report the thread again.
 */
MB_INLINE void retire(struct task_struct *task)
{
	struct mm_struct *mm = task->mm;

	if (!mm || mm->mm_users.counter < 2)
		ledger_delete(task, false);
}

/* The thread no longer runs, or is the current one: its ledger does not change. */
static __noinline int emit_exit(struct task_struct *task, struct mb_ledger *l)
{
	struct mb_task_record *r = bpf_ringbuf_reserve(&urgent, sizeof(*r), 0);

	if (!r) {
		count_drop(MB_FAM_task, MB_DROP_RING_FULL);
		return -1;
	}
	mapping_explain(task, &l->fault, task->min_flt + task->maj_flt);
	fill_info(task, l, &r->info, MB_TASK_EVENT_EXIT);
	r->info.group_dead = BPF_CORE_READ(task, signal, live.counter) == 0;
	if (r->info.group_dead) {
		fill_memory(task, &r->info);
		r->info.exit_code = final_exit_code(task);
	}
	copy_ledger(task, l, r);
	/*
	 * before the record becomes readable: the iterator must not report the thread after it, nor
	 * with another base
	 */
	l->task.exited = MB_EXITED_SENT;
	barrier();
	l->task.min_base = task->min_flt;
	l->task.maj_base = task->maj_flt;
	emit_submit(&urgent, r);
	return 0;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(task_exit, struct task_struct *task)
{
	struct mb_ledger *l = ledger_of(task);

	if (!l)
		return 0;
	stall_close_open(l, bpf_ktime_get_boot_ns());
	dirtied_flush(l);
	if (!emit_exit(task, l))
		retire(task);
	return 0;
}

/* The task's counters are final: report the faults since its exit record, and forget it. */
MB_INLINE void emit_late(struct task_struct *task, struct mb_ledger *l, bool freed)
{
	struct mb_late_event *e;

	if (l->task.exited == MB_EXITED_SENT &&
	    (task->min_flt != l->task.min_base || task->maj_flt != l->task.maj_base)) {
		e = emit_reserve_in(&urgent, MB_FAM_task, MB_TASK_EVENT_LATE, sizeof(*e),
				    bpf_ktime_get_boot_ns());
		if (e) {
			e->h.tgid = task->tgid;
			e->h.tid = task->pid;
			e->start_ns = l->task.start_ns;
			e->min_flt = task->min_flt - l->task.min_base;
			e->maj_flt = task->maj_flt - l->task.maj_base;
			emit_submit(&urgent, e);
		}
		l->task.min_base = task->min_flt; /* if the ledger cannot be deleted now */
		l->task.maj_base = task->maj_flt;
	}
	ledger_delete(task, freed);
}

/*
 * The task's counters are final here, long after its exit and a grace period after it was reaped.
 * No other thread can be scheduled in between, so this program always runs. For a thread whose exit
 * program the kernel skipped (MB_DROP_MISSED), the exit record is sent now.
 */
SEC("?tp_btf/sched_process_free")
int BPF_PROG(task_free, struct task_struct *task)
{
	struct mb_ledger *l = ledger_of(task);

	if (!l)
		return 0;
	if (!l->task.exited) {
		l->task.late = 1;
		emit_exit(task, l);
	}
	emit_late(task, l, true);
	return 0;
}

/*
 * The thread may be running on another CPU and change its ledger meanwhile: only accept a copy in
 * which the faults by cause match the kernel's counter.
 */
static __noinline bool copy_try(struct task_struct *task, struct mb_ledger *l,
				struct mb_task_record *r)
{
	volatile __u32 *version = &l->fault.pending.version;
	__u32 before = *version;

	barrier();
	copy_ledger(task, l, r);
	barrier();
	return !(before & 1) && *version == before;
}

/*
 * A thread that faults continuously leaves about half of the time for a consistent copy; after
 * these tries its counts may differ by one fault. (6.1's verifier does not accept a loop here.)
 */
MB_INLINE void copy_consistent(struct task_struct *task, struct mb_ledger *l,
			       struct mb_task_record *r)
{
	bool done = copy_try(task, l, r) || copy_try(task, l, r) || copy_try(task, l, r) ||
		    copy_try(task, l, r) || copy_try(task, l, r) || copy_try(task, l, r);

	(void)done;
}

/*
 * Create a ledger for a thread that has none. Since it had none, the thread may have run, sent its exit
 * record with a ledger from fork, and lost that ledger: then the new one must not count its faults again.
 */
MB_INLINE struct mb_ledger *trace_found(struct task_struct *task, struct reader *room)
{
	struct mb_ledger *l = ledger_create(task, &room->ledger, knobs.select == MB_SELECT_TREE);

	barrier();
	if (l && *(volatile unsigned int *)&task->flags & PF_EXITING && !l->task.exited)
		l->task.exited = MB_EXITED_FOUND;
	return l;
}

/*
 * Is this still the thread's ledger? While it was copied, the thread may have sent its exit record,
 * after which nothing else must be reported; and a hash reuses deleted elements immediately.
 */
MB_INLINE bool is_current(struct task_struct *task, const struct mb_ledger *l)
{
	return ledger_of(task) == l && !*(volatile const __u16 *)&l->task.exited &&
	       l->task.start_ns == BPF_CORE_READ(task, group_leader, start_boottime);
}

SEC("?iter/task")
int task_harvest(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct seq_file *seq = ctx->meta->seq;
	struct mb_task_record *r;
	struct reader *room;
	struct mb_ledger *l;

	if (!task)
		return 0;
	l = ledger_of(task);
	if (knobs.governed && trace_level.settle) {
		if (l && !l->task.exited)
			trace_level_settle(task, l);
		return 0;
	}
	if (!l && ((task->flags & PF_EXITING) || !filter_selects(task, first_pass)))
		return 0;
	room = reader_room();
	if (!room)
		return 0;
	if (!l)
		l = trace_found(task, room);
	if (!l)
		return 0;
	if (l->task.exited) {
		/* A zombie has no memory any more. It may never be reaped: the first process of a container may not. */
		if (task->exit_state)
			emit_late(task, l, false);
		return 0;
	}
	r = &room->record;
	fill_info(task, l, &r->info, MB_TASK_EVENT_HARVEST);
	copy_consistent(task, l, r);
	mapping_explain(task, &r->ledger.fault, r->info.min_flt + r->info.maj_flt);
	if (speaks_for_process(task))
		fill_memory(task, &r->info);
	if (is_current(task, l))
		bpf_seq_write(seq, r, sizeof(*r));
	return 0;
}
