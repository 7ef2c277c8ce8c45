// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Compares the sums of stalls with the time that the kernel itself says a workload lost: delay
 * accounting (taskstats and /proc/PID/stat) and the pressure (PSI) of its cgroup.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest.h"

#define MIB (1LL << 20)
#define TICK_NS (1000000000LL / sysconf(_SC_CLK_TCK))

/*
 * The kernel starts its clocks after the tracepoint that begins a reclaim and stops them before the
 * one that ends it. So memblame's time includes part of its own two programs: in an emulator, up to
 * 10 us. It is shorter only because the clocks are not the same.
 */
#define HOOKS_NS 10000
#define MORE(ns) ((ns) / 20)
#define LESS(ns) ((ns) / 50)

/*
 * PSI and newer delay accounting use the scheduler's clock. In an emulator this clock does not show that
 * a CPU stood still or that its ticks came late; it catches up at the next tick, in whatever the thread
 * does then. In two traces of the same reclaims, one with that clock, the sums differed by a third. So a
 * measurement that does not agree is repeated; an error of memblame would appear each time.
 */
#define TRIES 5

#define CONTROLLERS "/sys/fs/cgroup/cgroup.subtree_control"
#define READS_PER_S "riops=250" /* slow enough that a major fault mostly waits for the disk */

static bool with_io;

/* --- the guest --- */

static void delays_on(const char *families)
{
	static const char *const path = "/proc/sys/kernel/task_delayacct";

	setenv("WORKLOAD_DELAYS", "1", 1);
	setenv("LIVE_FAMILIES", families, 1);
	if (access(path, F_OK)) /* before 5.14 it is always on */
		return;
	guest_keep(path);
	guest_write(path, "1");
}

static void open_cgroup(long long limit)
{
	const char *reason = sandbox_cgroup_open(&guest_cgroup, (unsigned long)limit);

	if (reason)
		live_fail("%s", reason);
	setenv("WORKLOAD_CGROUP", guest_cgroup.dir, 1);
}

static void set(const char *file, const char *text)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/%s", guest_cgroup.dir, file);
	if (access(path, F_OK))
		live_skip("this kernel's cgroups have no %s", file);
	guest_write(path, text);
}

/* Throttles reads of the cgroup, so that each one has to wait. */
static void slow_disk(void)
{
	char limit[64];

	with_io = true;
	guest_write(CONTROLLERS, "+io");
	snprintf(limit, sizeof(limit), "%s " READS_PER_S, guest_disk());
	set("io.max", limit);
}

static int delays_teardown(void **state)
{
	struct sched_param normal = { 0 };
	int result = guest_teardown(state);

	unsetenv("WORKLOAD_DELAYS");
	unsetenv("LIVE_FAMILIES");
	sched_setscheduler(0, SCHED_OTHER, &normal);
	if (with_io)
		guest_write(CONTROLLERS, "-io");
	with_io = false;
	return result;
}

/* A file that is on disk, and clean in the page cache. */
static const char *clean_file(const char *mib)
{
	const char *path = live_path("clean");
	char of[128], count[32];
	struct live_result *r;

	snprintf(of, sizeof(of), "of=%s", path);
	snprintf(count, sizeof(count), "count=%s", mib);
	r = live_exec(LIVE_ARGV("dd", "if=/dev/zero", "bs=1M", "conv=fsync", count, of), NULL);
	if (r->status)
		live_fail("dd: %s", r->err);
	live_result_free(r);
	return path;
}

static const char *cold_file(const char *mib)
{
	const char *path = clean_file(mib);

	guest_drop_caches();
	return path;
}

/* Runs the workload on one CPU: the kernel's clocks of two CPUs differ, and PSI weights CPUs when it adds them up. */
#define ON_ONE_CPU(...) LIVE_ARGV("taskset", "1", __VA_ARGS__)

