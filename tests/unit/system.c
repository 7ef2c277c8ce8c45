// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The machine's state: texts of several kernels, whole and cut off; the arithmetic; the output of sinks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "memblame/sink.h"
#include "unit.h"

static const char meminfo[] = "MemTotal:        2048000 kB\n"
			      "MemFree:          512000 kB\n"
			      "Active:             4000 kB\n"
			      "Active(anon):       3000 kB\n"
			      "Dirty:                12 kB\n"
			      "HugePages_Total:       3\n";

static const char vmstat[] = "nr_free_pages 128000\n"
			     "nr_dirty_threshold 100\n"
			     "pgfault 18446744073709551615\n" /* no kernel gets there */
			     "allocstall_dma 1\n"
			     "allocstall_normal 2\n"
			     "allocstall_movable 4\n"
			     "thp_fault_fallback_charge 9\n"
			     "pgscan_direct_throttle 5\n"
			     "pgscan_direct 77\n"
			     "nonsense\n"
			     "compact_stall";

/* From 5.10: no "boost", no "promo", a zone without pages, two nodes; numbers per CPU have the same names. */
static const char zoneinfo[] = "Node 0, zone      DMA\n"
			       "  per-node stats\n"
			       "      nr_inactive_anon 5\n"
			       "  pages free     3840\n"
			       "        min      26\n"
			       "        low      32\n"
			       "        high     38\n"
			       "        spanned  4095\n"
			       "        present  3998\n"
			       "        managed  3840\n"
			       "        protection: (0, 2911, 7851, 7851)\n"
			       "      nr_free_pages 3840\n"
			       "  pagesets\n"
			       "    cpu: 0\n"
			       "              count: 1\n"
			       "              high:  2\n"
			       "              batch: 3\n"
			       "  node_unreclaimable:  0\n"
			       "Node 0, zone  Movable\n"
			       "  pages free     0\n"
			       "        min      0\n"
			       "        low      0\n"
			       "        high     0\n"
			       "        spanned  0\n"
			       "        present  0\n"
			       "        managed  0\n"
			       "        protection: (0, 0, 0, 0)\n"
			       "Node 1, zone   Normal\n"
			       "  pages free     100\n"
			       "        boost    7\n"
			       "        min      40\n"
			       "        low      50\n"
			       "        high     60\n"
			       "        promo    70\n"
			       "        managed  9000\n"
			       "Node 1, zone   Future\n"
			       "  pages free     11\n";

static const char buddyinfo[] =
	"Node 0, zone      DMA      4      2      1      0      1 \n"
	"Node 0, zone  Unknown      9      9      9      9      9 \n"
	"Node 1, zone   Normal      1      2      3      4      5      6      7      8      9     10     11 \n";

static const char numastat[] = "numa_hit 10\nnuma_miss 2\nnuma_foreign 3\nlocal_node 9\nother_node 1\n";

static const char pressure[] = "some avg10=1.07 avg60=100.00 avg300=0.30 total=3709105\n"
			       "full avg10=0.00 avg60=12.5 total=7\n";

static void whole(struct mb_system *s)
{
	mb_system_init(s);
	mb_system_parse(s, MB_SYSTEM_MEMINFO, meminfo);
	mb_system_parse(s, MB_SYSTEM_VMSTAT, vmstat);
	mb_system_parse(s, MB_SYSTEM_PSI_MEMORY, pressure);
	mb_system_parse_zoneinfo(s, zoneinfo);
	mb_system_parse_buddyinfo(s, buddyinfo);
	mb_system_parse_numastat(s, 3, numastat);
}

static void is(uint64_t got, uint64_t want)
{
	assert_int_equal(got, want);
}

static void keys_are_whole_words(void **state)
{
	struct mb_system s;

	(void)state;
	whole(&s);
	is(s.values[MB_SYS_memory_total_bytes], 2048000ull * 1024);
	is(s.values[MB_SYS_memory_active_bytes], 4000 * 1024);
	is(s.values[MB_SYS_dirty_dirty_bytes], 12 * 1024);
	is(s.values[MB_SYS_dirty_limit_bytes], 100 * MB_PAGE_SIZE);
	is(s.values[MB_SYS_reclaim_allocstalls], 7);
	is(s.values[MB_SYS_reclaim_direct_scanned_pages], 77);
}

