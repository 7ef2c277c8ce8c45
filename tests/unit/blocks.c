// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Compares blocks by address with a plain list; events that are late, lost or repeated; the memory used for blocks. */
#include <stdlib.h>
#include <string.h>

#include "leaks/blocks.h"
#include "unit.h"

#define ADDRESSES 3000
#define ROUNDS 400000

static uint64_t address_of(unsigned int i)
{
	return 0x7f0000000000ull + 16 * (uint64_t)i * (i % 7 ? 1 : 4096);
}

static void check_against(struct mb_blocks *b, const struct mb_block *list, const uint64_t *born)
{
	size_t n = 0;

	for (unsigned int i = 0; i < ADDRESSES; i++) {
		struct mb_block old;

		n += list[i].addr != 0;
		if (!list[i].addr) {
			assert_false(mb_blocks_take(b, address_of(i), born[i], &old));
			continue;
		}
		assert_true(mb_blocks_take(b, list[i].addr, born[i], &old));
		assert_true(old.size == list[i].size && old.stack == list[i].stack && old.addr == list[i].addr);
		assert_int_equal(mb_blocks_put(b, &list[i], born[i], &old), MB_BLOCKS_NEW);
	}
	assert_int_equal(b->n, n);
}

static void the_table_is_a_list(void **state)
{
	struct mb_block *list = calloc(ADDRESSES, sizeof(*list)), old;
	uint64_t *born = calloc(ADDRESSES, sizeof(*born));
	struct mb_blocks b = { 0 };

	(void)state;
	assert_non_null(list);
	assert_non_null(born);
	srand(1);
	for (unsigned int round = 1; round <= ROUNDS; round++) {
		unsigned int i = (unsigned int)rand() % ADDRESSES;
		struct mb_block block = { address_of(i), (uint64_t)rand() << 8, (uint32_t)rand() & 0xffff };
		bool grows = rand() % 100 < (round % 1000 < 500 ? 70 : 30);

		if (grows) {
			assert_int_equal(mb_blocks_put(&b, &block, round, &old),
					 list[i].addr ? MB_BLOCKS_REPLACED : MB_BLOCKS_NEW);
			if (list[i].addr)
				assert_true(old.size == list[i].size && old.stack == list[i].stack);
			list[i] = block;
			born[i] = round;
		} else {
			assert_int_equal(mb_blocks_take(&b, block.addr, born[i], &old), list[i].addr != 0);
			list[i].addr = 0;
		}
		if (round % 20000 == 0)
			check_against(&b, list, born);
	}
	mb_blocks_free(&b);
	free(list);
	free(born);
}

static void an_end_is_that_of_one_block(void **state)
{
	const struct mb_block first = { 0x1000, 10, 1 }, second = { 0x1000, 20, 2 };
	struct mb_blocks b = { 0 };
	struct mb_block old;

	(void)state;
	assert_false(mb_blocks_take(&b, 0x1000, 1000, &old));
	assert_int_equal(mb_blocks_put(&b, &first, 1000, &old), MB_BLOCKS_NEW);
	/* the free of the first block is late or lost */
	assert_int_equal(mb_blocks_put(&b, &second, 2000, &old), MB_BLOCKS_REPLACED);
	assert_int_equal(old.size, 10);
	assert_false(mb_blocks_take(&b, 0x1000, 1000, &old));
	assert_int_equal(b.n, 1);
	assert_true(mb_blocks_take(&b, 0x1000, 2000, &old));
	assert_int_equal(old.size, 20);
	assert_int_equal(old.stack, 2);
	assert_int_equal(b.n, 0);
	mb_blocks_free(&b);
}

static void huge_sizes_are_cut(void **state)
{
	const struct mb_block block = { 0x2000, UINT64_MAX, 3 };
	struct mb_blocks b = { 0 };
	struct mb_block old;

	(void)state;
	mb_blocks_put(&b, &block, 1, &old);
	assert_true(mb_blocks_take(&b, 0x2000, 1, &old));
	assert_true(old.size == MB_BLOCK_SIZE_MAX);
	mb_blocks_free(&b);
}

static bool is_odd(void *arg, const struct mb_block *block)
{
	++*(unsigned int *)arg;
	return block->addr / 16 % 2;
}

static void sweeping_removes_what_is_gone(void **state)
{
	struct mb_blocks b = { 0 };
	struct mb_block old;
	unsigned int asked = 0;

	(void)state;
	for (uint64_t i = 1; i <= 10000; i++) {
		const struct mb_block block = { 16 * i, i, 0 };

		mb_blocks_put(&b, &block, i, &old);
	}
	mb_blocks_sweep(&b, is_odd, &asked);
	assert_true(asked >= 10000);
	assert_int_equal(b.n, 5000);
	for (uint64_t i = 1; i <= 10000; i++)
		assert_int_equal(mb_blocks_take(&b, 16 * i, i, &old), i % 2 == 0);
	mb_blocks_free(&b);
}

static void it_is_bounded_and_small(void **state)
{
	struct mb_blocks b = { 0 };
	struct mb_block old;

	(void)state;
	assert_int_equal(sizeof(struct mb_block_entry), 16);
	for (uint64_t i = 1; i <= MB_BLOCKS_MAX; i++) {
		const struct mb_block block = { 16 * i, 16, 0 };

		assert_int_equal(mb_blocks_put(&b, &block, i, &old), MB_BLOCKS_NEW);
		if (i == 1000000)
			assert_true(b.room * sizeof(*b.table) <= 34 * i);
	}
	assert_int_equal(mb_blocks_put(&b, &(struct mb_block){ 8, 16, 0 }, 1, &old), MB_BLOCKS_FULL);
	assert_int_equal(b.left_out, 1);
	mb_blocks_free(&b);
	assert_int_equal(b.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_a_list),
		cmocka_unit_test(an_end_is_that_of_one_block),
		cmocka_unit_test(huge_sizes_are_cut),
		cmocka_unit_test(sweeping_removes_what_is_gone),
		cmocka_unit_test(it_is_bounded_and_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
