// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * leaks: when processes and cgroups reach a limit. Programs that grow at a known rate run in cgroups of all
 * kinds under a single memblame. The test compares memblame's rates, limits and usage with the programs and
 * with the cgroup's files. The predicted time must follow from these figures.
 */
#include "live.h"
#include "sandbox.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1ll << 20)
#define RATE 4000000ll /* bytes per second of each growing program */
#define RATE_S "4000000"
#define LINES 20 /* number of values that a rate is computed from */
/* the program waits for memblame, so the time to attach does not matter */
#define LEAK "WORKLOAD_WAIT=1 exec $LEAKER heap " RATE_S " 10000 600"

/* One program, or several in a cgroup. limit_mib: limit of the cgroup itself; 0: only the common limit. */
static struct subject {
	const char *cgroup, *script;
	long limit_mib;
	struct live_bg *bg;
	pid_t pid;
	long long usage_before, usage_after;
} subjects[] = {
	{ "alone", LEAK, 400 },
	{ "shared", LEAK, 500 },
	{ "shared", LEAK, 500 },
	{ "top", NULL, 450 },
	{ "top/middle", NULL, 0 },
	{ "top/middle/leaf", LEAK, 0 },
	{ "cache", LEAK, 600 },
	/* 100 MiB of page cache in 10 s, which no process uses any more */
	{ "cache",
	  "for i in 0 1 2 3 4 5 6 7 8 9; do dd if=/dev/zero of=$DIR/cached bs=1M count=10 seek=${i}0 conv=notrunc"
	  " 2>/dev/null; sleep 1; done; exec sleep 600",
	  600 },
	{ "as", "ulimit -v 600000; " LEAK, 0 },
	{ "data", "ulimit -d 500000; " LEAK, 0 },
	{ "stopped", "WORKLOAD_WAIT=1 WORKLOAD_STAY=1 exec $LEAKER heap " RATE_S " 10000 3", 300 },
	{ "fallen", LEAK, 700 },
	/* another process frees 150 MiB meanwhile, which does not create room for good */
	{ "fallen", "sleep 8 | $HOG 150 hold; exec sleep 600", 700 },
	{ "flat", "WORKLOAD_WAIT=1 exec $LEAKER gc 600", 300 },
};

enum {
	ALONE,
	SHARED,
	SHARED_TOO,
	TOP,
	MIDDLE,
	LEAF,
	CACHE,
	WRITER,
	ADDRESS_SPACE,
	DATA,
	STOPPED,
	FALLEN,
	HOLDER,
	FLAT,
	SUBJECTS
};

static struct sandbox_cgroup all;
static json_t *answer;
static const char *skip;

/* ---- cgroups ---- */

static const char *group_dir(const struct subject *s)
{
	static char dir[256];

	snprintf(dir, sizeof(dir), "%s/%s", all.dir, s->cgroup);
	return dir;
}

static const char *group_path(int subject)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", all.path, subjects[subject].cgroup);
	return path;
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		live_fail("%s: cannot write %s", path, text);
	close(fd);
}

static long long usage_of(const struct subject *s)
{
	char path[512], *text;
	long long usage;

	snprintf(path, sizeof(path), "%s/%s", group_dir(s),
		 all.v2 ? "memory.current" : "memory.usage_in_bytes");
	text = live_slurp(path, NULL);
	usage = atoll(text);
	free(text);
	return usage;
}

static void make_group(const struct subject *s)
{
	char limit[32];

	if (mkdir(group_dir(s), 0755))
		return; /* it shares the cgroup of the one before it */
	snprintf(limit, sizeof(limit), "%lld", s->limit_mib * MIB);
	if (s->limit_mib)
		put(group_dir(s), all.v2 ? "memory.max" : "memory.limit_in_bytes", limit);
	if (all.v2 && !s->script)
		put(group_dir(s), "cgroup.subtree_control", "+memory");
}

/* ---- running ---- */

static void start(struct subject *s)
{
	char script[1024];

	make_group(s);
	if (!s->script)
		return;
	snprintf(script, sizeof(script), "LEAKER=%s HOG=%s DIR=%s; echo $$ >%s/cgroup.procs; %s",
		 live_workload("leaker"), live_workload("memhog"), live_tmp(), group_dir(s), s->script);
	s->bg = live_spawn(LIVE_ARGV("/bin/sh", "-c", script));
	s->pid = s->bg->pid;
	if (strstr(s->script, "WORKLOAD_WAIT") && !live_wait_text(s->bg->err_path, ": ready\n"))
		live_fail("%s is not ready", s->cgroup);
}

