// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Mappings that overlap, are cut, and are completed from /proc, compared with a table of pages that does the same. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbols/maps.h"

#define PAGES 64u
#define PAGE 4096ull
#define STEPS 20000

static struct mb_mapping piece(uint64_t start, uint64_t end, uint64_t offset, uint32_t code)
{
	return (struct mb_mapping){ .start = start, .end = end, .offset = offset, .code = code };
}

static void has(const struct mb_maps *maps, size_t i, uint64_t start, uint64_t end, uint64_t offset, uint32_t code)
{
	assert_true(i < maps->n);
	assert_int_equal(maps->list[i].start, start);
	assert_int_equal(maps->list[i].end, end);
	assert_int_equal(maps->list[i].offset, offset);
	assert_int_equal(maps->list[i].code, code);
}

static void test_cut(void **state)
{
	struct mb_mapping one = piece(0x1000, 0x5000, 0x10000, 1);
	struct mb_maps maps = { 0 };

	(void)state;
	mb_maps_put(&maps, &one);
	mb_maps_cut(&maps, 0x5000, 0x9000); /* after it */
	mb_maps_cut(&maps, 0, 0x1000); /* before it */
	mb_maps_cut(&maps, 0x3000, 0x3000); /* nothing */
	has(&maps, 0, 0x1000, 0x5000, 0x10000, 1);
	mb_maps_cut(&maps, 0x2000, 0x3000); /* in its middle */
	assert_int_equal(maps.n, 2);
	has(&maps, 0, 0x1000, 0x2000, 0x10000, 1);
	has(&maps, 1, 0x3000, 0x5000, 0x12000, 1);
	mb_maps_cut(&maps, 0x0, 0x1800); /* its start */
	has(&maps, 0, 0x1800, 0x2000, 0x10800, 1);
	mb_maps_cut(&maps, 0x4000, 0x6000); /* its end */
	has(&maps, 1, 0x3000, 0x4000, 0x12000, 1);
	mb_maps_cut(&maps, 0x1900, 0x3800); /* the end of one and the start of the next */
	has(&maps, 0, 0x1800, 0x1900, 0x10800, 1);
	has(&maps, 1, 0x3800, 0x4000, 0x12800, 1);
	mb_maps_cut(&maps, 0, UINT64_MAX);
	assert_int_equal(maps.n, 0);
	mb_maps_free(&maps);
}

static void test_put(void **state)
{
	struct mb_mapping a = piece(0x1000, 0x5000, 0, 1), b = piece(0x2000, 0x3000, 0x7000, 2),
			  c = piece(0x2800, 0x6000, 0, 3), none = piece(0x8000, 0x8000, 0, 4);
	struct mb_maps maps = { 0 };

	(void)state;
	mb_maps_put(&maps, &a);
	mb_maps_put(&maps, &b);
	assert_int_equal(maps.n, 3);
	has(&maps, 0, 0x1000, 0x2000, 0, 1);
	has(&maps, 1, 0x2000, 0x3000, 0x7000, 2);
	has(&maps, 2, 0x3000, 0x5000, 0x2000, 1);
	mb_maps_put(&maps, &c);
	mb_maps_put(&maps, &none);
	assert_int_equal(maps.n, 3);
	has(&maps, 1, 0x2000, 0x2800, 0x7000, 2);
	has(&maps, 2, 0x2800, 0x6000, 0, 3);
	assert_null(mb_maps_find(&maps, 0xfff));
	assert_int_equal(mb_maps_find(&maps, 0x27ff)->code, 2);
	assert_int_equal(mb_maps_find(&maps, 0x2800)->code, 3);
	assert_null(mb_maps_find(&maps, 0x6000));
	mb_maps_free(&maps);
}

/* The code at each page, and its offset in its file. */
struct model {
	uint32_t code[PAGES];
	uint64_t offset[PAGES];
};

