// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * reclaim: a memory cgroup at its limit, compared with the kernel's own trace of the same tracepoints and
 * with what the processes lost. Tests that need the whole machine to be short of memory (kswapd, direct
 * reclaim) are in tests/vm, where they do no harm.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ftrace.h"
#include "live.h"
#include "sandbox.h"

#define MIB (1ll << 20)
#define LIMIT (32 * MIB)
#define KILLED 137 /* 128 + SIGKILL */

static struct sandbox_fs fs;
static struct sandbox_cgroup cg;
static struct sandbox_trace trace;

static const char *const memcg_events[] = { "vmscan/mm_vmscan_memcg_reclaim_begin",
					    "vmscan/mm_vmscan_memcg_reclaim_end",
					    "vmscan/mm_shrink_slab_end", NULL };

static void need(const char *reason)
{
	if (reason)
		live_skip("%s", reason);
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("WORKLOAD_CGROUP");
	if (trace.dir[0])
		sandbox_trace_close(&trace);
	if (cg.dir[0])
		sandbox_cgroup_close(&cg);
	if (fs.dir[0])
		sandbox_fs_close(&fs);
	trace.dir[0] = cg.dir[0] = fs.dir[0] = '\0';
	return 0;
}

/* Workloads join the cgroup themselves, so the limit does not apply to memblame. */
static void open_trace(void)
{
	need(sandbox_cgroup_open(&cg, LIMIT));
	need(sandbox_trace_open(&trace, memcg_events));
	setenv("WORKLOAD_CGROUP", cg.dir, 1);
}

/* A trace ends when it is read, so this opens another one. */
static void trace_again(void)
{
	sandbox_trace_close(&trace);
	need(sandbox_trace_open(&trace, memcg_events));
}

/* Do memblame and the trace agree on the time, within 5 %? */
static bool agrees(long long ns, const struct ftrace_reclaim *truth)
{
	return llabs(ns - truth->ns) <= truth->ns / 20;
}

static void open_sandbox(void)
{
	need(sandbox_fs_open(&fs, 256, 0));
	open_trace();
}

static const char *file(const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", fs.dir, name) > 0);
	return path;
}

/*
 * Makes a file that is on disk and not in memory, so that its pages are clean and are charged to the process
 * that reads them.
 */
static void make_file(const char *path, int mib)
{
	char of[128], count[32];
	struct live_result *r;

	snprintf(of, sizeof(of), "of=%s", path);
	snprintf(count, sizeof(count), "count=%d", mib);
	r = live_exec(LIVE_ARGV("dd", "if=/dev/zero", "bs=1M", "oflag=direct", count, of), NULL);
	if (r->status)
		live_fail("dd: %s", r->err);
	live_result_free(r);
}

static struct live_run *run_traced(const char *const *cmd)
{
	struct live_run *run = live_run(NULL, cmd);

	if (run->result->status || !run->workload)
		live_fail("status %d: %s", run->result->status, run->result->err);
	live_equal("lost", live_lost(run->summary), 0);
	return run;
}

/* Longer than the process stalls outside of its measured part, counted from exec. */
#define START_SLACK_NS 2000000

/*
 * Every stall has a length. The buckets contain as many lengths as there are stalls and bound the time from
 * both sides. Each bucket except the first is at most half as wide as its lower edge.
 */
static void assert_lengths(json_t *stall)
{
	long long most = 0, least = 0, count = 0, ns = live_int(stall, "ns");
	json_t *lengths = live_get(stall, "lengths"), *bucket;
	size_t i;

	if (!live_int(stall, "count")) {
		assert_true(json_is_null(lengths));
		return;
	}
	json_array_foreach(live_get(lengths, "buckets"), i, bucket) {
		long long upper = json_integer_value(json_array_get(bucket, 0));
		long long n = json_integer_value(json_array_get(bucket, 1));

		count += n;
		most += n * upper;
		least += upper < 2048 ? 0 : n * (upper + 1) * 2 / 3;
	}
	live_equal("stalls by length", count, live_int(stall, "count"));
	live_equal("their count", live_int(lengths, "count"), count);
	live_equal("the longest", live_int(lengths, "max_ns"), live_int(stall, "max_ns"));
	assert_in_range(ns, least, most);
}

