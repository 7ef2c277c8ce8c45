// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Causes that a process's page counters do not show: pages made writable, huge pages of the pool, faults that
 * another thread answers. Also faults that fail, and faults that the kernel takes for itself. The reference
 * is what the workload counted.
 */
#include "live.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGES 2000
#define SLACK 24 /* start-up: loader, libc, a buffer */
#define POOL "/proc/sys/vm/nr_hugepages"

static const char *const causes[] = { "anon",	 "file",    "cow",  "shmem",	 "swap", "file_io",
				      "mkwrite", "hugetlb", "numa", "userfault", "other" };
#define N_CAUSES (sizeof(causes) / sizeof(causes[0]))

static long long fault(const json_t *process, const char *name)
{
	const json_t *value = live_get(live_get(process, "faults"), name);

	return json_is_null(value) ? 0 : json_integer_value(value);
}

static void check_sum(const json_t *process)
{
	long long sum = 0;

	for (size_t i = 0; i < N_CAUSES; i++)
		sum += fault(process, causes[i]);
	live_equal("the sum of the causes", sum, fault(process, "minor") + fault(process, "major"));
}

static const json_t *process_of(const struct live_run *run, const char *pid)
{
	return live_process(run->summary, (pid_t)live_int(run->workload, pid));
}

static struct live_run *trace(const char *mode, const char *arg, const char *arg2, const char *arg3)
{
	const char *cmd[] = { live_workload("causes"), mode, arg, arg2, arg3, NULL };
	struct live_run *run = live_run(NULL, cmd);
	const json_t *p;

	if (run->result->status == 3) {
		live_run_free(run);
		live_skip("this kernel has no userfaultfd of this mode");
	}
	if (run->result->status || !run->workload)
		live_fail("causes %s: status %d, %s", mode, run->result->status, run->result->err);
	p = process_of(run, "pid");
	live_equal("lost", live_lost_faults(run->summary), 0);
	live_equal("minor", fault(p, "minor"), live_int(run->workload, "minflt"));
	live_equal("major", fault(p, "major"), live_int(run->workload, "majflt"));
	check_sum(p);
	return run;
}

/* Every page is clean at first and is cleaned once by write-back. None of the pages is copied. */
static void test_mkwrite(void **state)
{
	struct live_run *run = trace("mkwrite", "2000", live_path("causes.data"), NULL);
	const json_t *p = process_of(run, "pid");
	long long made =
		live_int(run->workload, "mkwrite") + live_int(run->workload, "mkwrite_again");

	(void)state;
	assert_in_range(made, 2 * PAGES, 2 * PAGES + 4);
	live_near("mkwrite", fault(p, "mkwrite"), made, 4);
	live_near("cow", fault(p, "cow"), 0, SLACK);
	live_near("anon", fault(p, "anon"), 0, 2 * SLACK);
	live_run_free(run);
}

static void test_reuse(void **state)
{
	struct live_run *run = trace("reuse", "2000", NULL, NULL);
	const json_t *p = process_of(run, "pid");

	(void)state;
	live_near("cow", fault(p, "cow"), live_int(run->workload, "cow"), SLACK);
	live_equal("mkwrite", fault(p, "mkwrite"), 0);
	live_run_free(run);
}

/* The mapping at the time of the fault counts, not the mapping at the start of the next fault. */
static void test_alternate(void **state)
{
	struct live_run *run = trace("alternate", "300", live_path("causes.data"), NULL);
	const json_t *p = process_of(run, "pid");

	(void)state;
	live_equal("faults made", live_int(run->workload, "all") / 300, 3);
	live_equal("mkwrite", fault(p, "mkwrite"), 300);
	live_near("anon", fault(p, "anon"), 300, 2 * SLACK);
	live_near("cow", fault(p, "cow"), 0, SLACK);
	live_run_free(run);
}

static char pool_before[24];

static bool write_pool(const char *value)
{
	FILE *f = fopen(POOL, "w");

	return f && fputs(value, f) >= 0 && !fclose(f);
}

static int pool_back(void **state)
{
	(void)state;
	return pool_before[0] && !write_pool(pool_before);
}

