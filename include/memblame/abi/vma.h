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
	MB_VMA_OTHER = 5, /* something else locked the address space: a fault, another call */
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
	__s64 net_bytes; /* bytes that these calls added to the address space, minus bytes that they removed */
	__u64 before_pages; /* total_vm when the mmap lock was acquired */
	__u64 before_stack_pages; /* stack_vm at that time */
	__u64 area_addr; /* address of the free area that the kernel found since; 0: it searched for none */
	__u64 area_len; /* length of that area */
	__u32 op; /* enum mb_vma_op in progress */
	__u32 pad;
};

struct mb_vma_event {
	struct mb_event h; /* type: enum mb_vma_op */
	__u64 addr;
	__u64 len; /* as requested; brk: the requested end of the heap */
	__s64 delta_bytes; /* change of the address space */
	__u32 flags; /* MAP_* for mmap, MREMAP_* for mremap */
	__u32 failed;
};

#define MB_VMA_ARGS 6
#define MB_CALL_UNKNOWN (~0u) /* a call of 32-bit code */
#define MB_RESULT_UNKNOWN 1ull /* never a real result: results are page addresses or errors */

/*
 * A call that changed an address space, or may have: its arguments and its outcome, as far as
 * visible when the mmap lock is released. From this and the previous mappings, user space derives
 * the current mappings (src/model/regions.c).
 */
struct mb_region_event {
	struct mb_event h;
	__u64 mm; /* the address space: address of its mm_struct */
	__u64 args[MB_VMA_ARGS]; /* arguments of the system call */
	__u64 result; /* of the call, or MB_RESULT_UNKNOWN */
	__u64 area_addr; /* free area that the kernel found during the call; 0: it searched for none */
	__u64 area_len; /* length of that area */
	__u64 brk; /* end of the heap after the call */
	__s64 delta_bytes; /* change of the address space */
	__s64 stack_delta_bytes; /* the part of it in mappings that grow down */
	__u64 total_vm_bytes; /* after the call */
	__u32 op; /* enum mb_vma_op */
	__u32 call; /* system call number (64 bit), for MB_VMA_OTHER */
};

/* A child gets a copy of its parent's address space. */
struct mb_region_fork_event {
	struct mb_event h;
	__u64 mm; /* the parent's */
	__u64 child_mm;
	__u32 child_tgid;
	__u32 pad;
};

/* exec: a process starts again with an empty address space. */
struct mb_region_exec_event {
	struct mb_event h;
	__u64 mm; /* the new one */
};

#define MB_CODE_PATH 1024
#define MB_CODE_NAME 256 /* one path component, with its NUL */

/*
 * Identifies a file that is mapped as code. Sent immediately before the struct mb_region_event of
 * the same thread and time, because the process may have unmapped or deleted the file by the time
 * user space reads the event.
 */
struct mb_region_code_event {
	struct mb_event h;
	__u64 ino;
	__u64 bytes; /* size of the file */
	__u64 mtime_s;
	__u64 mtime_ns;
	__u32 path_bytes; /* bytes used in path */
	__u32 pad;
	/*
	 * path components from the file name up to the root, each NUL-terminated; truncated if too
	 * long
	 */
	char path[MB_CODE_PATH];
};

#pragma GCC diagnostic pop
#endif
