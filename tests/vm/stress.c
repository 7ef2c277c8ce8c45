// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A machine under stress for a while: everything that memblame reports must be possible. No time is
 * negative or counted twice, each stall has its length, and lost events are counted.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

/* stress-ng and its libraries are on the guest's disk, so that they use no memory in other tests. */
#define STRESS_DIR "/tmp/stress-ng"
#define GRACE_S 120

static long long boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static const char *seconds(void)
{
	const char *s = getenv("MEMBLAME_STRESS_S");

	if (!s || atoi(s) <= 0)
		live_skip("not on each kernel: MEMBLAME_STRESS_S=SECONDS asks for it");
	if (access(STRESS_DIR "/stress-ng", X_OK))
		live_skip("no stress-ng here; tools/setup installs it");
	return s;
}

/* --- what a summary says --- */

/* Returns the time of the stall. */
static long long check_stall(const json_t *p, const char *kind, const json_t *stall)
{
	long long count = live_int(stall, "count"), ns = live_int(stall, "ns");
	long long max = live_int(stall, "max_ns"), in_histogram = 0;

	if (count < 0 || max < 0 || max > ns || (!count && ns))
		live_fail("%s of %s: %lld stalls, %lld ns, longest %lld", kind, live_str(p, "comm"),
			  count, ns, max);
	if (!live_null(stall, "lengths"))
		in_histogram = live_int(stall, "lengths.count");
	if (in_histogram != count)
		live_fail("%s of %s (pid %lld): %lld stalls, %lld lengths", kind,
			  live_str(p, "comm"), live_int(p, "pid"), count, in_histogram);
	return ns;
}

/* No thread can have waited longer than it was watched. */
static long long check_process(const json_t *p, long long end_ns, long long duration_ns)
{
	long long sum = 0, total = live_int(p, "stalls.total_ns");
	long long life = end_ns - live_int(p, "start_t_ns");
	long long threads = live_int(p, "threads");
	const char *kind;
	json_t *stall;

	json_object_foreach(live_get(p, "stalls"), kind, stall)
		if (json_is_object(stall))
			sum += check_stall(p, kind, stall);
	live_equal("stalls.total_ns", total, sum);
	if (life > duration_ns)
		life = duration_ns;
	if (total > life * (threads > 1 ? threads : 1))
		live_fail("%s (pid %lld): stalls of %lld ns in %lld ns, %lld threads",
			  live_str(p, "comm"), live_int(p, "pid"), total, life, threads);
	return total;
}

static void check_lost(const json_t *doc)
{
	long long sum = 0;
	json_t *by;
	size_t i;

	json_array_foreach(live_get(doc, "lost.by"), i, by) {
		print_message("lost: %s, %s: %lld\n", live_str(by, "family"),
			      live_str(by, "reason"), live_int(by, "count"));
		assert_true(live_int(by, "count") > 0);
		sum += live_int(by, "count");
	}
	live_equal("lost.total", live_int(doc, "lost.total"), sum);
}

static void check_summary(const json_t *summary, long long end_ns)
{
	long long duration = live_int(summary, "duration_ns"), total = 0;
	size_t i, n = json_array_size(live_get(summary, "processes"));
	json_t *p;

	check_lost(summary);
	json_array_foreach(live_get(summary, "processes"), i, p)
		total += check_process(p, end_ns, duration);
	print_message("run: %zu processes, %lld ns of stalls in %lld ns\n", n, total, duration);
	/* the stressors, and the process that started them; and there were stalls */
	assert_true(n >= 5);
	assert_true(total > 0);
}

/* --- what blame says --- */

static void check_culprits(const json_t *victim)
{
	long long ns = live_int(victim, "stalled_ns"), blamed = 0;
	json_t *c, *culprits = live_get(victim, "culprits");
	double sum = 0;
	size_t i;

	assert_true(ns >= 0);
	json_array_foreach(culprits, i, c) {
		double share = json_number_value(live_get(c, "share"));

		if (share < 0 || live_int(c, "blamed_ns") < 0 || live_int(c, "pages") < 0)
			live_fail("%s: %s", live_str(victim, "victim.comm"), json_dumps(c, 0));
		sum += share;
		blamed += live_int(c, "blamed_ns");
	}
	/* each is rounded */
	if (sum > 1.001 || blamed > ns + (long long)json_array_size(culprits))
		live_fail("%s: %lld ns stalled, %lld ns blamed, shares of %f",
			  live_str(victim, "victim.comm"), ns, blamed, sum);
}

static void check_blame(const json_t *doc)
{
	json_t *e;
	size_t i;

	check_lost(doc);
	print_message("blame: %zu victims in reclaim, %zu on devices, %zu evictions\n",
		      json_array_size(live_get(doc, "reclaim")),
		      json_array_size(live_get(doc, "writeback")),
		      json_array_size(live_get(doc, "evictions")));
	json_array_foreach(live_get(doc, "reclaim"), i, e)
		check_culprits(e);
	json_array_foreach(live_get(doc, "writeback"), i, e)
		check_culprits(e);
	json_array_foreach(live_get(doc, "evictions"), i, e)
		assert_true(live_int(e, "pages") > 0);
}

/* --- the summary and blame, of the same minute --- */

static json_t *read_json(const char *path)
{
	char *text = live_slurp(path, NULL);
	json_t *doc = live_json(text);

	free(text);
	return doc;
}

static void test_stress(void **state)
{
	const char *s = seconds(), *summary = live_path("run.json"),
		   *blame = live_path("blame.json");
	struct live_bg *run, *blamer;
	struct live_result *r;
	json_t *doc;

	(void)state;
	guest_swap_on(128);
	blamer = live_start(LIVE_ARGV("blame", "--json", "-d", "3600", "-o", blame));
	setenv("LD_LIBRARY_PATH", STRESS_DIR "/lib", 1);
	run = live_spawn(LIVE_ARGV(live_bin("memblame"), "run", "--json", "-o", summary, "--",
				   STRESS_DIR "/stress-ng", "--temp-path", live_tmp(), "--vm", "2",
				   "--vm-bytes", "60%", "--hdd", "1", "--hdd-bytes", "96M", "--io",
				   "1", "--timeout", s));
	unsetenv("LD_LIBRARY_PATH");
	poll(&(struct pollfd){ .fd = run->pidfd, .events = POLLIN }, 1, (atoi(s) + GRACE_S) * 1000);
	r = live_wait(run);
	if (r->status)
		live_fail("status %d: %s%s", r->status, r->out, r->err);
	live_result_free(r);
	live_result_free(live_stop(blamer));
	doc = read_json(summary);
	check_summary(doc, boot_ns());
	json_decref(doc);
	doc = read_json(blame);
	check_blame(doc);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_stress),
	};

	guest_only("keeps the whole machine busy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
