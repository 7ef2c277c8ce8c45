// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * What leak detection reads (src/leaks/source.c): a replay gets what the session read, in the same order; what is
 * missing is noticed, and does not get lost for the next step.
 */
#include <stdlib.h>
#include <string.h>

#include "leaks/source.h"
#include "unit.h"

#define LONG_LIST 100000u /* items of 8 bytes: several pieces */
#define MOST 32u

static struct {
	struct mb_leaks_record head;
	char *data;
	size_t len;
} records[MOST];
static size_t n_records;

static struct mb_model model;

/* The recorder. */
static void keep(void *arg, enum mb_ingest_type type, const void *data, size_t len)
{
	size_t rest = len - sizeof(struct mb_leaks_record);

	(void)arg;
	assert_int_equal(type, MB_INGEST_LEAKS);
	assert_true(n_records < MOST);
	assert_true(rest <= MB_LEAK_PIECE);
	memcpy(&records[n_records].head, data, sizeof(struct mb_leaks_record));
	records[n_records].data = malloc(rest + 1);
	memcpy(records[n_records].data, (const char *)data + sizeof(struct mb_leaks_record), rest);
	records[n_records++].len = rest;
}

/* Three values and a long list. */
static void record(void)
{
	struct mb_ingest ingest = { .model = &model, .keep = keep };
	struct mb_leak_source session = { .ingest = &ingest };
	uint64_t *list = calloc(LONG_LIST, sizeof(*list));
	void *read = list;
	size_t n = LONG_LIST;

	n_records = 0;
	for (uint64_t i = 0; i < LONG_LIST; i++)
		list[i] = i * i;
	for (uint64_t value = 7; value < 10; value++)
		assert_true(mb_leak_source_value(&session, MB_LEAK_FACT_PEAK, value, &value, sizeof(value)));
	assert_true(mb_leak_source_list(&session, MB_LEAK_FACT_FOUND, 3, &read, &n, sizeof(*list)));
	free(list);
	assert_true(n_records > 5);
}

/* All records but one (MOST: all) arrive. */
static void play(struct mb_leak_source *replay, size_t without)
{
	*replay = (struct mb_leak_source){ .replays = true };
	for (size_t i = 0; i < n_records; i++) {
		if (i != without)
			mb_leak_source_arrived(replay, &records[i].head, records[i].data, records[i].len);
	}
}

static int forget(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_records; i++)
		free(records[i].data);
	n_records = 0;
	return 0;
}

static void test_same(void **state)
{
	struct mb_leak_source replay;
	void *list = NULL;
	uint64_t value;
	size_t n = 0;

	(void)state;
	record();
	play(&replay, MOST);
	for (uint64_t i = 7; i < 10; i++) {
		assert_true(mb_leak_source_value(&replay, MB_LEAK_FACT_PEAK, i, &value, sizeof(value)));
		assert_int_equal(value, i);
	}
	assert_true(mb_leak_source_list(&replay, MB_LEAK_FACT_FOUND, 3, &list, &n, sizeof(value)));
	assert_int_equal(n, LONG_LIST);
	for (uint64_t i = 0; i < LONG_LIST; i++)
		assert_int_equal(((uint64_t *)list)[i], i * i);
	free(list);
	mb_leak_source_step_done(&replay);
	assert_int_equal(replay.missing, 0);
	mb_leak_source_free(&replay);
}

/* Whichever record is missing, the step is counted, and the next one is in step again. */
static void test_missing(void **state)
{
	(void)state;
	record();
	for (size_t without = 0; without < n_records; without++) {
		struct mb_leak_source replay;
		uint64_t value, bad = 0;
		void *list = NULL;
		size_t n = 0;

		play(&replay, without);
		for (uint64_t i = 7; i < 10; i++) {
			if (!mb_leak_source_value(&replay, MB_LEAK_FACT_PEAK, i, &value, sizeof(value))) {
				assert_int_equal(value, 0);
				bad++;
			} else {
				assert_int_equal(value, i);
			}
		}
		mb_leak_source_list(&replay, MB_LEAK_FACT_FOUND, 3, &list, &n, sizeof(value));
		assert_true(bad || n < LONG_LIST);
		free(list);
		mb_leak_source_step_done(&replay);
		/* a list that lacks its last piece is only too short; the next step begins anew */
		assert_true(replay.missing == 1 || without >= 3);
		mb_leak_source_arrived(&replay, &records[0].head, records[0].data, records[0].len);
		assert_true(mb_leak_source_value(&replay, MB_LEAK_FACT_PEAK, 7, &value, sizeof(value)));
		assert_int_equal(value, 7);
		mb_leak_source_free(&replay);
	}
}

/* A value of another kind, key or size is none. */
static void test_other(void **state)
{
	struct mb_leak_source replay;
	uint64_t value = 5;
	uint32_t half = 5;

	(void)state;
	record();
	play(&replay, MOST);
	assert_false(mb_leak_source_value(&replay, MB_LEAK_FACT_BLOCK, 7, &value, sizeof(value)));
	mb_leak_source_free(&replay);
	play(&replay, MOST);
	assert_false(mb_leak_source_value(&replay, MB_LEAK_FACT_PEAK, 8, &value, sizeof(value)));
	mb_leak_source_free(&replay);
	play(&replay, MOST);
	assert_false(mb_leak_source_value(&replay, MB_LEAK_FACT_PEAK, 7, &half, sizeof(half)));
	assert_int_equal(half, 0);
	mb_leak_source_free(&replay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_same, forget),
		cmocka_unit_test_teardown(test_missing, forget),
		cmocka_unit_test_teardown(test_other, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