/* The only process that stalled accounts for all stalls of its cgroup. */
static void assert_cgroup(const json_t *summary, json_t *p)
{
	json_t *c, *mine = NULL;
	size_t i;

	json_array_foreach(live_get(summary, "cgroups"), i, c) {
		if (json_is_string(live_get(c, "cgroup")) &&
		    !strcmp(live_str(c, "cgroup"), live_str(p, "cgroup")))
			mine = c;
	}
	if (!mine)
		live_fail("no cgroup %s", live_str(p, "cgroup"));
	live_equal("processes", live_int(mine, "processes"), 1);
	live_equal("its stalls", live_int(mine, "stalls.total_ns"), live_int(p, "stalls.total_ns"));
	live_equal("its reclaims", live_int(mine, "stalls.memcg_reclaim.count"),
		   live_int(p, "stalls.memcg_reclaim.count"));
	live_equal("its longest", live_int(mine, "stalls.memcg_reclaim.max_ns"),
		   live_int(p, "stalls.memcg_reclaim.max_ns"));
}

/* The rows contain every call of a slab shrinker, and each row is named after a function. */
static void assert_shrinkers(json_t *p, const struct ftrace_reclaim *truth)
{
	long long calls = 0, ns = 0;
	json_t *row;
	size_t i;

	json_array_foreach(live_get(p, "reclaim.shrinkers"), i, row) {
		calls += live_int(row, "count");
		ns += live_int(row, "ns");
		if (live_str(row, "name")[0] >= '0' && live_str(row, "name")[0] <= '9')
			live_fail("a shrinker without a name: %s", live_str(row, "name"));
	}
	live_equal("calls of shrinkers", calls, truth->shrinks);
	assert_true(ns <= live_int(p, "stalls.total_ns"));
}

static void assert_exclusive(const struct live_run *run, json_t *p)
{
	static const char *const kinds[] = { "direct_reclaim", "memcg_reclaim", "compaction",
					     "swap_in", "file_io", "throttle", "dirty_throttle",
					     "writeback_wait", "fsync", "high_throttle" };
	long long sum = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		json_t *stall = live_get(live_get(p, "stalls"), kinds[i]);

		if (json_is_null(stall)) /* not visible on this kernel */
			continue;
		sum += live_int(stall, "ns");
		assert_lengths(stall);
	}
	live_equal("stalls.total_ns", live_int(p, "stalls.total_ns"), sum);
	if (sum > live_int(run->workload, "wall_ns") + START_SLACK_NS)
		live_fail("stalls of %lld ns in a thread that ran for %lld ns", sum,
			  live_int(run->workload, "wall_ns"));
}

/* Clean pages of a file larger than the limit: each pass over the pages reclaims, inside of faults. */
static void test_memcg_reclaim(void **state)
{
	struct live_run *run;
	struct ftrace_reclaim truth;
	pid_t pid;
	json_t *p;

	(void)state;
	open_sandbox();
	make_file(file("big"), 64);
	/* repeat for the reason in test_memcg_reclaim_dirty */
	for (int tries = 0;; tries++) {
		run = run_traced(LIVE_ARGV(live_workload("memhog"), "64", "file", file("big")));
		pid = (pid_t)live_int(run->workload, "pid");
		p = live_process(run->summary, pid);
		truth = ftrace_reclaim(&trace, "memcg", pid);
		if (tries == 2 || agrees(live_int(p, "stalls.memcg_reclaim.ns"), &truth))
			break;
		live_run_free(run);
		trace_again();
	}
	assert_true(truth.count > 0);
	assert_true(sandbox_cgroup_limit_hits(&cg) > 0);
	live_equal("memcg_reclaim.count", live_int(p, "stalls.memcg_reclaim.count"), truth.count);
	live_near("memcg_reclaim.ns", live_int(p, "stalls.memcg_reclaim.ns"), truth.ns,
		  truth.ns / 20);
	live_equal("pages_reclaimed", live_int(p, "reclaim.pages_reclaimed"), truth.pages);
	live_equal("direct_reclaim.count", live_int(p, "stalls.direct_reclaim.count"), 0);
	live_equal("file_io.count", live_int(p, "stalls.file_io.count"),
		   live_int(run->workload, "majflt"));
	assert_true(live_int(p, "stalls.file_io.ns") > 0);
	assert_exclusive(run, p);
	assert_cgroup(run->summary, p);
	assert_shrinkers(p, &truth);
	live_run_free(run);
}

