// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* --pss: compares proportional and unique set sizes with smaps_rollup, live and in a recording. */
#include "moments.h"

#include <stdlib.h>
#include <string.h>

#define PRIVATE_PAGES 4000
#define SHARED_PAGES  1000

static long long rollup(pid_t pid, const char *key)
{
	char path[64], *text;
	long long kib;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	text = moment_slurp(path);
	if (!text)
		live_fail("%s cannot be read", path);
	kib = moment_find(text, key);
	free(text);
	return kib < 0 ? 0 : kib * 1024;
}

static long long unique(pid_t pid)
{
	return rollup(pid, "Private_Clean") + rollup(pid, "Private_Dirty") +
	       rollup(pid, "Private_Hugetlb");
}

static struct live_bg *start_sharer(void)
{
	struct live_bg *bg = live_spawn(LIVE_ARGV(live_workload("sharer"), "hold", "4000", "1000"));

	if (!live_wait_text(bg->err_path, "ready"))
		live_fail("sharer does not begin");
	return bg;
}

static json_t *sharer_memory(const struct live_bg *sharer, const char *option, json_t **summary)
{
	char pid[16];
	const char *all[] = { "top", "--json", "-i", "60", "-p", pid, option, NULL };
	struct live_result *result;

	snprintf(pid, sizeof(pid), "%d", (int)sharer->pid);
	result = live_stop(live_start(all));
	live_equal("status", result->status, 0);
	*summary = live_json(result->out);
	live_result_free(result);
	return live_get(live_process(*summary, sharer->pid), "memory");
}

static void test_shares(void **state)
{
	struct live_bg *sharer = start_sharer();
	long long pss = rollup(sharer->pid, "Pss"), uss = unique(sharer->pid), known;
	json_t *summary, *memory = sharer_memory(sharer, "--pss", &summary);

	(void)state;
	/* no other process maps its pages, so only reclaim can change them */
	live_equal("pss_bytes", live_int(memory, "pss_bytes"), pss);
	live_equal("uss_bytes", live_int(memory, "uss_bytes"), uss);
	/*
	 * half of the private pages belong to it alone, the rest is shared by two processes; the program
	 * itself is small
	 */
	known = (PRIVATE_PAGES / 2 + PRIVATE_PAGES / 4 + SHARED_PAGES / 2) * MOMENT_PAGE;
	assert_in_range(live_int(memory, "pss_bytes"), known - 64 * MOMENT_PAGE, known + 1024 * 1024);
	assert_in_range(live_int(memory, "uss_bytes"), PRIVATE_PAGES / 2 * MOMENT_PAGE,
			PRIVATE_PAGES / 2 * MOMENT_PAGE + 1024 * 1024);
	json_decref(summary);
	/* without --pss, the values are unknown */
	memory = sharer_memory(sharer, "--quiet", &summary);
	assert_true(live_null(memory, "pss_bytes") && live_null(memory, "uss_bytes"));
	json_decref(summary);
	live_result_free(live_stop(sharer));
}

/* An ended process has no share any more. The text output has the columns only with --pss. */
static void test_shares_of_the_dead(void **state)
{
	struct live_run *run = live_run(LIVE_ARGV("--pss"), LIVE_ARGV("true"));
	const json_t *memory = live_get(json_array_get(live_get(run->summary, "processes"), 0),
					"memory");
	struct live_result *result;

	(void)state;
	assert_true(live_null(memory, "pss_bytes") && live_null(memory, "uss_bytes"));
	live_run_free(run);
	result = live_memblame(LIVE_ARGV("run", "--pss", "--", "true"));
	assert_non_null(strstr(result->err, "PSS"));
	live_result_free(result);
}

/* A recording has the values too, both in a replay and in its tables. */
static void test_shares_recorded(void **state)
{
	struct live_bg *sharer = start_sharer();
	const char *path = live_path("shares.db");
	const char *ways[][5] = { { "report", "--json", path }, { "replay", path, "run", "--json" } };
	struct live_result *result;
	char pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)sharer->pid);
	result = live_memblame(LIVE_ARGV("record", "--raw", "--quiet", "--pss", "-o", path, "-p", pid,
					 "-d", "0.5"));
	live_equal("status", result->status, 0);
	live_result_free(result);
	for (int i = 0; i < 2; i++) {
		json_t *summary;

		result = live_memblame(ways[i]);
		summary = live_json(result->out);
		live_equal("pss_bytes",
			   live_int(live_process(summary, sharer->pid), "memory.pss_bytes"),
			   rollup(sharer->pid, "Pss"));
		live_equal("uss_bytes",
			   live_int(live_process(summary, sharer->pid), "memory.uss_bytes"),
			   unique(sharer->pid));
		json_decref(summary);
		live_result_free(result);
	}
	live_result_free(live_stop(sharer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_shares_of_the_dead),
		cmocka_unit_test(test_shares_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
