// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* --budget: storms make memblame trace less, soon enough; calm makes it trace everything again. No fault is lost. */
#include "live.h"
#include "scripted_workload.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define STORM_S 8
#define IN_TIME_NS (5 * 1000000000ll)
#define ITERATOR 3

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static long long fault(const json_t *process, const char *name)
{
	return live_int(live_get(process, "faults"), name);
}

static void check_sums(const json_t *process, long long slack)
{
	static const char *const causes[] = { "anon",	 "file",    "cow",  "shmem",	 "swap", "file_io",
					      "mkwrite", "hugetlb", "numa", "userfault", "other" };
	long long sum = 0;

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		sum += fault(process, causes[i]);
	live_near("the sum of the causes", sum, fault(process, "minor") + fault(process, "major"), slack);
}

/*
 * Checks the level events of a summary: each begins where the previous one ended, and the last one has the
 * current level.
 */
static size_t check_events(const json_t *summary)
{
	long long level = 0, tick_divisor = 1, t_ns = 0, ns = 0;
	size_t i, n = 0;
	json_t *e;

	json_array_foreach(live_get(summary, "events"), i, e) {
		if (strcmp(live_str(e, "event"), "level"))
			continue;
		live_equal("from", live_int(e, "from"), level);
		live_equal("stretch_from", live_int(e, "stretch_from"), tick_divisor);
		assert_true(live_int(e, "t_ns") > t_ns);
		assert_true(strlen(live_str(e, "reason")) > 0);
		level = live_int(e, "to");
		tick_divisor = live_int(e, "stretch");
		t_ns = live_int(e, "t_ns");
		if (n++ == 0)
			live_equal("the first level", level, 0);
		else
			assert_true(json_is_real(live_get(e, "cost_percent")));
	}
	live_equal("the level", live_int(summary, "overhead.level_number"), level);
	live_equal("the stretch", live_int(summary, "overhead.stretch"), tick_divisor);
	json_array_foreach(live_get(summary, "overhead.levels"), i, e)
		ns += live_int(e, "ns");
	live_near("the time at all levels", ns, live_int(summary, "duration_ns"), 500000000);
	return n;
}

/* With a budget that cannot be met, tracing goes through all levels while threads fault. No fault is lost. */
static void test_counts_are_exact(void **state)
{
	struct live_run *run = live_run(LIVE_ARGV("--budget", "0.01"),
					LIVE_ARGV(live_workload("faulter"), "storm", "3", "7"));
	const json_t *process = live_process(run->summary, (pid_t)live_int(run->workload, "pid"));

	(void)state;
	live_equal("minor", fault(process, "minor"), live_int(run->workload, "minflt"));
	live_equal("major", fault(process, "major"), live_int(run->workload, "majflt"));
	check_sums(process, 0);
	assert_true(check_events(run->summary) > 1);
	live_equal("the level", live_int(run->summary, "overhead.level_number"), ITERATOR);
	assert_string_equal(live_str(run->summary, "overhead.level"), "iterator");
	assert_true(live_int(run->summary, "overhead.partial_since_t_ns") > 0);
	/* faults that no hook saw have no known cause and no known mode */
	assert_true(fault(process, "anon") > 0 && fault(process, "other") > 0);
	assert_true(live_null(process, "faults.kernel"));
	assert_true(json_is_integer(live_get(run->summary, "overhead.bpf_ns")));
	live_run_free(run);
}

static void test_without_budget(void **state)
{
	struct live_run *run = live_run(NULL, LIVE_ARGV("true"));

	(void)state;
	assert_string_equal(live_str(run->summary, "overhead.level"), "full");
	assert_true(live_null(run->summary, "overhead.levels"));
	live_run_free(run);
}

/* Is the last complete line of top's output at that level? */
static bool is_at_level(const char *path, long long level)
{
	struct live_stream *stream = live_stream_open(path);
	long long at = -1;
	json_t *line;

	while ((line = live_stream_next(stream))) {
		at = live_int(line, "overhead.level_number");
		json_decref(line);
	}
	live_stream_close(stream);
	return at == level;
}