/* A process counts for the cgroup that it moved to, not for the one it started in. */
static void test_cgroup_joined_later(void **state)
{
	struct live_run *run;

	(void)state;
	need(sandbox_cgroup_open(&cg, LIMIT));
	setenv("WORKLOAD_CGROUP", cg.dir, 1);
	run = run_traced(LIVE_ARGV(live_workload("memhog"), "1", "anon"));
	assert_string_equal(live_str(live_process(run->summary,
						  (pid_t)live_int(run->workload, "pid")),
				     "cgroup"), cg.path);
	live_run_free(run);
}

/* Runs a writer of dirty pages in the cgroup and reads the trace of its reclaims; NULL: the writer was killed. */
static struct live_run *run_writer(struct ftrace_reclaim *truth)
{
	struct live_run *run = live_run(NULL, LIVE_ARGV(live_workload("writer"), file("new"), "128",
							"nosync"));

	if (run->result->status == KILLED) {
		live_run_free(run);
		return NULL;
	}
	if (run->result->status)
		live_fail("status %d: %s", run->result->status, run->result->err);
	*truth = ftrace_reclaim(&trace, "memcg", (pid_t)live_int(run->workload, "pid"));
	return run;
}

/* Time in memcg reclaim, including every stall that can nest in it when pages are dirty. */
static long long with_nested(json_t *p)
{
	return live_int(p, "stalls.memcg_reclaim.ns") + live_int(p, "stalls.throttle.ns") +
	       live_int(p, "stalls.writeback_wait.ns");
}

static json_t *writer_of(const struct live_run *run)
{
	return live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
}

/* With dirty pages, reclaim may wait for writeback. That time does not count as reclaim's own time. */
static void test_memcg_reclaim_dirty(void **state)
{
	struct ftrace_reclaim truth = { 0 };
	struct live_run *run = NULL;
	json_t *p;

	(void)state;
	/*
	 * If a slow disk has not yet written the pages that fill a cgroup, the cgroup is out of memory and
	 * the kernel kills the writer. Where the kernel supports it, a dirty limit pauses the writer before
	 * that.
	 */
	if (sandbox_fs_open(&fs, 256, LIMIT / 4))
		need(sandbox_fs_open(&fs, 256, 0));
	open_trace();
	/*
	 * A guest may lose its CPU between the trace's timestamp and memblame's. Then only one of the two
	 * includes that time. A real error in memblame would occur in every try.
	 */
	for (int tries = 0; tries < 3; tries++) {
		if (run)
			live_run_free(run);
		if (tries)
			trace_again();
		run = run_writer(&truth);
		if (run && agrees(with_nested(writer_of(run)), &truth))
			break;
	}
	assert_non_null(run);
	live_equal("lost", live_lost(run->summary), 0);
	p = writer_of(run);
	assert_true(truth.count > 0);
	live_equal("memcg_reclaim.count", live_int(p, "stalls.memcg_reclaim.count"), truth.count);
	live_equal("pages_reclaimed", live_int(p, "reclaim.pages_reclaimed"), truth.pages);
	live_near("memcg_reclaim.ns with what nests in it", with_nested(p), truth.ns, truth.ns / 20);
	assert_exclusive(run, p);
	live_run_free(run);
}

