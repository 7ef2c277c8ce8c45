// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The meaning of a stall's number does not depend on the level that a budget sets. Each kind is measured at
 * level full and at level iterator, and compared with the program's own clock and the kernel's own trace.
 * Whatever is not traced must be marked.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ftrace.h"
#include "live.h"
#include "sandbox.h"

#define SECONDS "12"
#define AT_ITERATOR_NS 2000000000ll /* measures at least this long at level iterator */

static struct sandbox_fs fs;
static struct sandbox_trace trace;
static bool tracing;

static int teardown(void **state)
{
	(void)state;
	if (tracing)
		sandbox_trace_close(&trace);
	tracing = false;
	if (fs.dir[0])
		sandbox_fs_close(&fs);
	fs.dir[0] = '\0';
	return 0;
}

static void need_fs(unsigned long dirty_limit)
{
	const char *reason = sandbox_fs_open(&fs, 400, dirty_limit);

	if (reason)
		live_skip("%s", reason);
}

static const char *file(void)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/file", fs.dir);
	return path;
}

/* A run, optionally with a budget that cannot be met, so that tracing is at level iterator after some seconds. */
static struct live_run *run_at(bool governed, const char *const *cmd)
{
	struct live_run *run = live_run(governed ? LIVE_ARGV("--budget", "0.01") : NULL, cmd);

	if (run->result->status || !run->workload)
		live_fail("status %d: %s", run->result->status, run->result->err);
	if (!governed) {
		assert_true(live_null(run->summary, "overhead.untraced"));
		return run;
	}
	assert_string_equal(live_str(run->summary, "overhead.level"), "iterator");
	assert_true(live_untraced_ns(run->summary, "writeback.dirtied_pages") > AT_ITERATOR_NS);
	assert_true(live_untraced_ns(run->summary, "stalls.file_io") >=
		    live_untraced_ns(run->summary, "writeback.dirtied_pages"));
	live_equal("fsync untraced", live_untraced_ns(run->summary, "stalls.fsync"), -1);
	live_equal("dirty_throttle untraced", live_untraced_ns(run->summary, "stalls.dirty_throttle"),
		   -1);
	live_equal("writeback_wait untraced", live_untraced_ns(run->summary, "stalls.writeback_wait"),
		   -1);
	return run;
}

static json_t *workload_of(const struct live_run *run)
{
	return live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
}

/*
 * Time in microseconds between records named begin and the next record of any kind in the same thread, and
 * the number of such records, according to the kernel's own trace.
 */
static long long traced_us(pid_t tid, const char *begin, long long *count)
{
	struct ftrace_records all = ftrace_read(&trace, tid);
	long long sum = 0;

	*count = 0;
	for (size_t i = 0; i < all.n; i++) {
		if (strcmp(all.list[i].event, begin))
			continue;
		if (i + 1 == all.n)
			live_fail("%s has no end in the trace", begin);
		sum += all.list[i + 1].us - all.list[i].us;
		++*count;
	}
	ftrace_free(&all);
	return sum;
}

/*
 * The same for waits for a page. Each ends when the thread gets a CPU after its sleep. Neither the thread's
 * subsequent work nor a stall of its virtual CPU is part of the wait.
 */
static long long traced_waits_us(pid_t tid, long long *count)
{
	struct ftrace_records all = ftrace_read(&trace, tid);
	long long sum = 0, begin_us = 0;
	char sleeps[64];
	bool asleep = false;

	snprintf(sleeps, sizeof(sleeps), "prev_pid=%d prev_prio=120 prev_state=D ", tid);
	*count = 0;
	for (size_t i = 0; i < all.n; i++) {
		const struct ftrace_record *r = &all.list[i];
		bool switched = !strcmp(r->event, "sched_switch");

		if (switched && strstr(r->text, sleeps))
			asleep = true;
		if (begin_us && (!switched || (asleep && !strstr(r->text, sleeps)))) {
			sum += r->us - begin_us;
			begin_us = 0;
		}
		if (strcmp(r->event, "folio_wait_writeback"))
			continue;
		begin_us = r->us;
		asleep = false;
		++*count;
	}
	ftrace_free(&all);
	return sum;
}

/* also: a further event, or NULL. */
static void trace_open(const char *begin, const char *end, const char *also)
{
	const char *const events[] = { begin, end, also, NULL };
	const char *reason = sandbox_trace_open(&trace, events);

	if (reason)
		live_skip("%s", reason);
	tracing = true;
}

