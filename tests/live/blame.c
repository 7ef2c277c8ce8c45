// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * blame: writers on a file system whose device has a dirty limit stall one another. The bytes that each of
 * them wrote give the expected shares of the blame. The victim's own clock gives the length of its stalls.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "live.h"
#include "sandbox.h"

#define MIB (1ll << 20)
#define DIRTY_LIMIT (8 * MIB)
#define FS_MIB 400
#define WRITE_MS "3000"
#define FILE_MIB "8"

static struct sandbox_fs fs, other;
static struct sandbox_cgroup cg;

static void need_fs(struct sandbox_fs *f, unsigned long dirty_limit)
{
	const char *reason = sandbox_fs_open(f, FS_MIB, dirty_limit);

	if (reason)
		live_skip("%s", reason);
}

static int teardown(void **state)
{
	(void)state;
	if (fs.dir[0])
		sandbox_fs_close(&fs);
	if (other.dir[0])
		sandbox_fs_close(&other);
	if (cg.dir[0])
		sandbox_cgroup_close(&cg);
	fs.dir[0] = other.dir[0] = cg.dir[0] = '\0';
	unsetenv("WORKLOAD_CGROUP");
	unsetenv("WORKLOAD_START_NS");
	return 0;
}

/* ---- writers ---- */

struct writer {
	struct live_bg *bg;
	json_t *said; /* its own figures, printed at its end */
	pid_t pid;
};

static const char *in(const struct sandbox_fs *f, const char *name)
{
	static char path[4][128];
	static unsigned int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", f->dir, name);
	return p;
}

static struct writer start_writer_for(const char *ms, const struct sandbox_fs *f, const char *name,
				      const char *threads)
{
	struct writer w = { 0 };

	w.bg = live_spawn(LIVE_ARGV(live_workload("dirtier"), in(f, name), ms, threads, FILE_MIB));
	w.pid = w.bg->pid;
	return w;
}

/* Writers that start from now on begin to write together, half a second later. */
static void start_together(void)
{
	struct timespec now;
	char start[32];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(start, sizeof(start), "%lld", now.tv_sec * 1000000000ll + now.tv_nsec + 500000000ll);
	setenv("WORKLOAD_START_NS", start, 1);
}

static struct writer start_writer(const struct sandbox_fs *f, const char *name, const char *threads)
{
	return start_writer_for(WRITE_MS, f, name, threads);
}

static void end_writer(struct writer *w)
{
	struct live_result *r = live_wait(w->bg);

	if (r->status)
		live_fail("writer: status %d: %s", r->status, r->err);
	w->said = live_json(r->out);
	live_result_free(r);
}

static long long written(const struct writer *w)
{
	return live_int(w->said, "written_bytes");
}

/* ---- the output of blame ---- */

static const char *blame_path(void)
{
	return live_path("blame.json");
}

/*
 * Allows two kinds of loss, because blame traces the whole machine: waits of other processes that could not
 * be timed, and programs that the kernel did not run.
 */
static void assert_nothing_lost(const json_t *doc)
{
	long long lost = 0;
	json_t *by;
	size_t i;

	json_array_foreach(live_get(doc, "lost.by"), i, by) {
		const char *reason = live_str(by, "reason");

		if (strcmp(reason, "wait not timed") && strcmp(reason, "program not run"))
			lost += live_int(by, "count");
	}
	live_equal("lost", lost, 0);
}

/* Stops blame and returns the last document in the -o file. */
static json_t *end_blame(struct live_bg *blame)
{
	struct live_result *r = live_stop(blame);
	json_t *doc;

	if (r->status)
		live_fail("blame: status %d: %s", r->status, r->err);
	live_result_free(r);
	doc = live_last_summary(blame_path());
	assert_string_equal(live_str(doc, "kind"), "blame");
	assert_nothing_lost(doc);
	return doc;
}

