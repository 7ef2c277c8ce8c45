/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the heap family: allocator calls, and the blocks that are tracked. */
#ifndef MEMBLAME_ABI_HEAP_H
#define MEMBLAME_ABI_HEAP_H

enum mb_heap_op {
	MB_HEAP_NONE = 0,
	MB_HEAP_MALLOC = 1, /* (size), and similar functions */
	MB_HEAP_CALLOC = 2, /* (n, size) */
	MB_HEAP_REALLOC = 3, /* (old, size) */
	MB_HEAP_REALLOCARRAY = 4, /* (old, n, size) */
	MB_HEAP_POSIX_MEMALIGN = 5, /* (pointer to the result, alignment, size) */
	MB_HEAP_MEMALIGN = 6, /* (alignment, size) */
	MB_HEAP_FREE = 7, /* (old), and similar functions */
	MB_HEAP_OPS = 8,
	/* events only */
	MB_HEAP_BLOCK = 16, /* struct mb_heap_block_event, then struct mb_user_stack */
	MB_HEAP_FREED = 17, /* struct mb_heap_freed_event */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* The allocator call that a thread is in; the outermost one if calls nest. */
struct mb_heap_ledger {
	__u64 sp; /* stack pointer at the call; 0: no call is open */
	__u64 ip; /* of the probe */
	__u64 ret; /* return address of the call, which the kernel has replaced with its uretprobe trampoline */
	__u64 size; /* requested size; all ones if the product overflows */
	/*
	 * realloc: the block passed to it. posix_memalign: address of the result pointer. While no
	 * call is open: the last freed address, if nothing was allocated since.
	 */
	__u64 old;
	__u64 old_born_ns; /* when old was allocated; 0: old is not tracked */
	__u64 until_sample; /* bytes to allocate until the next tracked block; 0: not drawn yet */
	__u16 op; /* enum mb_heap_op */
	__u16 aside; /* a call that was interrupted by a signal handler on an alternate stack is saved in heap_aside */
	/*
	 * bit 0: the block will be tracked; above: size word of realloc's old block, in units of 16
	 * bytes
	 */
	__u32 sampled;
};

/* A block that is tracked from now on. */
struct mb_heap_block_event {
	struct mb_event h; /* t_ns: allocation time; with the address it identifies the block */
	__u64 mm; /* the address space: address of its mm_struct */
	__u64 addr;
	__u64 size; /* as requested */
	__u32 op; /* enum mb_heap_op */
	__u32 pad;
};

/* A tracked block was freed. */
struct mb_heap_freed_event {
	struct mb_event h;
	__u64 mm;
	__u64 addr;
	__u64 born_ns; /* allocation time */
};

/* Key of heap_blocks, the tracked blocks. The value is the allocation time. */
struct mb_heap_key {
	__u64 mm;
	__u64 addr;
};

/*
 * Size classes: four per power of two, for sizes as the allocator rounds them (including its size
 * word): 32, 40, 48, 56, 64, 80 ... The last class holds all blocks of 1.75 MiB and more.
 */
#define MB_HEAP_CLASSES 64

/*
 * Key of a struct mb_heap_net. An mm_struct is aligned to 64 bytes, and its address is soon reused
 * by another process.
 */
#define MB_HEAP_NET_KEY(mm, tgid) ((mm) << 16 | (tgid))

/*
 * Net allocation of one address space since probes were attached to its allocators: allocated minus
 * freed blocks, tracked or not, including older blocks that are freed later. Per class and in bytes
 * only for an allocator that stores the size in the word before each block (glibc).
 */
struct mb_heap_net {
	__u64 since_ns; /* when this entry was created */
	__u64 allocated, freed; /* blocks */
	__u64 allocated_bytes; /* as requested */
	__u64 size_words, no_size_words; /* allocated blocks with a plausible size word, and without one */
	__s64 count[MB_HEAP_CLASSES];
	__s64 bytes[MB_HEAP_CLASSES];
};

#pragma GCC diagnostic pop

/* The class of a block of this many bytes, including size word and rounding. */
static inline __attribute__((always_inline)) __u32 mb_heap_class(__u64 bytes)
{
	__u32 log = 5, class;

	if (bytes < 32)
		return 0;
	if (bytes >> 21)
		return MB_HEAP_CLASSES - 1;
	/* no builtin: clang before 20 has none for BPF */
	for (__u32 step = 8; step; step >>= 1) {
		if (log + step < 21 && bytes >> (log + step))
			log += step;
	}
	class = (log - 5) * 4 + (__u32)(bytes >> (log - 2) & 3);
	return class < MB_HEAP_CLASSES ? class : MB_HEAP_CLASSES - 1;
}

/*
 * Bytes that glibc uses for a block of this requested size: one word more, a multiple of 16, at
 * least 32.
 */
static inline __attribute__((always_inline)) __u64 mb_heap_glibc_bytes(__u64 size)
{
	__u64 bytes = (size + 8 + 15) & ~15ull;

	return bytes < 32 ? 32 : bytes;
}

/* Maximum mean number of bytes between two samples. */
#define MB_HEAP_MEAN_MAX (1ull << 32)

/*
 * log2 of r in units of 2^-24, for r > 0. Between powers of two it is x + x (1 - x) (a + b x + c
 * x^2 + d x^3), fitted by least squares: maximum error 2.2e-5, mean error -2e-6.
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
 * Bytes until the next sample: exponentially distributed with this mean (at most MB_HEAP_MEAN_MAX),
 * rounded up, so that a block of size s contains it with probability 1 - exp(-s / mean). random: 32
 * random bits. The mean is accurate to 0.01 % (tests/unit/heap_sampling.c).
 */
static inline __attribute__((always_inline)) __u64 mb_heap_draw(__u64 mean, __u32 random)
{
	/* -ln((random + 1) / 2^32), in units of 2^-24 */
	__u64 bits = (32ull << 24) - (random == 0xffffffff ? 32ull << 24 : mb_heap_log2(random + 1));
	__u64 nats = bits * 2977044472ull >> 32;

	return (nats * mean >> 24) + 1;
}

#endif
