/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the heap family: blocks of allocators, and which of them are followed. */
#ifndef MEMBLAME_ABI_HEAP_H
#define MEMBLAME_ABI_HEAP_H

enum mb_heap_op {
	MB_HEAP_NONE = 0,
	MB_HEAP_MALLOC = 1, /* (size), and all others like it */
	MB_HEAP_CALLOC = 2, /* (n, size) */
	MB_HEAP_REALLOC = 3, /* (old, size) */
	MB_HEAP_REALLOCARRAY = 4, /* (old, n, size) */
	MB_HEAP_POSIX_MEMALIGN = 5, /* (where the address goes, alignment, size) */
	MB_HEAP_MEMALIGN = 6, /* (alignment, size) */
	MB_HEAP_FREE = 7, /* (old), and all others like it */
	MB_HEAP_OPS = 8,
	/* events only */
	MB_HEAP_BLOCK = 16, /* struct mb_heap_block_event, then struct mb_user_stack */
	MB_HEAP_FREED = 17, /* struct mb_heap_freed_event */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* The allocator's call that a thread is in, the outermost if there are several. */
struct mb_heap_ledger {
	__u64 sp; /* of the thread when it was called; 0: none is open */
	__u64 ip; /* of the probe */
	__u64 ret; /* where it returns to: in its place the kernel has put its trampoline's address */
	__u64 size; /* as asked for */
	__u64 old; /* realloc: the block it was given; posix_memalign: where the address goes */
	__u64 old_born_ns; /* the same: when old was allocated; 0: old is not followed */
	__u64 until_sample; /* bytes to allocate until the next block that is followed; 0: not drawn yet */
	__u32 op; /* enum mb_heap_op */
	__u32 sampled; /* the block will be followed */
};

/* A block that is followed from now on. */
struct mb_heap_block_event {
	struct mb_event h; /* t_ns: when it was allocated, which with its address is what it is known by */
	__u64 mm; /* the address space: address of its mm_struct */
	__u64 addr;
	__u64 size; /* as asked for */
	__u32 op; /* enum mb_heap_op */
	__u32 pad;
};

/* It is gone. */
struct mb_heap_freed_event {
	struct mb_event h;
	__u64 mm;
	__u64 addr;
	__u64 born_ns; /* when it was allocated */
};

/* heap_blocks: what is followed. The value is when it was allocated. */
struct mb_heap_key {
	__u64 mm;
	__u64 addr;
};

#pragma GCC diagnostic pop

/* Most bytes between two samples, on average. */
#define MB_HEAP_MEAN_MAX (1ull << 32)

/*
 * log2 of r in units of 2^-24, for r > 0. Between powers of two it is x + x (1 - x) (a + b x + c x^2 + d x^3),
 * fitted by least squares: at most 2.2e-5 off, -2e-6 on average.
 */
static inline __attribute__((always_inline)) __u32 mb_heap_log2(__u32 r)
{
	__u32 n = 31, x;
	__s64 f, p;

	if (!(r & 0xffff0000)) {
		n -= 16;
		r <<= 16;
	}
	if (!(r & 0xff000000)) {
		n -= 8;
		r <<= 8;
	}
	if (!(r & 0xf0000000)) {
		n -= 4;
		r <<= 4;
	}
	if (!(r & 0xc0000000)) {
		n -= 2;
		r <<= 2;
	}
	if (!(r & 0x80000000)) {
		n -= 1;
		r <<= 1;
	}
	x = (r << 1) >> 8; /* the fraction, in 24 bits */
	f = x;
	p = 153422 - (f * 46142 >> 24); /* in units of 2^-20 */
	p = -278953 + (f * p >> 24);
	p = 463198 + (f * p >> 24);
	p = ((f * ((1 << 24) - f)) >> 24) * p >> 20;
	return (n << 24) + x + (__u32)p;
}

/*
 * Bytes until the next sample: exponentially distributed with this mean (at most MB_HEAP_MEAN_MAX), rounded up, so
 * that a block of size s has it with probability 1 - exp(-s / mean). random: 32 random bits. The mean is less than
 * 0.01 % off (tests/unit/heap_sampling.c).
 */
static inline __attribute__((always_inline)) __u64 mb_heap_draw(__u64 mean, __u32 random)
{
	/* -ln((random + 1) / 2^32), in units of 2^-24 */
	__u64 bits = (32ull << 24) - (random == 0xffffffff ? 32ull << 24 : mb_heap_log2(random + 1));
	__u64 nats = bits * 2977044472ull >> 32;

	return (nats * mean >> 24) + 1;
}

#endif