static json_t *find_victim(const json_t *doc, pid_t pid, const char *bdi)
{
	json_t *v;
	size_t i;

	json_array_foreach(live_get(doc, "writeback"), i, v) {
		if (live_int(v, "victim.pid") == pid && !strcmp(live_str(v, "bdi"), bdi))
			return v;
	}
	return NULL;
}

static json_t *victim(const json_t *doc, pid_t pid)
{
	json_t *v = find_victim(doc, pid, fs.bdi);

	if (!v)
		live_fail("%d was not held up", pid);
	return v;
}

static json_t *find_culprit(const json_t *v, pid_t pid)
{
	json_t *c, *member;
	size_t i, j;

	json_array_foreach(live_get(v, "culprits"), i, c) {
		json_array_foreach(live_get(c, "members"), j, member) {
			if (json_is_null(live_get(member, "pid")) || live_int(member, "pid") != pid)
				continue;
			return json_array_size(live_get(c, "members")) == 1 ? c : member;
		}
	}
	return NULL;
}

static double share(const json_t *v, pid_t pid)
{
	json_t *c = find_culprit(v, pid);

	return c ? json_number_value(live_get(c, "share")) : 0;
}

static void assert_shares_add_up(const json_t *v)
{
	double sum = 0;
	json_t *c;
	size_t i;

	json_array_foreach(live_get(v, "culprits"), i, c) {
		assert_true(json_number_value(live_get(c, "share")) >= 0);
		sum += json_number_value(live_get(c, "share"));
	}
	if (sum < 0.99 || sum > 1.01)
		live_fail("shares add up to %f", sum);
}

/*
 * With all else equal, a share of the blame equals the share of the bytes written. The slack is for bytes
 * that were written while no process was stalled, that is, before the limit was reached and while only one
 * writer was running.
 */
static void assert_share(const json_t *v, const struct writer *w, const struct writer *beside)
{
	double want = (double)written(w) / (double)(written(w) + written(beside));
	double got = share(v, w->pid), slack = live_emulated() ? 0.1 : 0.05;

	print_message("blamed for %.3f, wrote %.3f\n", got, want);
	if (got < want - slack || got > want + slack)
		live_fail("share %.3f, but it wrote %.3f", got, want);
}

/* Compares with the victim's own clock: within 5 %, plus the time that the victim waited for a CPU between pauses. */
static void assert_stalled(const json_t *v, const struct writer *w)
{
	long long blocked = live_int(w->said, "blocked_ns"), slack = blocked / 20 + live_int(w->said, "cpu_wait_ns");

	live_near("stalled_ns", live_int(v, "stalled_ns"), blocked, slack);
	live_equal("sum of its kinds", live_int(v, "stalled_ns"),
		   live_int(v, "paused_ns") + live_int(v, "waited_ns") + live_int(v, "fsync_ns"));
}

/* The pages of all files add up to the device's total, and most of them belong to the writers' files. */
static void assert_flusher_files(const json_t *device)
{
	long long sum = 0, named = 0;
	json_t *f;
	size_t i;

	json_array_foreach(live_get(device, "flusher_files"), i, f) {
		sum += live_int(f, "pages");
		if (json_is_string(live_get(f, "path")) &&
		    !strncmp(live_str(f, "path"), fs.dir, strlen(fs.dir)))
			named += live_int(f, "pages");
	}
	live_equal("pages of all files", sum, live_int(device, "flusher_written_pages"));
	assert_true(named * 10 >= sum * 8);
}

/* Checks the device's usual name and its mount point. */
static void assert_named(const json_t *row)
{
	assert_string_equal(live_str(row, "device"), fs.loop + strlen("/dev/"));
	assert_string_equal(live_str(row, "mount"), fs.dir);
}

/*
 * Checks the pages that blame reports for the device: all that was written, in whole pages. The slack covers
 * the file system's own blocks and the incomplete run of each thread (docs/families/writeback.md).
 */