static void test_hugetlb(void **state)
{
	struct live_run *run;
	const json_t *p;
	char *now, want[24];
	long long before, got;

	(void)state;
	if (access(POOL, W_OK))
		live_skip("this kernel has no pool of huge pages");
	now = live_slurp(POOL, NULL);
	before = strtoll(now, NULL, 10);
	snprintf(pool_before, sizeof(pool_before), "%lld", before);
	free(now);
	snprintf(want, sizeof(want), "%lld", before + 8);
	assert_true(write_pool(want));
	now = live_slurp(POOL, NULL);
	got = strtoll(now, NULL, 10);
	free(now);
	if (got < before + 8)
		live_skip("memory is too fragmented for 8 more huge pages");
	run = trace("hugetlb", "4", NULL, NULL);
	p = process_of(run, "pid");
	/* 4 pages, then their copies; the workload's count may include a page of the program itself */
	assert_in_range(live_int(run->workload, "hugetlb"), 4, 6);
	live_equal("hugetlb", fault(p, "hugetlb"), 8);
	live_run_free(run);
}

/* Pages that the kernel takes for itself after a failed fault have no cause, whatever the failed fault wanted. */
static void test_failed(void **state)
{
	struct live_run *run = trace("failed", "3000", live_path("causes.data"), NULL);
	const json_t *p = process_of(run, "pid");

	(void)state;
	live_equal("SIGSEGV", live_int(run->workload, "segv"), 1000);
	live_equal("SIGBUS", live_int(run->workload, "bus"), 1000);
	live_equal("EFAULT", live_int(run->workload, "efault"), 1000);
	live_equal("locked", live_int(run->workload, "locked"), 3000);
	live_equal("segv_unmapped", fault(p, "segv_unmapped"), 1000);
	live_near("other", fault(p, "other"), 3000, 100); /* exec takes some, too */
	live_near("anon", fault(p, "anon"), 0, 2 * SLACK);
	live_near("write", fault(p, "write"), 0, 2 * SLACK);
	live_run_free(run);
}

/*
 * This process writes to pages of another process. The kernel counts the faults here, but they are not first
 * touches by either process.
 */
static void test_remote(void **state)
{
	struct live_run *run = trace("remote", "2000", NULL, NULL);
	const json_t *p = process_of(run, "pid"), *child = process_of(run, "child_pid");

	(void)state;
	live_near("anon", fault(p, "anon"), PAGES, SLACK);
	live_near("other", fault(p, "other"), live_int(run->workload, "remote"), 100);
	live_equal("minor of the child", fault(child, "minor"),
		   live_int(run->workload, "child_minflt"));
	live_near("anon of the child", fault(child, "anon"), 0, SLACK);
	check_sum(child);
	live_run_free(run);
}

/*
 * Each fault waits until the handler has slept, so no wait is shorter than that sleep. The sum of all waits
 * equals the thread's own time minus the time of the touching itself.
 */
static void check_userfault(const char *mode, const char *pages, const char *access)
{
	struct live_run *run = trace("userfault", pages, mode, access);
	const json_t *p = process_of(run, "pid"), *stall;
	long long n = strtoll(pages, NULL, 10), ns, clock;

	if (live_null(p, "faults.userfault")) {
		live_run_free(run);
		live_skip("this kernel lets nobody see who answers a fault");
	}
	live_equal(mode, live_int(run->workload, "answered"), n);
	live_equal("userfault", fault(p, "userfault"), n);
	stall = live_get(p, "stalls.userfault");
	live_equal("stalls.userfault.count", live_int(stall, "count"), n);
	ns = live_int(stall, "ns");
	clock = live_int(run->workload, "touch_ns");
	assert_true(ns >= n * live_int(run->workload, "answer_ns") * 9 / 10);
	assert_true(ns <= clock);
	assert_true(live_int(stall, "max_ns") <= ns);
	assert_true(live_int(p, "faults.latency.count") >= n);
	assert_true(live_int(p, "faults.latency.max_ns") >= live_int(run->workload, "answer_ns"));
	live_run_free(run);
}

static void test_userfault(void **state)
{
	(void)state;
	check_userfault("missing", "200", "write");
	check_userfault("missing", "200", "read");
}

static void test_userfault_protected(void **state)
{
	(void)state;
	check_userfault("protect", "200", "write");
}

static void test_userfault_minor(void **state)
{
	(void)state;
	check_userfault("minor", "200", "write");
}

static void test_userfault_in_kernel(void **state)
{
	(void)state;
	check_userfault("missing", "200", "syscall");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mkwrite),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_alternate),
		cmocka_unit_test_teardown(test_hugetlb, pool_back),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_remote),
		cmocka_unit_test(test_userfault),
		cmocka_unit_test(test_userfault_protected),
		cmocka_unit_test(test_userfault_minor),
		cmocka_unit_test(test_userfault_in_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
