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
	__u64 size; /* as asked for; all ones where a product overflows */
	/*
	 * realloc: the block it was given; posix_memalign: where the address goes; while no call is open: the address
	 * freed last, if nothing was allocated since.
	 */
	__u64 old;
	__u64 old_born_ns; /* the same: when old was allocated; 0: old is not followed */
	__u64 until_sample; /* bytes to allocate until the next block that is followed; 0: not drawn yet */
	__u16 op; /* enum mb_heap_op */
	__u16 aside; /* a call that a signal handler on another stack has interrupted is in heap_aside */
	__u32 sampled; /* bit 0: the block will be followed; above: realloc's old size word, in 16 bytes */
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

/*
 * Sizes of blocks in four steps from one power of two to the next, as the allocator has them (with its size word):
 * 32, 40, 48, 56, 64, 80 ...; all from 1.75 MiB on are in the last.
 */
#define MB_HEAP_CLASSES 64

/* The key of a struct mb_heap_net: a memory descriptor is at a multiple of 64, and soon another process has one there. */
#define MB_HEAP_NET_KEY(mm, tgid) ((mm) << 16 | (tgid))

/*
 * All blocks of one address space since its allocators were probed, followed or not, those from before as they are
 * freed: what was allocated less what was freed. By class and in bytes only for an allocator that keeps the size in
 * the word before each block (glibc).
 */
struct mb_heap_net {
	__u64 since_ns; /* it was made */
	__u64 allocated, freed; /* blocks */
	__u64 allocated_bytes; /* as asked for */
	__u64 size_words, no_size_words; /* blocks allocated that had a size word that fits, and that had none */
	__s64 count[MB_HEAP_CLASSES];
	__s64 bytes[MB_HEAP_CLASSES];
};

#pragma GCC diagnostic pop

/* The class of a block of so many bytes, size word and rounding included. */
static inline __attribute__((always_inline)) __u32 mb_heap_class(__u64 bytes)
{
	__u32 log = 5, class;

	if (bytes < 32)
		return 0;
	if (bytes >> 21)
		return MB_HEAP_CLASSES - 1;
	/* no builtin: BPF has none before clang 20 */
	for (__u32 step = 8; step; step >>= 1) {
		if (log + step < 21 && bytes >> (log + step))
			log += step;
	}
	class = (log - 5) * 4 + (__u32)(bytes >> (log - 2) & 3);
	return class < MB_HEAP_CLASSES ? class : MB_HEAP_CLASSES - 1;
}

/* What glibc takes for a block that was asked for with this size: a word more, a multiple of 16, 32 at least. */
static inline __attribute__((always_inline)) __u64 mb_heap_glibc_bytes(__u64 size)
{
	__u64 bytes = (size + 8 + 15) & ~15ull;

	return bytes < 32 ? 32 : bytes;
}

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
