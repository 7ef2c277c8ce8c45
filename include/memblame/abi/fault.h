/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the fault family: page faults by cause. */
#ifndef MEMBLAME_ABI_FAULT_H
#define MEMBLAME_ABI_FAULT_H

/* Cause of a fault. OTHER is not counted in the kernel: it is the rest of minor + major. */
enum mb_fault_class {
	MB_FAULT_ANON = 0,
	MB_FAULT_FILE = 1,
	MB_FAULT_COW = 2,
	MB_FAULT_SHMEM = 3,
	MB_FAULT_SWAP = 4,
	MB_FAULT_FILE_IO = 5,
	MB_FAULT_OTHER = 6,
	MB_FAULT_FAILED = 7, /* not counted by the kernel: SIGSEGV, SIGBUS, exception fixup */
	MB_FAULT_MKWRITE = 8,
	MB_FAULT_HUGETLB = 9,
	MB_FAULT_NUMA = 10,
	MB_FAULT_USERFAULT = 11,
	MB_FAULT_CLASSES = 12,
	MB_FAULT_CLASS_ROOM = 16, /* a power of two: indexes are masked for the verifier */
};

/* x86 page-fault error code bits (arch/x86/include/asm/trap_pf.h), also used on the wire. */
#define MB_PF_PROT 1u /* the page was present; the access was not permitted */
#define MB_PF_WRITE 2u
#define MB_PF_USER 4u
#define MB_PF_INSTR 16u

/* Index of mb_fault_ledger.by_access: write 1, user 2, instruction fetch 4. */
#define MB_FAULT_ACCESS(error) ((((error) >> 1) & 3) | (((error)&MB_PF_INSTR) >> 2))

enum mb_fault_event_type {
	MB_FAULT_EVENT_FAULT = 0, /* one fault, as user space shows it */
	MB_FAULT_EVENT_SAMPLE = 1, /* latency of one major fault */
	MB_FAULT_EVENT_BATCH = 2, /* several faults of one thread (streaming only) */
	MB_FAULT_EVENT_PAGE = 3, /* struct mb_page_event, then struct mb_user_stack */
};

/*
 * Latency of timed minor faults, log-linear as in src/base/hist.h: 4 buckets per power of two,
 * starting at 2^MB_FAULT_MIN_BITS ns. The first bucket also counts shorter faults, the last one
 * longer faults.
 */
#define MB_FAULT_MIN_BITS 7
#define MB_FAULT_BUCKETS 128 /* a power of two: indexes are masked for the verifier */

/*
 * Faults of a thread per event: reserving ring space for each one would cost more than the fault
 * itself.
 */
#define MB_FAULT_BATCH 8

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* The thread's current or last fault. It is classified when the next fault begins. */
struct mb_fault_pending {
	__u64 addr;
	__u64 ip;
	__u64 start_ns; /* 0: this fault is not timed */
	__u64 mapped_ns; /* when its page was accounted to the process; 0: not yet */
	__u64 flt; /* min_flt + maj_flt of the thread at the start of the fault */
	__u64 maj; /* maj_flt at the start */
	__u64 stalled_ns; /* time in stalls since the start */
	__u32 error; /* MB_PF_* */
	__u8 moved; /* bit per mm counter that changed during the fault (enum mm_counter) */
	__u8 settled; /* already classified, because the hooks were detached after it (core/trace_level.bpf.h) */
	/*
	 * like moved, but derived from the mapping at the end of the fault, with MB_FAULT_ENDED; 0:
	 * not looked up
	 */
	__u16 mapping;
	__u32 seq; /* number of faults of this thread so far; 0: none yet */
	__u32 version; /* odd while the thread updates its fault ledger */
	__u64 numa; /* the thread's NUMA hint faults at the start, as far as the scheduler records them */
	__u64 call; /* the system call that the thread was in, if the fault occurred in the kernel */
	__u32 kind; /* MB_FAULT_KIND_*: what is mapped at addr; 0: not looked up */
	__u32 nvcsw; /* voluntary context switches at the start, if another thread may have to resolve the fault */
	__u32 failed; /* the fault ended in a signal */
	__u32 pad;
};

