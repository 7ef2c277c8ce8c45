// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* trace: events of several CPUs appear in order of time; memblame's own events appear only on request. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live.h"
#include "scripted_workload.h"
#include "sandbox.h"

#define WRITES 4 /* of letter a, 8,000 faults each */
#define FAULTS (WRITES * 8000ll)

static struct sandbox_cgroup cg;
static struct scripted *workloads[2];

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		if (workloads[i])
			scripted_free(workloads[i]);
		workloads[i] = NULL;
	}
	live_kill_rest();
	if (cg.dir[0])
		sandbox_cgroup_close(&cg);
	cg.dir[0] = '\0';
	return 0;
}

static void need_group(void)
{
	const char *reason = sandbox_cgroup_open(&cg, 1ul << 30);

	if (reason)
		live_skip("%s", reason);
}

/* The n-th of the CPUs that this test may run on; -1: there are fewer. */
static int nth_cpu(int n)
{
	cpu_set_t may;

	assert_int_equal(sched_getaffinity(0, sizeof(may), &may), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &may) && n-- == 0)
			return cpu;
	}
	return -1;
}

static void pin(pid_t pid, int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(pid, sizeof(one), &one), 0);
}

static void faults(struct scripted *p)
{
	for (int i = 0; i < WRITES; i++)
		scripted_do(p, "a");
}

struct seen {
	long long of[2], own; /* events of the scripted workloads, and of memblame */
	long long turns; /* changes from one scripted workload's events to the other's */
	long long backward, late;
};

/* Reads a trace of faults line by line. */
static void read_trace(const char *path, pid_t own, struct seen *s)
{
	struct live_stream *stream = live_stream_open(path);
	long long t_ns = 0;
	int last = -1;
	json_t *e;

	memset(s, 0, sizeof(*s));
	for (; (e = live_stream_next(stream)); json_decref(e)) {
		if (!strcmp(live_str(e, "kind"), "end"))
			s->late = live_int(e, "late_events");
		if (strcmp(live_str(e, "kind"), "event") || strcmp(live_str(e, "family"), "fault"))
			continue;
		s->backward += live_int(e, "t_ns") < t_ns;
		t_ns = live_int(e, "t_ns") > t_ns ? live_int(e, "t_ns") : t_ns;
		s->own += live_int(e, "pid") == own;
		for (int i = 0; i < 2; i++) {
			if (!workloads[i] || live_int(e, "pid") != workloads[i]->pid)
				continue;
			s->turns += last != i;
			s->of[i]++;
			last = i;
		}
	}
	live_stream_close(stream);
}

/*
 * Each CPU has its own ring, and the rings are read one after another. Without sorting, 16 MiB of one ring
 * would precede the other's events.
 */
static void test_order(void **state)
{
	const char *path = live_path("order.json");
	struct live_bg *trace;
	struct seen s;

	(void)state;
	if (nth_cpu(1) < 0)
		live_skip("one CPU only");
	need_group();
	for (int i = 0; i < 2; i++) {
		workloads[i] = scripted_new();
		pin(workloads[i]->pid, nth_cpu(i));
		assert_true(sandbox_cgroup_add(&cg, workloads[i]->pid));
	}
	trace = live_start(LIVE_ARGV("trace", "--json", "-f", "fault", "-c", cg.path, "-o", path));
	for (int i = 0; i < 2 * WRITES; i++)
		scripted_do(workloads[i % 2], "a");
	live_result_free(live_stop(trace));
	read_trace(path, 0, &s);
	print_message("%lld and %lld events, %lld turns, %lld late\n", s.of[0], s.of[1], s.turns,
		      s.late);
	assert_true(s.of[0] >= FAULTS && s.of[1] >= FAULTS);
	live_equal("turns", s.turns, 2 * WRITES);
	live_equal("events that come after later ones", s.backward, s.late);
	live_equal("late", s.late, 0);
	unlink(path);
}

/* Traces memblame's own cgroup, which also contains a scripted workload. */
static void trace_beside(bool self, struct seen *s)
{
	const char *path = live_path("self.json");
	struct live_bg *trace;
	char script[1024];
	pid_t pid;

	snprintf(
		script, sizeof(script),
		"echo $$ > %s/cgroup.procs; exec %s --verbose trace --json %s -f fault -c %s -o %s",
		cg.dir, live_bin("memblame"), self ? "--self" : "", cg.path, path);
	trace = live_spawn(LIVE_ARGV("sh", "-c", script));
	assert_true(live_wait_text(trace->err_path, "attached in"));
	faults(workloads[0]);
	pid = trace->pid;
	live_result_free(live_stop(trace));
	read_trace(path, pid, s);
	unlink(path);
}

static void test_self(void **state)
{
	struct seen without, with;

	(void)state;
	need_group();
	workloads[0] = scripted_new();
	assert_true(sandbox_cgroup_add(&cg, workloads[0]->pid));
	trace_beside(false, &without);
	trace_beside(true, &with);
	print_message("%lld and %lld events; %lld faults of memblame itself\n", without.of[0], with.of[0],
		      with.own);
	assert_true(without.of[0] >= FAULTS && with.of[0] >= FAULTS);
	live_equal("its own, not asked for", without.own, 0);
	/* it has written some MiB of text */
	assert_true(with.own > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_order, teardown),
		cmocka_unit_test_teardown(test_self, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
