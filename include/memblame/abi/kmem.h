/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the kmem family: objects of the kernel by who asked for them, a fixed sample. */
#ifndef MEMBLAME_ABI_KMEM_H
#define MEMBLAME_ABI_KMEM_H

enum mb_kmem_event_type {
	MB_KMEM_EVENT_CHANGED = 0, /* struct mb_kmem_event */
};

#define MB_KMEM_SAMPLE_1_IN 16u /* objects, unless told otherwise; a power of two */
#define MB_KMEM_FRAMES 32 /* of a kernel stack, the innermost ones */
#define MB_KMEM_IRQ_FRAMES 16 /* the same within an interrupt: outside of these is whom it has hit */
#define MB_KMEM_CACHE_NAME 32

/*
 * mb_kmem_key.cache: address of the cache (its name is in kmem_caches), or, where the tracepoint tells none,
 * the bytes of an object with one of these. No address is so small.
 */
#define MB_KMEM_KMALLOC (1ull << 32)
#define MB_KMEM_KMALLOC_CG (2ull << 32) /* charged to a cgroup */
#define MB_KMEM_KMALLOC_RCL (3ull << 32) /* reclaimable */
#define MB_KMEM_OBJECTS (4ull << 32) /* of a cache that is not told */
#define MB_KMEM_PAGES (5ull << 32) /* without bytes */
#define MB_KMEM_KIND(cache) ((cache) & ~0xffffffffull)

/* mb_kmem_key.stack: 0: not known; else an id in kmem_stacks plus one, with this: in kmem_irq_stacks. */
#define MB_KMEM_IRQ 0x80000000u

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct mb_kmem_ledger {
	__u64 pad; /* nothing: what there is is in tables */
};

struct mb_kmem_key {
	__u64 start_ns; /* of the process; 0 with tgid 0: an interrupt */
	__u64 cache;
	__u32 stack;
	__u32 tgid;
};

/* Of the table kmem_sites: what has come and gone with this key since the last reading, of the sample. */
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
 * The sample: a fixed choice of 1 in (mask + 1) addresses, so that the end of an object agrees with its
 * beginning without remembering anything. Objects are at multiples of 8. mask is 2^n - 1.
 */
static inline __attribute__((always_inline)) int mb_kmem_sampled(__u64 address, __u32 mask)
{
	return !((address >> 3) * 0x9e3779b97f4a7c15ull >> 40 & mask);
}

#endif