static json_t *process(const struct live_run *run)
{
	if (run->result->status || !run->workload)
		live_fail("status %d: %s", run->result->status, run->result->err);
	live_equal("lost", live_lost(run->summary), 0);
	if (!live_int(run->workload, "delay_version"))
		live_skip("this kernel has no taskstats");
	if (!json_object_get(run->workload, "delay_freepages_ns"))
		live_skip("this kernel's taskstats are not in the order of the others");
	return live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
}

/* A stall kind that this kernel does not report, or that is not traced, counts as part of the stall around it. */
static long long stall(json_t *p, const char *kind, const char *what)
{
	json_t *reported = json_object_get(live_get(p, "stalls"), kind);

	assert_non_null(reported);
	return json_is_null(reported) ? 0 : live_int(reported, what);
}

static long long in_reclaim_ns(json_t *p)
{
	return stall(p, "direct_reclaim", "ns") + stall(p, "memcg_reclaim", "ns");
}

/* Stalls that happen inside reclaim; these workloads have no others of their kinds. */
static long long nested_ns(json_t *p)
{
	return stall(p, "throttle", "ns") + stall(p, "writeback_wait", "ns") +
	       stall(p, "compaction", "ns");
}

/* --- delay accounting: all of reclaim, with what it waits for --- */

/* elsewhere_ns: the part of the nested stalls that may have been outside reclaim. */
static bool freepages_agree(const struct live_run *run, json_t *p, long long elsewhere_ns)
{
	long long want = live_int(run->workload, "delay_freepages_ns");
	long long count = stall(p, "direct_reclaim", "count") + stall(p, "memcg_reclaim", "count");
	long long got = in_reclaim_ns(p) + nested_ns(p);

	print_message("freepages: %lld ns in %lld; memblame: %lld in %lld reclaims, of it %lld nested\n",
		      want, live_int(run->workload, "delay_freepages_count"), got, count,
		      nested_ns(p));
	assert_true(count >= 10);
	assert_true(want > 0);
	return got >= want - LESS(want) &&
	       got - elsewhere_ns <= want + MORE(want) + count * HOOKS_NS;
}

/* --- pressure --- */