static void assert_device(const json_t *doc, const struct writer *a, const struct writer *b)
{
	long long bytes = written(a) + written(b);
	json_t *d;
	size_t i;

	json_array_foreach(live_get(doc, "devices"), i, d) {
		if (strcmp(live_str(d, "bdi"), fs.bdi))
			continue;
		assert_named(d);
		assert_int_equal(json_array_size(live_get(d, "mounts")), 1);
		live_near("dirtied_pages", live_int(d, "dirtied_pages"), bytes / 4096, bytes / 4096 / 20);
		assert_in_range(live_int(d, "flusher_written_pages"), 1, bytes / 4096 * 21 / 20);
		assert_flusher_files(d);
		live_near("bdi_limit_pages", live_int(d, "bdi_limit_pages"), DIRTY_LIMIT / 4096,
			  DIRTY_LIMIT / 4096 / 10);
		assert_true(live_int(d, "bdi_dirty_pages") > live_int(d, "bdi_limit_pages") / 2);
		assert_true(live_int(d, "stalls") > 0);
		return;
	}
	live_fail("no device %s", fs.bdi);
}

/* ---- two writers ---- */

/*
 * Each thread of two processes writes as fast as it can, so the numbers of threads determine which process dirties most
 * (unless an emulator does not run them alike: then only the shares of what they wrote count, see assert_share()).
 */
static void two_writers(const char *threads_a, const char *threads_b, double least_a, double most_a)
{
	struct live_bg *blame;
	struct writer a, b;
	json_t *doc, *v;
	double got, wrote;

	need_fs(&fs, DIRTY_LIMIT);
	blame = live_start(LIVE_ARGV("blame", "--json", "-o", blame_path()));
	start_together();
	a = start_writer(&fs, "a", threads_a);
	b = start_writer(&fs, "b", threads_b);
	end_writer(&a);
	end_writer(&b);
	doc = end_blame(blame);
	assert_device(doc, &a, &b);
	v = victim(doc, b.pid);
	got = share(v, a.pid);
	wrote = (double)written(&a) / (double)(written(&a) + written(&b));
	if ((wrote >= least_a && wrote <= most_a && (got < least_a || got > most_a)) ||
	    (!live_emulated() && (wrote < least_a || wrote > most_a)))
		live_fail("a wrote %.3f and is blamed for %.3f of b's time, want %.2f to %.2f", wrote, got, least_a, most_a);
	assert_shares_add_up(v);
	assert_share(v, &a, &b);
	assert_share(v, &b, &a);
	assert_stalled(v, &b);
	v = victim(doc, a.pid);
	assert_shares_add_up(v);
	assert_share(v, &b, &a);
	assert_stalled(v, &a);
	json_decref(a.said);
	json_decref(b.said);
	json_decref(doc);
}

static void test_heavy_and_light(void **state)
{
	(void)state;
	two_writers("15", "1", 0.85, 1);
}

static void test_light_and_heavy(void **state)
{
	(void)state;
	two_writers("1", "15", 0, 0.15);
}

static void test_equal(void **state)
{
	(void)state;
	two_writers("3", "3", 0.35, 0.65);
}

/* A writer that writes more than both others, but to another device, does not stall them. */
static void test_other_device(void **state)
{
	struct writer a, b, elsewhere;
	struct live_bg *blame;
	json_t *doc, *v;

	(void)state;
	need_fs(&fs, DIRTY_LIMIT);
	need_fs(&other, 0);
	blame = live_start(LIVE_ARGV("blame", "--json", "-o", blame_path()));
	start_together();
	elsewhere = start_writer(&other, "elsewhere", "2");
	a = start_writer(&fs, "a", "2");
	b = start_writer(&fs, "b", "1");
	end_writer(&a);
	end_writer(&b);
	end_writer(&elsewhere);
	doc = end_blame(blame);
	v = victim(doc, b.pid);
	assert_null(find_culprit(v, elsewhere.pid));
	assert_null(find_culprit(victim(doc, a.pid), elsewhere.pid));
	assert_share(v, &a, &b);
	assert_null(find_victim(doc, a.pid, other.bdi));
	json_decref(a.said);
	json_decref(b.said);
	json_decref(elsewhere.said);
	json_decref(doc);
}