/* Page faults of the whole machine so far. */
static long long machine_faults(void)
{
	char *text = live_slurp("/proc/vmstat", NULL), *at = strstr(text, "\npgfault ");
	long long faults = at ? strtoll(at + 9, NULL, 10) : 0;

	free(text);
	return faults;
}

/*
 * *busy: number of seconds in which other processes made so many faults that tracing only these takes a third
 * of the budget, at 150 ns each.
 */
static bool wait_level(const char *path, long long level, int seconds, int *busy)
{
	*busy = 0;
	for (int i = 0; i < seconds; i++) {
		long long before = machine_faults();

		if (is_at_level(path, level))
			return true;
		sleep(1);
		*busy += machine_faults() - before > 20000;
	}
	return false;
}

/* The time after after_ns when tracing first reached a level. */
static long long reached_ns(const json_t *summary, long long level, long long after_ns)
{
	size_t i;
	json_t *e;

	json_array_foreach(live_get(summary, "events"), i, e) {
		if (!strcmp(live_str(e, "event"), "level") && live_int(e, "to") == level &&
		    live_int(e, "t_ns") > after_ns)
			return live_int(e, "t_ns");
	}
	live_fail("never at level %lld", level);
	return 0;
}

/*
 * Sums the faults of all intervals, and the anonymous faults of the intervals that began after a time.
 * Returns the last line, which the caller owns.
 */
static json_t *sum_intervals(const char *path, pid_t pid, long long after_ns, long long *faults, long long *anon)
{
	struct live_stream *stream = live_stream_open(path);
	json_t *line, *last = NULL, *process;

	*faults = *anon = 0;
	while ((line = live_stream_next(stream))) {
		json_decref(last);
		last = line;
		process = live_find_process(line, pid);
		if (!process || strcmp(live_str(line, "scope"), "interval"))
			continue;
		check_sums(process, 2);
		*faults += fault(process, "minor") + fault(process, "major");
		if (live_int(line, "system.t_ns") - live_int(line, "duration_ns") > after_ns)
			*anon += fault(process, "anon");
	}
	live_stream_close(stream);
	return last;
}

static void print_levels(const json_t *summary)
{
	size_t i;
	json_t *e;

	json_array_foreach(live_get(summary, "events"), i, e) {
		if (!strcmp(live_str(e, "event"), "level"))
			print_message("%lld: level %s, stretch %lld: %s\n", live_int(e, "t_ns") / 1000000,
				      live_str(e, "name"), live_int(e, "stretch"), live_str(e, "reason"));
	}
}

static void test_down_and_up_again(void **state)
{
	const char *path = live_path("top.json"), *budget = live_emulated() ? "10" : "1";
	struct scripted *p = scripted_new();
	long long before, made, faults, anon, storm_ns, back_ns;
	struct live_result *said;
	int busy;
	struct live_bg *top;
	json_t *total;
	const json_t *process;

	(void)state;
	before = scripted_faults(p);
	top = live_start(LIVE_ARGV("top", "--json", "-i", "1", "--budget", budget, "-o", path, "-p", p->text));
	if (!wait_level(path, 0, 60, &busy) && busy)
		live_skip("this machine is not quiet");
	sleep(4);
	storm_ns = now_ns();
	while (now_ns() - storm_ns < STORM_S * 1000000000ll)
		scripted_do(p, "z");
	/* three steps up, each after ten quiet seconds */
	if (!wait_level(path, 0, live_emulated() ? 240 : 90, &busy)) {
		said = live_stop(top);
		total = sum_intervals(path, p->pid, 0, &faults, &anon);
		print_levels(total);
		print_message("own CPU time %lld ms of %lld ms; %s\n",
			      live_int(total, "overhead.self_cpu_ns") / 1000000,
			      live_int(total, "duration_ns") / 1000000, said->err);
		scripted_free(p);
		/* one such second causes a step down; the next step up then takes twice as long */
		if (busy)
			live_skip("this machine is not quiet: others faulted a lot in %d of 90 s", busy);
		live_fail("not back at level full after 90 s of quiet");
	}
	back_ns = now_ns();
	sleep(1);
	scripted_do(p, "a");
	sleep(3);
	live_result_free(live_stop(top));
	made = scripted_faults(p) - before;
	total = sum_intervals(path, p->pid, back_ns, &faults, &anon);
	live_equal("lost", live_lost_faults(total), 0);
	process = live_process(total, p->pid);
	check_events(total);
	check_sums(process, 0);
	live_equal("the final summary", fault(process, "minor") + fault(process, "major"), made);
	live_equal("the sum of the intervals", faults, made);
	print_message("at level iterator %.1f s after the storm began\n",
		      (double)(reached_ns(total, ITERATOR, storm_ns) - storm_ns) / 1e9);
	assert_true(reached_ns(total, ITERATOR, storm_ns) - storm_ns <= IN_TIME_NS);
	/* the hooks are active again: 8,000 pages have a known cause */
	live_near("anon after the storm", anon, 8000, 80);
	json_decref(total);
	unlink(path);
	scripted_free(p);
}

