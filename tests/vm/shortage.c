// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A whole machine runs out of memory: kswapd, direct reclaim and a global OOM kill. Only for the
 * guest that tests/vm/run boots for it with 320 MB and no swap.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define KILLED 137 /* 128 + SIGKILL */
#define CACHED_MIB "96"
#define HOG_MIB "1024"

/* Makes clean page cache, so that reclaim finds something. */
static void fill_cache(void)
{
	const char *path = live_path("cached");
	char of[128];

	snprintf(of, sizeof(of), "of=%s", path);
	live_result_free(live_exec(LIVE_ARGV("dd", "if=/dev/zero", "bs=1M", "count=" CACHED_MIB,
					     "conv=fsync", of), NULL));
}

struct kswapd {
	long long runs, pages, woken_by_hog;
};

/* Each run of kswapd ends after it begins, and has a process that woke it. */
static struct kswapd add_up_kswapd(const json_t *summary, pid_t hog)
{
	struct kswapd k = { 0 };
	json_t *e;
	size_t i;

	json_array_foreach(live_get(summary, "events"), i, e) {
		if (strcmp(live_str(e, "event"), "kswapd"))
			continue;
		k.runs++;
		k.pages += live_int(e, "reclaimed_pages");
		assert_true(live_int(e, "end_t_ns") > live_int(e, "t_ns"));
		live_equal("node", live_int(e, "node"), 0);
		assert_true(live_int(e, "woken_by.pid") > 0);
		assert_true(live_str(e, "woken_by.comm")[0] != '\0');
		if (live_int(e, "woken_by.pid") == hog) {
			assert_string_equal(live_str(e, "woken_by.comm"), "memhog");
			k.woken_by_hog++;
		}
	}
	return k;
}

static json_t *the_kill(const json_t *summary)
{
	json_t *e, *kill = NULL;
	size_t i;

	json_array_foreach(live_get(summary, "events"), i, e)
		if (!strcmp(live_str(e, "family"), "oom")) {
			assert_null(kill);
			kill = e;
		}
	if (!kill)
		live_fail("no kill among the events of the summary");
	return kill;
}

static void assert_direct_reclaim(json_t *p, pid_t hog)
{
	struct pairs_truth truth = pairs_read(&guest_pairs, hog);

	assert_true(truth.count > 0);
	live_equal("direct_reclaim.count", live_int(p, "stalls.direct_reclaim.count"), truth.count);
	live_equal("pages_reclaimed", live_int(p, "reclaim.pages_reclaimed"), truth.reclaimed);
	pairs_check(p, "direct_reclaim", &truth);
}

/*
 * Ignores BPF programs that the kernel did not run. From 7.0 on the kernel skips a program while another
 * thread is preempted within it. memblame reports this as lost; it happens more often on a busy machine.
 */
static void assert_nothing_lost(const json_t *summary)
{
	json_t *by;
	size_t i;

	json_array_foreach(live_get(summary, "lost.by"), i, by)
		if (strcmp(live_str(by, "reason"), "program not run") && strcmp(live_str(by, "reason"), "wait not timed"))
			live_fail("lost: %s", json_dumps(by, 0));
}

static void test_shortage(void **state)
{
	long long stolen = guest_vmstat("pgsteal_kswapd"), kills = guest_vmstat("oom_kill");
	const char *reason = pairs_open(&guest_pairs, "vmscan", "mm_vmscan_direct_reclaim");
	struct live_run *run;
	struct kswapd k;
	json_t *kill, *p;
	char *commands, *script;
	pid_t hog;

	(void)state;
	if (reason)
		live_skip("%s", reason);
	fill_cache();
	/* kswapd goes back to sleep some tenths of a second after there is enough memory again */
	assert_true(asprintf(&commands, "%s " HOG_MIB " anon; sleep 2", live_workload("memhog")) > 0);
	script = pairs_script(&guest_pairs, "vmscan", commands);
	free(commands);
	run = live_run(NULL, LIVE_ARGV("sh", "-c", script));
	free(script);
	live_equal("the kernel's own count of kills", guest_vmstat("oom_kill") - kills, 1);
	kill = the_kill(run->summary);
	hog = (pid_t)live_int(kill, "victim.pid");
	assert_string_equal(live_str(kill, "victim.comm"), "memhog");
	p = live_process(run->summary, hog);
	live_equal("exit_code", live_int(p, "exit_code"), KILLED);
	assert_direct_reclaim(p, hog);
	k = add_up_kswapd(run->summary, hog);
	print_message("kswapd: %lld runs, %lld woken by the hog, %lld pages; kernel: %lld pages\n",
		      k.runs, k.woken_by_hog, k.pages, guest_vmstat("pgsteal_kswapd") - stolen);
	assert_true(k.runs > 0);
	assert_true(k.woken_by_hog > 0);
	assert_true(live_int(p, "reclaim.kswapd_wakeups") >= k.woken_by_hog);
	/* the kernel's count includes what kswapd did before and after memblame watched */
	assert_true(k.pages > 0);
	assert_true(k.pages <= guest_vmstat("pgsteal_kswapd") - stolen);
	assert_nothing_lost(run->summary);
	live_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_shortage),
	};

	guest_only("uses up all memory");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
