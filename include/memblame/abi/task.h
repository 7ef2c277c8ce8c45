/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the task family: process life cycle, and the record that carries a ledger. */
#ifndef MEMBLAME_ABI_TASK_H
#define MEMBLAME_ABI_TASK_H

enum mb_task_event_type {
	MB_TASK_EVENT_FORK = 0,
	MB_TASK_EVENT_EXEC = 1,
	MB_TASK_EVENT_EXIT = 2, /* a struct mb_task_record with the final ledger */
	MB_TASK_EVENT_HARVEST = 3, /* the same, from the iterator; not in a ring */
	MB_TASK_EVENT_LATE = 4, /* faults of a thread after its exit record */
	MB_TASK_EVENT_STALLS = 5, /* from table stall_lengths; not in a ring */
	MB_TASK_EVENT_CGROUP = 6, /* a memory cgroup was created; concerns the machine, not a process */
	MB_TASK_EVENT_LEVEL = 7, /* change of the trace level of memblame itself, from user space */
};

/*
 * A host name (64 bytes, <linux/utsname.h>), its NUL, and padding to keep the struct aligned after
 * the preceding id.
 */
#define MB_HOST_NAME_LEN 68

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

enum mb_exited {
	MB_EXITED_NOT = 0,
	MB_EXITED_SENT = 1, /* the exit record was sent; only late faults are still counted */
	MB_EXITED_FOUND = 2, /* the ledger was created for a thread that was ending: if its record was sent before, it counts nothing */
};

/* The part of a ledger that every family uses. */
struct mb_task_ledger {
	__u64 born_ns; /* ledger creation, CLOCK_BOOTTIME; unique together with born_tid */
	__u64 start_ns; /* of the thread group's leader; with tgid, the process's identity */
	__u64 min_base; /* the kernel's own fault counters when tracing began; */
	__u64 maj_base; /* 0 for threads created while tracing */
	__u32 born_tid;
	__u32 born; /* 1: created while tracing, so that counts cover the whole life of the thread */
	__u16 depth; /* open stalls */
	__u16 reads_stack; /* a BPF program is reading the thread's stack: faults meanwhile are not the thread's own */
	__u16 exited; /* enum mb_exited */
	__u16 late; /* its exit was not seen; the exit record is sent when the task is freed */
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
	__u32 old_tid; /* differs from tid if a thread other than the leader calls exec */
	__u32 pad;
	char comm[MB_COMM_LEN];
	char path[MB_PATH_LEN]; /* as passed to execve */
};

/*
 * Threads that share their memory with others clear their tid in user memory after the exit record
 * was sent. Each of these writes can cause one more fault (kernel/fork.c, mm_release).
 */
struct mb_late_event {
	struct mb_event h; /* of the exited thread */
	__u64 start_ns;
	__u64 min_flt; /* since the exit record */
	__u64 maj_flt;
};

#define MB_CGROUP_PATH_LEN 512
#define MB_CGROUP_NAME_LEN 256 /* NAME_MAX and the NUL */

struct mb_cgroup_event {
	struct mb_event h; /* the process that created the cgroup */
	__u64 cgroup; /* as in struct mb_task_info */
	union {
		/* relative to the hierarchy's root; "": longer than that, then below is valid */
		char path[MB_CGROUP_PATH_LEN];
		struct {
			__u64 no_path;
			__u64 parent; /* parent cgroup in which it was created */
			char name[MB_CGROUP_NAME_LEN]; /* name in that cgroup */
		} below;
	};
};

/* Key of table stall_lengths: stalls by length. Changed entries become events. */
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
 * The governor has changed the trace level (docs/overhead.md), or starts. Costs are in thousandths
 * of a percent of one CPU.
 */
struct mb_level_event {
	struct mb_event h; /* memblame itself */
	__u64 known; /* the costs are known; they are not at the start */
	__u64 cost;
	__u64 bpf_known;
	__u64 bpf;
	__u64 own;
	__u64 budget;
	__u16 from; /* enum mb_level */
	__u16 to;
	__u16 tick_divisor_from; /* read threads every N ticks; previous value */
	__u16 tick_divisor;
	char reason[MB_REASON_LEN];
};

/* Everything known about a thread except its ledger, which follows in struct mb_task_record. */
struct mb_task_info {
	struct mb_event h;
	__u64 start_ns; /* of the thread group's leader; with tgid, the process's identity */
	__u64 cgroup; /* inode number of its memory cgroup's directory */
	__u64 min_flt; /* the kernel's own counters for this thread, over its whole life */
	__u64 maj_flt;
	__u64 mm; /* its address space: address of the mm_struct; 0: none */
	__u64 total_vm_pages;
	__u64 peak_pages; /* peak of resident pages so far */
	__u64 rss_pages[4]; /* file, anon, swap entries, shmem (enum mm_counter) */
	__s32 exit_code; /* as returned by wait(2) */
	__u32 ppid;
	__u32 threads;
	__u16 group_dead; /* this was the last live thread */
	__u8 has_mm; /* 0: the page counts above are unknown (kernel thread, or mm released) */
	__u8 late; /* the task is being freed: the fields below, cgroup, ppid and threads are no longer known */
	__u32 inner_tgid; /* in its innermost pid namespace; 0: same as on the machine, or unknown */
	char host_name[MB_HOST_NAME_LEN]; /* in its UTS namespace; "": same as the machine's, or unknown */
	char comm[MB_COMM_LEN];
};

#pragma GCC diagnostic pop
#endif
