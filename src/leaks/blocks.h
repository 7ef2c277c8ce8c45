/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Blocks of one address space that are followed: by address, in a table of 16-byte entries that is at most three
 * quarters full (21 to 43 bytes per block; 32 at a million). Blocks are known by their address and when they were
 * allocated, so that neither a late nor a lost event makes the account wrong for good.
 */
#ifndef MB_LEAKS_BLOCKS_H
#define MB_LEAKS_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most blocks of one address space: as many as the kernel side follows. */
#define MB_BLOCKS_MAX (2u << 20)

/* Largest size that is told apart; larger ones count as this. */
#define MB_BLOCK_SIZE_MAX ((1ull << 40) - 1)

/* An entry of the table. */
struct mb_block_entry {
	uint64_t addr : 48; /* 0: a free place; user space ends below 2^47 (larger ones are cut off) */
	uint64_t mark : 16; /* of when it was allocated */
	uint64_t size : 40;
	uint64_t stack : 24; /* mb_leaks_stack_of() */
};

struct mb_blocks {
	struct mb_block_entry *table;
	size_t room; /* a power of two, or 0 */
	size_t n;
	uint64_t left_out; /* for want of room */
};

struct mb_block {
	uint64_t addr, size;
	uint32_t stack;
};

void mb_blocks_free(struct mb_blocks *b);

enum mb_blocks_put {
	MB_BLOCKS_NEW,
	MB_BLOCKS_REPLACED, /* another block had this address: its end was missed. It is in *old */
	MB_BLOCKS_FULL, /* counted in left_out */
};

/* A block was allocated. Its size is cut to MB_BLOCK_SIZE_MAX. */
enum mb_blocks_put mb_blocks_put(struct mb_blocks *b, const struct mb_block *block, uint64_t born_ns,
				 struct mb_block *old);

/* The block that was allocated then at this address is gone. False: there is no such; else it is in *old. */
bool mb_blocks_take(struct mb_blocks *b, uint64_t addr, uint64_t born_ns, struct mb_block *old);

/* Remove all that gone() says so of; it must not change b. */
void mb_blocks_sweep(struct mb_blocks *b, bool (*gone)(void *arg, const struct mb_block *block), void *arg);

#endif
