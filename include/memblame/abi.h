/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The ABI between the BPF programs and user space: everything that crosses a ring buffer, the
 * iterator file or a map. Both sides include this file and rely on nothing beyond it.
 *
 * Rules: fixed-width types, largest first, explicit padding, append-only ids. The structs of one
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
	MB_DROP_NO_LEDGER = 1, /* no memory for a thread's ledger: the thread's fault causes are not counted */
	MB_DROP_STALL_DEPTH =
		2, /* stalls nested deeper than MB_STALL_DEPTH, or ended out of order */
	MB_DROP_UNTIMED = 3, /* a wait was seen, but its end could not be bounded */
	MB_DROP_MISSED = 4, /* the kernel skipped a program because of its recursion check (kern.c) */
	MB_DROP_TABLE_FULL = 5, /* no room in a table that user space reads at each tick (core/tables.bpf.h) */
	MB_DROP_UNAWAITED = 6, /* a thread's last faults, in its exit, arrive after the end of tracing (session.c) */
	MB_DROP_REASONS = 7,
};

/*
 * How much is traced, which determines the overhead of tracing (docs/overhead.md). Each level drops
 * something that the level before it still traces. The kernel's own counters, such as minor and
 * major faults, are exact at every level.
 */
enum mb_level {
	MB_LEVEL_FULL = 0, /* every event */
	MB_LEVEL_SAMPLED = 1, /* fewer faults are timed and streamed */
	MB_LEVEL_COUNTS = 2, /* counts and causes; no fault timing, no tables */
	MB_LEVEL_ITERATOR = 3, /* only what the iterator reads; no hooks on hot paths */
	MB_LEVELS = 4,
};

/*
 * What to trace. A thread is traced if and only if it has a ledger; this selects which threads get
 * one.
 */
