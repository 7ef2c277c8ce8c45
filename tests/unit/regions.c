// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Compares the region model with an address space recorded page by page. Both see the same random calls; the model gets
 * only what the kernel reports (the arguments, the address found, the change in size). After each call both must have
 * the same pages from the same callers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/regions.h"

#define PAGES 512u
#define BASE 0x10000000ull
#define PAGE 4096ull
#define CALLS 200000

#define FIXED 0x10u
#define ANONYMOUS 0x22u /* and private */
#define MAYMOVE 1u

/* The truth: the caller that mapped each page; 0: not mapped. */
struct truth {
	uint32_t by[PAGES];
	uint64_t t_ns;
};

/* By caller: what the model reports as mapped, less what it reports as unmapped. */
static int64_t reported[CALLS + 2];

static int64_t reported_pieces;

static void changed(void *arg, const struct mb_region *piece, int64_t bytes, int pieces)
{
	(void)arg;
	reported[piece->stack] += bytes;
	reported_pieces += pieces;
}

static uint64_t mapped(const struct truth *t)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < PAGES; i++)
		n += t->by[i] != 0;
	return n * PAGE;
}

static uint64_t addr_of(unsigned int page)
{
	return BASE + page * PAGE;
}

static struct mb_region_event call(struct truth *t, uint32_t op)
{
	struct mb_region_event e = { .op = op, .result = MB_RESULT_UNKNOWN };

	t->t_ns += 10;
	e.h.t_ns = t->t_ns;
	return e;
}

/* Ends the call: records by how much the size changed. */
static void end(const struct truth *t, struct mb_region_event *e, uint64_t before)
{
	e->total_vm_bytes = mapped(t);
	e->delta_bytes = (int64_t)(e->total_vm_bytes - before);
}

static unsigned int any(unsigned int below)
{
	return (unsigned int)rand() % below;
}

/* The first run of n free pages after a random page; PAGES: none. */
static unsigned int find_room(const struct truth *t, unsigned int n)
{
	unsigned int from = any(PAGES);

	for (unsigned int k = 0; k < PAGES; k++) {
		unsigned int at = (from + k) % PAGES, free = 0;

		while (at + free < PAGES && free < n && !t->by[at + free])
			free++;
		if (free == n)
			return at;
	}
	return PAGES;
}

static void set(struct truth *t, unsigned int at, unsigned int n, uint32_t by)
{
	for (unsigned int i = 0; i < n; i++)
		t->by[at + i] = by;
}

static void do_mmap(struct truth *t, struct mb_regions *r, uint32_t by)
{
	struct mb_region_event e = call(t, MB_VMA_MMAP);
	unsigned int n = 1 + any(16), at = any(PAGES - n), fixed = any(3) == 0;
	uint64_t before = mapped(t);

	e.args[1] = n * PAGE - any(4096);
	e.args[3] = ANONYMOUS | (fixed ? FIXED : 0);
	if (fixed) {
		e.args[0] = addr_of(at);
	} else {
		at = find_room(t, n);
		if (at == PAGES)
			return;
		if (any(4) == 0) { /* at the address the caller asked for */
			e.args[0] = addr_of(at);
		} else {
			e.area_addr = addr_of(at);
			e.area_len = n * PAGE;
		}
	}
	set(t, at, n, by);
	end(t, &e, before);
	mb_regions_apply(r, &e, by);
}

static void do_munmap(struct truth *t, struct mb_regions *r)
{
	struct mb_region_event e = call(t, MB_VMA_MUNMAP);
	unsigned int n = 1 + any(20), at = any(PAGES - n);
	uint64_t before = mapped(t);

	e.args[0] = addr_of(at);
	e.args[1] = n * PAGE;
	set(t, at, n, 0);
	end(t, &e, before);
	if (e.delta_bytes)
		mb_regions_apply(r, &e, 0);
}

