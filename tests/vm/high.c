// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* memory.high (cgroup v2): a process above it is made to sleep; its own clock shows for how long. */
#include <stdlib.h>
#include <string.h>

#include "guest.h"

#define HIGH_MIB 16
#define HOG_MIB "17" /* a little over the limit: the sleeps grow with the square of the excess */

static long long high_events(void)
{
	char path[320], *text;
	const char *line;
	long long n;

	snprintf(path, sizeof(path), "%s/memory.events", guest_cgroup.dir);
	text = live_slurp(path, NULL);
	line = strstr(text, "high ");
	n = line ? atoll(line + 5) : -1;
	free(text);
	return n;
}

static void test_high(void **state)
{
	const char *reason = sandbox_cgroup_open(&guest_cgroup, 4 * HIGH_MIB << 20);
	long long blocked, slept;
	struct live_run *run;
	char path[320], high[32];
	json_t *p;

	(void)state;
	if (reason)
		live_fail("%s", reason);
	snprintf(path, sizeof(path), "%s/memory.high", guest_cgroup.dir);
	snprintf(high, sizeof(high), "%d", HIGH_MIB << 20);
	guest_write(path, high);
	setenv("WORKLOAD_CGROUP", guest_cgroup.dir, 1);
	run = live_run(NULL, LIVE_ARGV(live_workload("memhog"), HOG_MIB, "anon"));
	unsetenv("WORKLOAD_CGROUP");
	assert_int_equal(run->result->status, 0);
	assert_true(high_events() > 0);
	p = live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
	blocked = live_int(run->workload, "blocked_ns");
	slept = live_int(p, "stalls.high_throttle.ns");
	print_message("asleep for %lld ns in %lld sleeps; memory.high passed %lld times; blocked: %lld ns\n",
		      slept, live_int(p, "stalls.high_throttle.count"), high_events(), blocked);
	assert_true(blocked > 50000000);
	/* at most one sleep for each "high" event */
	assert_in_range(live_int(p, "stalls.high_throttle.count"), 1, high_events());
	live_near("high_throttle.ns", slept, blocked, blocked / 20);
	assert_true(live_int(p, "stalls.high_throttle.max_ns") <= slept);
	/* there is no swap, so nothing could be reclaimed instead */
	assert_true(live_int(p, "stalls.total_ns") >= slept);
	live_equal("lost", live_lost(run->summary), 0);
	live_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_high),
	};

	guest_only("makes processes sleep for seconds");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