/* Cached lookup of the mapping at an address; valid until the address space changes. */
struct mb_fault_mapping {
	__u64 mm;
	__u64 start;
	__u64 end;
	__u32 seq; /* mm_lock_seq */
	__u32 kind; /* 0: unknown */
};

/* A completed fault, to be streamed. */
struct mb_fault_record {
	__u64 t_ns;
	__u64 addr;
	__u64 ip;
	__u64 latency_ns; /* 0: not timed */
	__u32 seq;
	__u8 error; /* MB_PF_*; higher bits of the error code are not sent */
	__u8 class_id;
	__u8 major;
	__u8 pad;
};

struct mb_fault_ledger {
	__u64 by_class[MB_FAULT_CLASS_ROOM];
	__u64 by_access[8]; /* index: MB_FAULT_ACCESS */
	__u64 segv_unmapped;
	__u64 segv_access;
	struct mb_stall swap_in;
	struct mb_stall file_io;
	struct mb_stall userfault;
	struct mb_fault_pending pending;
	struct mb_fault_mapping mapping;
	__u32 userfaults_seen; /* value of userfault_spaces at which the next field was determined */
	__u32 userfaults; /* other threads may have to resolve faults in this address space (userfaultfd) */
	struct mb_fault_record batch[MB_FAULT_BATCH]; /* used only while streaming */
	__u64 n_batch;
	__u64 latency_max_ns; /* of the timed minor faults */
	__u32 latency[MB_FAULT_BUCKETS];
};

struct mb_fault_batch_event {
	struct mb_event h;
	struct mb_fault_record batch[MB_FAULT_BATCH];
};

struct mb_fault_event {
	struct mb_event h;
	__u64 addr;
	__u64 ip;
	__u64 latency_ns; /* 0: not timed */
	__u32 error;
	__u32 seq;
	__u16 class_id;
	__u16 major;
	__u32 pad;
};

/*
 * A fault on a page in the sample, followed by the stack of the thread that touched the page:
 * struct mb_user_stack. The event does not say whether the page was mapped; user space reads that
 * from the page map later.
 */
struct mb_page_event {
	struct mb_event h;
	__u64 mm;
	__u64 addr;
	__u64 error; /* MB_PF_* */
};

#pragma GCC diagnostic pop

/*
 * The sample: a fixed choice of 1 in (mask + 1) pages by page number, so that the BPF programs and
 * user space select the same pages. It uses Fibonacci hashing; mask is 2^n - 1.
 */
static inline __u64 mb_page_hash(__u64 addr)
{
	return (addr >> 12) * 0x9e3779b97f4a7c15ull >> 40;
}

static inline int mb_page_sampled(__u64 addr, __u32 mask)
{
	return !(mb_page_hash(addr) & mask);
}

/* Is this the first page of a huge page? A fault on it maps all sampled pages in the huge page. */
static inline int mb_page_first_of_huge(__u64 addr)
{
	return !(addr >> 12 & 511);
}

/* Bits of mb_fault_pending.moved: 1 << enum mm_counter (include/linux/mm_types_task.h). */
#define MB_FAULT_MOVED_FILE 1u
#define MB_FAULT_MOVED_ANON 2u
#define MB_FAULT_MOVED_SWAP 4u
#define MB_FAULT_MOVED_SHMEM 8u
#define MB_FAULT_ENDED 16u /* set in mapping */

/* Bits of mb_fault_pending.kind. */
#define MB_FAULT_KIND_KNOWN 1u /* something is mapped there */
#define MB_FAULT_KIND_NOWHERE 2u /* nothing is mapped there */
#define MB_FAULT_KIND_SHARED 4u /* writes go to a file or to shared memory */
#define MB_FAULT_KIND_ANON 8u /* private anonymous memory */
#define MB_FAULT_KIND_HUGETLB 16u
#define MB_FAULT_KIND_READONLY 64u /* writes are not permitted */
#define MB_FAULT_KIND_USERFAULT 128u /* another thread resolved the fault: userfaultfd */
#define MB_FAULT_KIND_ASKABLE 256u /* another thread may have to resolve the fault; not yet known */
#define MB_FAULT_KIND_NUMA 32u /* the page was present: the kernel sampled where it is used from */