/* Moves, grows or shrinks a mapped run. */
static void do_mremap(struct truth *t, struct mb_regions *r, uint32_t by)
{
	struct mb_region_event e = call(t, MB_VMA_MREMAP);
	unsigned int at = any(PAGES), n = 0, new_n = 1 + any(16), to, fit;
	uint32_t old[PAGES];
	uint64_t before = mapped(t);

	while (at + n < PAGES && n < 16 && t->by[at + n])
		n++;
	if (!n)
		return;
	e.args[0] = addr_of(at);
	e.args[1] = n * PAGE;
	e.args[2] = new_n * PAGE;
	e.args[3] = MAYMOVE;
	memcpy(old, t->by, sizeof(old));
	if (new_n <= n) {
		set(t, at + new_n, n - new_n, 0);
	} else {
		to = find_room(t, new_n);
		if (to == PAGES)
			return;
		e.area_addr = addr_of(to);
		e.area_len = new_n * PAGE;
		fit = n;
		set(t, at, n, 0);
		memcpy(&t->by[to], &old[at], fit * sizeof(old[0]));
		set(t, to + fit, new_n - fit, by);
	}
	end(t, &e, before);
	mb_regions_apply(r, &e, by);
}

static void compare(const struct truth *t, const struct mb_regions *r)
{
	int64_t by_caller[CALLS + 2] = { 0 };

	assert_false(r->unsure);
	assert_int_equal(r->bytes, mapped(t));
	for (unsigned int i = 0; i < PAGES; i++) {
		const struct mb_region *at = mb_regions_at(r, addr_of(i));

		assert_int_equal(at ? at->stack : 0, t->by[i]);
		if (t->by[i])
			by_caller[t->by[i]] += (int64_t)PAGE;
	}
	assert_memory_equal(by_caller, reported, sizeof(reported));
	assert_int_equal(reported_pieces, r->n);
	for (size_t i = 1; i < r->n; i++)
		assert_true(r->list[i].start >= r->list[i - 1].end);
}

static void test_random_calls(void **state)
{
	struct mb_regions r = { .changed = changed };
	struct truth t = { .t_ns = 1000 };

	(void)state;
	srand(1);
	memset(reported, 0, sizeof(reported));
	for (uint32_t i = 1; i <= CALLS; i++) {
		switch (any(4)) {
		case 0:
			do_munmap(&t, &r);
			break;
		case 1:
			do_mremap(&t, &r, i);
			break;
		default:
			do_mmap(&t, &r, i);
		}
		assert_int_equal(r.bytes, mapped(&t));
		if (i % 500 == 0)
			compare(&t, &r);
	}
	compare(&t, &r);
	mb_regions_free(&r);
	for (size_t i = 0; i < CALLS + 2; i++)
		assert_int_equal(reported[i], 0);
}

/* A call was lost: the model notices that the sum is wrong, and the list read next keeps the origins already known. */
static void test_sync_keeps_origin(void **state)
{
	struct mb_regions r = { 0 };
	struct mb_region now[] = { { addr_of(0), addr_of(4), 0, MB_REGION_ANON },
				   { addr_of(10), addr_of(12), 0, MB_REGION_FILE } };
	struct mb_region_event e = { .op = MB_VMA_MUNMAP, .h.t_ns = 50, .total_vm_bytes = 6 * PAGE };

	(void)state;
	mb_regions_map(&r, addr_of(0), addr_of(8), 7, MB_REGION_ANON);
	e.args[0] = addr_of(6);
	e.args[1] = 2 * PAGE;
	mb_regions_apply(&r, &e, 0);
	assert_false(r.unsure);
	e.args[0] = addr_of(5);
	e.args[1] = PAGE;
	e.total_vm_bytes = 4 * PAGE; /* another page was unmapped without being seen */
	mb_regions_apply(&r, &e, 0);
	assert_true(r.unsure);
	mb_regions_sync(&r, now, 2, 100, 110);
	assert_false(r.unsure);
	assert_int_equal(r.bytes, 6 * PAGE);
	assert_int_equal(mb_regions_at(&r, addr_of(3))->stack, 7);
	assert_null(mb_regions_at(&r, addr_of(4)));
	assert_int_equal(mb_regions_at(&r, addr_of(11))->stack, 0);
	assert_int_equal(mb_regions_at(&r, addr_of(11))->kind, MB_REGION_FILE);
	/* a call older than the list only identifies the caller of a mapping, and changes nothing else */
	e = (struct mb_region_event){ .op = MB_VMA_MMAP, .h.t_ns = 90, .result = MB_RESULT_UNKNOWN };
	e.args[0] = addr_of(9);
	e.args[1] = 3 * PAGE;
	e.args[3] = FIXED | ANONYMOUS;
	e.delta_bytes = 3 * (int64_t)PAGE;
	mb_regions_apply(&r, &e, 9);
	assert_int_equal(r.bytes, 6 * PAGE);
	assert_int_equal(mb_regions_at(&r, addr_of(10))->stack, 9);
	assert_null(mb_regions_at(&r, addr_of(9)));
	mb_regions_free(&r);
}

