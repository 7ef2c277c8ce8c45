// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * leaks: programs that end before the report is written. For the selected ones, the report has their memory,
 * their growth and the limit ahead as of their last tick, however many other programs end after them.
 */
#include "live.h"
#include "sandbox.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB	 (1ll << 20)
#define LIMIT	 (400 * MIB)
#define RATE	 4000000ll
#define OTHERS	 300 /* more than memblame retains */
#define OTHERS_S "300"
#define RETAINED	 256

static struct sandbox_cgroup cgroup;

static int close_cgroup(void **state)
{
	(void)state;
	live_kill_rest();
	sandbox_cgroup_close(&cgroup);
	return 0;
}

/* The process has ended: it will reach no limit, but its growth is known. */
static void assert_grew(const json_t *process, long long rate)
{
	assert_true(live_bool(process, "ended"));
	assert_true(live_null(process, "eta_to_limit_ns"));
	live_near("slope", live_int(process, "slope_bytes_per_s"), rate, rate / 6);
}

/* The report has rows of this process, and they grew. */
static void assert_has_rows(const json_t *document, pid_t pid)
{
	bool grew = false;
	json_t *group;
	size_t i;

	json_array_foreach(live_get(document, "groups"), i, group) {
		const char *verdict = live_str(group, "verdict");

		if (live_int(group, "pid") == pid)
			grew |= !strcmp(verdict, "leak") || !strcmp(verdict, "growing");
	}
	assert_true(grew);
}

static void test_command(void **state)
{
	struct live_result *result = live_memblame(
		LIVE_ARGV("leaks", "--json", "--", live_workload("leaker"), "heap", "4000000", "3000", "9"));
	json_t *document = live_last_json(result->out), *process;

	(void)state;
	live_equal("status", result->status, 0);
	process = json_array_get(live_get(document, "processes"), 0);
	assert_grew(process, RATE);
	assert_false(live_null(process, "limit"));
	assert_has_rows(document, (pid_t)live_int(process, "pid"));
	live_equal("cgroups that lie ahead", (long long)json_array_size(live_get(document, "cgroups")), 0);
	json_decref(document);
	live_result_free(result);
}

/* The leaker ends first. Many small programs end after it, at the same addresses. */
static void test_cgroup(void **state)
{
	const char *reason = sandbox_cgroup_open(&cgroup, LIMIT);
	struct live_bg *leaks, *others;
	struct live_result *result;
	json_t *document, *process, *leaker = NULL;
	long long ended = 0;
	char *script;
	size_t i;

	(void)state;
	if (reason)
		live_skip("%s", reason);
	leaks = live_start(LIVE_ARGV("leaks", "--json", "-c", cgroup.path));
	assert_true(asprintf(&script,
			     "echo $$ >%s/cgroup.procs; %s heap 4000000 3000 9; i=0; "
			     "while [ $i -lt " OTHERS_S " ]; do sleep 8 & i=$((i+1)); done; wait; echo all ended >&2",
			     cgroup.dir, live_workload("leaker")) > 0);
	others = live_spawn(LIVE_ARGV("/bin/sh", "-c", script));
	free(script);
	assert_true(live_wait_text(others->err_path, "all ended"));
	live_result_free(live_wait(others));
	usleep(1500000); /* until a tick sees that they ended */
	result = live_stop(leaks);
	live_equal("status", result->status, 0);
	document = live_last_json(result->out);
	json_array_foreach(live_get(document, "processes"), i, process) {
		ended += live_bool(process, "ended");
		if (!strcmp(live_str(process, "comm"), "leaker"))
			leaker = process;
	}
	assert_non_null(leaker);
	assert_grew(leaker, RATE);
	assert_string_equal(live_str(leaker, "limit.kind"), "cgroup");
	assert_string_equal(live_str(leaker, "limit.path"), cgroup.path);
	live_equal("limit", live_int(leaker, "limit.bytes"), LIMIT);
	assert_true(live_int(leaker, "limit.usage_bytes") >= 7 * RATE);
	assert_has_rows(document, (pid_t)live_int(leaker, "pid"));
	live_equal("retained", ended, RETAINED);
	/* the shell may be left out, too, and also a child that had not yet execed its program when a tick saw it */
	live_near("left out", live_int(document, "ended_left_out"), OTHERS + 1 - RETAINED, 4);
	json_decref(document);
	live_result_free(result);
}

/* A process unmaps memory right before it ends: its pages are not shown, as no page lies outside of the mappings. */
static void test_unmapped_last(void **state)
{
	struct live_result *result = live_memblame(
		LIVE_ARGV("leaks", "--json", "--", "python3", "-c",
			  "import mmap, time\n"
			  "m = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
			  "m.write(b'x' * (64 << 20))\ntime.sleep(2.5)\nm.close()\n"));
	json_t *document = live_last_json(result->out), *process, *group;
	long long pages = 0;
	size_t i;

	(void)state;
	live_equal("status", result->status, 0);
	process = json_array_get(live_get(document, "processes"), 0);
	json_array_foreach(live_get(document, "groups"), i, group) {
		if (!strcmp(live_str(group, "level"), "page"))
			pages += live_int(group, "outstanding_bytes");
	}
	if (pages > live_int(process, "tracked_bytes"))
		live_fail("%lld bytes of pages in %lld mapped bytes", pages, live_int(process, "tracked_bytes"));
	json_decref(document);
	live_result_free(result);
}

/* Without stacks, memory is still known to be newer than the tracing. */
static void test_no_stacks(void **state)
{
	struct live_result *result = live_memblame(LIVE_ARGV("leaks", "--json", "--stacks", "none", "--", live_workload("leaker"),
							     "heap", "8000000", "300000", "2"));
	json_t *document = live_last_json(result->out), *process;

	(void)state;
	live_equal("status", result->status, 0);
	process = json_array_get(live_get(document, "processes"), 0);
	assert_true(live_int(process, "tracked_bytes") - live_int(process, "before_bytes") > 10 * MIB);
	json_decref(document);
	live_result_free(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_unmapped_last),
		cmocka_unit_test(test_no_stacks),
		cmocka_unit_test_teardown(test_cgroup, close_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