/* The mapped pages that one process reclaims from another equal the loss of the other's resident set. */
static void test_pages_taken(const char *folios)
{
	const char *ready = live_path("ready");
	struct live_run *run;
	long long lost;
	char *script;
	json_t *p;

	open_sandbox();
	unlink(ready);
	make_file(file("held"), 16);
	/* without swap, the hog can only take pages of the holder; the hog's exit closes the holder's input */
	assert_true(asprintf(&script,
			     "{ until grep -q ready %s; do sleep 0.02; done; %s 24 anon; } | "
			     "%s 16 %s 60 %s 2>%s",
			     ready, live_workload("memhog"), live_workload("holder"), file("held"),
			     folios, ready) > 0);
	run = run_traced(LIVE_ARGV("sh", "-c", script));
	p = live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
	lost = live_int(run->workload, "rss_file_before_pages") -
	       live_int(run->workload, "rss_file_after_pages");
	assert_true(lost > 1000);
	live_near("pages_taken_from_me", live_int(p, "reclaim.pages_taken_from_me"), lost,
		  lost / 100 + 16);
	free(script);
	live_run_free(run);
}

static void test_pages_taken_small(void **state)
{
	(void)state;
	test_pages_taken("small");
}

/* With read-ahead, the file is in folios of up to 2 MiB. The kernel unmaps a mapped folio in one step. */
static void test_pages_taken_large(void **state)
{
	(void)state;
	test_pages_taken("");
}

/* A process that reclaims only its own pages has taken no pages from others. */
static void test_own_pages_are_not_taken(void **state)
{
	struct live_run *run;
	json_t *p;

	(void)state;
	open_sandbox();
	make_file(file("big"), 64);
	run = run_traced(LIVE_ARGV(live_workload("memhog"), "64", "file", file("big")));
	p = live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
	assert_true(live_int(p, "reclaim.pages_reclaimed") > 0);
	live_equal("pages_taken_from_me", live_int(p, "reclaim.pages_taken_from_me"), 0);
	live_run_free(run);
}

/* The totals of a stream of reclaim events, and what the trace shows of the same process. */
struct streamed {
	struct ftrace_reclaim truth;
	long long count, ns, pages, lost;
};

static struct streamed stream_reclaim(void)
{
	const char *path = live_path("stream");
	struct streamed sum = { .lost = -1 };
	struct live_stream *stream;
	struct live_result *r;
	json_t *e;
	pid_t pid;

	r = live_memblame(LIVE_ARGV("trace", "--json", "-f", "reclaim", "-o", path, "--",
				    live_workload("memhog"), "64", "file", file("big")));
	if (r->status)
		live_fail("status %d: %s", r->status, r->err);
	pid = (pid_t)live_int(live_json(r->out), "pid");
	sum.truth = ftrace_reclaim(&trace, "memcg", pid);
	stream = live_stream_open(path);
	for (; (e = live_stream_next(stream)); json_decref(e)) {
		if (!strcmp(live_str(e, "kind"), "end")) {
			sum.lost = live_lost(e);
		} else if (!strcmp(live_str(e, "event"), "memcg_reclaim") &&
			   live_int(e, "pid") == pid) {
			sum.count++;
			sum.ns += live_int(e, "total_ns");
			sum.pages += live_int(e, "reclaimed_pages");
		}
	}
	live_stream_close(stream);
	live_result_free(r);
	return sum;
}

/* The stream has each reclaim once, and its events add up to the trace's totals. */
static void test_stream(void **state)
{
	struct streamed sum;

	(void)state;
	open_sandbox();
	make_file(file("big"), 64);
	sum = stream_reclaim();
	/* repeat for the reason in test_memcg_reclaim_dirty */
	for (int tries = 1; tries < 3 && !agrees(sum.ns, &sum.truth); tries++) {
		trace_again();
		sum = stream_reclaim();
	}
	live_equal("lost", sum.lost, 0);
	live_equal("memcg_reclaim events", sum.count, sum.truth.count);
	live_equal("reclaimed_pages", sum.pages, sum.truth.pages);
	live_near("total_ns", sum.ns, sum.truth.ns, sum.truth.ns / 20);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_memcg_reclaim),
		TEST(test_cgroup_joined_later),
		TEST(test_memcg_reclaim_dirty),
		TEST(test_pages_taken_small),
		TEST(test_pages_taken_large),
		TEST(test_own_pages_are_not_taken),
		TEST(test_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