/* The parent's list was read after the fork. Calls of the child since the fork must count nevertheless. */
static void test_copy_is_of_the_fork(void **state)
{
	struct mb_regions parent = { 0 }, child = { .changed = changed };
	struct mb_region before = { .start = addr_of(0), .end = addr_of(4), .kind = MB_REGION_ANON };
	struct mb_region_event e = { .op = MB_VMA_MMAP, .h.t_ns = 60, .result = MB_RESULT_UNKNOWN };

	(void)state;
	mb_regions_sync(&parent, &before, 1, 100, 100);
	mb_regions_copy(&child, &parent, 50);
	e.args[1] = 8 * PAGE;
	e.args[3] = ANONYMOUS;
	e.area_addr = addr_of(100);
	e.area_len = 8 * PAGE;
	e.delta_bytes = 8 * PAGE;
	e.total_vm_bytes = 12 * PAGE;
	mb_regions_apply(&child, &e, 7);
	assert_int_equal(child.bytes, 12 * PAGE);
	assert_false(child.unsure);
	mb_regions_free(&child);
	mb_regions_free(&parent);
}

/* The room found for a huge page is larger than the mapping made in it (mm/huge_memory.c, mm/shmem.c). */
static void test_huge_alignment(void **state)
{
	struct mb_regions r = { 0 };
	struct mb_region_event e = { .op = MB_VMA_MMAP, .h.t_ns = 1, .result = MB_RESULT_UNKNOWN };
	const uint64_t huge = 2 << 20;

	(void)state;
	e.args[1] = 2 * huge;
	e.args[3] = ANONYMOUS;
	e.area_addr = 0x7f0000001000;
	e.area_len = 3 * huge;
	e.delta_bytes = (int64_t)(2 * huge);
	e.total_vm_bytes = 2 * huge;
	mb_regions_apply(&r, &e, 1);
	assert_int_equal(r.list[0].start, 0x7f0000200000);
	mb_regions_free(&r);
	e.area_len = 3 * huge - PAGE;
	mb_regions_apply(&r, &e, 1);
	assert_int_equal(r.list[0].start, 0x7f0000200000);
	mb_regions_free(&r);
	/* not understood: the model must report this */
	e.area_len = 5 * huge;
	mb_regions_apply(&r, &e, 1);
	assert_true(r.unsure);
	mb_regions_free(&r);
}

static void test_heap_and_stack(void **state)
{
	struct mb_regions r = { 0 };
	struct mb_region_event e = { .op = MB_VMA_BRK, .h.t_ns = 1, .result = MB_RESULT_UNKNOWN };

	(void)state;
	mb_regions_map(&r, addr_of(100), addr_of(110), 0, MB_REGION_STACK);
	e.brk = addr_of(5) + 10;
	e.delta_bytes = 3 * (int64_t)PAGE;
	e.total_vm_bytes = 13 * PAGE;
	mb_regions_apply(&r, &e, 4);
	assert_int_equal(mb_regions_at(&r, addr_of(3))->stack, 4);
	assert_int_equal(mb_regions_at(&r, addr_of(5))->kind, MB_REGION_HEAP);
	e.brk = addr_of(4);
	e.delta_bytes = -2 * (int64_t)PAGE;
	e.total_vm_bytes = 11 * PAGE;
	mb_regions_apply(&r, &e, 0);
	assert_null(mb_regions_at(&r, addr_of(4)));
	e = (struct mb_region_event){ .op = MB_VMA_OTHER, .h.t_ns = 2, .delta_bytes = 2 * (int64_t)PAGE,
				      .stack_delta_bytes = 2 * (int64_t)PAGE, .total_vm_bytes = 13 * PAGE };
	mb_regions_apply(&r, &e, 5);
	assert_int_equal(mb_regions_at(&r, addr_of(98))->kind, MB_REGION_STACK);
	assert_false(r.unsure);
	mb_regions_free(&r);
}

