/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The wire between the BPF programs and user space: everything that crosses a ring, the
 * iterator file or a map. Both sides include this file; neither may assume more than it says.
 *
 * Rules: fixed-width types, largest first, padding named, ids append-only. The structs of one
 * family live in abi/<family>.h; families_abi.h (generated from families.def) includes them all.
 */
#ifndef MEMBLAME_ABI_H
#define MEMBLAME_ABI_H

#ifndef MB_BPF
#include <linux/types.h>
#endif

#define MB_PAGE_SIZE 4096u /* x86-64 */
#define MB_COMM_LEN 16
#define MB_PATH_LEN 256
#define MB_STALL_DEPTH 8 /* a power of two: indexes are masked for the verifier */
#define MB_MAX_PIDS 64
#define MB_MAX_CGROUPS 8

enum mb_family_id {
#define MB_FAMILY(id, name, on, title) MB_FAM_##name = (id),
#include "families.def"
#undef MB_FAMILY
	MB_FAM_MAX = 16, /* size of tables indexed by family id */
};

/* Why an event or a count was lost; index of a drop counter. */
enum mb_drop_reason {
	MB_DROP_RING_FULL = 0, /* the consumer was too slow for the ring */
	MB_DROP_NO_LEDGER = 1, /* no memory for a thread's ledger: its classes are not counted */
	MB_DROP_STALL_DEPTH =
		2, /* stalls nested deeper than MB_STALL_DEPTH, or ended out of order */
	MB_DROP_UNTIMED = 3, /* a wait was seen but its end could not be bounded */
	MB_DROP_MISSED = 4, /* the kernel did not run a program: it was interrupted within it (kern.c) */
	MB_DROP_TABLE_FULL = 5, /* no room in a table that is read at each tick (core/tables.bpf.h) */
	MB_DROP_REASONS = 6,
};

/*
 * How much is traced, which decides what tracing costs (docs/overhead.md). Each level does without something
 * that the one before has; the kernel's own counts, minor and major faults among them, are exact at all.
 */
enum mb_level {
	MB_LEVEL_FULL = 0, /* every event */
	MB_LEVEL_SAMPLED = 1, /* fewer faults are timed and streamed */
	MB_LEVEL_COUNTS = 2, /* counts and causes; no timing of faults, no tables */
	MB_LEVEL_ITERATOR = 3, /* what the iterator reads; no hooks on hot paths */
	MB_LEVELS = 4,
};

