// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Blocks of allocators within leaks. One that is followed stands for several: it was chosen with probability
 * 1 - exp(-size / mean), and counts the other way round.
 */
#include "leak_heap.h"

#include <math.h>
#include <stdlib.h>

#include "model/blocks.h"

/* Blocks forgotten with one call. */
#define FORGET_AT_ONCE 1024

/* How many blocks of this size stand behind one that is followed. */
static double weight_of(const struct mb_leak_space *sp, uint64_t size)
{
	uint64_t mean = sp->session->cfg->heap_sample_bytes;

	if (mean <= 1)
		return 1;
	return 1 / -expm1(-(double)(size ? size : 1) / (double)mean);
}

static void account(struct mb_leak_space *sp, const struct mb_block *b, int sign)
{
	struct mb_leak_key key = mb_leak_key_of(sp, MB_LEAK_ALLOC, b->stack);
	uint64_t mean = sp->session->cfg->heap_sample_bytes;
	uint64_t size = b->size < MB_BLOCK_SIZE_MAX ? b->size : MB_BLOCK_SIZE_MAX;
	double weight = weight_of(sp, size), bytes = (double)size;

	mb_leaks_add(sp->session->leaks, &key, sp->comm, mean > 1 ? mean : 1,
		     sign * (int64_t)llround(weight * (double)size), sign * (int64_t)llround(weight),
		     sign * bytes * bytes * weight * (weight - 1));
}

static void on_block(struct mb_leaks_session *l, const struct mb_heap_block_event *e)
{
	struct mb_leak_space *sp = mb_leak_space_of(l, e->mm, e->h.tgid);
	struct mb_block block = { .addr = e->addr, .size = e->size }, old;
	enum mb_blocks_put put;

	if (sp && !sp->blocks)
		sp->blocks = calloc(1, sizeof(*sp->blocks));
	if (!sp || !sp->blocks) {
		mb_kern_forget_blocks(l->kern, e->mm, &block.addr, 1);
		return;
	}
	block.stack = mb_leak_stack_of(sp, &e->h, sizeof(*e));
	put = mb_blocks_put(sp->blocks, &block, e->h.t_ns, &old);
	if (put == MB_BLOCKS_FULL)
		return;
	account(sp, &block, 1);
	if (put == MB_BLOCKS_REPLACED)
		account(sp, &old, -1);
}

static void on_freed(struct mb_leaks_session *l, const struct mb_heap_freed_event *e)
{
	struct mb_leak_space *sp = mb_leak_space_at(l, e->mm);
	struct mb_block old;

	if (sp && sp->blocks && mb_blocks_take(sp->blocks, e->addr, e->born_ns, &old))
		account(sp, &old, -1);
}

void mb_leak_heap_event(struct mb_leaks_session *l, const struct mb_event *e)
{
	if (e->type == MB_HEAP_BLOCK && e->size >= sizeof(struct mb_heap_block_event))
		on_block(l, (const void *)e);
	else if (e->type == MB_HEAP_FREED && e->size == sizeof(struct mb_heap_freed_event))
		on_freed(l, (const void *)e);
}

/* ---- what was lost ---- */

static bool is_gone(void *arg, const struct mb_block *block)
{
	struct mb_leak_space *sp = arg;

	if (mb_kern_has_block(sp->session->kern, sp->mm, block->addr))
		return false;
	account(sp, block, -1);
	return true;
}

void mb_leak_heap_check(struct mb_leak_space *sp)
{
	if (sp->blocks)
		mb_blocks_sweep(sp->blocks, is_gone, sp);
}

/* ---- the end of an address space ---- */

struct forgetting {
	struct mb_leak_space *sp;
	uint64_t addrs[FORGET_AT_ONCE];
	size_t n;
};

static void forget(struct forgetting *f)
{
	if (f->sp->session->kern)
		mb_kern_forget_blocks(f->sp->session->kern, f->sp->mm, f->addrs, f->n);
	f->n = 0;
}

void mb_leak_heap_free(struct mb_leak_space *sp)
{
	struct forgetting f = { .sp = sp };

	if (!sp->blocks)
		return;
	for (size_t i = 0; i < sp->blocks->room; i++) {
		if (!sp->blocks->table[i].addr)
			continue;
		f.addrs[f.n++] = sp->blocks->table[i].addr;
		if (f.n == FORGET_AT_ONCE)
			forget(&f);
	}
	forget(&f);
	mb_blocks_free(sp->blocks);
	free(sp->blocks);
	sp->blocks = NULL;
}

uint64_t mb_leak_heap_blocks(const struct mb_leak_space *sp)
{
	return sp->blocks ? sp->blocks->n : 0;
}