/* Is this a write to a present page? */
static inline __attribute__((always_inline)) int
mb_fault_is_upgrade(const struct mb_fault_pending *p)
{
	return (p->error & (MB_PF_PROT | MB_PF_WRITE)) == (MB_PF_PROT | MB_PF_WRITE);
}

/* Do the counters that changed leave the cause open, so that the mapping must be looked up? */
static inline __attribute__((always_inline)) int
mb_fault_asks_mapping(const struct mb_fault_pending *p)
{
	return !p->kind && !(p->moved & (mb_fault_is_upgrade(p) ? MB_FAULT_MOVED_ANON : 15u));
}

/*
 * Was this a failed access by the kernel (EFAULT)? A fault that was counted since then is one that the
 * kernel triggered itself. A failed access by user code ends in a signal instead.
 */
static inline __attribute__((always_inline)) int
mb_fault_was_denied(const struct mb_fault_pending *p)
{
	if (p->error & MB_PF_USER)
		return 0;
	return (p->kind & MB_FAULT_KIND_NOWHERE) ||
	       ((p->error & MB_PF_WRITE) && (p->kind & MB_FAULT_KIND_READONLY));
}

/*
 * Cause of a fault that the kernel has counted. This is the only classification rule: BPF programs
 * use it for a thread's earlier faults, user space for the last fault of a ledger that it read. The
 * counters that each cause changes were determined by measurement (docs/families/fault.md).
 * has_swap: as in mb_knobs.
 */
static inline __attribute__((always_inline)) __u32
mb_fault_classify(const struct mb_fault_pending *p, int major, int has_swap)
{
	__u32 moved = p->moved;

	if (p->failed)
		return MB_FAULT_FAILED;
	if (p->kind & MB_FAULT_KIND_USERFAULT)
		return MB_FAULT_USERFAULT;
	if (p->kind & MB_FAULT_KIND_HUGETLB)
		return MB_FAULT_HUGETLB;
	if (p->kind & MB_FAULT_KIND_NUMA)
		return MB_FAULT_NUMA;
	if (p->mapping) /* the mapping is more reliable, except for pages that come from swap */
		moved = (p->mapping & ~MB_FAULT_ENDED) | (moved & MB_FAULT_MOVED_SWAP);
	/* before 6.0 the kernel tries such a fault twice and counts it as major */
	if (mb_fault_is_upgrade(p) && (p->kind & MB_FAULT_KIND_SHARED) && !mb_fault_was_denied(p))
		return MB_FAULT_MKWRITE;
	/* 5.10 also counts first touches of shared memory as major */
	if (major && moved == MB_FAULT_MOVED_SHMEM && !has_swap)
		return MB_FAULT_SHMEM;
	if (major) /* shared memory that has to be read comes from swap */
		return moved & (MB_FAULT_MOVED_SWAP | MB_FAULT_MOVED_SHMEM) ? MB_FAULT_SWAP :
									      MB_FAULT_FILE_IO;
	if (mb_fault_was_denied(p))
		return MB_FAULT_FAILED;
	if (mb_fault_is_upgrade(p)) {
		return (p->kind & MB_FAULT_KIND_KNOWN) || (p->moved & MB_FAULT_MOVED_ANON) ?
			       MB_FAULT_COW :
			       MB_FAULT_OTHER;
	}
	if (moved & MB_FAULT_MOVED_SWAP)
		return MB_FAULT_SWAP;
	if (moved & MB_FAULT_MOVED_ANON)
		return MB_FAULT_ANON;
	if (moved & MB_FAULT_MOVED_SHMEM)
		return MB_FAULT_SHMEM;
	if (moved & MB_FAULT_MOVED_FILE)
		return MB_FAULT_FILE;
	/* a read of anonymous memory that changed no counter maps the zero page */
	return !(p->error & (MB_PF_WRITE | MB_PF_PROT)) && (p->kind & MB_FAULT_KIND_ANON) ?
		       MB_FAULT_ANON :
		       MB_FAULT_OTHER;
}

#endif
