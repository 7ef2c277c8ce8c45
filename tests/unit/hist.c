// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The log-linear histogram: bucket edges, relative error, quantiles compared with a sorted list. */
#include <stdlib.h>

#include "base/hist.h"
#include "unit.h"

static void every_value_is_within_its_bucket(void **state)
{
	(void)state;
	for (uint64_t v = 0; v < 1ull << 36; v += 1 + v / 7) {
		unsigned int b = mb_hist_bucket(v);

		assert_true(v <= mb_hist_upper(b));
		assert_true(b == 0 || v > mb_hist_upper(b - 1));
	}
}

static void upper_edge_is_at_most_a_quarter_off(void **state)
{
	(void)state;
	for (uint64_t v = 4; v < 1ull << 36; v += 1 + v / 11)
		assert_true((mb_hist_upper(mb_hist_bucket(v)) - v) * MB_HIST_SUB <= v);
}

static void huge_values_go_into_the_last_bucket(void **state)
{
	struct mb_hist h = { 0 };

	(void)state;
	mb_hist_add(&h, UINT64_MAX, 1);
	assert_int_equal(h.buckets[MB_HIST_BUCKETS - 1], 1);
	assert_true(h.max == UINT64_MAX);
	assert_true(mb_hist_quantile(&h, 1.0) <= UINT64_MAX);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void quantiles_agree_with_a_sorted_list(void **state)
{
	static uint64_t v[10000];
	static const double qs[] = { 0.5, 0.9, 0.99, 1.0 };
	struct mb_hist h = { 0 };

	(void)state;
	srandom(7);
	for (int i = 0; i < 10000; i++) {
		v[i] = (uint64_t)random() % 1000 * ((uint64_t)random() % 100000);
		mb_hist_add(&h, v[i], 1);
	}
	qsort(v, 10000, sizeof(v[0]), by_value);
	for (int i = 0; i < 4; i++) {
		uint64_t truth = v[(int)(qs[i] * 10000 + 0.5) - 1];
		uint64_t said = mb_hist_quantile(&h, qs[i]);

		assert_true(said >= truth);
		assert_true(said <= truth + truth / MB_HIST_SUB + 1);
	}
	assert_true(mb_hist_quantile(&h, 1.0) == v[9999]);
}

static void weights_count(void **state)
{
	struct mb_hist h = { 0 };

	(void)state;
	assert_int_equal(mb_hist_quantile(&h, 0.5), 0);
	mb_hist_add(&h, 100, 64);
	mb_hist_add(&h, 1000000, 1);
	assert_int_equal(h.count, 65);
	assert_in_range(mb_hist_quantile(&h, 0.5), 100, 125);
	assert_int_equal(mb_hist_quantile(&h, 1.0), 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_is_within_its_bucket),
		cmocka_unit_test(upper_edge_is_at_most_a_quarter_off),
		cmocka_unit_test(huge_values_go_into_the_last_bucket),
		cmocka_unit_test(quantiles_agree_with_a_sorted_list),
		cmocka_unit_test(weights_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