/* ---- fsync ---- */

static json_t *file_of(const json_t *culprit, const char *path)
{
	json_t *f;
	size_t i;

	json_array_foreach(live_get(culprit, "files"), i, f) {
		if (!json_is_null(live_get(f, "path")) && !strcmp(live_str(f, "path"), path))
			return f;
	}
	return NULL;
}

static void wait_for_bytes(const char *path, long long bytes)
{
	struct stat st;

	for (int i = 0; i < 400; i++) {
		if (!stat(path, &st) && st.st_size >= bytes)
			return;
		usleep(50000);
	}
	live_fail("%s did not grow", path);
}

/*
 * Runs one fsync of a small file while the large file of another process is dirty. That process has exited,
 * or is still writing. The report must name it as the culprit. Returns false if the reported fsync time does
 * not match the writer's own measurement, which is taken outside of the call; if last, this fails the test.
 */
static bool fsync_behind_once(bool exited, bool last)
{
	struct live_result *r, *first = NULL;
	const char *large;
	struct live_bg *blame;
	struct writer writer = { 0 };
	json_t *doc, *v, *c, *said, *f;
	long long fsync_ns, ns, slack;
	pid_t culprit;
	bool near;

	blame = live_start(LIVE_ARGV("blame", "--json", "-o", blame_path()));
	large = exited ? in(&fs, "large") : in(&fs, "large.0");
	if (exited) {
		first = live_exec(LIVE_ARGV(live_workload("writer"), large, "64", "nosync"), NULL);
		said = live_json(first->out);
		culprit = (pid_t)live_int(said, "pid");
		json_decref(said);
		live_result_free(first);
	} else {
		writer.bg = live_spawn(LIVE_ARGV(live_workload("dirtier"), in(&fs, "large"), WRITE_MS,
						 "1", "128", "50000"));
		writer.pid = culprit = writer.bg->pid;
		wait_for_bytes(large, 16 * MIB);
	}
	r = live_exec(LIVE_ARGV(live_workload("writer"), in(&fs, "small"), "1", "fsync"), NULL);
	assert_int_equal(r->status, 0);
	if (!exited) {
		end_writer(&writer);
		json_decref(writer.said);
	}
	doc = end_blame(blame);
	said = live_json(r->out);
	v = victim(doc, (pid_t)live_int(said, "pid"));
	fsync_ns = live_int(said, "fsync_ns");
	live_equal("fsyncs", live_int(v, "fsyncs"), 1);
	ns = live_int(v, "fsync_ns") + live_int(v, "waited_ns");
	slack = fsync_ns / 20 + 2000000;
	near = live_is_near("fsync_ns and waited_ns", ns, fsync_ns, slack, last);
	c = json_array_get(live_get(v, "culprits"), 0);
	live_equal("the culprit", live_int(c, "pid"), culprit);
	assert_true(json_number_value(live_get(c, "share")) > 0.85);
	f = file_of(c, large);
	if (!f)
		live_fail("%s is not among its files: %s", large, json_dumps(c, 0));
	/* the large file makes up nearly all of the pages in the way */
	assert_true(live_int(f, "pages") * 10 >= live_int(c, "pages") * 9);
	json_decref(said);
	json_decref(doc);
	live_result_free(r);
	return near;
}

/* Measures again if the emulator stalled between the system call and the writer's reading of the clock. */
static void fsync_behind(bool exited)
{
	bool near = false;

	need_fs(&fs, 0);
	for (int tries = LIVE_CLOCK_TRIES; tries && !near; tries--)
		near = fsync_behind_once(exited, tries == 1);
}

static void test_fsync_behind_writer(void **state)
{
	(void)state;
	fsync_behind(false);
}

