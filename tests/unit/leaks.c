// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Groups of outstanding memory, their stacks, and sampled pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "leaks/groups.h"
#include "model/pages.h"

static struct mb_leak_group *group_of(struct mb_leaks *l, uint32_t tgid, uint32_t stack)
{
	for (struct mb_leak_group *g = l->groups; g; g = g->hh.next) {
		if (g->key.tgid == tgid && g->key.stack == stack)
			return g;
	}
	return NULL;
}

static void add(struct mb_leaks *l, uint32_t tgid, uint32_t stack, int64_t bytes)
{
	struct mb_leak_key key = { .tgid = tgid, .stack = stack, .start_ns = 7 };

	mb_leaks_add(l, &key, "test", 1, bytes, bytes < 0 ? -1 : 1, (double)bytes);
}

static void test_sums(void **state)
{
	struct mb_leaks *l = mb_leaks_new();
	struct mb_leak_group *g;

	(void)state;
	add(l, 1, 2, 100);
	add(l, 1, 2, 50);
	add(l, 1, 2, -120);
	add(l, 1, 2, 10);
	add(l, 2, 2, 1000);
	g = group_of(l, 1, 2);
	assert_int_equal(g->bytes, 40);
	assert_int_equal(g->count, 2);
	assert_int_equal(g->total_bytes, 160);
	assert_int_equal(g->least, 0);
	assert_int_equal(mb_leaks_error(g), 6); /* of variance 40 */
	mb_leaks_tick(l, 1000);
	assert_int_equal(g->series.points[0].last, 40);
	assert_int_equal(g->least, 40);
	mb_leaks_mark(l, false);
	add(l, 1, 2, 5);
	assert_int_equal(g->first_bytes, 40);
	mb_leaks_forget(l, 1, 7);
	assert_null(group_of(l, 1, 2));
	assert_int_equal(group_of(l, 2, 2)->bytes, 1000);
	mb_leaks_free(l);
}

/* Compares two moments: a process that has ended by the second one holds nothing then, though its groups stay. */
static void test_marks(void **state)
{
	struct mb_leaks *l = mb_leaks_new();
	struct mb_leak_group *g;

	(void)state;
	add(l, 1, 2, 100);
	mb_leaks_mark(l, false);
	mb_leaks_end(l, 1, 7);
	mb_leaks_mark(l, true);
	g = group_of(l, 1, 2);
	assert_int_equal(g->first_bytes, 100);
	assert_int_equal(g->second_bytes, 0);
	assert_int_equal(g->bytes, 100);
	mb_leaks_free(l);
}

/*
 * A new group replaces the group that has been empty longest. While no group is empty, its bytes are counted as a rest
 * until a slot becomes free.
 */
static void test_bounds(void **state)
{
	struct mb_leaks *l = mb_leaks_new();

	(void)state;
	for (uint32_t i = 0; i < MB_LEAK_GROUPS; i++)
		add(l, i + 1, 1, 10);
	add(l, 100000, 1, 10);
	assert_null(group_of(l, 100000, 1));
	assert_int_equal(HASH_COUNT(l->rests), 1);
	assert_int_equal(mb_leaks_rest_bytes(l), 10);
	add(l, 5, 1, -10);
	mb_leaks_tick(l, 1);
	add(l, 4, 1, -10);
	mb_leaks_tick(l, 2);
	add(l, 100000, 1, -3);
	assert_int_equal(HASH_COUNT(l->rests), 0);
	assert_null(group_of(l, 5, 1));
	assert_non_null(group_of(l, 4, 1));
	assert_int_equal(group_of(l, 100000, 1)->bytes, 7);
	assert_int_equal(l->rests_left_out, 0);
	mb_leaks_free(l);
}

#define PLACES (2 * MB_LEAK_GROUPS)

/* The bytes of this stack: it has either a group or a rest, never both. */
static int64_t bytes_of(const struct mb_leaks *l, uint32_t stack)
{
	struct mb_leak_key key = { .tgid = 1, .stack = stack, .start_ns = 7 };
	struct mb_leak_group *g;
	struct mb_leak_rest *r;

	HASH_FIND(hh, l->groups, &key, sizeof(key), g);
	HASH_FIND(hh, l->rests, &key, sizeof(key), r);
	assert_true(!g || !r);
	return g ? g->bytes : r ? r->bytes : 0;
}

/*
 * Twice as many call sites as groups, in random order: the bytes of each one are right all the time, and nothing is
 * left when everything is freed.
 */