static void what_is_not_there_is_unknown(void **state)
{
	struct mb_system s;

	(void)state;
	whole(&s);
	is(s.values[MB_SYS_memory_available_bytes], MB_UNKNOWN);
	is(s.values[MB_SYS_thp_fault_fallback], MB_UNKNOWN);
	is(s.values[MB_SYS_compaction_stalls], MB_UNKNOWN); /* its number is cut off */
	is(s.values[MB_SYS_paging_faults], MB_UNKNOWN);
	is(s.values[MB_SYS_psi_io_some_total_us], MB_UNKNOWN);
	mb_system_init(&s);
	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		is(s.values[i], MB_UNKNOWN);
	mb_system_parse(&s, MB_SYSTEM_MEMINFO, "");
	mb_system_parse_zoneinfo(&s, "");
	is(s.n_zones, 0);
}

static void pressure_has_two_decimals(void **state)
{
	struct mb_system s;

	(void)state;
	whole(&s);
	is(s.values[MB_SYS_psi_memory_some_avg10_bp], 107);
	is(s.values[MB_SYS_psi_memory_some_avg60_bp], 10000);
	is(s.values[MB_SYS_psi_memory_some_avg300_bp], 30);
	is(s.values[MB_SYS_psi_memory_some_total_us], 3709105);
	is(s.values[MB_SYS_psi_memory_full_avg10_bp], 0);
	is(s.values[MB_SYS_psi_memory_full_avg300_bp], MB_UNKNOWN); /* not the value of the line above */
	is(s.values[MB_SYS_psi_memory_full_total_us], 7);
}

static void zones_of_several_nodes(void **state)
{
	struct mb_system s;

	(void)state;
	whole(&s);
	is(s.n_zones, 3);
	assert_string_equal(s.zones[0].name, "DMA");
	is(s.zones[0].node, 0);
	is(s.zones[0].free_pages, 3840);
	is(s.zones[0].min_pages, 26);
	is(s.zones[0].low_pages, 32);
	is(s.zones[0].high_pages, 38); /* not the "high: 2" of a CPU */
	is(s.zones[0].managed_pages, 3840);
	is(s.zones[0].orders, 5);
	assert_string_equal(s.zones[1].name, "Normal");
	is(s.zones[1].node, 1);
	is(s.zones[1].min_pages, 40);
	is(s.zones[1].orders, 11);
	is(s.zones[1].free_blocks[10], 11);
	assert_string_equal(s.zones[2].name, "Future");
	is(s.zones[2].free_pages, 11);
	is(s.zones[2].low_pages, MB_UNKNOWN);
	is(s.zones[2].orders, 0);
	/* 100 free pages with a low watermark of 50; 3840 with 32 */
	assert_ptr_equal(mb_system_tightest(&s), &s.zones[1]);
}

static void nodes_have_their_numbers(void **state)
{
	struct mb_system s;

	(void)state;
	whole(&s);
	is(s.n_nodes, 1);
	assert_null(mb_system_node_find(&s, 0));
	is(mb_system_node_find(&s, 3)->counts[MB_NUMA_HIT], 10);
	is(mb_system_node_find(&s, 3)->counts[MB_NUMA_OTHER], 1);
	is(mb_system_node_find(&s, 3)->counts[MB_NUMA_INTERLEAVE], MB_UNKNOWN);
}

static void what_does_not_fit_is_counted(void **state)
{
	struct mb_system s;
	char text[96 * (MB_SYSTEM_ZONES + 3)];
	size_t len = 0;

	(void)state;
	for (unsigned int i = 0; i < MB_SYSTEM_ZONES + 3; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"Node %u, zone   Normal\n  pages free %u\n        managed 9\n", i, i);
	mb_system_init(&s);
	mb_system_parse_zoneinfo(&s, text);
	is(s.n_zones, MB_SYSTEM_ZONES);
	is(s.zones_left_out, 3);
	for (unsigned int i = 0; i < MB_SYSTEM_NODES + 2; i++)
		mb_system_parse_numastat(&s, i, numastat);
	is(s.n_nodes, MB_SYSTEM_NODES);
	is(s.nodes_left_out, 2);
}

/* The text ends anywhere, in a buffer that ends there too, so that the sanitizer detects reads beyond it. */
static void texts_may_be_cut_anywhere(void **state)
{
	static const char *const texts[] = { meminfo, vmstat, zoneinfo, buddyinfo, numastat, pressure };
	struct mb_system s;

	(void)state;
	for (int i = 0; i < 6; i++) {
		for (size_t n = 0; n <= strlen(texts[i]); n++) {
			char *cut = strndup(texts[i], n);

			whole(&s);
			mb_system_parse(&s, MB_SYSTEM_MEMINFO, cut);
			mb_system_parse(&s, MB_SYSTEM_PSI_IO, cut);
			mb_system_parse_zoneinfo(&s, cut);
			mb_system_parse_buddyinfo(&s, cut);
			mb_system_parse_numastat(&s, 1, cut);
			assert_true(s.n_zones <= MB_SYSTEM_ZONES);
			free(cut);
		}
	}
}