/* Whom to trace. A thread is traced if and only if it has a ledger; this says who gets one. */
enum mb_select {
	MB_SELECT_ALL = 0, /* every thread of the machine */
	MB_SELECT_TREE = 1, /* one process started by us, and all its descendants */
	MB_SELECT_PIDS = 2, /* the processes listed, with threads they create */
	MB_SELECT_CGROUPS = 3, /* the cgroups listed, with their descendants */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* Index of an argument in mb_knobs.args: args.def. */
enum mb_arg {
#define MB_ARG(tracepoint, argument) MB_ARG_##tracepoint##_##argument,
#include "args.def"
#undef MB_ARG
	MB_ARGS
};

#define MB_ARG_MISSING 255 /* this kernel's tracepoint has no such argument */
#define MB_ARGS_MAX 64 /* room for them in mb_knobs */

/* Set by user space before load (.rodata): the verifier removes what a knob switches off. */
struct mb_knobs {
	__u64 cgroup_ids[MB_MAX_CGROUPS];
	__u64 heap_mean; /* bytes allocated from one block that is followed to the next, on average; 1: all; 0: none */
	__u32 pids[MB_MAX_PIDS];
	__u32 nr_pids;
	__u32 nr_cgroups;
	__u32 select; /* enum mb_select */
	__u32 stream; /* bit per family id: emit its single events too */
	__u32 wake_bytes; /* wake the consumer when this much waits in a ring */
	__u32 stacks; /* enum mb_stack_kind of events that carry a stack */
	__u32 sample_mask; /* a minor fault is timed when (sequence & mask) == 0 */
	__u32 time_all_faults; /* stamp every fault's start (needed to time swap-ins) */
	__u32 hash_ledgers; /* no task storage here: ledgers are in a hash by thread id */
	__u32 has_swap;	       /* there is swap: a major fault in shared memory is a swap-in */
	__u32 dirty_files; /* pages dirtied are counted by file, too */
	__u32 regions; /* calls that change the address space are sent, with their stacks */
	__u32 page_mask; /* a fault is sent when its page is of the sample (abi/fault.h); 0: none is */
	__u32 kmem_mask; /* an object of the kernel is followed when it is of the sample (abi/kmem.h) */
	__u32 governed; /* the level may change: see struct mb_trace_level */
	__u32 kmem_read_ptr; /* pointers to const void must be read from the arguments by a call */
	__u8 args[MB_ARGS_MAX]; /* position of each argument, or MB_ARG_MISSING */
};

/* Set by user space while tracing, where knobs.governed (.data.pace). */
struct mb_trace_level {
	__u64 gap_ns; /* when the hooks on hot paths were last taken off, CLOCK_BOOTTIME; 0: never */
	__u32 level; /* enum mb_level */
	__u32 sample_mask; /* as in struct mb_knobs, at this level */
	__u32 weight; /* a fault timed now stands for so many timed at level full */
	__u32 settle; /* the iterator closes what hot hooks have begun in a ledger, and reports nothing */
};

struct mb_drop {
	__u64 count;
	__u64 first_t_ns;
	__u64 last_t_ns;
};

struct mb_drops {
	struct mb_drop by[MB_FAM_MAX][MB_DROP_REASONS];
};

/* Time lost in one kind of stall. ns and max_ns are exclusive: nested stalls are not in them. */
struct mb_stall {
	__u64 count;
	__u64 ns;
	__u64 max_ns;
};

/*
 * Lengths of stalls, log-linear: 2 buckets per power of two, from 2^MB_STALL_MIN_BITS ns on; the first
 * also has what is below, the last what is above.
 */
#define MB_STALL_MIN_BITS 10
#define MB_STALL_BUCKETS 64 /* a power of two: indexes are masked for the verifier */

/* One open stall of a thread; see bpf/core/stall.bpf.h. */
struct mb_stall_frame {
	__u64 start_ns;
	__u64 child_ns; /* time already charged to stalls inside this one */
	__u64 cpu_ns;   /* CPU time of the thread at the start */
	__u64 info; /* what the family wants back at the end; pauses: planned ns */
	__u32 slot; /* offset of the mb_stall in the ledger it is charged to */
	__u16 nvcsw; /* voluntary context switches of the thread at the start, and others */
	__u16 nivcsw;
};

/* Every ring event starts with this. */
struct mb_event {
	__u64 t_ns; /* CLOCK_BOOTTIME */
	__u32 tgid;
	__u32 tid;
	__u16 family; /* enum mb_family_id */
	__u16 type; /* enum of the family's abi header */
	__u32 size; /* bytes of the whole event, this header included */
};

/*
 * The user side of the thread that an event is about, behind the event's own fields: the registers that
 * unwinding begins with, then len bytes: return addresses (u64, innermost first; regs.ip is not among
 * them), or a copy of the stack from regs.sp on.
 */
enum mb_stack_kind {
	MB_STACK_NONE = 0, /* not asked for, or the thread has no user side */
	MB_STACK_FP = 1, /* return addresses, found by frame pointers */
	MB_STACK_COPY = 2, /* a copy of the stack, to be unwound by user space */
	MB_STACK_IP = 3, /* where the thread is, and nothing else: 32-bit code */
};

#define MB_STACK_BYTES 16384 /* most that is copied; whole chunks, see bpf/core/stack.bpf.h */
#define MB_STACK_IPS 64 /* most return addresses */

struct mb_user_regs {
	__u64 ip;
	__u64 sp;
	__u64 bp;
	__u64 bx;
	__u64 r12;
	__u64 r13;
	__u64 r14;
	__u64 r15;
};

struct mb_user_stack {
	struct mb_user_regs regs;
	/* a return address that the kernel has replaced by its trampoline's, for a probe: where and which; 0: none */
	__u64 hidden_at;
	__u64 hidden;
	__u32 kind; /* enum mb_stack_kind */
	__u32 len;
	__u32 missing; /* of a copy, pages that could not be read: bit n: the nth behind that of regs.sp */
	__u32 reserved;
};

#pragma GCC diagnostic pop

#include "families_abi.h" /* generated: abi/<family>.h of every family */

/* Everything memblame keeps of one thread in the kernel: one part per family. */
struct mb_ledger {
#define MB_FAMILY(id, name, on, title) struct mb_##name##_ledger name;
#include "families.def"
#undef MB_FAMILY
};

/* A thread's state as the iterator (each tick) and the exit hook (at its end) hand it over. */
struct mb_task_record {
	struct mb_task_info info;
	struct mb_ledger ledger;
};

#endif
