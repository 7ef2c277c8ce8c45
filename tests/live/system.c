// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The object "system": its counters and PSI compared with the kernel's files; also intervals, text and recordings. */
#include "moments.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- counters --- */

static const struct counter {
	const char *path, *key;
	long long scale;
} counters[] = {
	{ "swap.in_pages", "pswpin", 1 },
	{ "swap.out_pages", "pswpout", 1 },
	{ "paging.faults", "pgfault", 1 },
	{ "paging.major_faults", "pgmajfault", 1 },
	{ "paging.in_bytes", "pgpgin", 1024 },
	{ "paging.out_bytes", "pgpgout", 1024 },
	{ "paging.freed_pages", "pgfree", 1 },
	{ "paging.refault_anon_pages", "workingset_refault_anon", 1 },
	{ "paging.refault_file_pages", "workingset_refault_file", 1 },
	{ "paging.oom_kills", "oom_kill", 1 },
	{ "reclaim.allocstalls", "allocstall_*", 1 },
	{ "reclaim.kswapd.scanned_pages", "pgscan_kswapd", 1 },
	{ "reclaim.kswapd.stolen_pages", "pgsteal_kswapd", 1 },
	{ "reclaim.direct.scanned_pages", "pgscan_direct", 1 },
	{ "reclaim.direct.stolen_pages", "pgsteal_direct", 1 },
	{ "reclaim.khugepaged.scanned_pages", "pgscan_khugepaged", 1 },
	{ "reclaim.khugepaged.stolen_pages", "pgsteal_khugepaged", 1 },
	{ "thp.fault_alloc", "thp_fault_alloc", 1 },
	{ "thp.fault_fallback", "thp_fault_fallback", 1 },
	{ "thp.collapse_alloc", "thp_collapse_alloc", 1 },
	{ "thp.collapse_failed", "thp_collapse_alloc_failed", 1 },
	{ "compaction.stalls", "compact_stall", 1 },
	{ "compaction.success", "compact_success", 1 },
	{ "compaction.fail", "compact_fail", 1 },
};

/* The value is null exactly if the kernel lacks the counter. Otherwise it lies between least and most. */
static void check_counter(const json_t *system, const char *path, long long least, long long most,
			  bool known)
{
	long long got;

	if (live_null(system, path) != !known)
		live_fail("%s is %sthere, and %snull", path, known ? "" : "not ", known ? "" : "not ");
	if (!known)
		return;
	got = live_int(system, path);
	if (got < least || got > most)
		live_fail("%s: got %lld, want %lld to %lld", path, got, least, most);
}

static void check_counters(const struct trace *t)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		const struct counter *c = &counters[i];
		long long a = moment_find(t->before_start.text[VMSTAT], c->key);
		long long b = moment_find(t->after_start.text[VMSTAT], c->key);
		long long y = moment_find(t->before_end.text[VMSTAT], c->key);
		long long z = moment_find(t->after_end.text[VMSTAT], c->key);

		check_counter(t->system, c->path, (y - b) * c->scale, (z - a) * c->scale, z >= 0);
	}
}

/* "[never]" in this file: the kernel gives out no huge pages. */
static bool no_huge_pages(void)
{
	char *text = moment_slurp("/sys/kernel/mm/transparent_hugepage/enabled");
	bool none = !text || strstr(text, "[never]");

	free(text);
	return none;
}

static double share(long long part, long long whole)
{
	return whole ? (double)part / (double)whole : -1;
}

/* A share in whole thousandths, rounded down; want is -1 if there is none, and the value must then be null. */
static void check_share(const json_t *system, const char *path, double want)
{
	double got;

	if (want < 0) {
		assert_true(live_null(system, path));
		return;
	}
	got = json_real_value(live_get(system, path));
	if (got > want + 1e-9 || got < want - 0.001)
		live_fail("%s: got %f, want %f", path, got, want);
}

static void check_rates(const struct trace *t)
{
	double s = (double)live_int(t->system, "scope_ns") / 1e9;
	double want = (double)live_int(t->system, "paging.faults") / s;
	double got = json_real_value(live_get(t->system, "paging.faults_per_s"));
	long long alloc, fallback;

	if (got < want - 0.01 || got > want + 0.01)
		live_fail("faults per second: got %f, want %f", got, want);
	check_share(t->system, "reclaim.kswapd.efficiency",
		    share(live_int(t->system, "reclaim.kswapd.stolen_pages"),
			  live_int(t->system, "reclaim.kswapd.scanned_pages")));
	if (live_null(t->system, "thp.fault_alloc"))
		return;
	alloc = live_int(t->system, "thp.fault_alloc");
	fallback = live_int(t->system, "thp.fault_fallback");
	check_share(t->system, "thp.success", share(alloc, alloc + fallback));
}

static void test_counters(void **state)
{
	struct trace t = trace_run();
	bool none = no_huge_pages();

	(void)state;
	check_counters(&t);
	check_rates(&t);
	/* it includes the work of the test itself */
	assert_in_range(live_int(t.system, "paging.faults"), TRACE_TOUCHED_PAGES, 1000000000);
	if (!none)
		assert_in_range(live_int(t.system, "thp.fault_alloc") +
					live_int(t.system, "thp.fault_fallback"),
				TRACE_HUGE_PAGES, 1000000000);
	assert_true(live_int(t.system, "scope_ns") > 0);
	trace_free(&t);
}

