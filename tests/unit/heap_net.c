// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* What the whole heap shows about call sites: stores that replace their values, leaks beside them, changing sizes. */
#include <math.h>
#include <string.h>

#include "leaks/heap_net.h"
#include "leaks/groups.h"
#include "unit.h"

#define SECOND 1000000000ull

/* A heap in which every free is seen, but only the allocations from now on. */
struct world {
	struct mb_heap_net net;
	struct mb_heap_known known;
	struct mb_heap_lows lows;
	struct mb_heap_shares shares;
	bool words;
};

static void born(struct world *w, uint64_t size, int n)
{
	uint64_t bytes = mb_heap_glibc_bytes(size);
	uint32_t c = mb_heap_class(bytes);

	w->known.count[c] += n;
	w->known.bytes[c] += (double)bytes * n;
	w->net.allocated += (uint64_t)n;
	w->net.allocated_bytes += size * (uint64_t)n;
	*(w->words ? &w->net.size_words : &w->net.no_size_words) += (uint64_t)n;
	w->net.count[c] += w->words ? n : 0;
	w->net.bytes[c] += w->words ? (int64_t)bytes * n : 0;
}

static void died(struct world *w, uint64_t size, int n, bool is_known)
{
	uint64_t bytes = mb_heap_glibc_bytes(size);
	uint32_t c = mb_heap_class(bytes);

	if (is_known) {
		w->known.count[c] -= n;
		w->known.bytes[c] -= (double)bytes * n;
	}
	w->net.freed += (uint64_t)n;
	w->net.count[c] -= w->words ? n : 0;
	w->net.bytes[c] -= w->words ? (int64_t)bytes * n : 0;
}

static void tick(struct world *w, int i)
{
	w->net.since_ns = 5 * SECOND;
	mb_heap_share(&w->net, &w->known, 1, (uint64_t)(5 + i) * SECOND, &w->lows, &w->shares);
}

static double share(const struct world *w, uint64_t size)
{
	return w->shares.share[mb_heap_class(mb_heap_glibc_bytes(size))];
}

static void classes_are_in_order(void **state)
{
	uint32_t last = 0;

	(void)state;
	assert_int_equal(mb_heap_class(0), 0);
	assert_int_equal(mb_heap_class(32), 0);
	assert_int_equal(mb_heap_class(64), 4);
	assert_int_equal(mb_heap_class(80), 5);
	assert_int_equal(mb_heap_class(1ull << 20), 60);
	assert_int_equal(mb_heap_class(UINT64_MAX), MB_HEAP_CLASSES - 1);
	for (uint64_t bytes = 32; bytes < 1ull << 40; bytes += bytes / 8) {
		uint32_t class = mb_heap_class(bytes);

		assert_true(class == last || class == last + 1);
		last = class;
	}
	assert_int_equal(last, MB_HEAP_CLASSES - 1);
}

/* 300 values a second are replaced by others of the same size. */
static void a_store_does_not_grow(void **state)
{
	(void)state;
	for (int words = 0; words < 2; words++) {
		struct world w = { .words = words };

		for (int i = 1; i < 60; i++) {
			born(&w, 700, 300);
			died(&w, 700, 295, false);
			died(&w, 700, 5, true);
			tick(&w, i);
			assert_true(w.shares.known);
			assert_int_equal(w.shares.by_class, words);
			assert_true(share(&w, 700) == 0);
			assert_true(fabs(w.shares.unknown_count - 295 * i) < 0.5);
			assert_true(fabs(w.shares.unknown_bytes - 295.0 * i * 720) < 1);
			assert_true(words ? w.shares.unknown_error == 0 : w.shares.unknown_error > 0);
		}
	}
}

/* A leak of another size counts in full; a leak of the same size counts as much as its size class grows. */
static void a_leak_beside_a_store(void **state)
{
	struct world w = { .words = true };

	(void)state;
	for (int i = 1; i < 60; i++) {
		born(&w, 700, 300);
		died(&w, 700, 300, false);
		born(&w, 100, 1);
		born(&w, 2000, 110);
		died(&w, 2000, 100, false);
		tick(&w, i);
		assert_true(share(&w, 700) == 0);
		assert_true(share(&w, 100) == 1);
		assert_true(fabs(share(&w, 2000) - 10.0 / 110) < 1e-9);
	}
}

