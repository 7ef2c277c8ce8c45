// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* writeback: pages dirtied, pauses and waits for writes, compared with the writer's own clock. */
#include <stdlib.h>
#include <string.h>

#include "live.h"
#include "sandbox.h"

#define MIB (1ll << 20)
#define DIRTY_LIMIT (2 * MIB) /* small, so that the kernel pauses a writer most of the time */
#define FS_MIB 400

static struct sandbox_fs fs;

/* Every test has its own file system, so that its writeback does not mix with that of another test. */
static void need_fs(unsigned long dirty_limit)
{
	const char *reason = sandbox_fs_open(&fs, FS_MIB, dirty_limit);

	if (reason)
		live_skip("%s", reason);
}

static int teardown(void **state)
{
	(void)state;
	if (fs.dir[0])
		sandbox_fs_close(&fs);
	fs.dir[0] = '\0';
	return 0;
}

static const char *file(void)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/file", fs.dir);
	return path;
}

static struct live_run *write_traced(const char *mib, const char *mode, const char *block)
{
	struct live_run *run = live_run(NULL, LIVE_ARGV(live_workload("writer"), file(), mib, mode,
							block));

	if (run->result->status || !run->workload)
		live_fail("writer %s %s: status %d: %s", mib, mode, run->result->status,
			  run->result->err);
	return run;
}

static json_t *writer_of(const struct live_run *run)
{
	return live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
}

/* Within 2%: besides the data, the writer dirties blocks of the file system itself (inode, map). */
static void assert_dirtied(const struct live_run *run)
{
	long long written = live_int(run->workload, "written_bytes");
	json_t *p = writer_of(run);

	live_near("dirtied_bytes", live_int(p, "writeback.dirtied_bytes"), written, written / 50);
	live_equal("dirtied_bytes of dirtied_pages", live_int(p, "writeback.dirtied_bytes"),
		   live_int(p, "writeback.dirtied_pages") *
			   live_int(run->workload, "page_size"));
	live_equal("lost", live_lost(run->summary), 0);
}

static void test_dirtied(const char *block)
{
	struct live_run *run;

	need_fs(0);
	run = write_traced("64", "nosync", block);
	assert_dirtied(run);
	live_run_free(run);
}

static void test_dirtied_512(void **state)
{
	(void)state;
	test_dirtied("512");
}

static void test_dirtied_4k(void **state)
{
	(void)state;
	test_dirtied("4096");
}

static void test_dirtied_odd(void **state)
{
	(void)state;
	test_dirtied("5000");
}

/* The file system uses large folios for these writes. memblame must count pages, not folios. */
static void test_dirtied_1m(void **state)
{
	(void)state;
	test_dirtied("1048576");
}

static void test_dirtied_8m(void **state)
{
	(void)state;
	test_dirtied("8388608");
}

/* Dirtied pages still count if the file is deleted before it is written to the disk. */
static void test_dirtied_unlinked(void **state)
{
	struct live_run *run;
	char *script;

	(void)state;
	need_fs(0);
	assert_true(asprintf(&script, "%s %s 32 nosync && rm %s", live_workload("writer"), file(),
			     file()) > 0);
	run = live_run(NULL, LIVE_ARGV("sh", "-c", script));
	assert_int_equal(run->result->status, 0);
	assert_dirtied(run);
	free(script);
	live_run_free(run);
}

static void test_dirtied_mmap(void **state)
{
	struct live_run *run;

	(void)state;
	need_fs(0);
	run = write_traced("64", "mmap", "4096");
	assert_dirtied(run);
	live_run_free(run);
}

static void test_tmpfs_dirties_nothing(void **state)
{
	const char *reason = sandbox_tmpfs_open(&fs);
	struct live_run *run;
	char *script;

	(void)state;
	if (reason)
		live_skip("%s", reason);
	/* through a pipe: otherwise the writer's report would dirty a page of the stdout file */
	assert_true(asprintf(&script, "%s %s 16 nosync | cat", live_workload("writer"), file()) > 0);
	run = live_run(NULL, LIVE_ARGV("sh", "-c", script));
	assert_non_null(run->workload);
	live_equal("dirtied_pages on tmpfs", live_int(writer_of(run), "writeback.dirtied_pages"), 0);
	live_equal("pauses", live_int(writer_of(run), "stalls.dirty_throttle.count"), 0);
	free(script);
	live_run_free(run);
}

