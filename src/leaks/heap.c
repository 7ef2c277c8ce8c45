// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Allocator blocks. Each sampled block stands for several: it was selected with probability 1 -
 * exp(-size / mean), so its weight is the inverse of that.
 */
#include "leaks/heap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "leaks/blocks.h"
#include "leaks/chain.h"
#include "leaks/collect.h"

/* Number of blocks that one call makes the kernel side forget. */
#define FORGET_AT_ONCE 1024

static void account(struct mb_leak_space *sp, const struct mb_block *b, int sign)
{
	struct mb_leak_key key = mb_leak_key_of(sp, MB_LEAK_ALLOC, b->stack);
	uint64_t mean = sp->session->cfg->heap_sample_bytes;
	uint64_t size = b->size < MB_BLOCK_SIZE_MAX ? b->size : MB_BLOCK_SIZE_MAX;
	double bytes = (double)size, weight = mb_heap_weight(bytes, mean);

	mb_leaks_add(sp->session->leaks, &key, sp->comm, mean > 1 ? mean : 1,
		     sign * (int64_t)llround(weight * (double)size), sign * weight,
		     sign * bytes * bytes * weight * (weight - 1));
	mb_leaks_add_blocks(sp->session->leaks, &key, sign * weight, size);
}

static void on_block(struct mb_leaks_session *l, const struct mb_heap_block_event *e)
{
	struct mb_leak_space *sp = mb_leak_space_of(l, e->mm, e->h.tgid);
	struct mb_block block = { .addr = e->addr, .size = e->size }, old;
	enum mb_blocks_put put;

	if (sp && !sp->blocks)
		sp->blocks = calloc(1, sizeof(*sp->blocks));
	if (!sp || !sp->blocks) {
		if (l->kern)
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

/* ---- lost events ---- */

static bool is_gone(void *arg, const struct mb_block *block)
{
	struct mb_leak_space *sp = arg;

	if (mb_leak_collect_has_block(sp, block->addr))
		return false;
	account(sp, block, -1);
	return true;
}

void mb_leak_heap_check(struct mb_leak_space *sp)
{
	if (sp->blocks)
		mb_blocks_sweep(sp->blocks, is_gone, sp);
}

/* ---- all blocks, including those without a known call site ---- */

static void add_known(struct mb_heap_known *sum, const struct mb_leak_group *g)
{
	for (int c = 0; c < MB_HEAP_CLASSES; c++) {
		sum->count[c] += fmax(0, g->blocks->count[c]);
		sum->bytes[c] += fmax(0, g->blocks->bytes[c]);
	}
}

/* Build a table of the address spaces that have blocks, by process; it is used within one tick. */
static void by_process(struct mb_leaks_session *l, struct mb_leak_space **table)
{
	*table = NULL;
	for (struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next) {
		struct mb_leak_space *other;

		if (!sp->blocks)
			continue;
		HASH_FIND(by_start, *table, &sp->start_ns, sizeof(sp->start_ns), other);
		if (!other)
			HASH_ADD(by_start, *table, start_ns, sizeof(sp->start_ns), sp);
		memset(&sp->known, 0, sizeof(sp->known));
	}
}

static struct mb_leak_space *space_of_group(struct mb_leak_space *table,
					    const struct mb_leak_group *g)
{
	struct mb_leak_space *sp = NULL;

	if (g->blocks)
		HASH_FIND(by_start, table, &g->key.start_ns, sizeof(g->key.start_ns), sp);
	return sp && sp->tgid == g->key.tgid ? sp : NULL;
}

void mb_leak_heap_tick(struct mb_leaks_session *l, uint64_t t_ns)
{
	struct mb_leak_space *table, *sp, *tmp;
	struct mb_heap_net net;

	by_process(l, &table);
	for (struct mb_leak_group *g = l->leaks->groups; g; g = g->hh.next) {
		sp = space_of_group(table, g);
		if (sp)
			add_known(&sp->known, g);
	}
	HASH_ITER(by_start, table, sp, tmp)
	{
		sp->shares.known = false;
		if (!mb_leak_collect_heap_net(sp, &net))
			continue;
		mb_heap_share(&net, &sp->known, l->cfg->heap_sample_bytes, t_ns, &sp->lows, &sp->shares);
		sp->allocated = net.allocated;
		sp->freed = net.freed;
	}
	for (struct mb_leak_group *g = l->leaks->groups; g; g = g->hh.next) {
		sp = space_of_group(table, g);
		if (sp && sp->shares.known)
			mb_leaks_set_share(g, &sp->shares);
	}
	HASH_CLEAR(by_start, table);
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
	/* the kernel side's entries under this mm belong to another process */
	bool in_use_again = sp->key != sp->mm;

	if (sp->session->kern && sp->session->cfg->heap && !in_use_again && !sp->execs)
		mb_kern_forget_heap_net(sp->session->kern, sp->mm, sp->tgid);
	if (!sp->blocks)
		return;
	for (size_t i = 0; i < sp->blocks->room && !in_use_again; i++) {
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
