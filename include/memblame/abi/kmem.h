/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Wire structs of the kmem family: kernel objects by the process and call site that allocated them,
 * a fixed sample.
 */
#ifndef MEMBLAME_ABI_KMEM_H
#define MEMBLAME_ABI_KMEM_H

enum mb_kmem_event_type {
	MB_KMEM_EVENT_CHANGED = 0, /* struct mb_kmem_event */
};

#define MB_KMEM_SAMPLE_1_IN 16u /* default sampling rate, in objects; a power of two */
#define MB_KMEM_FRAMES 32 /* innermost stack frames of a kernel stack */
#define MB_KMEM_IRQ_FRAMES 16 /* same for an interrupt; frames outside the handler belong to the interrupted task */
#define MB_KMEM_CACHE_NAME 32

/*
 * mb_kmem_key.cache: address of the cache (its name is in kmem_caches), or, if the tracepoint does
 * not report a cache, the size of an object in bytes combined with one of these. No address is that
 * small.
 */
#define MB_KMEM_KMALLOC (1ull << 32)
#define MB_KMEM_KMALLOC_CG (2ull << 32) /* charged to a cgroup */
#define MB_KMEM_KMALLOC_RCL (3ull << 32) /* reclaimable */
#define MB_KMEM_OBJECTS (4ull << 32) /* of an unknown cache */
#define MB_KMEM_PAGES (5ull << 32) /* without a size */
#define MB_KMEM_KIND(cache) ((cache) & ~0xffffffffull)

/*
 * mb_kmem_key.stack: 0: unknown; otherwise an id in kmem_stacks plus one; with MB_KMEM_IRQ: an id
 * in kmem_irq_stacks.
 */
#define MB_KMEM_IRQ 0x80000000u

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct mb_kmem_ledger {
	__u64 pad; /* empty: all data is in tables */
};

struct mb_kmem_key {
	__u64 start_ns; /* of the process; 0 with tgid 0: an interrupt */
	__u64 cache;
	__u32 stack;
	__u32 tgid;
};

/*
 * From table kmem_sites: sampled objects with this key that were allocated and freed since the last
 * read.
 */
struct mb_kmem_event {
	struct mb_event h;
	struct mb_kmem_key key;
	__u64 allocated_bytes;
	__u64 allocated;
	__u64 freed_bytes;
	__u64 freed;
};

#pragma GCC diagnostic pop

/*
 * The sample: a fixed choice of 1 in (mask + 1) addresses, so that alloc and free of an object
 * select the same objects without stored state. Objects are aligned to 8 bytes. mask is 2^n - 1.
 */
static inline __attribute__((always_inline)) int mb_kmem_sampled(__u64 address, __u32 mask)
{
	return !((address >> 3) * 0x9e3779b97f4a7c15ull >> 40 & mask);
}

#endif
