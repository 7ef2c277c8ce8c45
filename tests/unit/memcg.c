// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The charge of a memory cgroup by kind: reading the kernel's texts, and a history of fixed size. */
#include <string.h>

#include "model/memcg.h"
#include "model/model.h"
#include "unit.h"

static struct mb_memcg_split parsed(const char *text, uint64_t usage_pages, uint64_t kernel_pages)
{
	struct mb_memcg_split s;

	mb_memcg_init(&s);
	s.usage_pages = usage_pages;
	assert_true(mb_memcg_parse(&s, text, strlen(text), kernel_pages));
	return s;
}

static uint64_t sum(const struct mb_memcg_split *s)
{
	uint64_t all = 0;

	for (int i = 0; i < MB_MEMCG_KINDS; i++)
		all += s->pages[i] == MB_UNKNOWN ? 0 : s->pages[i];
	return all;
}

static void v2_has_all_kinds(void **state)
{
	struct mb_memcg_split s = parsed("anon 409600\nfile 819200\nkernel 4096000\nkernel_stack 40960\n"
					 "pagetables 81920\nsec_pagetables 0\npercpu 4096\nsock 8192\nvmalloc 0\n"
					 "shmem 204800\nfile_mapped 4096\nslab_reclaimable 40960\n"
					 "slab_unreclaimable 40960\nslab 81920\nworkingset_refault_anon 99\n",
					 2000, MB_UNKNOWN);

	(void)state;
	assert_int_equal(s.pages[MB_MEMCG_ANON], 100);
	assert_int_equal(s.pages[MB_MEMCG_FILE], 150);
	assert_int_equal(s.pages[MB_MEMCG_SHMEM], 50);
	assert_int_equal(s.pages[MB_MEMCG_PAGE_TABLES], 20);
	assert_int_equal(s.pages[MB_MEMCG_KERNEL_STACK], 10);
	assert_int_equal(s.pages[MB_MEMCG_SLAB], 20);
	assert_int_equal(s.pages[MB_MEMCG_SOCK], 2);
	assert_true(s.pages[MB_MEMCG_HUGETLB] == MB_UNKNOWN);
	assert_int_equal(s.pages[MB_MEMCG_KERNEL], 950);
	assert_int_equal(s.pages[MB_MEMCG_UNACCOUNTED], 2000 - 1302);
	assert_int_equal(sum(&s), s.usage_pages);
}

/* 5.10: no sum of kernel memory, no page tables; what the kernel does not report is not accounted for. */
static void old_v2_leaves_page_tables_out(void **state)
{
	struct mb_memcg_split s = parsed("anon 409600\nfile 0\nkernel_stack 4096\npercpu 8192\nsock 0\nshmem 0\n"
					 "slab_reclaimable 4096\nslab_unreclaimable 4096\n", 500, MB_UNKNOWN);

	(void)state;
	assert_true(s.pages[MB_MEMCG_PAGE_TABLES] == MB_UNKNOWN);
	assert_int_equal(s.pages[MB_MEMCG_SLAB], 2);
	assert_int_equal(s.pages[MB_MEMCG_KERNEL], 2);
	assert_int_equal(s.pages[MB_MEMCG_UNACCOUNTED], 500 - 105);
}

static void v1_counts_what_is_below(void **state)
{
	struct mb_memcg_split s = parsed("cache 4096\nrss 4096\nshmem 4096\nhierarchical_memory_limit 99999\n"
					 "total_cache 409600\ntotal_rss 819200\ntotal_shmem 204800\ntotal_swap 8192\n",
					 400, 40);

	(void)state;
	assert_int_equal(s.pages[MB_MEMCG_ANON], 200);
	assert_int_equal(s.pages[MB_MEMCG_FILE], 50);
	assert_int_equal(s.pages[MB_MEMCG_SHMEM], 50);
	assert_int_equal(s.pages[MB_MEMCG_KERNEL], 40);
	assert_int_equal(s.swap_pages, 2);
	assert_int_equal(s.pages[MB_MEMCG_UNACCOUNTED], 60);
	assert_int_equal(sum(&s), 400);
}

