// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A machine that allows few dirty pages: the kernel makes a writer to the guest's disk pause. Compares the pauses with
 * the kernel's own trace and the writer's own clock. (tests/live/writeback.c tests the limit of one device.)
 */
#include <stdlib.h>
#include <string.h>

#include "ftrace.h"
#include "guest.h"

/* Small enough that a writer pauses most of the time. */
#define DIRTY_BYTES "131072"
#define BACKGROUND_BYTES "65536"
#define WRITTEN_MIB "48"

/* Setting bytes makes the ratio 0, and setting a ratio makes its bytes 0: the test must restore the ratios. */
static void limit_dirty_pages(void)
{
	guest_keep("/proc/sys/vm/dirty_ratio");
	guest_keep("/proc/sys/vm/dirty_background_ratio");
	guest_write("/proc/sys/vm/dirty_background_bytes", BACKGROUND_BYTES);
	guest_write("/proc/sys/vm/dirty_bytes", DIRTY_BYTES);
}

/* There is one row, for the guest's disk, with all of the stall. */
static void assert_pauses(json_t *p)
{
	json_t *rows = live_get(p, "writeback.pauses");
	json_t *row = json_array_get(rows, 0);

	live_equal("devices paused for", (long long)json_array_size(rows), 1);
	assert_string_equal(live_str(row, "name"), guest_disk());
	live_equal("pauses of the device", live_int(row, "count"), live_int(p, "stalls.dirty_throttle.count"));
	live_equal("paused ns", live_int(row, "ns"), live_int(p, "stalls.dirty_throttle.ns"));
	live_equal("longest pause", live_int(row, "max_ns"),
		   live_int(p, "stalls.dirty_throttle.max_ns"));
}

static struct sandbox_trace trace;

/* Runs after a failed test, too. */
static int teardown(void **state)
{
	if (trace.dir[0])
		sandbox_trace_close(&trace);
	return guest_teardown(state);
}

/* The pauses of the thread in the kernel's own trace, which also has events for writes that need no pause. */
static long long traced_pauses(pid_t tid)
{
	struct ftrace_records all = ftrace_read(&trace, tid);
	long long count = 0;

	for (size_t i = 0; i < all.n; i++) {
		const char *pause = strstr(all.list[i].text, " pause=");

		assert_non_null(pause);
		count += atoll(pause + strlen(" pause=")) > 0;
	}
	ftrace_free(&all);
	return count;
}

static void test_throttled(void **state)
{
	const char *const events[] = { "writeback/balance_dirty_pages", NULL };
	long long blocked, longest, written, paused, most;
	struct live_run *run;
	const char *reason;
	json_t *p;

	(void)state;
	limit_dirty_pages();
	reason = sandbox_trace_open(&trace, events);
	if (reason)
		live_fail("%s", reason);
	run = live_run(NULL, LIVE_ARGV(live_workload("writer"), live_path("file"), WRITTEN_MIB,
				       "nosync", "4096"));
	if (run->result->status || !run->workload)
		live_fail("status %d: %s", run->result->status, run->result->err);
	p = live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
	blocked = live_int(run->workload, "blocked_ns");
	written = live_int(run->workload, "written_bytes");
	longest = live_int(run->workload, "max_write_ns");
	print_message("paused %lld ns, at most %lld; writer: %lld, %lld\n", live_int(p, "stalls.dirty_throttle.ns"),
		      live_int(p, "stalls.dirty_throttle.max_ns"), blocked, longest);
	live_equal("pauses", live_int(p, "stalls.dirty_throttle.count"),
		   traced_pauses((pid_t)live_int(run->workload, "pid")));
	assert_true(live_int(p, "stalls.dirty_throttle.count") >= 10);
	/* within those calls the thread also ran, between its pauses: in an emulator that takes long */
	paused = live_int(p, "stalls.dirty_throttle.ns");
	assert_true(paused >= blocked - blocked / 20 - live_int(run->workload, "cpu_wait_ns"));
	most = live_int(run->workload, "blocked_call_ns");
	assert_true(paused <= (most > blocked + blocked / 20 ? most : blocked + blocked / 20));
	/* without trampolines a pause ends when the next write is seen, a little later */
	assert_true(live_int(p, "stalls.dirty_throttle.max_ns") <= longest + longest / 20);
	assert_true(live_int(p, "stalls.total_ns") <= live_int(run->workload, "write_ns"));
	assert_pauses(p);
	live_near("dirtied_bytes", live_int(p, "writeback.dirtied_bytes"), written, written / 50);
	live_equal("lost", live_lost(run->summary), 0);
	live_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_throttled, teardown),
	};

	guest_only("holds up everybody who writes");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