static void test_fsync_behind_exited(void **state)
{
	(void)state;
	fsync_behind(true);
}

/* ---- selection, intervals, trace, replay ---- */

static long long sum_of_intervals(const char *path, pid_t pid)
{
	struct live_stream *stream = live_stream_open(path);
	long long sum = 0;
	json_t *doc;

	while ((doc = live_stream_next(stream))) {
		json_t *v = find_victim(doc, pid, fs.bdi);

		assert_string_equal(live_str(doc, "kind"), "blame");
		if (v && !strcmp(live_str(doc, "scope"), "interval"))
			sum += live_int(v, "stalled_ns");
		json_decref(doc);
	}
	live_stream_close(stream);
	return sum;
}

/* -p selects which victims are shown; the culprits are other processes. -i: the intervals add up to the total. */
static void test_selection_and_intervals(void **state)
{
	struct live_bg *blame;
	struct writer a, b;
	json_t *doc, *v;
	char pid[16];
	long long sum;
	size_t i;

	(void)state;
	need_fs(&fs, DIRTY_LIMIT);
	/* start the writer before memblame, which may take seconds to attach */
	a = start_writer_for("8000", &fs, "a", "4");
	snprintf(pid, sizeof(pid), "%d", a.pid);
	blame = live_start(LIVE_ARGV("blame", "--json", "-i", "0.5", "-p", pid, "-o", blame_path()));
	b = start_writer(&fs, "b", "4");
	end_writer(&a);
	end_writer(&b);
	live_result_free(live_stop(blame));
	sum = sum_of_intervals(blame_path(), a.pid);
	doc = live_last_summary(blame_path());
	json_array_foreach(live_get(doc, "writeback"), i, v)
		live_equal("shown", live_int(v, "victim.pid"), a.pid);
	v = victim(doc, a.pid);
	assert_true(share(v, b.pid) > 0.1);
	/* the last interval appears only in the total */
	assert_true(sum > 0);
	assert_true(sum <= live_int(v, "stalled_ns"));
	json_decref(a.said);
	json_decref(b.said);
	json_decref(doc);
}

/* trace: each single pause, with its main culprit. */
static void test_trace(void **state)
{
	const char *path = live_path("trace.json");
	long long pauses = 0, named = 0, first = 0;
	struct live_stream *stream;
	struct live_bg *trace;
	struct writer a, b;
	json_t *e;

	(void)state;
	need_fs(&fs, DIRTY_LIMIT);
	trace = live_start(LIVE_ARGV("trace", "--json", "-f", "writeback", "-o", path));
	start_together();
	a = start_writer(&fs, "a", "10");
	b = start_writer(&fs, "b", "1");
	end_writer(&a);
	end_writer(&b);
	live_result_free(live_stop(trace));
	stream = live_stream_open(path);
	while ((e = live_stream_next(stream))) {
		if (!strcmp(live_str(e, "kind"), "event") && live_int(e, "pid") == b.pid &&
		    !strcmp(live_str(e, "event"), "pause")) {
			first = first ? first : live_int(e, "t_ns");
			/* before the first ticks memblame cannot know whose pages are dirty */
			pauses += live_int(e, "t_ns") - first > 500000000;
			assert_string_equal(live_str(e, "bdi"), fs.bdi);
			assert_named(e); /* named from the first pause on */
			if (!json_is_null(live_get(e, "culprit.pid")) &&
			    live_int(e, "culprit.pid") == a.pid) {
				named += live_int(e, "t_ns") - first > 500000000;
				assert_in_range(live_int(e, "culprit.share_permille"), 500, 1000);
			}
		}
		json_decref(e);
	}
	live_stream_close(stream);
	print_message("%lld of %lld pauses name the heavy writer, which wrote %.3f\n", named, pauses,
		      (double)live_int(a.said, "written_bytes") /
			      (double)(live_int(a.said, "written_bytes") + live_int(b.said, "written_bytes")));
	assert_true(pauses > 0);
	assert_true(named * 10 >= pauses * 7);
	json_decref(a.said);
	json_decref(b.said);
}

