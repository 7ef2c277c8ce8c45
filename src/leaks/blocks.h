/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The heap blocks tracked in one address space: a hash table by address with 16-byte entries, at
 * most three quarters full (21 to 43 bytes per block; 32 at a million blocks). An entry matches a
 * block by address and allocation time, so a late or lost event cannot make the accounting wrong
 * for good.
 */
#ifndef MB_LEAKS_BLOCKS_H
#define MB_LEAKS_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Maximum number of blocks per address space; the kernel side tracks as many. */
#define MB_BLOCKS_MAX (2u << 20)

/* Largest block size that is recorded; larger sizes are clamped to this value. */
#define MB_BLOCK_SIZE_MAX ((1ull << 40) - 1)

/* One table entry. */
struct mb_block_entry {
	uint64_t addr : 48; /* 0: free slot; user space ends below 2^47, higher bits are cut off */
	uint64_t mark : 16; /* hash of the allocation time */
	uint64_t size : 40;
	uint64_t stack : 24; /* stack id, see mb_leaks_stack_of() */
};

/* The table of one address space; all zero: empty. */
struct mb_blocks {
	struct mb_block_entry *table;
	size_t room; /* number of slots: a power of two, or 0 */
	size_t n;
	uint64_t left_out; /* blocks not tracked because the table was full */
};

/* One block, as passed in and out of the table. */
struct mb_block {
	uint64_t addr, size;
	uint32_t stack;
};

/* Free the table and reset b to empty. */
void mb_blocks_free(struct mb_blocks *b);

/* Result of mb_blocks_put(). */
enum mb_blocks_put {
	MB_BLOCKS_NEW,
	MB_BLOCKS_REPLACED, /* an older block had this address: its free event was missed; it is in *old */
	MB_BLOCKS_FULL, /* the table is full; counted in left_out */
};

/* Record an allocation. The size is clamped to MB_BLOCK_SIZE_MAX. born_ns: time of the allocation. */
enum mb_blocks_put mb_blocks_put(struct mb_blocks *b, const struct mb_block *block, uint64_t born_ns,
				 struct mb_block *old);

/*
 * Remove the block that was allocated at this address at born_ns and copy it to *old. Returns false
 * if there is none.
 */
bool mb_blocks_take(struct mb_blocks *b, uint64_t addr, uint64_t born_ns, struct mb_block *old);

/* Remove all blocks for which gone() returns true. gone() must not modify b. */
void mb_blocks_sweep(struct mb_blocks *b, bool (*gone)(void *arg, const struct mb_block *block), void *arg);

#endif