static void test_more_places_than_groups(void **state)
{
	static int64_t truth[PLACES];
	struct mb_leaks *l = mb_leaks_new();
	uint64_t rng = 12345;
	uint32_t most = 0;

	(void)state;
	for (int n = 0; n < 400000; n++) {
		uint32_t i;

		rng = rng * 6364136223846793005u + 1442695040888963407u;
		i = (uint32_t)(rng >> 33) % PLACES;
		if (n >= 200000) /* the second half only frees, until nothing is left */
			i = (uint32_t)n % PLACES;
		if (truth[i] && (n >= 200000 || rng >> 63)) {
			int64_t bytes = n >= 300000 ? truth[i] : 1 + (int64_t)(rng >> 40) % truth[i];

			add(l, 1, i + 1, -bytes);
			truth[i] -= bytes;
		} else if (n < 200000) {
			int64_t bytes = 1 + (int64_t)(rng >> 50);

			add(l, 1, i + 1, bytes);
			truth[i] += bytes;
		}
		if (n % 1000 == 0)
			mb_leaks_tick(l, (uint64_t)n + 1);
		assert_int_equal(bytes_of(l, i + 1), truth[i]);
		most = HASH_COUNT(l->rests) > most ? HASH_COUNT(l->rests) : most;
	}
	assert_true(most > 1000);
	assert_true(HASH_COUNT(l->groups) == MB_LEAK_GROUPS);
	for (uint32_t i = 0; i < PLACES; i++) {
		assert_int_equal(truth[i], 0);
		assert_int_equal(bytes_of(l, i + 1), 0);
	}
	assert_int_equal(HASH_COUNT(l->rests), 0);
	assert_int_equal(l->rests_left_out, 0);
	mb_leaks_free(l);
}

static bool is_even(void *arg, uint64_t space)
{
	(void)arg;
	return space % 2 == 0;
}

static void test_stacks(void **state)
{
	struct mb_leaks *l = mb_leaks_new();
	uint64_t ips[] = { 10, 20, 30 };
	uint32_t a = mb_leaks_stack(l, 2, ips, 3, true), b = mb_leaks_stack(l, 3, ips, 3, true);

	(void)state;
	assert_true(a && b && a != b);
	assert_int_equal(mb_leaks_stack(l, 2, ips, 3, true), a);
	assert_int_not_equal(mb_leaks_stack(l, 2, ips, 2, true), a);
	assert_int_equal(mb_leaks_stack_of(l, a)->n, 3);
	assert_int_equal(mb_leaks_stack_of(l, a)->key[3], 30);
	assert_null(mb_leaks_stack_of(l, 0));
	assert_null(mb_leaks_stack_of(l, 1000));
	mb_leaks_drop_stacks(l, is_even, NULL);
	assert_null(mb_leaks_stack_of(l, b));
	assert_non_null(mb_leaks_stack_of(l, a));
	ips[0] = 11;
	assert_int_equal(mb_leaks_stack(l, 4, ips, 3, true), b); /* its id is used again */
	for (uint64_t i = 0; i < MB_LEAK_STACKS; i++)
		mb_leaks_stack(l, 1000 + i, ips, 3, true);
	assert_true(mb_leaks_stacks_crowded(l));
	assert_true(l->stacks_left_out > 0);
	assert_int_equal(mb_leaks_stack(l, 1, ips, 3, true), 0);
	mb_leaks_free(l);
}

/* ---- pages ---- */

static int64_t resident[8], shared;

static void changed(void *arg, const struct mb_page *page, int sign)
{
	(void)arg;
	resident[page->stack] += sign;
	if (page->shared)
		shared += sign;
}

static void answer_all(struct mb_pages *p, bool there, bool is_shared)
{
	mb_pages_sort(p);
	for (size_t i = 0; i < p->n; i++)
		mb_pages_answer(p, i, there, is_shared);
	mb_pages_sweep(p);
}

static void test_pages(void **state)
{
	struct mb_pages p = { .changed = changed };

	(void)state;
	memset(resident, 0, sizeof(resident));
	mb_pages_touch(&p, 0x5000, 1, false, true);
	mb_pages_touch(&p, 0x3000, 2, false, true);
	mb_pages_touch(&p, 0x200000, 3, true, true); /* a marker counts nothing */
	assert_int_equal(resident[1], 0); /* not yet confirmed as present */
	answer_all(&p, true, false);
	assert_int_equal(resident[1], 1);
	assert_int_equal(resident[2], 1);
	assert_int_equal(resident[3], 0);
	/* a page within a touched huge page belongs to whoever touched the huge page, any other to whoever mapped it */
	mb_pages_found(&p, 0x205000, 4, false);
	mb_pages_found(&p, 0x405000, 4, false);
	mb_pages_sort(&p);
	assert_int_equal(resident[3], 1);
	assert_int_equal(resident[4], 1);
	/* a write to a read-only page changes nothing; a page that arrives again belongs to its new toucher */
	mb_pages_touch(&p, 0x5000, 6, false, false);
	assert_int_equal(resident[1], 1);
	mb_pages_touch(&p, 0x5000, 5, false, true);
	assert_int_equal(resident[1], 0);
	assert_int_equal(resident[5], 1);
	answer_all(&p, false, false);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(resident[i], 0);
	assert_int_equal(p.n, 0);
	/* pages of shared memory are counted separately, even if other memory is mapped at their address later */
	mb_pages_touch(&p, 0x5000, 1, false, true);
	answer_all(&p, true, true);
	assert_int_equal(shared, 1);
	answer_all(&p, true, false);
	assert_int_equal(shared, 0);
	assert_int_equal(resident[1], 1);
	answer_all(&p, false, false);
	assert_int_equal(resident[1], 0);
	mb_pages_touch(&p, 0x5000, 1, false, true);
	answer_all(&p, true, false);
	mb_pages_free(&p);
	assert_int_equal(resident[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_more_places_than_groups),
		cmocka_unit_test(test_stacks),
		cmocka_unit_test(test_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