/* Attach n pages of shared memory at page `at`, and detach them, as the kernel reports it. */
static void attach(struct mb_regions *r, unsigned int at, unsigned int n, uint32_t stack)
{
	struct mb_region_event e = { .op = MB_VMA_OTHER, .h.t_ns = 1, .call = 30, .result = MB_RESULT_UNKNOWN };

	e.args[1] = addr_of(at);
	e.delta_bytes = (int64_t)(n * PAGE);
	e.total_vm_bytes = r->bytes + n * PAGE;
	mb_regions_apply(r, &e, stack);
}

static void detach(struct mb_regions *r, unsigned int at, unsigned int gone)
{
	struct mb_region_event e = { .op = MB_VMA_OTHER, .h.t_ns = 1, .call = 67, .result = MB_RESULT_UNKNOWN };

	e.args[0] = addr_of(at);
	e.delta_bytes = -(int64_t)(gone * PAGE);
	e.total_vm_bytes = r->bytes - gone * PAGE;
	mb_regions_apply(r, &e, 0);
}

/* Parts of attached System V memory were unmapped: detaching removes the rest, wherever it is, and nothing else. */
static void test_detach_what_is_left(void **state)
{
	struct mb_regions r = { 0 };
	struct mb_region_event move = { .op = MB_VMA_MREMAP, .h.t_ns = 1, .result = MB_RESULT_UNKNOWN };

	(void)state;
	attach(&r, 10, 20, 1);
	attach(&r, 30, 20, 2);
	mb_regions_unmap(&r, addr_of(10), addr_of(12)); /* its start */
	mb_regions_unmap(&r, addr_of(15), addr_of(16)); /* a hole */
	mb_regions_map(&r, addr_of(20), addr_of(25), 3, MB_REGION_SHARED); /* another's */
	detach(&r, 10, 20 - 2 - 1 - 5);
	assert_false(r.unsure);
	assert_int_equal(r.bytes, 25 * PAGE);
	assert_int_equal(mb_regions_at(&r, addr_of(22))->stack, 3);
	assert_int_equal(mb_regions_at(&r, addr_of(30))->stack, 2);
	/* its second half moves: shmdt then takes the address at which the whole segment would begin */
	move.args[0] = addr_of(40);
	move.args[1] = move.args[2] = 10 * PAGE;
	move.args[3] = MAYMOVE | 4; /* MREMAP_DONTUNMAP: the old address stays mapped */
	move.area_addr = addr_of(110);
	move.area_len = 10 * PAGE;
	move.delta_bytes = 10 * (int64_t)PAGE;
	move.total_vm_bytes = r.bytes + 10 * PAGE;
	mb_regions_apply(&r, &move, 4);
	assert_int_equal(mb_regions_at(&r, addr_of(110))->attached, addr_of(100));
	detach(&r, 100, 10);
	assert_false(r.unsure);
	assert_null(mb_regions_at(&r, addr_of(110)));
	/* the model must report sizes that do not add up */
	detach(&r, 30, 5);
	assert_true(r.unsure);
	mb_regions_free(&r);
}

/* Segments attached before tracing are known from the list of mappings. */
static void test_detach_from_before(void **state)
{
	struct mb_regions r = { 0 };
	struct mb_region now[] = {
		{ .start = addr_of(10), .end = addr_of(12), .kind = MB_REGION_SHARED, .attached = addr_of(10) },
		{ .start = addr_of(14), .end = addr_of(16), .kind = MB_REGION_SHARED, .attached = addr_of(10) },
		{ .start = addr_of(16), .end = addr_of(20), .kind = MB_REGION_ANON },
	};

	(void)state;
	/* the model has one region where the kernel has two mappings */
	mb_regions_map(&r, addr_of(14), addr_of(20), 7, MB_REGION_ANON);
	mb_regions_sync(&r, now, 3, 0, 1);
	assert_int_equal(r.bytes, 8 * PAGE);
	detach(&r, 10, 4);
	assert_false(r.unsure);
	assert_int_equal(r.bytes, 4 * PAGE);
	assert_int_equal(mb_regions_at(&r, addr_of(18))->stack, 7);
	mb_regions_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_calls),
		cmocka_unit_test(test_sync_keeps_origin),
		cmocka_unit_test(test_copy_is_of_the_fork),
		cmocka_unit_test(test_huge_alignment),
		cmocka_unit_test(test_heap_and_stack),
		cmocka_unit_test(test_detach_what_is_left),
		cmocka_unit_test(test_detach_from_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
