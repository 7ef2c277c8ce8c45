/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the task family: process life, and the record that carries a ledger. */
#ifndef MEMBLAME_ABI_TASK_H
#define MEMBLAME_ABI_TASK_H

enum mb_task_event_type {
	MB_TASK_EVENT_FORK = 0,
	MB_TASK_EVENT_EXEC = 1,
	MB_TASK_EVENT_EXIT = 2, /* a struct mb_task_record with the final ledger */
	MB_TASK_EVENT_HARVEST = 3, /* the same, from the iterator: not in a ring */
	MB_TASK_EVENT_LATE = 4, /* faults of a thread after its exit record */
	MB_TASK_EVENT_STALLS = 5, /* from table stall_lengths: not in a ring */
	MB_TASK_EVENT_CGROUP = 6, /* a memory cgroup was made; of the machine, not of a process */
	MB_TASK_EVENT_LEVEL = 7, /* of memblame itself, from user space */
};

/* A host name (64 bytes, <linux/utsname.h>), its NUL, and what makes a whole of it and the id before it. */
#define MB_HOST_NAME_LEN 68

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* The part of a ledger that every family uses. */
struct mb_task_ledger {
	__u64 born_ns; /* ledger creation, CLOCK_BOOTTIME; with born_tid unique */
	__u64 start_ns; /* of the thread group's leader: with tgid, the process's identity */
	__u64 min_base; /* the kernel's own fault counts when tracing began: 0 for */
	__u64 maj_base; /* threads born under trace */
	__u32 born_tid;
	__u32 born; /* 1: born under trace, so that counts are whole-life */
	__u16 depth; /* open stalls */
	__u16 reads_stack; /* a program of ours reads its stack: faults meanwhile are not its own */
	__u16 exited; /* the exit record is out; only late faults are still counted */
	__u16 late; /* its exit was not seen; the exit record comes when the task is freed */
	struct mb_stall_frame stack[MB_STALL_DEPTH];
};

struct mb_fork_event {
	struct mb_event h; /* the parent */
	__u64 start_ns; /* of the child */
	__u32 child_tgid;
	__u32 child_tid;
	__u32 child_inner_tgid; /* as in struct mb_task_info */
	__u32 pad;
	char comm[MB_COMM_LEN];
};

struct mb_exec_event {
	struct mb_event h;
	__u64 start_ns;
	__u32 old_tid; /* differs from tid when a thread that is not the leader execs */
	__u32 pad;
	char comm[MB_COMM_LEN];
	char path[MB_PATH_LEN]; /* as given to execve */
};

/*
 * Threads that share their memory with others clear their id in it after the exit record is
 * out, which can be one more fault each (kernel/fork.c, mm_release).
 */
struct mb_late_event {
	struct mb_event h; /* of the thread that is gone */
	__u64 start_ns;
	__u64 min_flt; /* since the exit record */
	__u64 maj_flt;
};

#define MB_CGROUP_PATH_LEN 512
#define MB_CGROUP_NAME_LEN 256 /* NAME_MAX and the NUL */

struct mb_cgroup_event {
	struct mb_event h; /* who made it */
	__u64 cgroup; /* as in struct mb_task_info */
	union {
		char path[MB_CGROUP_PATH_LEN]; /* below the hierarchy's root; "": it is longer than that, and */
		struct {
			__u64 no_path;
			__u64 parent; /* it was made in this one, */
			char name[MB_CGROUP_NAME_LEN]; /* as this */
		} below;
	};
};

/* Key of table stall_lengths, and what has changed in an entry: stalls by length. */
struct mb_stall_key {
	__u64 start_ns; /* of the process, as in struct mb_task_info */
	__u32 tgid;
	__u32 slot; /* offset of the mb_stall in the ledger */
};

struct mb_stalls_event {
	struct mb_event h;
	struct mb_stall_key key;
	__u64 buckets[MB_STALL_BUCKETS];
};

#define MB_REASON_LEN 120

/*
 * The governor has changed what is traced (docs/overhead.md), or begins to. Costs are in thousandths of a percent
 * of one CPU.
 */
struct mb_level_event {
	struct mb_event h; /* memblame */
	__u64 known; /* the costs are known; not yet at the start */
	__u64 cost;
	__u64 bpf_known;
	__u64 bpf;
	__u64 own;
	__u64 budget;
	__u16 from; /* enum mb_level */
	__u16 to;
	__u16 tick_divisor_from; /* threads are read each so many ticks */
	__u16 tick_divisor;
	char reason[MB_REASON_LEN];
};

/* What is known of one thread, less its ledger, which follows in struct mb_task_record. */
struct mb_task_info {
	struct mb_event h;
	__u64 start_ns; /* of the thread group's leader: with tgid, the process's identity */
	__u64 cgroup; /* inode number of its memory cgroup's directory */
	__u64 min_flt; /* the kernel's own counts for this thread, whole life */
	__u64 maj_flt;
	__u64 mm; /* its address space: address of the mm_struct; 0: none */
	__u64 total_vm_pages;
	__u64 peak_pages; /* most resident pages so far */
	__u64 rss_pages[4]; /* file, anon, swap entries, shmem (enum mm_counter) */
	__s32 exit_code; /* as wait(2) gives it */
	__u32 ppid;
	__u32 threads;
	__u16 group_dead; /* this was the last live thread */
	__u8 has_mm; /* 0: the pages above are not known (kernel thread, or mm gone) */
	__u8 late; /* the task is being freed: what follows, cgroup, ppid and threads are not known any more */
	__u32 inner_tgid; /* in its innermost pid namespace; 0: that is the machine's, or not known */
	char host_name[MB_HOST_NAME_LEN]; /* in its UTS namespace; "": that is the machine's, or not known */
	char comm[MB_COMM_LEN];
};

#pragma GCC diagnostic pop
#endif