static void kinds_never_exceed_the_usage(void **state)
{
	static const char no_figures[] = "nothing here\n5 5\n anon 5\nanon x\nanon";
	struct mb_memcg_split s = parsed("anon 4096000\nfile 18446744073709551615\nshmem 99999999999999999999999\n", 10,
					 MB_UNKNOWN);

	(void)state;
	assert_int_equal(sum(&s), s.usage_pages);
	mb_memcg_init(&s);
	assert_false(mb_memcg_parse(&s, no_figures, sizeof(no_figures) - 1, 0));
	assert_true(s.usage_pages == MB_UNKNOWN);
}

static void note(struct mb_memcgs *m, uint64_t cgroup, uint64_t t_ns, uint64_t anon)
{
	struct mb_memcg_split s = { .t_ns = t_ns, .usage_pages = anon };

	s.pages[MB_MEMCG_ANON] = anon;
	s.pages[MB_MEMCG_SOCK] = MB_UNKNOWN;
	mb_memcg_note(m, cgroup, &s);
}

/* The newest points stay as they are; the older points are, the more they are thinned out; the first one stays. */
static void history_reaches_back_in_a_fixed_size(void **state)
{
	struct mb_memcgs m = { 0 };
	struct mb_memcg_split s;
	const struct mb_memcg_series *series;

	(void)state;
	for (uint64_t t = 1; t <= 10000; t++)
		note(&m, 5, t * 1000, t);
	note(&m, 5, 10001 * 1000, 10000); /* nothing new */
	note(&m, 5, 1000, 1); /* from the past */
	series = mb_memcg_find(&m, 5);
	assert_true(mb_memcg_points(series) <= MB_MEMCG_POINTS);
	mb_memcg_point(series, 0, &s);
	assert_int_equal(s.usage_pages, 1);
	mb_memcg_point(series, mb_memcg_points(series) - 1, &s);
	assert_int_equal(s.usage_pages, 10000);
	assert_true(s.pages[MB_MEMCG_SOCK] == MB_UNKNOWN);
	for (uint64_t back = 1; back <= 10; back++) {
		assert_true(mb_memcg_at(series, (10000 - back) * 1000 + 999, &s));
		assert_int_equal(s.usage_pages, 10000 - back);
	}
	/* for any earlier time there is a point at most a tenth older */
	for (uint64_t back = 10; back < 9000; back++) {
		assert_true(mb_memcg_at(series, (10000 - back) * 1000, &s));
		assert_true(10000 - s.usage_pages <= back + back / 10);
	}
	assert_false(mb_memcg_at(series, 999, &s));
	assert_int_equal(s.t_ns, 1000);
	assert_false(mb_memcg_at(mb_memcg_find(&m, 6), 999, &s));
	assert_true(s.usage_pages == MB_UNKNOWN);
	mb_memcgs_free(&m);
}

static void the_cgroup_without_news_gives_way(void **state)
{
	struct mb_memcgs m = { 0 };

	(void)state;
	for (uint64_t c = 1; c <= MB_MEMCG_SERIES + 10; c++)
		note(&m, c, 1000 + c, c);
	assert_int_equal(m.evicted, 10);
	assert_null(mb_memcg_find(&m, 10));
	assert_non_null(mb_memcg_find(&m, 11));
	assert_non_null(mb_memcg_find(&m, MB_MEMCG_SERIES + 10));
	mb_memcgs_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v2_has_all_kinds),
		cmocka_unit_test(old_v2_leaves_page_tables_out),
		cmocka_unit_test(v1_counts_what_is_below),
		cmocka_unit_test(kinds_never_exceed_the_usage),
		cmocka_unit_test(history_reaches_back_in_a_fixed_size),
		cmocka_unit_test(the_cgroup_without_news_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
