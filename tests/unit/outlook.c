// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Rates of growth and times until limits, for series whose answers are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "leaks/outlook.h"

#define MIB (1 << 20)
#define SECOND 1000000000ull

/* n values, one per second, at(i) bytes each. */
static struct mb_growth growth_of(uint64_t (*at)(unsigned int i), unsigned int n)
{
	struct mb_trend_series s = { 0 };
	struct mb_growth g;

	for (unsigned int i = 0; i < n; i++)
		mb_trend_add(&s, (100 + i) * SECOND, at(i), at(i));
	mb_growth_of(&s, &g);
	return g;
}

static void near(int64_t got, double want, double percent)
{
	double off = (double)got - want;

	if (off < 0)
		off = -off;
	if (off > want * percent / 100)
		fail_msg("got %lld, want %.0f", (long long)got, want);
}

static uint64_t steady(unsigned int i)
{
	return 100 * MIB + 8ull * MIB * i;
}

static uint64_t noisy(unsigned int i)
{
	return steady(i) + (uint64_t)rand() % (4 * MIB);
}

static uint64_t steps(unsigned int i)
{
	return 100 * MIB + i / 5 * 10ull * MIB;
}

/* Teeth of 100 MiB, 10 s each; the last value may be anywhere in a tooth. */
static uint64_t teeth(unsigned int i)
{
	return 50 * MIB + i % 10 * 10ull * MIB;
}

static uint64_t leak_below_teeth(unsigned int i)
{
	return teeth(i) + 30ull * MIB * (i / 10);
}

static uint64_t stopped(unsigned int i)
{
	return steady(i < 20 ? i : 20);
}

static uint64_t faster(unsigned int i)
{
	return steady(0) + (i < 60 ? i : 60) * (1ull * MIB) + (i > 60 ? i - 60 : 0) * (10ull * MIB);
}

static uint64_t slower(unsigned int i)
{
	return steady(0) + (i < 10 ? i : 10) * (50ull * MIB) + (i > 10 ? i - 10 : 0) * (2ull * MIB);
}

static uint64_t once(unsigned int i)
{
	return i < 15 ? 10 * MIB : 60 * MIB;
}

static uint64_t shrinks(unsigned int i)
{
	return 900 * MIB - 2ull * MIB * i;
}

static uint64_t jitter(unsigned int i)
{
	return 300 * MIB + i % 3 * 4096;
}

static void test_growth(void **state)
{
	(void)state;
	srand(1);
	assert_false(growth_of(steady, 4).known);
	assert_true(growth_of(steady, 5).known);
	near(growth_of(steady, 5).slope_bytes_per_s, 8 * MIB, 1);
	near(growth_of(steady, 20).slope_bytes_per_s, 8 * MIB, 1);
	near(growth_of(steady, 3000).slope_bytes_per_s, 8 * MIB, 1);
	near(growth_of(noisy, 20).slope_bytes_per_s, 8 * MIB, 10);
	near(growth_of(steps, 40).slope_bytes_per_s, 2 * MIB, 10);
	near(growth_of(steps, 300).slope_bytes_per_s, 2 * MIB, 5);
	/* the current rate, not the average of the whole series */
	near(growth_of(faster, 100).slope_bytes_per_s, 10 * MIB, 5);
	near(growth_of(slower, 60).slope_bytes_per_s, 2 * MIB, 5);
}

static void test_no_growth(void **state)
{
	uint64_t (*const none[])(unsigned int) = { once, shrinks, jitter };

	(void)state;
	for (size_t k = 0; k < sizeof(none) / sizeof(none[0]); k++) {
		for (unsigned int n = 16; n < 200; n++) {
			assert_true(growth_of(none[k], n).known);
			assert_int_equal(growth_of(none[k], n).slope_bytes_per_s, 0);
		}
	}
	for (unsigned int n = 22; n < 300; n++)
		assert_int_equal(growth_of(teeth, n).slope_bytes_per_s, 0);
	for (unsigned int n = 30; n < 300; n++)
		assert_int_equal(growth_of(stopped, n).slope_bytes_per_s, 0);
	near(growth_of(leak_below_teeth, 100).slope_bytes_per_s, 3 * MIB, 35);
}

static void test_nearest(void **state)
{
	struct mb_limit far = { .kind = "far", .bytes = 1000, .usage_bytes = 100 };
	struct mb_limit full = { .kind = "full", .bytes = 100, .usage_bytes = 120 };
	struct mb_limit cache = { .kind = "cache",
				  .bytes = 500,
				  .usage_bytes = 490,
				  .reclaimable_bytes = 300,
				  .swap_bytes = 40 };
	struct mb_outlook o = { 0 };

	(void)state;
	assert_int_equal(mb_limit_room(&full), 0);
	assert_int_equal(mb_limit_room(&cache), 350);
	/* no limit will be reached: the one with the least room counts */
	mb_outlook_take(&o, &far, 0);
	mb_outlook_take(&o, &cache, 0);
	mb_outlook_take(&o, &far, -5);
	assert_true(o.limited && !o.eta_known);
	assert_string_equal(o.limit.kind, "cache");
	/* a limit that will be reached is nearer, however much room there is */
	mb_outlook_take(&o, &far, 9);
	assert_string_equal(o.limit.kind, "far");
	assert_int_equal(o.eta_ns, 100 * SECOND);
	mb_outlook_take(&o, &full, 0);
	assert_string_equal(o.limit.kind, "far");
	mb_outlook_take(&o, &cache, 7);
	assert_string_equal(o.limit.kind, "cache");
	assert_int_equal(o.eta_ns, 50 * SECOND);
	mb_outlook_take(&o, &full, 1);
	assert_string_equal(o.limit.kind, "full");
	assert_int_equal(o.eta_ns, 0);
	/* in a thousand years: never */
	o = (struct mb_outlook){ 0 };
	far.bytes = 1ull << 60;
	mb_outlook_take(&o, &far, 1);
	assert_false(o.eta_known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_no_growth),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
