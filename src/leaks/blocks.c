// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Blocks by address: a hash table with open addressing, linear probing, and deletion by moving later entries back. */
#include "leaks/blocks.h"

#include <stdlib.h>

#define FIRST_ROOM 256u

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

static uint64_t mark_of(uint64_t born_ns)
{
	return mix(born_ns) & 0xffff;
}

static uint64_t addr_of(uint64_t addr)
{
	return addr & 0xffffffffffffull;
}

static size_t home(const struct mb_blocks *b, uint64_t addr)
{
	return mix(addr) & (b->room - 1);
}

/* The slot of an address, or the free slot where it would go. There is always a free slot. */
static size_t find(const struct mb_blocks *b, uint64_t addr)
{
	size_t i = home(b, addr);

	while (b->table[i].addr && b->table[i].addr != addr)
		i = (i + 1) & (b->room - 1);
	return i;
}

static bool grow(struct mb_blocks *b)
{
	struct mb_blocks larger = { .room = b->room ? 2 * b->room : FIRST_ROOM };

	larger.table = calloc(larger.room, sizeof(*larger.table));
	if (!larger.table)
		return false;
	for (size_t i = 0; i < b->room; i++) {
		if (b->table[i].addr)
			larger.table[find(&larger, b->table[i].addr)] = b->table[i];
	}
	free(b->table);
	b->table = larger.table;
	b->room = larger.room;
	return true;
}

/* Free slot i and move back later entries that could not be found across the gap. */
static void remove_at(struct mb_blocks *b, size_t i)
{
	const size_t mask = b->room - 1;

	for (size_t j = (i + 1) & mask; b->table[j].addr; j = (j + 1) & mask) {
		if (((j - home(b, b->table[j].addr)) & mask) < ((j - i) & mask))
			continue;
		b->table[i] = b->table[j];
		i = j;
	}
	b->table[i] = (struct mb_block_entry){ 0 };
	b->n--;
}

static struct mb_block block_of(const struct mb_block_entry *e)
{
	return (struct mb_block){ .addr = e->addr, .size = e->size, .stack = (uint32_t)e->stack };
}

void mb_blocks_free(struct mb_blocks *b)
{
	free(b->table);
	*b = (struct mb_blocks){ 0 };
}

enum mb_blocks_put mb_blocks_put(struct mb_blocks *b, const struct mb_block *block, uint64_t born_ns,
				 struct mb_block *old)
{
	uint64_t addr = addr_of(block->addr);
	enum mb_blocks_put put = MB_BLOCKS_NEW;
	size_t i = 0;

	if (b->room)
		i = find(b, addr);
	if (b->room && b->table[i].addr) {
		*old = block_of(&b->table[i]);
		put = MB_BLOCKS_REPLACED;
	} else if (!addr || b->n >= MB_BLOCKS_MAX || (b->n >= b->room / 4 * 3 && !grow(b))) {
		b->left_out++;
		return MB_BLOCKS_FULL;
	} else {
		i = find(b, addr);
		b->n++;
	}
	b->table[i].addr = addr;
	b->table[i].mark = mark_of(born_ns) & 0xffff;
	b->table[i].size = block->size < MB_BLOCK_SIZE_MAX ? block->size : MB_BLOCK_SIZE_MAX;
	b->table[i].stack = block->stack & 0xffffff;
	return put;
}

bool mb_blocks_take(struct mb_blocks *b, uint64_t addr, uint64_t born_ns, struct mb_block *old)
{
	size_t i;

	if (!b->room)
		return false;
	i = find(b, addr_of(addr));
	if (!b->table[i].addr || b->table[i].mark != mark_of(born_ns))
		return false;
	*old = block_of(&b->table[i]);
	remove_at(b, i);
	return true;
}

void mb_blocks_sweep(struct mb_blocks *b, bool (*gone)(void *arg, const struct mb_block *block), void *arg)
{
	for (size_t i = 0; i < b->room;) {
		struct mb_block block = block_of(&b->table[i]);

		/* removing a block can move another one into this slot */
		if (block.addr && gone(arg, &block))
			remove_at(b, i);
		else
			i++;
	}
}