/* One row per device; their sums equal those of the stall. */
static void assert_pauses(json_t *p)
{
	json_t *rows = live_get(p, "writeback.pauses");
	json_t *row = json_array_get(rows, 0);

	live_equal("devices paused for", (long long)json_array_size(rows), 1);
	assert_string_equal(live_str(row, "name"), fs.bdi);
	live_equal("pauses", live_int(row, "count"), live_int(p, "stalls.dirty_throttle.count"));
	live_equal("paused ns", live_int(row, "ns"), live_int(p, "stalls.dirty_throttle.ns"));
	live_equal("longest pause", live_int(row, "max_ns"),
		   live_int(p, "stalls.dirty_throttle.max_ns"));
}

/*
 * The writer's own measurement is precise if its pauses are long compared to its work. So blocks are small
 * (each block either takes microseconds to copy or pauses for a tick or more), and the limit is so low that
 * the writer pauses most of the time.
 */
static void test_throttled(const char *block)
{
	struct live_run *run;
	long long blocked, slack;
	json_t *p;

	need_fs(DIRTY_LIMIT);
	run = write_traced("192", "nosync", block);
	p = writer_of(run);
	blocked = live_int(run->workload, "blocked_ns");
	assert_true(live_int(run->workload, "blocked_calls") >= 3);
	/* in its calls, the writer also waits for a CPU, because another process may have it when a pause ends */
	slack = blocked / 20 + live_int(run->workload, "cpu_wait_ns");
	/*
	 * memblame subtracts the CPU time. The clock of an emulated CPU continues while the emulator runs the
	 * other CPU. But no pause is longer than the call around it.
	 */
	if (live_emulated() && live_int(p, "stalls.dirty_throttle.ns") < blocked)
		slack += 1000000 * live_int(run->workload, "blocked_calls");
	else if (live_emulated())
		slack += live_int(run->workload, "blocked_call_ns") - blocked;
	live_near("dirty_throttle.ns", live_int(p, "stalls.dirty_throttle.ns"), blocked, slack);
	assert_true(live_int(p, "stalls.dirty_throttle.max_ns") <=
		    live_int(run->workload, "max_write_ns") * 21 / 20);
	assert_true(live_int(p, "stalls.total_ns") <= live_int(run->workload, "write_ns"));
	assert_pauses(p);
	assert_dirtied(run);
	live_run_free(run);
}

static void test_throttled_4k(void **state)
{
	(void)state;
	test_throttled("4096");
}

static void test_throttled_64k(void **state)
{
	(void)state;
	test_throttled("65536");
}

/*
 * fsync's own time excludes the waits for pages inside of it. The writer reads its clock outside of the call,
 * so the test measures again if the emulator stalled in between.
 */
static void test_fsync(const char *mib, const char *mode, const char *block, long long fsyncs)
{
	bool near = false;

	need_fs(0);
	for (int tries = LIVE_CLOCK_TRIES; tries && !near; tries--) {
		struct live_run *run = write_traced(mib, mode, block);
		json_t *p = writer_of(run);
		long long truth = live_int(run->workload, "fsync_ns"), slack = truth / 20 + 2000000, ns;

		ns = live_int(p, "stalls.fsync.ns") + live_int(p, "stalls.writeback_wait.ns");
		live_equal("fsyncs made", live_int(run->workload, "fsyncs"), fsyncs);
		live_equal("fsync.count", live_int(p, "stalls.fsync.count"), fsyncs);
		live_equal("lost", live_lost(run->summary), 0);
		near = live_is_near("fsync.ns + writeback_wait.ns", ns, truth, slack, tries == 1);
		live_run_free(run);
	}
}

static void test_fsync_once(void **state)
{
	(void)state;
	test_fsync("64", "fsync", "65536", 1);
}

static void test_fsync_each_block(void **state)
{
	(void)state;
	test_fsync("64", "fsyncs", "1048576", 64);
}