/* The same for reclaim: if a cgroup at its limit has only one process, that process is its own culprit. */
static void test_trace_reclaim(void **state)
{
	const char *path = live_path("trace.json"), *reason = sandbox_cgroup_open(&cg, 32 * MIB);
	long long reclaims = 0, named = 0;
	struct live_stream *stream;
	struct live_result *hog;
	struct live_bg *trace;
	json_t *e, *said;
	pid_t pid;

	(void)state;
	if (reason)
		live_skip("%s", reason);
	need_fs(&fs, 0);
	trace = live_start(LIVE_ARGV("trace", "--json", "-f", "reclaim", "-o", path));
	setenv("WORKLOAD_CGROUP", cg.dir, 1);
	hog = live_exec(LIVE_ARGV(live_workload("memhog"), "64", "file", in(&fs, "big"), "100"), NULL);
	unsetenv("WORKLOAD_CGROUP");
	live_result_free(live_stop(trace));
	said = live_json(hog->out);
	pid = (pid_t)live_int(said, "pid");
	stream = live_stream_open(path);
	for (; (e = live_stream_next(stream)); json_decref(e)) {
		if (strcmp(live_str(e, "kind"), "event") || live_int(e, "pid") != pid ||
		    strcmp(live_str(e, "event"), "memcg_reclaim"))
			continue;
		/*
		 * The cgroup of the hog is known from the next tick on, its consumption from the second one.
		 * From then on nearly all events must name it.
		 */
		reclaims += named || !json_is_null(live_get(e, "culprit.pid"));
		if (json_is_null(live_get(e, "culprit.pid")))
			continue;
		live_equal("culprit", live_int(e, "culprit.pid"), pid);
		live_equal("its share", live_int(e, "culprit.share_permille"), 1000);
		named++;
	}
	live_stream_close(stream);
	print_message("%lld of %lld reclaims name the hog\n", named, reclaims);
	assert_true(reclaims > 0);
	assert_true(named * 10 >= reclaims * 9);
	json_decref(said);
	live_result_free(hog);
}

/* The replay of a recording gives the same answer. */
static void test_replay(void **state)
{
	const char *path = live_path("recording.db");
	struct live_bg *record;
	struct live_result *r;
	struct writer a, b;
	json_t *doc, *v;
	char on[128];

	(void)state;
	need_fs(&fs, DIRTY_LIMIT);
	unlink(path);
	record = live_start(LIVE_ARGV("record", "--raw", "-f", "writeback", "-i", "0.2", "-o", path));
	start_together();
	a = start_writer(&fs, "a", "10");
	b = start_writer(&fs, "b", "1");
	end_writer(&a);
	end_writer(&b);
	live_result_free(live_stop(record));
	r = live_memblame(LIVE_ARGV("replay", path, "blame", "--json"));
	assert_int_equal(r->status, 0);
	doc = live_json(r->out);
	assert_string_equal(live_str(doc, "kind"), "blame");
	v = victim(doc, b.pid);
	assert_share(v, &a, &b);
	assert_stalled(v, &b);
	assert_named(v);
	live_result_free(r);
	r = live_memblame(LIVE_ARGV("replay", path, "blame"));
	snprintf(on, sizeof(on), " on %s (%s): ", fs.loop + strlen("/dev/"), fs.dir);
	assert_non_null(strstr(r->out, on));
	json_decref(a.said);
	json_decref(b.said);
	json_decref(doc);
	live_result_free(r);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_heavy_and_light),
		TEST(test_light_and_heavy),
		TEST(test_equal),
		TEST(test_other_device),
		TEST(test_fsync_behind_writer),
		TEST(test_fsync_behind_exited),
		TEST(test_selection_and_intervals),
		TEST(test_trace),
		TEST(test_trace_reclaim),
		TEST(test_replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