enum mb_select {
	MB_SELECT_ALL = 0, /* every thread of the machine */
	MB_SELECT_TREE = 1, /* one process that memblame started, and all its descendants */
	MB_SELECT_PIDS = 2, /* the listed processes, including threads that they create */
	MB_SELECT_CGROUPS = 3, /* the listed cgroups and their descendants */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* Index of an argument in mb_knobs.args; see args.def. */
enum mb_arg {
#define MB_ARG(tracepoint, argument) MB_ARG_##tracepoint##_##argument,
#include "args.def"
#undef MB_ARG
	MB_ARGS
};

#define MB_ARG_MISSING 255 /* this kernel's tracepoint has no such argument */
#define MB_ARGS_MAX 64 /* capacity of mb_knobs.args */

/* Set by user space before load (.rodata), so that the verifier removes code that a knob disables. */
struct mb_knobs {
	__u64 cgroup_ids[MB_MAX_CGROUPS];
	__u64 heap_mean; /* mean number of allocated bytes between two tracked blocks; 1: track all; 0: track none */
	__u32 pids[MB_MAX_PIDS];
	__u32 nr_pids;
	__u32 nr_cgroups;
	__u32 select; /* enum mb_select */
	__u32 stream; /* bit per family id: also emit the family's individual events */
	__u32 wake_bytes; /* wake the consumer when this many bytes are waiting in a ring */
	__u32 stacks; /* enum mb_stack_kind of events that carry a stack */
	__u32 sample_mask; /* time a minor fault when (sequence & mask) == 0 */
	__u32 time_all_faults; /* record the start time of every fault (needed to time swap-ins) */
	__u32 hash_ledgers; /* no task storage on this kernel: ledgers are in a hash keyed by thread id */
	__u32 has_swap;	       /* swap is configured: a major fault in shared memory is a swap-in */
	__u32 dirty_files; /* also count dirtied pages per file */
	__u32 regions; /* send calls that change the address space, with their stacks */
	__u32 page_mask; /* send a fault when its page is in the sample (abi/fault.h); 0: send none */
	__u32 kmem_mask; /* track a kernel object when it is in the sample (abi/kmem.h) */
	__u32 governed; /* the level may change at run time; see struct mb_trace_level */
	__u32 kmem_read_ptr; /* pointers to const void in tracepoint arguments must be read by a helper call */
	__u8 args[MB_ARGS_MAX]; /* position of each argument, or MB_ARG_MISSING */
};

/* Updated by user space while tracing, if knobs.governed (.data.trace_level). */
struct mb_trace_level {
	__u64 gap_ns; /* when the hooks on hot paths were last detached, CLOCK_BOOTTIME; 0: never */
	__u32 level; /* enum mb_level */
	__u32 sample_mask; /* as in struct mb_knobs, for this level */
	__u32 weight; /* one fault timed now represents this many faults timed at MB_LEVEL_FULL */
	__u32 settle; /* the iterator closes what hooks on hot paths left open in a ledger, and reports nothing */
};

struct mb_drop {
	__u64 count;
	__u64 first_t_ns;
	__u64 last_t_ns;
};

struct mb_drops {
	struct mb_drop by[MB_FAM_MAX][MB_DROP_REASONS];
};

/* Time lost in one kind of stall. ns and max_ns are exclusive: they do not include nested stalls. */
struct mb_stall {
	__u64 count;
	__u64 ns;
	__u64 max_ns;
};

/*
 * Histogram of stall lengths, log-linear: 2 buckets per power of two, starting at
 * 2^MB_STALL_MIN_BITS ns. The first bucket also counts shorter stalls, the last one longer stalls.
 */
#define MB_STALL_MIN_BITS 10
#define MB_STALL_BUCKETS 64 /* a power of two: indexes are masked for the verifier */

/* One open stall of a thread; see bpf/core/stall.bpf.h. */
struct mb_stall_frame {
	__u64 start_ns;
	__u64 child_ns; /* time already charged to stalls nested in this one */
	__u64 cpu_ns;   /* CPU time of the thread at the start */
	__u64 info; /* value that the family gets back at the end; for pauses: planned ns */
	__u32 slot; /* offset in the ledger of the mb_stall to charge */
	__u16 nvcsw; /* voluntary and involuntary (nivcsw) context switches of the thread at the start */
	__u16 nivcsw;
};

/* Header of every ring event. */
struct mb_event {
	__u64 t_ns; /* CLOCK_BOOTTIME */
	__u32 tgid;
	__u32 tid;
	__u16 family; /* enum mb_family_id */
	__u16 type; /* event type enum of the family's abi header */
	__u32 size; /* bytes of the whole event, including this header */
};

/*
 * The user-space stack of the thread that an event is about. It follows the event's own fields: the
 * registers at which unwinding starts, then len bytes. These are either return addresses (u64,
 * innermost first, without regs.ip) or a copy of the stack from regs.sp upwards.
 */
enum mb_stack_kind {
	MB_STACK_NONE = 0, /* not requested, or the thread has no user-space context */
	MB_STACK_FP = 1, /* return addresses, found by following frame pointers */
	MB_STACK_COPY = 2, /* a copy of the stack, for user space to unwind */
	MB_STACK_IP = 3, /* only the thread's instruction pointer: 32-bit code */
};

#define MB_STACK_BYTES 16384 /* maximum size of a copy; a multiple of the chunk size, see bpf/core/stack.bpf.h */
#define MB_STACK_IPS 64 /* maximum number of return addresses */

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
	/*
	 * A return address that the kernel replaced with its uretprobe trampoline: stack address
	 * and original value; 0: none.
	 */
	__u64 hidden_at;
	__u64 hidden;
	__u32 kind; /* enum mb_stack_kind */
	__u32 len;
	__u32 missing; /* for a copy: pages that could not be read; bit n: the nth page after the page of regs.sp */
	__u32 reserved;
};

#pragma GCC diagnostic pop

#include "families_abi.h" /* generated; includes abi/<family>.h of every family */

/* Everything that memblame stores per thread in the kernel: one part per family. */
struct mb_ledger {
#define MB_FAMILY(id, name, on, title) struct mb_##name##_ledger name;
#include "families.def"
#undef MB_FAMILY
};

/*
 * A thread's state as reported by the iterator (each tick) and by the exit hook (once, at thread
 * exit).
 */
struct mb_task_record {
	struct mb_task_info info;
	struct mb_ledger ledger;
};

#endif
