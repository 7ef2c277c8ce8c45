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

#pragma GCC diagnostic pop
#endif