static void test_fsync_clean(void **state)
{
	(void)state;
	test_fsync("0", "fsync", "4096", 1);
}

struct streamed {
	long long pauses, pause_ns, fsyncs, fsync_ns, waits, wait_ns, lost;
};

static void add_event(struct streamed *s, json_t *e)
{
	const char *name = live_str(e, "event");

	assert_string_equal(live_str(e, "family"), "writeback");
	if (!strcmp(name, "pause")) {
		s->pauses++;
		s->pause_ns += live_int(e, "ns");
		assert_string_equal(live_str(e, "bdi"), fs.bdi);
	} else if (!strcmp(name, "fsync")) {
		s->fsyncs++;
		s->fsync_ns += live_int(e, "ns");
	} else if (!strcmp(name, "wait")) {
		s->waits++;
		s->wait_ns += live_int(e, "ns");
	}
}

static void read_stream(const char *path, pid_t pid, struct streamed *s)
{
	struct live_stream *stream = live_stream_open(path);
	json_t *e;

	memset(s, 0, sizeof(*s));
	s->lost = -1;
	while ((e = live_stream_next(stream))) {
		if (!strcmp(live_str(e, "kind"), "end"))
			s->lost = live_lost(e);
		else if (live_int(e, "pid") == pid)
			add_event(s, e);
		json_decref(e);
	}
	live_stream_close(stream);
}

/*
 * One memblame streams events while a second one, which it runs as its command, adds them up. Their hooks run
 * one after the other. So counts agree exactly, and each time agrees to within some microseconds (more under
 * emulation).
 */
static void compare_stream(const char *mib, const char *mode)
{
	const char *stream = live_path("stream"), *summary = live_path("inner.json");
	struct streamed s;
	struct live_result *r;
	json_t *doc, *p;
	char *text;
	pid_t pid;

	r = live_memblame(LIVE_ARGV("trace", "--json", "-f", "writeback", "-o", stream, "--",
				    live_bin("memblame"), "run", "--json", "-o", summary, "--",
				    live_workload("writer"), file(), mib, mode, "65536"));
	if (r->status)
		live_fail("status %d: %s", r->status, r->err);
	text = live_slurp(summary, NULL);
	doc = live_json(text);
	pid = (pid_t)live_int(live_json(r->out), "pid");
	p = live_process(doc, pid);
	read_stream(stream, pid, &s);
	live_equal("lost", s.lost, 0);
	live_equal("pauses", s.pauses, live_int(p, "stalls.dirty_throttle.count"));
	live_equal("fsyncs", s.fsyncs, live_int(p, "stalls.fsync.count"));
	live_equal("waits", s.waits, live_int(p, "stalls.writeback_wait.count"));
	live_near("pause ns", s.pause_ns, live_int(p, "stalls.dirty_throttle.ns"),
		  s.pauses * 250000);
	live_near("fsync and wait ns", s.fsync_ns + s.wait_ns,
		  live_int(p, "stalls.fsync.ns") + live_int(p, "stalls.writeback_wait.ns"),
		  (s.fsyncs + s.waits) * 250000);
	assert_true(s.pauses + s.fsyncs > 0);
	free(text);
	json_decref(doc);
	live_result_free(r);
}

static void test_stream_pauses(void **state)
{
	(void)state;
	need_fs(DIRTY_LIMIT);
	compare_stream("128", "nosync");
}

static void test_stream_fsyncs(void **state)
{
	(void)state;
	need_fs(0);
	compare_stream("32", "fsyncs");
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dirtied_512),
		TEST(test_dirtied_4k),
		TEST(test_dirtied_odd),
		TEST(test_dirtied_1m),
		TEST(test_dirtied_8m),
		TEST(test_dirtied_unlinked),
		TEST(test_dirtied_mmap),
		TEST(test_tmpfs_dirties_nothing),
		TEST(test_throttled_4k),
		TEST(test_throttled_64k),
		TEST(test_fsync_once),
		TEST(test_fsync_each_block),
		TEST(test_fsync_clean),
		TEST(test_stream_pauses),
		TEST(test_stream_fsyncs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