static void test_fsync(bool governed)
{
	long long count, us, ns;
	struct live_run *run;

	need_fs(0);
	trace_open("ext4/ext4_sync_file_enter", "ext4/ext4_sync_file_exit", NULL);
	run = run_at(governed, LIVE_ARGV(live_workload("syncer"), file(), SECONDS, "fsync"));
	us = traced_us((pid_t)live_int(run->workload, "pid"), "ext4_sync_file_enter", &count);
	ns = live_int(workload_of(run), "stalls.fsync.ns");
	live_equal("fsyncs", live_int(workload_of(run), "stalls.fsync.count"),
		   live_int(run->workload, "calls"));
	live_equal("fsyncs in the kernel's trace", count, live_int(run->workload, "calls"));
	/* one program runs after the other, and the trace rounds */
	live_near("stalls.fsync.ns", ns, us * 1000, us * 10 + count * 50000);
	assert_true(ns <= live_int(run->workload, "call_ns"));
	live_equal("waits outside of fsync",
		   live_int(workload_of(run), "stalls.writeback_wait.count"), 0);
	live_equal("lost", live_lost(run->summary), 0);
	live_run_free(run);
}

static void test_fsync_full(void **state)
{
	(void)state;
	test_fsync(false);
}

static void test_fsync_iterator(void **state)
{
	(void)state;
	test_fsync(true);
}

/* The time that the hypervisor has stolen from the CPUs since boot. */
static long long stolen_ns(void)
{
	char *text = live_slurp("/proc/stat", NULL);
	long long ticks = 0;

	assert_int_equal(sscanf(text, "cpu %*d %*d %*d %*d %*d %*d %*d %lld", &ticks), 1);
	free(text);
	return ticks * 1000000000 / sysconf(_SC_CLK_TCK);
}

/* Waits outside of an fsync. */
static void test_wait(bool governed)
{
	long long count, us, ns, wait, stolen = stolen_ns();
	struct live_run *run;
	json_t *p;

	need_fs(0);
	trace_open("writeback/folio_wait_writeback", "syscalls/sys_exit_sync_file_range", "sched/sched_switch");
	assert_true(sandbox_trace_filter(&trace, "sched/sched_switch",
					 "prev_comm == \"syncer\" || next_comm == \"syncer\""));
	run = run_at(governed, LIVE_ARGV(live_workload("syncer"), file(), SECONDS, "range"));
	p = workload_of(run);
	us = traced_waits_us((pid_t)live_int(run->workload, "pid"), &count);
	stolen = stolen_ns() - stolen;
	ns = live_int(p, "stalls.writeback_wait.ns");
	wait = live_int(run->workload, "cpu_wait_ns");
	print_message("%lld waits, %lld ns, by the trace %lld; waited for a CPU %lld, stolen %lld\n", count, ns,
		      us * 1000, wait, stolen);
	live_equal("waits", live_int(p, "stalls.writeback_wait.count"), count);
	/*
	 * One program runs after the other, and the trace rounds. Without trampolines, a wait ends when
	 * memblame sees the thread again. memblame estimates how long the thread waited for a CPU since then,
	 * and cannot know how much time the hypervisor stole.
	 */
	live_near("stalls.writeback_wait.ns", ns, us * 1000, us * 50 + count * 50000 + wait / 10 + stolen);
	assert_true(ns <= live_int(run->workload, "call_ns"));
	live_run_free(run);
}

static void test_wait_full(void **state)
{
	(void)state;
	test_wait(false);
}

static void test_wait_iterator(void **state)
{
	(void)state;
	test_wait(true);
}

/* A writer that the kernel pauses most of the time. Its own clock includes the wait for a CPU after each pause. */
static void test_throttle(bool governed)
{
	long long slept, wait, ns;
	struct live_run *run;

	need_fs(2 << 20);
	run = run_at(governed, LIVE_ARGV(live_workload("dirtier"), file(), SECONDS "000", "1"));
	slept = live_int(run->workload, "blocked_ns");
	wait = live_int(run->workload, "cpu_wait_ns");
	ns = live_int(workload_of(run), "stalls.dirty_throttle.ns");
	assert_true(slept > 2000000000ll);
	if (ns < (slept - wait) / 10 * 9 || ns > slept / 20 * 21 + wait)
		live_fail("stalls.dirty_throttle.ns: got %lld, want %lld, waited for a CPU %lld",
			  ns, slept, wait);
	live_run_free(run);
}

static void test_throttle_full(void **state)
{
	(void)state;
	test_throttle(false);
}

static void test_throttle_iterator(void **state)
{
	(void)state;
	test_throttle(true);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fsync_full),	  TEST(test_fsync_iterator), TEST(test_wait_full),
		TEST(test_wait_iterator), TEST(test_throttle_full),  TEST(test_throttle_iterator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