static void wait_lines(const char *path, int lines)
{
	for (int waited = 0, n = 0; n < lines; waited++) {
		char *text = live_slurp(path, NULL);

		n = 0;
		for (const char *at = text; (at = strchr(at, '\n')); at++)
			n++;
		free(text);
		if (waited == 3000)
			live_fail("memblame has said %d of %d lines", n, lines);
		usleep(100000);
	}
}

static json_t *run_all(void)
{
	static char pids[SUBJECTS][16];
	const char *argv[2 * SUBJECTS + 8] = { "leaks", "--json", "--stacks=none", "-i", "1" };
	struct live_result *result;
	struct live_bg *memblame;
	json_t *document;
	int n = 5;

	for (int i = 0; i < SUBJECTS; i++) {
		start(&subjects[i]);
		snprintf(pids[i], sizeof(pids[i]), "%d", (int)subjects[i].pid);
		if (!subjects[i].bg || i == WRITER || i == HOLDER)
			continue;
		argv[n++] = "-p";
		argv[n++] = pids[i];
	}
	memblame = live_start(argv);
	for (int i = 0; i < SUBJECTS; i++) {
		if (subjects[i].bg && strstr(subjects[i].script, "WORKLOAD_WAIT"))
			kill(subjects[i].pid, SIGUSR2);
	}
	wait_lines(memblame->out_path, LINES);
	for (int i = 0; i < SUBJECTS; i++)
		subjects[i].usage_before = usage_of(&subjects[i]);
	result = live_stop(memblame);
	for (int i = 0; i < SUBJECTS; i++)
		subjects[i].usage_after = usage_of(&subjects[i]);
	live_equal("status", result->status, 0);
	document = live_last_json(result->out);
	live_result_free(result);
	return document;
}

static int open_all(void **state)
{
	(void)state;
	skip = sandbox_cgroup_open(&all, 8ul << 30);
	if (!skip && all.v2)
		put(all.dir, "cgroup.subtree_control", "+memory");
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	for (int i = 0; i < SUBJECTS; i++) {
		if (!subjects[i].bg)
			continue;
		kill(subjects[i].pid, SIGKILL);
		live_result_free(live_wait(subjects[i].bg));
	}
	json_decref(answer);
	if (!skip)
		sandbox_cgroup_close(&all);
	return 0;
}

static const json_t *process_of(int subject)
{
	if (skip)
		live_skip("%s", skip);
	if (!answer)
		answer = run_all();
	return live_process(answer, subjects[subject].pid);
}

static const json_t *cgroup_of(int subject)
{
	json_t *one;
	size_t i;

	json_array_foreach(live_get(answer, "cgroups"), i, one)
	{
		if (!strcmp(live_str(one, "path"), group_path(subject)))
			return one;
	}
	live_fail("%s is not there", group_path(subject));
	return NULL;
}

/* ---- invariants ---- */

/* The predicted time is the remaining room divided by the growth rate, to the byte. */
static void check_time(const json_t *one)
{
	double left = (double)live_int(one, "limit.bytes") -
		      (double)live_int(one, "limit.usage_bytes") +
		      (double)live_int(one, "limit.reclaimable_bytes") +
		      (double)live_int(one, "limit.swap_bytes");
	double ns = left / (double)live_int(one, "limit.slope_bytes_per_s") * 1e9;

	if (fabs(ns - (double)live_int(one, "eta_to_limit_ns")) > 1 + ns / 1e6)
		live_fail("%lld ns, not %.0f", live_int(one, "eta_to_limit_ns"), ns);
}

static void check_rate(const char *what, long long got, long long want)
{
	live_near(what, got, want, want / 10);
}

/*
 * The one that is reported reaches the limit of that cgroup, with usage as in the cgroup's files. The cgroup
 * as a whole grows at the given rate.
 */
static void check_cgroup(const json_t *one, int subject, long long rate)
{
	const struct subject *s = &subjects[subject];
	long long usage = live_int(one, "limit.usage_bytes");

	assert_string_equal(live_str(one, "limit.kind"), "cgroup");
	assert_string_equal(live_str(one, "limit.path"), group_path(subject));
	live_equal("limit", live_int(one, "limit.bytes"), s->limit_mib * MIB);
	check_rate("all that grows", live_int(one, "limit.slope_bytes_per_s"), rate);
	/* the kernel charges pages in per-CPU batches */
	if (usage < s->usage_before - MIB || usage > s->usage_after + MIB)
		live_fail("usage %lld, not %lld to %lld", usage, s->usage_before, s->usage_after);
	check_time(one);
}

