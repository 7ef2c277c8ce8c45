// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Trends: simulated programs that leak are detected, others are never reported as leaks, whatever the seed. */
#include <math.h>
#include <string.h>

#include "leaks/trend.h"
#include "trend_sim.h"
#include "unit.h"

#define SECOND 1000000000ull
/* sanitizers take five times as long, so with them fewer seeds have to do */
#if defined(__SANITIZE_ADDRESS__)
#define SEEDS 40
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEEDS 40
#endif
#endif
#ifndef SEEDS
#define SEEDS 200
#endif
#define TICKS 4000
#define NEVER 100000

struct outcome {
	int first_leak;
	enum mb_verdict verdicts[TICKS];
	struct mb_trend last;
	struct mb_trend_series series;
};

/* ---- runs ---- */

static void run(struct outcome *o, source_fn source, struct sim *s, int ticks)
{
	memset(o, 0, sizeof(*o));
	o->first_leak = NEVER;
	for (int i = 0; i < ticks; i++) {
		double v = fmax(0, source(s, i));

		mb_trend_add(&o->series, 5 * SECOND + (uint64_t)(i * s->tick * 1e9), (uint64_t)v,
			     (uint64_t)v);
		/* later only every fifth value, to save time */
		if (i < 130 || i % 5 == 0 || i == ticks - 1)
			mb_trend_of(&o->series, (uint64_t)sqrt(v * s->period), &o->last);
		assert_true(o->last.confidence >= 0 && o->last.confidence <= 1);
		assert_true(o->last.slope_bytes_per_s >= 0);
		o->verdicts[i] = o->last.verdict;
		if (o->last.verdict == MB_VERDICT_LEAK && o->first_leak == NEVER)
			o->first_leak = i + 1;
	}
}

static void never_leaks(source_fn source, double rate, double period, double tick, int ticks)
{
	static struct outcome o;

	for (int seed = 0; seed < SEEDS; seed++) {
		struct sim s = seeded(seed, rate, period);

		s.tick = tick;
		run(&o, source, &s, ticks);
		if (o.first_leak != NEVER)
			fail_msg("seed %d: a leak at value %d of %d", seed, o.first_leak, ticks);
	}
}

/* From value `after` on no verdict is "leak", whatever came before. */
static void no_leak_after(source_fn source, double rate, double period, int after, int ticks)
{
	static struct outcome o;

	for (int seed = 0; seed < SEEDS; seed++) {
		struct sim s = seeded(seed, rate, period);

		run(&o, source, &s, ticks);
		for (int i = after; i < ticks; i++) {
			if (o.verdicts[i] == MB_VERDICT_LEAK)
				fail_msg("seed %d: still a leak at value %d", seed, i + 1);
		}
	}
}

/*
 * A leak for every seed: first reported within that many values, then in nearly all later verdicts, and the slope is
 * right in the end (off: the relative error allowed; 0: not checked).
 */
static void always_leaks(source_fn source, double rate, double period, int ticks, int within, double off)
{
	static struct outcome o;
	int said = 0;

	for (int seed = 0; seed < SEEDS; seed++) {
		struct sim s = seeded(seed, rate, period);

		run(&o, source, &s, ticks);
		if (o.first_leak > within)
			fail_msg("seed %d: no leak within %d values (%d)", seed, within, o.first_leak);
		if (off > 0 && fabs((double)o.last.slope_bytes_per_s - rate) > off * rate)
			fail_msg("seed %d: slope %lld", seed, (long long)o.last.slope_bytes_per_s);
		for (int i = within; i < ticks; i++)
			said += o.verdicts[i] == MB_VERDICT_LEAK;
	}
	if (said < 0.95 * SEEDS * (ticks - within))
		fail_msg("a leak in %.3f of verdicts only", said / (double)SEEDS / (ticks - within));
}

/* ---- tests: leaks ---- */

static void steady_leaks_are_found_at_once(void **state)
{
	(void)state;
	always_leaks(steady, 100 * KIB, 0, 600, 10, 0.01);
	always_leaks(steady, 16, 0, 60, 10, 0.01);
	always_leaks(jittery, 100 * KIB, 0, 120, 15, 0.2);
	always_leaks(jittery, 100 * KIB, 0, 600, 15, 0.1);
}

static void lumps_are_a_leak(void **state)
{
	(void)state;
	always_leaks(lumps, 132 * KIB / 5, 0, 600, 16, 0.05);
	always_leaks(arrivals, 100 * KIB, 0, 600, 60, 0);
}

static void a_slow_sampled_leak_is_found_in_minutes(void **state)
{
	(void)state;
	always_leaks(sampled, KIB, 16 * KIB, 600, 300, 0);
	always_leaks(sampled, KIB, 16 * KIB, 3000, 300, 0.3);
}

static void a_leak_below_garbage_is_found(void **state)
{
	(void)state;
	always_leaks(collected_leak, MIB, 0, 600, 60, 0.1);
}