/*
 * Computed by hand: there are 4, 2, 1, 0, 1 blocks of 1, 2, 4, 8, 16 pages, so 4 + 4 + 4 + 0 + 16 = 28 pages are free.
 * Of these, 4 are unusable for order 1, 8 for order 2, and 12 for orders 3 and 4.
 */
static void unusable_share(void **state)
{
	struct mb_system_zone z = { .orders = 5, .free_blocks = { 4, 2, 1, 0, 1 } };

	(void)state;
	is(mb_system_unusable(&z, 0), 0);
	is(mb_system_unusable(&z, 1), 142); /* 4 / 28 = 0.1428 */
	is(mb_system_unusable(&z, 2), 285); /* 8 / 28 = 0.2857 */
	is(mb_system_unusable(&z, 3), 428); /* 12 / 28 = 0.4285 */
	is(mb_system_unusable(&z, 4), 428);
	memset(z.free_blocks, 0, sizeof(z.free_blocks));
	is(mb_system_unusable(&z, 0), 1000);
}

static void growth_and_rates(void **state)
{
	(void)state;
	is(mb_system_growth(3, 10), 7);
	is(mb_system_growth(10, 3), MB_UNKNOWN);
	is(mb_system_growth(MB_UNKNOWN, 3), MB_UNKNOWN);
	is(mb_system_growth(3, MB_UNKNOWN), MB_UNKNOWN);
	is(mb_system_rate(7, 2000000000), 3500); /* thousandths */
	is(mb_system_rate(7, 0), MB_UNKNOWN);
	is(mb_system_rate(MB_UNKNOWN, 1), MB_UNKNOWN);
	is(mb_system_rate(MB_UNKNOWN - 1, 1), MB_UNKNOWN); /* too large for the result */
	is(mb_system_share(1, 3), 333);
	is(mb_system_share(0, 3), 0);
	is(mb_system_share(3, 0), MB_UNKNOWN);
}

static void frames(void **state)
{
	struct mb_system s, t;

	(void)state;
	whole(&s);
	s.values[MB_SYS_NUMBERS - 1] = 5;
	mb_system_init(&t);
	is((uint64_t)mb_system_from_record(&t, &s, sizeof(s)), 0);
	assert_memory_equal(&s, &t, sizeof(s));
	/* from a build that had one number less */
	is((uint64_t)mb_system_from_record(&t, &s, sizeof(s) - sizeof(uint64_t)), 0);
	is(t.values[MB_SYS_NUMBERS - 1], MB_UNKNOWN);
	is(t.values[MB_SYS_NUMBERS - 2], s.values[MB_SYS_NUMBERS - 2]);
	assert_int_equal(mb_system_from_record(&t, &s, 8), -EINVAL);
	assert_int_equal(mb_system_from_record(&t, &s, sizeof(s) - 1), -EINVAL);
	s.n_zones = MB_SYSTEM_ZONES + 1;
	assert_int_equal(mb_system_from_record(&t, &s, sizeof(s)), -EINVAL);
	s.n_zones = 1;
	s.zones[0].orders = MB_SYSTEM_ORDERS + 1;
	assert_int_equal(mb_system_from_record(&t, &s, sizeof(s)), -EINVAL);
	s.zones[0].orders = 0;
	memset(s.zones[0].name, 'x', sizeof(s.zones[0].name));
	assert_int_equal(mb_system_from_record(&t, &s, sizeof(s)), -EINVAL);
}

/* --- the model and the sinks --- */

/* The output of a sink for these two moments; the caller frees it. */
static char *shown(const struct mb_sink *sink, const struct mb_system *first,
		   const struct mb_system *now, bool interval)
{
	char path[] = "/tmp/mb-system-XXXXXX", *text = calloc(1, 65536);
	struct mb_ingest ingest = { 0 };
	struct mb_setup setup = { .sample_1_in = 1 };
	struct mb_sample_meta at = { 0 };
	struct mb_summary sum = { 0 };
	struct mb_snapshot snap;
	struct mb_err e = { 0 };
	struct mb_model m;
	struct mb_out out;
	int fd = mkstemp(path);
	FILE *f;

	mb_model_init(&m);
	ingest.model = &m;
	if (first)
		mb_ingest(&ingest, MB_INGEST_SYSTEM, first, sizeof(*first));
	if (interval)
		mb_model_interval(&m);
	if (now)
		mb_ingest(&ingest, MB_INGEST_SYSTEM, now, sizeof(*now));
	if (interval)
		mb_snapshot_interval(&snap, &m, &setup, &at, 1);
	else
		mb_snapshot_total(&snap, &m, &setup, &sum);
	assert_true(fd >= 0 && !mb_out_open(&out, path, &e));
	sink->snapshot(&out, &snap);
	assert_int_equal(mb_out_close(&out, &e), 0);
	f = fdopen(fd, "r");
	assert_non_null(f);
	assert_in_range(fread(text, 1, 65535, f), 1, 65534);
	fclose(f);
	remove(path);
	mb_model_free(&m);
	return text;
}

