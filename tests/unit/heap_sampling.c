// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Which blocks are sampled: the distance to the next one as the BPF program draws it, and the resulting estimate. */
#include <math.h>
#include <stdlib.h>

#include "memblame/abi.h"
#include "unit.h"

/* "Random" numbers spread evenly over all 32 bits, so that the result has no sampling error. */
#define DRAWS (1u << 22)
#define DRAW(i) ((i) * 1024u + 512u)

static void logarithm_is_close(void **state)
{
	double worst = 0;

	(void)state;
	for (uint64_t r = 1; r <= UINT32_MAX; r += 1 + r / 4096)
		worst = fmax(worst, fabs(mb_heap_log2((uint32_t)r) / (double)(1 << 24) - log2((double)r)));
	assert_true(worst < 2.5e-5);
	assert_true(mb_heap_log2(1) == 0);
	assert_true(mb_heap_log2(1u << 31) == 31u << 24);
}

/* Distances are whole bytes, so the mean is that of the geometric distribution. */
static void mean_is_as_asked(void **state)
{
	static const uint64_t means[] = { 2, 16, 100, 4096, 16384, 65536, 1 << 20, 1ull << 32 };

	(void)state;
	for (size_t m = 0; m < sizeof(means) / sizeof(means[0]); m++) {
		double sum = 0, expected = 1 / -expm1(-1 / (double)means[m]);

		for (uint32_t i = 0; i < DRAWS; i++)
			sum += (double)mb_heap_draw(means[m], DRAW(i));
		assert_true(fabs(sum / DRAWS / expected - 1) < 1e-4);
	}
}

static void a_block_is_chosen_as_its_size_says(void **state)
{
	static const uint64_t sizes[] = { 16, 100, 1000, 4096, 16384, 40000, 100000 };

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		double p = -expm1(-(double)sizes[s] / 16384);
		uint32_t chosen = 0;

		for (uint32_t i = 0; i < DRAWS; i++)
			chosen += mb_heap_draw(16384, DRAW(i)) <= sizes[s];
		assert_true(fabs(chosen / (double)DRAWS / p - 1) < 1e-3);
	}
}

/* Does what the BPF programs do: count down, draw again. The scaled-up samples must match the real amount. */
static void estimate_has_no_bias(void **state)
{
	double bytes = 0, estimate = 0, variance = 0;
	uint64_t until = 0;

	(void)state;
	srandom(7);
	for (int i = 0; i < 4000000; i++) {
		uint64_t size = 16 + (uint64_t)random() % 64 * ((random() & 15) ? 8 : 1024);
		double p = -expm1(-(double)size / 16384);

		bytes += (double)size;
		variance += (double)size * (double)size * (1 - p) / p;
		if (!until)
			until = mb_heap_draw(16384, (uint32_t)(random() << 16 ^ random()));
		if (size < until) {
			until -= size;
			continue;
		}
		until = mb_heap_draw(16384, (uint32_t)(random() << 16 ^ random()));
		estimate += (double)size / p;
	}
	assert_true(fabs(estimate - bytes) < 4 * sqrt(variance));
	assert_true(sqrt(variance) / bytes < 0.005);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logarithm_is_close),
		cmocka_unit_test(mean_is_as_asked),
		cmocka_unit_test(a_block_is_chosen_as_its_size_says),
		cmocka_unit_test(estimate_has_no_bias),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