/* --- PSI: memblame reads its totals unchanged, so they lie between the readings before and after --- */

static long long psi_total(const char *text, const char *line)
{
	const char *at = text ? strstr(text, line) : NULL;

	at = at ? strstr(at, "total=") : NULL;
	return at ? atoll(at + strlen("total=")) : -1;
}

static void check_psi(const struct trace *t, int file, const char *what, const char *line)
{
	long long a = psi_total(t->before_start.text[file], line);
	long long b = psi_total(t->after_start.text[file], line);
	long long y = psi_total(t->before_end.text[file], line);
	long long z = psi_total(t->after_end.text[file], line);
	const char *averages[] = { "avg10", "avg60", "avg300" };
	char path[64];

	snprintf(path, sizeof(path), "psi.%s.%s.total_us", what, line);
	check_counter(t->system, path, y, z, z >= 0);
	snprintf(path, sizeof(path), "psi.%s.%s.stalled_us", what, line);
	check_counter(t->system, path, y - b, z - a, z >= 0);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "psi.%s.%s.%s", what, line, averages[i]);
		assert_true(live_null(t->system, path) == (z < 0));
		if (z >= 0)
			assert_true(json_is_real(live_get(t->system, path)) &&
				    json_real_value(live_get(t->system, path)) <= 100.0);
	}
}

static void test_psi(void **state)
{
	struct trace t = trace_run();

	(void)state;
	check_psi(&t, PSI_MEMORY, "memory", "some");
	check_psi(&t, PSI_MEMORY, "memory", "full");
	check_psi(&t, PSI_IO, "io", "some");
	check_psi(&t, PSI_IO, "io", "full");
	trace_free(&t);
}

/* --- intervals, text, recordings --- */

/* Waits for that many more lines, for up to half a minute. */
static void wait_lines(const struct live_bg *bg, int more)
{
	int before = -1;

	for (int i = 0; i < 6000; i++) {
		char *text = moment_slurp(bg->out_path);
		int lines = 0;

		for (const char *at = text; at && (at = strchr(at, '\n')); at++)
			lines++;
		free(text);
		if (before < 0)
			before = lines;
		if (lines >= before + more)
			return;
		usleep(5000);
	}
	live_fail("%d more lines do not come", more);
}

/* The intervals of a trace add up to the total: each begins where the previous one ended. */
static void test_intervals(void **state)
{
	struct live_bg *bg = live_start(LIVE_ARGV("top", "--json", "-i", "0.2", "-f", "vma"));
	struct live_result *result;
	long long sum = 0, scope_ns = 0, intervals = 0;

	(void)state;
	wait_lines(bg, 1);
	trace_work();
	wait_lines(bg, 2);
	result = live_stop(bg);
	for (char *save, *line = strtok_r(result->out, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		json_t *document = live_json(line);
		const json_t *system = live_get(document, "system");

		if (!strcmp(live_str(document, "scope"), "interval")) {
			sum += live_int(system, "paging.faults");
			scope_ns += live_int(system, "scope_ns");
			intervals++;
		} else {
			assert_in_range(sum, TRACE_TOUCHED_PAGES,
					live_int(system, "paging.faults"));
			assert_true(scope_ns <= live_int(system, "scope_ns"));
		}
		json_decref(document);
	}
	assert_true(intervals >= 3);
	live_result_free(result);
}

static void test_text(void **state)
{
	struct live_result *top = live_memblame(LIVE_ARGV("top", "-i", "0.3", "-d", "1", "-f", "vma"));
	struct live_result *run = live_memblame(LIVE_ARGV("run", "-f", "vma", "--", "true"));
	static const char *const begins[] = { "Memory ", "Swap ", "Dirty ", "Reclaim " };

	(void)state;
	for (int i = 0; i < 4; i++) {
		const char *line = strstr(top->out, begins[i]);

		assert_non_null(line);
		assert_in_range(strcspn(line, "\n"), 20, 80);
		assert_non_null(strstr(run->err, begins[i]));
	}
	assert_null(strstr(top->out, "PSS"));
	live_result_free(top);
	live_result_free(run);
}

/* For a window of a recording, the report shows the machine's state at the end and the events within the window. */
static void test_report(void **state)
{
	const char *path = live_path("system.db");
	struct live_result *result;
	json_t *whole, *part;
	struct live_bg *bg;

	(void)state;
	bg = live_start(LIVE_ARGV("record", "--json", "-o", path, "-i", "0.3", "-f", "vma"));
	usleep(1500 * 1000);
	trace_work();
	usleep(700 * 1000);
	result = live_stop(bg);
	whole = live_json(result->out);
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("report", "--json", path));
	part = live_json(result->out);
	assert_true(json_equal(live_get(whole, "system"), live_get(part, "system")));
	json_decref(part);
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("report", "--json", "--to", "+1", path));
	part = live_json(result->out);
	assert_in_range(live_int(part, "system.scope_ns"), 1,
			live_int(whole, "system.scope_ns") - 1);
	assert_true(live_int(part, "system.paging.faults") + TRACE_TOUCHED_PAGES <=
		    live_int(whole, "system.paging.faults"));
	json_decref(part);
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("report", "--json", "--from", "+1.2", path));
	part = live_json(result->out);
	assert_in_range(live_int(part, "system.paging.faults"), TRACE_TOUCHED_PAGES,
			live_int(whole, "system.paging.faults"));
	json_decref(part);
	json_decref(whole);
	live_result_free(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_psi),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