static json_t *system_json(const struct mb_system *first, const struct mb_system *now, bool interval)
{
	char *text = shown(&mb_sink_json, first, now, interval);
	json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *system;

	assert_non_null(all);
	system = json_incref(json_object_get(all, "system"));
	assert_non_null(system);
	json_decref(all);
	free(text);
	return system;
}

static const json_t *at(const json_t *j, const char *a, const char *b, const char *c)
{
	j = json_object_get(j, a);
	j = b ? json_object_get(j, b) : j;
	j = c ? json_object_get(j, c) : j;
	assert_non_null(j);
	return j;
}

static void nothing_known_is_null(void **state)
{
	json_t *j = system_json(NULL, NULL, false), *member;
	struct mb_system none;
	const char *key;

	(void)state;
	assert_true(json_is_null(j));
	json_decref(j);
	mb_system_init(&none);
	j = system_json(&none, &none, false);
	json_object_foreach((json_t *)at(j, "memory", NULL, NULL), key, member)
		assert_true(json_is_null(member));
	json_object_foreach((json_t *)at(j, "psi", "memory", "some"), key, member)
		assert_true(json_is_null(member));
	json_object_foreach((json_t *)at(j, "reclaim", "kswapd", NULL), key, member)
		assert_true(json_is_null(member));
	is(json_array_size(at(j, "zones", NULL, NULL)), 0);
	json_decref(j);
}

static void counters_are_of_the_scope(void **state)
{
	struct mb_system first, now;
	const json_t *some;
	json_t *j;

	(void)state;
	whole(&first);
	now = first;
	first.t_ns = 1000000000;
	now.t_ns = 3000000000;
	first.values[MB_SYS_reclaim_kswapd_scanned_pages] = 100;
	now.values[MB_SYS_reclaim_kswapd_scanned_pages] = 109;
	first.values[MB_SYS_reclaim_kswapd_stolen_pages] = 50;
	now.values[MB_SYS_reclaim_kswapd_stolen_pages] = 56;
	now.values[MB_SYS_psi_memory_some_total_us] += 11;
	now.nodes[0].counts[MB_NUMA_HIT] += 5;
	for (int interval = 0; interval < 2; interval++) {
		j = system_json(&first, &now, interval);
		is(json_integer_value(at(j, "reclaim", "kswapd", "scanned_pages")), 9);
		assert_true(json_real_value(at(j, "reclaim", "kswapd", "scanned_pages_per_s")) == 4.5);
		assert_true(json_real_value(at(j, "reclaim", "kswapd", "efficiency")) == 0.666);
		assert_true(json_is_null(at(j, "reclaim", "direct", "efficiency")));
		is(json_integer_value(at(j, "reclaim", "direct", "scanned_pages")), 0);
		some = at(j, "psi", "memory", "some");
		assert_true(json_real_value(at(some, "avg10", NULL, NULL)) == 1.07);
		is(json_integer_value(at(some, "total_us", NULL, NULL)), 3709116);
		is(json_integer_value(at(some, "stalled_us", NULL, NULL)), 11);
		is(json_integer_value(json_object_get(json_array_get(at(j, "nodes", NULL, NULL), 0),
						      "numa_hit")),
		   5);
		assert_true(json_is_null(json_object_get(
			json_array_get(at(j, "zones", NULL, NULL), 2), "free_blocks")));
		json_decref(j);
	}
}