/* The total of "some" or "full" in us; -1: this kernel has none. */
static long long pressure_us(const char *line)
{
	char path[320], *text, *at;
	long long us;
	int fd;

	snprintf(path, sizeof(path), "%s/memory.pressure", guest_cgroup.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	close(fd);
	text = live_slurp(path, NULL);
	at = strstr(text, line);
	at = at ? strstr(at, "total=") : NULL;
	us = at ? atoll(at + strlen("total=")) : -1;
	free(text);
	return us;
}

/* The thread is alone in its cgroup, so its time under pressure is that of the cgroup, and "some" equals "full". */
static bool pressure_agrees(json_t *p, long long before_us, int percent)
{
	long long some_us = pressure_us("some"), full_us = pressure_us("full"), want, got;

	if (before_us < 0)
		live_skip("this kernel has no PSI of cgroups");
	want = (some_us - before_us) * 1000;
	got = in_reclaim_ns(p) + nested_ns(p) + stall(p, "high_throttle", "ns");
	print_message("some: %lld ns; memblame: %lld; full: %lld us\n", want, got, full_us);
	assert_true(want > 0);
	assert_true(full_us > 0 && full_us <= some_us);
	return llabs(got - want) <= want * percent / 100;
}

/* --- the tests --- */

/* Reads each page once: no page comes back after reclaim, as PSI would count that wait for the disk, too. */
static bool clean_pages_agree(void)
{
	struct live_run *run;
	long long before_us;
	const char *file;
	json_t *p;
	bool agree;

	delays_on("reclaim");
	open_cgroup(16 * MIB);
	file = cold_file("160");
	before_us = pressure_us("some");
	run = live_run(NULL, ON_ONE_CPU(live_workload("memhog"), "160", "file", file, "1"));
	p = process(run);
	assert_true(live_int(p, "reclaim.pages_reclaimed") >= 128 * MIB / 4096);
	live_equal("direct_reclaim.count", live_int(p, "stalls.direct_reclaim.count"), 0);
	agree = freepages_agree(run, p, 0) && pressure_agrees(p, before_us, 10);
	live_run_free(run);
	return agree;
}

/*
 * Dirty pages may fill half of the cgroup at most: in a cgroup full of them the writer is killed. The limit must
 * not be much lower either, or the writer pauses for a minute.
 */
static bool dirty_pages_agree(void)
{
	struct live_run *run;
	json_t *p;
	bool agree;

	delays_on("reclaim,writeback");
	guest_keep("/proc/sys/vm/dirty_ratio");
	guest_keep("/proc/sys/vm/dirty_background_ratio");
	guest_write("/proc/sys/vm/dirty_background_bytes", "2097152");
	guest_write("/proc/sys/vm/dirty_bytes", "16777216");
	open_cgroup(32 * MIB);
	run = live_run(NULL, ON_ONE_CPU(live_workload("writer"), live_path("new"), "96", "nosync"));
	p = process(run);
	agree = freepages_agree(run, p, 0);
	live_run_free(run);
	return agree;
}

/* Until 5.16, an allocation whose reclaim frees nothing also sleeps between two reclaims. */
static bool sleeps_between_reclaims(void)
{
	struct utsname name;
	int major, minor;

	assert_int_equal(uname(&name), 0);
	assert_int_equal(sscanf(name.release, "%d.%d", &major, &minor), 2);
	return major < 5 || (major == 5 && minor < 16);
}

/* As an argument for memhog: this percentage of the guest's free memory. */
static const char *of_memory(char text[16], int percent)
{
	char *meminfo = live_slurp("/proc/meminfo", NULL), *at = strstr(meminfo, "MemAvailable:");
	long long kib;

	assert_non_null(at);
	kib = atoll(at + strlen("MemAvailable:"));
	free(meminfo);
	snprintf(text, 16, "%lld", kib * percent / 100 / 1024);
	return text;
}

/*
 * Holds the memory that the traced process will need, until the OOM killer kills the holder. So reclaim
 * fails, which makes it sleep, and yet the traced process survives.
 */
static struct live_bg *start_victim(int *input, const char *mib)
{
	const char *fifo = live_path("fifo");
	struct live_bg *bg;
	char *script;

	assert_int_equal(mkfifo(fifo, 0600), 0);
	*input = open(fifo, O_RDWR | O_CLOEXEC);
	assert_true(*input >= 0);
	assert_true(asprintf(&script, "echo 1000 >/proc/self/oom_score_adj; "
				      "exec %s %s hold <%s", live_workload("memhog"), mib, fifo) > 0);
	bg = live_spawn(LIVE_ARGV("sh", "-c", script));
	free(script);
	assert_true(live_wait_text(bg->err_path, "ready"));
	unlink(fifo);
	return bg;
}

static bool machine_agree(void)
{
	struct live_result *victim;
	struct live_bg *bg;
	struct live_run *run;
	/* memblame itself needs some memory: the two workloads together do not fit, one alone does */
	char hold[16], need[16];
	int input;
	json_t *p;
	bool agree;

	delays_on("reclaim,writeback");
	clean_file("96");
	of_memory(hold, 50);
	of_memory(need, 55);
	print_message("the victim holds %s MiB, the one traced needs %s\n", hold, need);
	bg = start_victim(&input, hold);
	run = live_run(NULL, ON_ONE_CPU(live_workload("memhog"), need, "anon"));
	close(input);
	victim = live_wait(bg);
	live_equal("status of the victim", victim->status, 137);
	live_result_free(victim);
	p = process(run);
	live_equal("memcg_reclaim.count", live_int(p, "stalls.memcg_reclaim.count"), 0);
	agree = freepages_agree(run, p, sleeps_between_reclaims() ? nested_ns(p) : 0);
	live_run_free(run);
	return agree;
}

/* The workload goes a little over memory.high: see tests/vm/high.c. */
static bool high_agree(void)
{
	struct live_run *run;
	long long before_us;
	json_t *p;
	bool agree;

	delays_on("reclaim");
	open_cgroup(64 * MIB);
	before_us = pressure_us("some");
	set("memory.high", "16777216");
	run = live_run(NULL, ON_ONE_CPU(live_workload("memhog"), "17", "anon"));
	p = process(run);
	assert_true(live_int(p, "stalls.high_throttle.count") > 0);
	agree = pressure_agrees(p, before_us, 5);
	live_run_free(run);
	return agree;
}

/*
 * From 6.12 on, a thread that goes to sleep may stay on its run queue for a while. The kernel then notes
 * the beginning of its wait for another thread, so the wait seems to last since an earlier one. This
 * does not happen to real-time threads.
 */
static void count_waits_rightly(void)
{
	struct sched_param first = { .sched_priority = 1 };

	assert_int_equal(sched_setscheduler(0, SCHED_FIFO, &first), 0);
}

/*
 * The stall contains the time that the thread lost to the disk, and otherwise only the fault's own
 * work.
 */
static bool waits_agree(const struct live_run *run, json_t *p, const char *kind)
{
	long long ticks = live_int(run->workload, "delay_blkio_ticks");
	long long waited = ticks * TICK_NS, got = stall(p, kind, "ns");
	long long worked = live_int(run->workload, "delay_ran_ns") +
			   live_int(run->workload, "delay_cpu_ns");

	print_message("waited for the disk: %lld ticks; %s: %lld ns in %lld; the thread's work: %lld\n",
		      ticks, kind, got, stall(p, kind, "count"), worked);
	/* the ticks are the same sum that taskstats report in ns, before 5.18 in two parts */
	live_near("ticks", waited,
		  live_int(run->workload, "delay_blkio_ns") +
			  (live_int(run->workload, "delay_version") < 11 ?
				   live_int(run->workload, "delay_swapin_ns") : 0),
		  TICK_NS);
	assert_true(ticks >= 50); /* otherwise one tick would be too much */
	return got >= waited - LESS(waited) - TICK_NS && got <= waited + worked + TICK_NS;
}

static bool file_io_agree(void)
{
	struct live_run *run;
	const char *file;
	json_t *p;
	bool agree;

	delays_on("fault");
	open_cgroup(64 * MIB);
	file = cold_file("2");
	slow_disk();
	count_waits_rightly();
	run = live_run(NULL, ON_ONE_CPU(live_workload("faulter"), "cold", "400", file));
	p = process(run);
	assert_true(live_int(p, "stalls.file_io.count") >= 400);
	agree = waits_agree(run, p, "file_io");
	live_run_free(run);
	return agree;
}

static bool swap_in_agree(void)
{
	struct live_run *run;
	json_t *p;
	bool agree;

	delays_on("fault,reclaim");
	guest_keep("/proc/sys/vm/page-cluster");
	guest_write("/proc/sys/vm/page-cluster", "0");
	open_cgroup(16 * MIB);
	guest_swap_on(32);
	slow_disk();
	count_waits_rightly();
	run = live_run(NULL, ON_ONE_CPU(live_workload("memhog"), "24", "again", "2"));
	p = process(run);
	/* now and then the kernel swaps out other pages than those that come back */
	agree = live_int(p, "stalls.swap_in.count") >= 400 && waits_agree(run, p, "swap_in");
	live_run_free(run);
	return agree;
}

#define TEST(name)                                                              \
	static void test_##name(void **state)                                   \
	{                                                                       \
		for (int tries = 1; !name##_agree(); tries++) {                 \
			if (tries == TRIES)                                     \
				live_fail(#name " disagrees, %d times", tries); \
			assert_int_equal(delays_teardown(state), 0);            \
		}                                                               \
	}

TEST(clean_pages)
TEST(dirty_pages)
TEST(machine)
TEST(high)
TEST(file_io)
TEST(swap_in)

#define DELAYS_TEST(name) cmocka_unit_test_teardown(name, delays_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DELAYS_TEST(test_clean_pages),
		DELAYS_TEST(test_dirty_pages),
		DELAYS_TEST(test_machine),
		DELAYS_TEST(test_high),
		DELAYS_TEST(test_file_io),
		DELAYS_TEST(test_swap_in),
	};

	guest_only("uses up all memory");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
