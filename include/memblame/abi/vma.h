/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the vma family: calls that change the address space. */
#ifndef MEMBLAME_ABI_VMA_H
#define MEMBLAME_ABI_VMA_H

enum mb_vma_op {
	MB_VMA_NONE = 0,
	MB_VMA_MMAP = 1,
	MB_VMA_MUNMAP = 2,
	MB_VMA_MREMAP = 3,
	MB_VMA_BRK = 4,
	MB_VMA_OTHER = 5, /* the lock was taken by something else: a fault, another call */
	/* events only */
	MB_VMA_REGION = 16, /* struct mb_region_event, then struct mb_user_stack */
	MB_VMA_FORK = 17, /* struct mb_region_fork_event */
	MB_VMA_EXEC = 18, /* struct mb_region_exec_event */
	MB_VMA_CODE = 19, /* struct mb_region_code_event */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct mb_vma_ledger {
	__u64 mmap_calls;
	__u64 mmap_bytes;
	__u64 mmap_failed;
	__u64 munmap_calls;
	__u64 munmap_bytes;
	__u64 mremap_calls;
	__u64 brk_calls;
	__u64 brk_bytes;
	__s64 net_bytes; /* what these calls added to the address space, less what they took */
	__u64 before_pages; /* total_vm when the lock was taken */
	__u64 before_stack_pages; /* stack_vm then */
	__u64 area_addr; /* where the kernel has found room since; 0: it did not look for any */
	__u64 area_len; /* and room for how much */
	__u32 op; /* enum mb_vma_op now in progress */
	__u32 pad;
};

struct mb_vma_event {
	struct mb_event h; /* type: enum mb_vma_op */
	__u64 addr;
	__u64 len; /* as asked; brk: the new end of the heap asked for */
	__s64 delta_bytes; /* change of the address space */
	__u32 flags; /* MAP_* for mmap, MREMAP_* for mremap */
	__u32 failed;
};

#define MB_VMA_ARGS 6
#define MB_CALL_UNKNOWN (~0u) /* a call of 32-bit code */
#define MB_RESULT_UNKNOWN 1ull /* no result is: they are addresses of pages, or errors */

/*
 * A call that changed an address space, or may have: what was asked, and what became of it, as far as can be
 * seen at the end of the call's lock. From it and what was there before follows what is there now (src/model/regions.c).
 */
struct mb_region_event {
	struct mb_event h;
	__u64 mm; /* the address space: address of its mm_struct */
	__u64 args[MB_VMA_ARGS]; /* of the system call */
	__u64 result; /* of the call, or MB_RESULT_UNKNOWN */
	__u64 area_addr; /* where the kernel found room during the call; 0: it did not look for any */
	__u64 area_len; /* and room for how much */
	__u64 brk; /* end of the heap afterwards */
	__s64 delta_bytes; /* change of the address space */
	__s64 stack_delta_bytes; /* of that, in mappings that grow down */
	__u64 total_vm_bytes; /* afterwards */
	__u32 op; /* enum mb_vma_op */
	__u32 call; /* number of the system call (64 bit), for MB_VMA_OTHER */
};

/* A child gets a copy of its parent's address space. */
struct mb_region_fork_event {
	struct mb_event h;
	__u64 mm; /* the parent's */
	__u64 child_mm;
	__u32 child_tgid;
	__u32 pad;
};

/* A process begins anew. */
struct mb_region_exec_event {
	struct mb_event h;
	__u64 mm; /* the new one */
};

#define MB_CODE_PATH 1024
#define MB_CODE_NAME 256 /* one name in a path, with its end */

/*
 * A file is mapped as code: which one. Sent right before the struct mb_region_event of the same thread and time. The
 * file may be gone from the process, and from its folder, when the event is read.
 */
struct mb_region_code_event {
	struct mb_event h;
	__u64 ino;
	__u64 bytes; /* of the file */
	__u64 mtime_s;
	__u64 mtime_ns;
	__u32 path_bytes; /* used of path */
	__u32 pad;
	char path[MB_CODE_PATH]; /* names from the file's own up to the root, each with its NUL; cut where there is no room */
};

#pragma GCC diagnostic pop
#endif