static void a_leak_after_warm_up_is_found(void **state)
{
	(void)state;
	always_leaks(leak_after_warm_up, MIB, 0, 600, 200, 0.2);
	always_leaks(late_leak, MIB, 0, 600, 300 + 120, 0.2);
}

/* ---- tests: none ---- */

static void steps_are_no_leak(void **state)
{
	(void)state;
	never_leaks(one_step, MIB, 0, 1, 200);
	no_leak_after(few_steps, MIB, 0, 90, 300);
}

static void what_fills_is_no_leak(void **state)
{
	static struct outcome o;

	(void)state;
	no_leak_after(filling, MIB, 0, 200, 300);
	for (int seed = 0; seed < SEEDS; seed++) {
		struct sim s = seeded(seed, MIB, 0);

		run(&o, filling, &s, 300);
		assert_int_equal(o.last.verdict, MB_VERDICT_STABLE);
		assert_int_equal(o.last.slope_bytes_per_s, 0);
	}
}

static void what_flattens_is_no_leak(void **state)
{
	(void)state;
	never_leaks(flattening, 100 * MIB, 0, 1, 600);
	no_leak_after(flattening_noisy, 100 * MIB, 0, 150, 600);
	no_leak_after(flattening_sampled, 100 * MIB, 256 * KIB, 150, 600);
	no_leak_after(flattening_sampled, MIB, 16 * KIB, 210, 600);
}

static void a_cache_that_wanders_is_no_leak(void **state)
{
	(void)state;
	never_leaks(walk, 0.1 * MIB, 0, 1, 600);
	never_leaks(walk, MIB, 0, 1, 600);
	never_leaks(walk, 2 * MIB, 0, 1, 300);
	never_leaks(walk, MIB, 0, 10, 300);
}

static void a_saw_tooth_is_no_leak(void **state)
{
	(void)state;
	never_leaks(saw_tooth, 5 * MIB, 0, 1, 300);
	never_leaks(saw_tooth, 20 * MIB, 0, 1, 600);
	never_leaks(saw_tooth, 50 * MIB, 0, 1, 600);
	never_leaks(saw_tooth, 20 * MIB, 0, 0.2, 900);
	never_leaks(saw_tooth, 20 * MIB, 0, 10, 300);
}

static void a_sampled_cache_is_no_leak(void **state)
{
	(void)state;
	never_leaks(sampled_churn, 0.01, 256 * KIB, 1, 600);
	never_leaks(sampled_churn, 0.1, 256 * KIB, 1, 600);
}

static void what_is_given_back_is_no_leak(void **state)
{
	static struct outcome o;

	(void)state;
	no_leak_after(given_back, MIB, 0, 60, 120);
	for (int seed = 0; seed < SEEDS; seed++) {
		struct sim s = seeded(seed, MIB, 0);

		run(&o, given_back, &s, 100);
		assert_int_equal(o.last.verdict, MB_VERDICT_STABLE);
	}
}

/* ---- tests: edges ---- */

static void few_values_are_growing_at_most(void **state)
{
	struct mb_trend_series series = { 0 };
	struct mb_trend t;

	(void)state;
	mb_trend_of(&series, 0, &t);
	assert_int_equal(t.verdict, MB_VERDICT_UNKNOWN);
	for (uint64_t i = 1; i < 10; i++) {
		mb_trend_add(&series, i * SECOND, i * 4096, i * 4096);
		mb_trend_of(&series, 0, &t);
		assert_int_not_equal(t.verdict, MB_VERDICT_LEAK);
		assert_int_not_equal(t.verdict, MB_VERDICT_STABLE);
		assert_int_equal(t.missing, MB_MISSING_VALUES);
	}
	assert_int_equal(t.verdict, MB_VERDICT_GROWING);
	assert_int_equal(t.slope_bytes_per_s, 4096);
}

/* A series with too few values is never "stable". */
static void too_little_is_unknown(void **state)
{
	struct mb_trend_series series = { 0 };
	struct mb_trend t;
	char buf[64];

	(void)state;
	for (uint32_t i = 1; i <= 12; i++) {
		mb_trend_add(&series, i * SECOND, 4096, 4096);
		mb_trend_of(&series, 0, &t);
		assert_int_equal(t.values, i);
		assert_int_equal(t.verdict, i < 10 ? MB_VERDICT_UNKNOWN : MB_VERDICT_STABLE);
		assert_true(t.confidence <= 0.5);
		if (i == 3)
			assert_string_equal(mb_missing_text(&t, buf, sizeof(buf)), "too early: 3 of 10 values");
		if (i >= 10)
			assert_null(mb_missing_text(&t, buf, sizeof(buf)));
	}
}