/* trace shows the steps whatever families it traces, and a recording has them, too. */
static void test_shown_and_recorded(void **state)
{
	const char *path = live_path("budget.db"), *storm = live_workload("faulter");
	struct live_result *r;
	json_t *summary;

	(void)state;
	r = live_memblame(LIVE_ARGV("trace", "--json", "-f", "oom", "--budget", "1", "--", "true"));
	assert_non_null(strstr(r->out, "\"event\":\"level\""));
	live_result_free(r);
	r = live_memblame(LIVE_ARGV("record", "--raw", "--budget", "0.01", "-o", path, "--", storm, "storm", "2", "6"));
	live_equal("record", r->status, 0);
	live_result_free(r);
	for (int i = 0; i < 2; i++) {
		r = live_memblame(i ? LIVE_ARGV("replay", path, "run", "--json") : LIVE_ARGV("report", "--json", path));
		live_equal("status", r->status, 0);
		summary = live_json(r->out);
		check_events(summary);
		live_equal("the level", live_int(summary, "overhead.level_number"), ITERATOR);
		json_decref(summary);
		live_result_free(r);
	}
}

/* Without the privilege memblame cannot know its cost, and says so. */
static void test_without_privilege(void **state)
{
	struct live_result *r = live_exec(LIVE_ARGV("setpriv", "--bounding-set=-sys_admin", live_bin("memblame"), "run",
						    "--json", "--budget", "1", "-o", live_path("cap.json"), "--", "sleep",
						    "2"),
					  NULL);
	json_t *summary;
	char *text;

	(void)state;
	/* libbpf 1.1 looks for types in modules, which requires it */
	if (r->status == 3) {
		summary = live_json(r->out);
		live_skip("without CAP_SYS_ADMIN: %s", live_str(summary, "message"));
	}
	live_equal("status", r->status, 0);
	assert_non_null(strstr(r->err, "CAP_SYS_ADMIN"));
	text = live_slurp(live_path("cap.json"), NULL);
	summary = live_json(text);
	assert_true(live_null(summary, "overhead.bpf_ns"));
	assert_string_equal(live_str(summary, "overhead.level"), "full");
	json_decref(summary);
	free(text);
	live_result_free(r);
}

/*
 * The child that may enable the statistics ends with memblame, however memblame ends. The statistics are
 * disabled again.
 */
static void test_nothing_is_left(void **state)
{
	struct live_bg *top = live_start(LIVE_ARGV("top", "--json", "--budget", "1", "-o", live_path("killed.json")));
	char path[64], *children;

	(void)state;
	sleep(1);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", top->pid, top->pid);
	children = live_slurp(path, NULL);
	assert_true(strtol(children, NULL, 10) > 0);
	free(children);
	kill(top->pid, SIGKILL);
	live_result_free(live_wait(top));
	live_check_no_orphans("after SIGKILL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_budget),    cmocka_unit_test(test_counts_are_exact),
		cmocka_unit_test(test_down_and_up_again), cmocka_unit_test(test_shown_and_recorded),
		cmocka_unit_test(test_without_privilege), cmocka_unit_test(test_nothing_is_left),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