/* On an idle machine most counters do not change, so here each one has a different number. */
static void every_counter_has_its_key(void **state)
{
	static const struct {
		const char *path[3], *key;
		int scale;
	} counters[] = {
		{ { "swap", "in_pages" }, "pswpin", 1 },
		{ { "swap", "out_pages" }, "pswpout", 1 },
		{ { "paging", "faults" }, "pgfault", 1 },
		{ { "paging", "major_faults" }, "pgmajfault", 1 },
		{ { "paging", "in_bytes" }, "pgpgin", 1024 },
		{ { "paging", "out_bytes" }, "pgpgout", 1024 },
		{ { "paging", "freed_pages" }, "pgfree", 1 },
		{ { "paging", "refault_anon_pages" }, "workingset_refault_anon", 1 },
		{ { "paging", "refault_file_pages" }, "workingset_refault_file", 1 },
		{ { "paging", "oom_kills" }, "oom_kill", 1 },
		{ { "reclaim", "allocstalls" }, "allocstall_normal", 1 },
		{ { "reclaim", "kswapd", "scanned_pages" }, "pgscan_kswapd", 1 },
		{ { "reclaim", "kswapd", "stolen_pages" }, "pgsteal_kswapd", 1 },
		{ { "reclaim", "direct", "scanned_pages" }, "pgscan_direct", 1 },
		{ { "reclaim", "direct", "stolen_pages" }, "pgsteal_direct", 1 },
		{ { "reclaim", "khugepaged", "scanned_pages" }, "pgscan_khugepaged", 1 },
		{ { "reclaim", "khugepaged", "stolen_pages" }, "pgsteal_khugepaged", 1 },
		{ { "thp", "fault_alloc" }, "thp_fault_alloc", 1 },
		{ { "thp", "fault_fallback" }, "thp_fault_fallback", 1 },
		{ { "thp", "collapse_alloc" }, "thp_collapse_alloc", 1 },
		{ { "thp", "collapse_failed" }, "thp_collapse_alloc_failed", 1 },
		{ { "compaction", "stalls" }, "compact_stall", 1 },
		{ { "compaction", "success" }, "compact_success", 1 },
		{ { "compaction", "fail" }, "compact_fail", 1 },
	};
	struct mb_system first, now;
	char before[2048] = "", after[2048] = "";
	json_t *j;

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_SIZE(counters); i++) {
		sprintf(before + strlen(before), "%s %zu\n", counters[i].key, 1000 * i);
		sprintf(after + strlen(after), "%s %zu\n", counters[i].key, 1001 * i + 1);
	}
	mb_system_init(&first);
	mb_system_init(&now);
	mb_system_parse(&first, MB_SYSTEM_VMSTAT, before);
	mb_system_parse(&now, MB_SYSTEM_VMSTAT, after);
	j = system_json(&first, &now, false);
	for (size_t i = 0; i < MB_ARRAY_SIZE(counters); i++)
		is((uint64_t)json_integer_value(
			   at(j, counters[i].path[0], counters[i].path[1], counters[i].path[2])),
		   (i + 1) * (uint64_t)counters[i].scale);
	json_decref(j);
}

/* The header has four lines of at most 80 columns on machines of any size. */
static void the_header_is_80_columns_wide(void **state)
{
	struct mb_system first, now;

	(void)state;
	for (int shift = 0; shift < 54; shift++) {
		char *text;
		int lines = 0;

		whole(&first);
		for (int i = 0; i < MB_SYS_NUMBERS; i++)
			first.values[i] = 0;
		now = first;
		for (int i = 0; i < MB_SYS_NUMBERS; i++)
			now.values[i] = (2ull << shift) - 1;
		now.t_ns = first.t_ns + 1000000000;
		now.n_zones = 1;
		strcpy(now.zones[0].name, "Movable");
		now.zones[0].node = 999;
		now.zones[0].low_pages = 1ull << (shift < 38 ? shift : 38);
		now.zones[0].free_pages = 0;
		text = shown(&mb_sink_text, &first, &now, true);
		for (char *save, *at = strtok_r(text, "\n", &save); at;
		     at = strtok_r(NULL, "\n", &save)) {
			if (!strchr("MSDR", *at)) /* Memory, Swap, Dirty, Reclaim */
				continue;
			if (strlen(at) > 80)
				fail_msg("%zu columns: %s", strlen(at), at);
			lines++;
		}
		is((uint64_t)lines, 4);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_whole_words),
		cmocka_unit_test(what_is_not_there_is_unknown),
		cmocka_unit_test(pressure_has_two_decimals),
		cmocka_unit_test(zones_of_several_nodes),
		cmocka_unit_test(nodes_have_their_numbers),
		cmocka_unit_test(what_does_not_fit_is_counted),
		cmocka_unit_test(texts_may_be_cut_anywhere),
		cmocka_unit_test(unusable_share),
		cmocka_unit_test(growth_and_rates),
		cmocka_unit_test(frames),
		cmocka_unit_test(nothing_known_is_null),
		cmocka_unit_test(counters_are_of_the_scope),
		cmocka_unit_test(every_counter_has_its_key),
		cmocka_unit_test(the_header_is_80_columns_wide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