static void compare(const struct mb_maps *maps, const struct model *m)
{
	uint64_t end = 0;

	for (size_t i = 0; i < maps->n; i++) {
		assert_true(maps->list[i].start >= end && maps->list[i].end > maps->list[i].start);
		end = maps->list[i].end;
	}
	for (unsigned int i = 0; i < PAGES; i++) {
		const struct mb_mapping *at = mb_maps_find(maps, i * PAGE);

		assert_int_equal(at ? at->code : 0, m->code[i]);
		if (at)
			assert_int_equal(i * PAGE - at->start + at->offset, m->offset[i]);
	}
}

static void test_random(void **state)
{
	struct model m = { 0 };
	struct mb_maps maps = { 0 };

	(void)state;
	srand(1);
	for (uint32_t step = 1; step <= STEPS; step++) {
		unsigned int from = (unsigned int)rand() % PAGES, to = from + (unsigned int)rand() % (PAGES + 1 - from);
		bool put = rand() % 2;
		struct mb_mapping one = piece(from * PAGE, to * PAGE, ((uint64_t)rand() % 100) * PAGE, step);

		if (put)
			mb_maps_put(&maps, &one);
		else
			mb_maps_cut(&maps, one.start, one.end);
		for (unsigned int i = from; i < to; i++) {
			m.code[i] = put ? step : 0;
			m.offset[i] = one.offset + (i - from) * PAGE;
		}
		compare(&maps, &m);
	}
	mb_maps_free(&maps);
}

struct admitting {
	const void *refused;
	unsigned int asked;
};

static bool admit(void *arg, const struct mb_mapping *m)
{
	struct admitting *a = arg;

	a->asked++;
	return m->start != (uintptr_t)a->refused;
}

/* Adds mappings at unknown addresses; known ones stay, even if something else is mapped there now. */
static void test_add(void **state)
{
	char *code = mmap(NULL, 8 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *refused = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mb_modules *modules = mb_modules_new();
	struct admitting a = { refused + PAGE, 0 };
	struct mb_mapping known = piece((uintptr_t)code + 2 * PAGE, (uintptr_t)code + 3 * PAGE, 0, 7);
	struct mb_maps maps = { 0 };
	size_t n;

	(void)state;
	assert_true(code != MAP_FAILED && refused != MAP_FAILED && modules);
	/* make it a separate mapping between pages that are not code */
	assert_int_equal(mprotect(refused + PAGE, PAGE, PROT_READ | PROT_EXEC), 0);
	mb_maps_put(&maps, &known);
	assert_true(mb_maps_add(&maps, modules, (uint32_t)getpid(), admit, &a));
	assert_true(a.asked > 2);
	assert_int_equal(mb_maps_find(&maps, (uintptr_t)code + 2 * PAGE)->code, 7);
	assert_int_equal(mb_maps_find(&maps, (uintptr_t)code)->code, 0);
	assert_int_equal(mb_maps_find(&maps, (uintptr_t)code)->end, (uintptr_t)code + 2 * PAGE);
	assert_int_equal(mb_maps_find(&maps, (uintptr_t)code + 3 * PAGE)->start, (uintptr_t)code + 3 * PAGE);
	assert_null(mb_maps_find(&maps, (uintptr_t)refused + PAGE));
	assert_null(mb_maps_find(&maps, (uintptr_t)refused));
	assert_ptr_not_equal(mb_maps_find(&maps, (uintptr_t)test_add), NULL);
	assert_non_null(mb_maps_find(&maps, (uintptr_t)test_add)->module);
	n = maps.n;
	a.refused = NULL;
	assert_true(mb_maps_add(&maps, modules, (uint32_t)getpid(), admit, &a)); /* added now, nothing twice */
	assert_int_equal(maps.n, n + 1);
	assert_non_null(mb_maps_find(&maps, (uintptr_t)refused + PAGE));
	mb_maps_free(&maps);
	mb_modules_free(modules);
	munmap(code, 8 * PAGE);
	munmap(refused, 3 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