static void no_time(const json_t *one)
{
	live_equal("slope", live_int(one, "slope_bytes_per_s"), 0);
	assert_true(json_is_null(live_get(one, "eta_to_limit_ns")));
	/* the limit is reported nevertheless */
	assert_true(json_is_object(live_get(one, "limit")));
}

static void test_alone(void **state)
{
	const json_t *p = process_of(ALONE), *group;
	size_t i;

	(void)state;
	check_rate("slope", live_int(p, "slope_bytes_per_s"), RATE);
	check_cgroup(p, ALONE, RATE);
	check_rate("slope of the cgroup", live_int(cgroup_of(ALONE), "slope_bytes_per_s"), RATE);
	check_cgroup(cgroup_of(ALONE), ALONE, RATE);
	live_equal("time of the cgroup", live_int(cgroup_of(ALONE), "eta_to_limit_ns"),
		   live_int(p, "eta_to_limit_ns"));
	json_array_foreach(live_get(answer, "groups"), i, group)
	{
		if (live_int(group, "pid") == subjects[ALONE].pid &&
		    live_int(group, "slope_bytes_per_s") > 0)
			live_equal("time of a group", live_int(group, "eta_to_limit_ns"),
				   live_int(p, "eta_to_limit_ns"));
	}
}

/* Each uses half of what they use together. */
static void test_shared(void **state)
{
	const json_t *one = process_of(SHARED), *other = process_of(SHARED_TOO);

	(void)state;
	check_rate("slope", live_int(one, "slope_bytes_per_s"), RATE);
	check_rate("slope", live_int(other, "slope_bytes_per_s"), RATE);
	check_cgroup(one, SHARED, 2 * RATE);
	check_cgroup(other, SHARED, 2 * RATE);
	live_equal("time", live_int(one, "eta_to_limit_ns"), live_int(other, "eta_to_limit_ns"));
	check_rate("slope of the cgroup", live_int(cgroup_of(SHARED), "slope_bytes_per_s"),
		   2 * RATE);
}

static void test_limit_above(void **state)
{
	const json_t *p = process_of(LEAF);

	(void)state;
	check_cgroup(p, TOP, RATE);
	check_cgroup(cgroup_of(LEAF), TOP, RATE);
	check_cgroup(cgroup_of(MIDDLE), TOP, RATE);
	check_cgroup(cgroup_of(TOP), TOP, RATE);
}

/* Page cache fills the free room and gives way on demand. It counts neither as growth nor as usage. */
static void test_page_cache(void **state)
{
	const json_t *p = process_of(CACHE);
	char path[512];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/cached", live_tmp());
	if (stat(path, &st))
		live_fail("%s was not written", path);
	check_rate("slope", live_int(p, "slope_bytes_per_s"), RATE);
	check_cgroup(p, CACHE, RATE);
	/* pages that the kernel has already reclaimed count in neither; the leaker's own code is also included */
	assert_true(live_int(p, "limit.reclaimable_bytes") >= st.st_size * 9 / 10);
	assert_true(live_int(p, "limit.reclaimable_bytes") < st.st_size + 32 * MIB);
}

static void test_given_back(void **state)
{
	const json_t *p = process_of(FALLEN);

	(void)state;
	check_rate("slope", live_int(p, "slope_bytes_per_s"), RATE);
	check_cgroup(p, FALLEN, RATE);
	check_cgroup(cgroup_of(FALLEN), FALLEN, RATE);
}

static void test_own_limits(void **state)
{
	const json_t *p = process_of(ADDRESS_SPACE);

	(void)state;
	assert_string_equal(live_str(p, "limit.kind"), "address space");
	assert_true(json_is_null(live_get(p, "limit.path")));
	live_equal("limit", live_int(p, "limit.bytes"), 600000 * 1024);
	check_rate("what is mapped", live_int(p, "limit.slope_bytes_per_s"), RATE);
	check_time(p);
	p = process_of(DATA);
	assert_string_equal(live_str(p, "limit.kind"), "data");
	live_equal("limit", live_int(p, "limit.bytes"), 500000 * 1024);
	check_rate("what is mapped", live_int(p, "limit.slope_bytes_per_s"), RATE);
	check_time(p);
}

static void test_no_growth(void **state)
{
	(void)state;
	no_time(process_of(STOPPED));
	no_time(cgroup_of(STOPPED));
	no_time(process_of(FLAT));
	no_time(cgroup_of(FLAT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),	    cmocka_unit_test(test_shared),
		cmocka_unit_test(test_limit_above), cmocka_unit_test(test_page_cache),
		cmocka_unit_test(test_given_back),  cmocka_unit_test(test_own_limits),
		cmocka_unit_test(test_no_growth),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