/* All blocks are known since the beginning: they count in full, whatever is allocated and freed. */
static void what_is_known_counts_in_full(void **state)
{
	struct world w = { 0 };

	(void)state;
	for (int i = 1; i < 60; i++) {
		born(&w, 50, 1000);
		died(&w, 50, 900, true);
		tick(&w, i);
		assert_true(share(&w, 50) == 1);
		assert_true(w.shares.unknown_count == 0);
	}
}

/* Old values are freed for good, and later something leaks: the leak counts once it has lasted as long as the low. */
static void after_a_low_growth_counts_again(void **state)
{
	struct world w = { .words = true };

	(void)state;
	born(&w, 500, 10);
	died(&w, 500, 5000, false);
	tick(&w, 100);
	for (int i = 101; i < 300; i++) {
		born(&w, 500, 10);
		tick(&w, i);
		if (i < 200)
			assert_true(share(&w, 500) == 0);
		if (i > 205)
			assert_true(share(&w, 500) > 0.9);
	}
}

static void an_account_that_begins_again_says_nothing(void **state)
{
	struct world w = { .words = true };

	(void)state;
	born(&w, 500, 10);
	tick(&w, 1);
	assert_true(w.shares.known);
	w.net.since_ns = 0;
	w.net.since_ns++;
	mb_heap_share(&w.net, &w.known, 1, 90 * SECOND, &w.lows, &w.shares);
	assert_false(w.shares.known);
	tick(&w, 100);
	assert_false(w.shares.known);
}

/* A sample estimates 100,000 blocks of 1,000 bytes: 1,000 blocks too many are chance, 10,000 too many are not. */
static void what_chance_says_is_not_freed(void **state)
{
	struct world w = { .words = true };

	(void)state;
	born(&w, 1000, 100000);
	for (int c = 0; c < MB_HEAP_CLASSES; c++) {
		w.known.count[c] *= 1.01;
		w.known.bytes[c] *= 1.01;
	}
	mb_heap_share(&w.net, &w.known, 16384, SECOND, &w.lows, &w.shares);
	assert_true(w.shares.known && w.shares.by_class);
	assert_true(w.shares.unknown_count == 0 && w.shares.unknown_error == 0);
	for (int c = 0; c < MB_HEAP_CLASSES; c++) {
		w.known.count[c] *= 1.1;
		w.known.bytes[c] *= 1.1;
	}
	mb_heap_share(&w.net, &w.known, 16384, 2 * SECOND, &w.lows, &w.shares);
	assert_true(w.shares.unknown_count > 10000 && w.shares.unknown_count < 12000);
	assert_true(w.shares.unknown_error > 1e6 && w.shares.unknown_error < 2e6);
}

/* The same for groups: the series of a call site that fills a full store does not rise, that of a leak does. */
static void groups_have_their_share(void **state)
{
	struct mb_leaks *l = mb_leaks_new();
	struct mb_leak_key store = { .tgid = 1, .stack = 1, .level = MB_LEAK_ALLOC }, leak = store;
	struct world w = { .words = true };
	struct mb_leak_group *g;
	struct mb_trend t;

	(void)state;
	leak.stack = 2;
	for (int i = 1; i < 40; i++) {
		born(&w, 700, 300);
		died(&w, 700, 300, false);
		born(&w, 100, 10);
		mb_leaks_add(l, &store, "a", 1, 210000, 300, 0);
		mb_leaks_add_blocks(l, &store, 300, 700);
		mb_leaks_add(l, &leak, "a", 1, 1000, 10, 0);
		mb_leaks_add_blocks(l, &leak, 10, 100);
		tick(&w, i);
		for (g = l->groups; g; g = g->hh.next)
			mb_leaks_set_share(g, &w.shares);
		mb_leaks_tick(l, (uint64_t)(5 + i) * SECOND);
	}
	for (g = l->groups; g; g = g->hh.next) {
		mb_leaks_trend(g, &t);
		assert_int_equal(t.verdict, g->key.stack == 2 ? MB_VERDICT_LEAK : MB_VERDICT_STABLE);
	}
	mb_leaks_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_are_in_order),
		cmocka_unit_test(a_store_does_not_grow),
		cmocka_unit_test(a_leak_beside_a_store),
		cmocka_unit_test(what_is_known_counts_in_full),
		cmocka_unit_test(after_a_low_growth_counts_again),
		cmocka_unit_test(an_account_that_begins_again_says_nothing),
		cmocka_unit_test(what_chance_says_is_not_freed),
		cmocka_unit_test(groups_have_their_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