static void growth_is_that_of_the_floor(void **state)
{
	struct mb_trend_series series = { 0 };
	const uint64_t values[] = { 100, 123, 120, 140, 153, 150, 170 };
	struct mb_trend t;

	(void)state;
	assert_true(mb_trend_grown(&series, 0) == 0);
	for (uint32_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		mb_trend_add(&series, (i + 1) * SECOND, values[i], values[i]);
	assert_true(mb_trend_grown(&series, 0) == 70);
	assert_true(mb_trend_grown(&series, 2 * SECOND) == 50);
	assert_true(mb_trend_grown(&series, 9 * SECOND) == 0);
	for (uint32_t i = 0; i < 4; i++)
		mb_trend_add(&series, (10 + i) * SECOND, 180 + i, 180 + i);
	mb_trend_of(&series, 0, &t);
	assert_int_equal(t.verdict, MB_VERDICT_GROWING);
	assert_true(t.growth_bytes == 83);
	assert_int_equal(t.from_ns, SECOND);
}

static void changes_within_the_error_are_none(void **state)
{
	struct mb_trend_series series = { 0 };
	struct mb_trend t;

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		mb_trend_add(&series, i * SECOND, i * 1000, i * 1000);
	mb_trend_of(&series, 9000, &t);
	assert_int_equal(t.verdict, MB_VERDICT_LEAK);
	mb_trend_of(&series, 9500, &t);
	assert_int_equal(t.verdict, MB_VERDICT_STABLE);
	assert_true(t.confidence == 0);
}

/* The minimum of the memory between two values counts as its floor. */
static void the_least_between_values_counts(void **state)
{
	struct mb_trend_series series = { 0 };
	struct mb_trend t;

	(void)state;
	for (uint64_t i = 0; i < 30; i++)
		mb_trend_add(&series, i * SECOND, 100, i * 1000 + 100);
	mb_trend_of(&series, 0, &t);
	assert_int_equal(t.verdict, MB_VERDICT_STABLE);
}

static void times_that_stand_still_do_no_harm(void **state)
{
	struct mb_trend_series series = { 0 };
	struct mb_trend t;

	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		mb_trend_add(&series, 7, i * 1000, i * 1000);
		mb_trend_of(&series, 0, &t);
		assert_int_equal(t.verdict, i < 9 ? MB_VERDICT_UNKNOWN : MB_VERDICT_STABLE);
	}
}

static void a_full_series_keeps_floor_and_time(void **state)
{
	static uint64_t values[TICKS];
	struct mb_trend_series series = { 0 };
	struct sim s = seeded(1, 0, 0);
	uint32_t first = 0;

	(void)state;
	for (uint32_t i = 0; i < TICKS; i++) {
		values[i] = (uint64_t)between(&s, 0, 1e9) + i;
		mb_trend_add(&series, (i + 1) * SECOND, values[i], values[i] + 5);
		assert_in_range(series.n, 1, MB_TREND_POINTS);
	}
	assert_int_equal(series.step, 64);
	assert_int_equal(series.n, (TICKS + 63) / 64);
	assert_int_equal(series.in_step, TICKS % 64);
	for (uint32_t i = 0; i < series.n; i++) {
		uint32_t end = first + 64 < TICKS ? first + 64 : TICKS;
		uint64_t least = UINT64_MAX;

		for (uint32_t j = first; j < end; j++)
			least = values[j] < least ? values[j] : least;
		assert_true(series.points[i].least == least);
		assert_true(series.points[i].last == values[end - 1] + 5);
		assert_true(series.points[i].t_ns == end * SECOND);
		first = end;
	}
}

static void verdicts_have_names(void **state)
{
	(void)state;
	assert_string_equal(mb_verdict_name(MB_VERDICT_STABLE), "stable");
	assert_string_equal(mb_verdict_name(MB_VERDICT_UNKNOWN), "unknown");
	assert_string_equal(mb_verdict_name(MB_VERDICT_GROWING), "growing");
	assert_string_equal(mb_verdict_name(MB_VERDICT_LEAK), "leak");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steady_leaks_are_found_at_once),
		cmocka_unit_test(lumps_are_a_leak),
		cmocka_unit_test(a_slow_sampled_leak_is_found_in_minutes),
		cmocka_unit_test(a_leak_below_garbage_is_found),
		cmocka_unit_test(a_leak_after_warm_up_is_found),
		cmocka_unit_test(steps_are_no_leak),
		cmocka_unit_test(what_fills_is_no_leak),
		cmocka_unit_test(what_flattens_is_no_leak),
		cmocka_unit_test(a_cache_that_wanders_is_no_leak),
		cmocka_unit_test(a_saw_tooth_is_no_leak),
		cmocka_unit_test(a_sampled_cache_is_no_leak),
		cmocka_unit_test(what_is_given_back_is_no_leak),
		cmocka_unit_test(few_values_are_growing_at_most),
		cmocka_unit_test(too_little_is_unknown),
		cmocka_unit_test(growth_is_that_of_the_floor),
		cmocka_unit_test(changes_within_the_error_are_none),
		cmocka_unit_test(the_least_between_values_counts),
		cmocka_unit_test(times_that_stand_still_do_no_harm),
		cmocka_unit_test(a_full_series_keeps_floor_and_time),
		cmocka_unit_test(verdicts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
