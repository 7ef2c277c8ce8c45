// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The flight history as top shows it: growth within the last minute, compared with /proc, and the cost of the
 * history.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "killing.h"

#define KIB 1024ll

/* For a process older than a minute, nothing is known from before top. */
static void assert_old_ones(const json_t *doc)
{
	struct timespec now;
	json_t *p;
	size_t i;

	clock_gettime(CLOCK_BOOTTIME, &now);
	json_array_foreach(live_get(doc, "processes"), i, p) {
		if (live_bool(p, "exited") || live_null(p, "memory.growth_ns") ||
		    live_int(p, "start_t_ns") > (now.tv_sec - 70) * 1000000000ll)
			continue;
		/* the first tick is slightly before the start */
		assert_in_range(live_int(p, "memory.growth_ns"), 0, live_int(doc, "duration_ns") + 100000000);
		assert_true(live_int(p, "memory.growth_bytes") <= live_int(p, "memory.rss_bytes"));
	}
}

/* A process younger than a minute has grown by all of its memory, whether top saw the growth or not. */
static void test_growth(void **state)
{
	struct killing_holder before = killing_hold("48", "0"), after;
	char path[256];
	struct live_bg *top;
	struct live_result *r;
	json_t *doc, *p;
	long long rss;

	(void)state;
	top = live_start(LIVE_ARGV("top", "--json", "-i", "1", "-o", live_path("growth")));
	snprintf(path, sizeof(path), "%s", live_path("growth"));
	usleep(1200000);
	after = killing_hold("32", "0");
	usleep(1500000);
	rss = live_proc_status(after.bg->pid, "VmRSS") * KIB;
	r = live_stop(top);
	live_equal("status of top", r->status, 0);
	live_result_free(r);
	doc = live_last_summary(path);
	p = live_process(doc, before.bg->pid);
	assert_true(live_int(p, "memory.rss_bytes") > 48 * MIB);
	live_near("growth of the first", live_int(p, "memory.growth_bytes"), live_int(p, "memory.rss_bytes"), MIB);
	assert_in_range(live_int(p, "memory.growth_ns"), live_int(doc, "duration_ns"), 60000000000);
	p = live_process(doc, after.bg->pid);
	live_near("growth of the second", live_int(p, "memory.growth_bytes"), rss, MIB);
	/* since the process's birth, and no longer than top has been running */
	assert_in_range(live_int(p, "memory.growth_ns"), 1000000000, live_int(doc, "duration_ns") + 100000000);
	assert_old_ones(doc);
	json_decref(doc);
	killing_end_holder(&before, 0);
	killing_end_holder(&after, 0);
}

/* With room for only a few processes, the others have no history, and nothing breaks. */
static void test_small(void **state)
{
	struct live_result *r = live_memblame(LIVE_ARGV("top", "--json", "-d", "1", "--history", "60,48,1", "-o",
							live_path("small")));
	json_t *doc, *p;
	int resident = 0;
	size_t i;

	(void)state;
	live_equal("status", r->status, 0);
	live_result_free(r);
	doc = live_last_summary(live_path("small"));
	/* 6,480 points of 40 bytes each: 4 of these fit in 1 MiB, for tens of processes */
	live_equal("most_bytes", live_int(doc, "history.most_bytes"), MIB);
	assert_in_range(live_int(doc, "history.bytes"), 3 * 6480 * 40, MIB);
	json_array_foreach(live_get(doc, "processes"), i, p) {
		resident += !live_null(p, "memory.rss_bytes") && !live_bool(p, "exited");
	}
	/* one history is the machine's, and cgroups have some */
	if (resident > 3)
		assert_true(live_int(doc, "history.left_out") > 0);
	json_decref(doc);
	r = live_memblame(LIVE_ARGV("top", "--history", "1,2"));
	live_equal("status", r->status, 2);
	assert_non_null(strstr(live_one_line(r), "--history needs MINUTES,HOURS,MIB"));
	live_result_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
