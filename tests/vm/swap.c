// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Memory goes to swap and comes back, because of the owner itself or of another process. Compares with
 * the kernel's counts for the process and the machine, and with the disk's own clock.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define MIB (1LL << 20)
#define PAGE 4096LL
#define SWAP_MIB 96
#define NO_LIMIT (1024 * MIB)
/* See test_live_memory in tests/live/task.c: counters per CPU, read at two moments. */
#define RSS_SLACK (128 * PAGE)

/* As in tests/live/fault.c: 1%, plus what the start of a program varies by. */
static long long slack_of(long long want)
{
	return want / 100 > 24 ? want / 100 : 24;
}

static void open_guest(unsigned long limit)
{
	const char *reason = sandbox_cgroup_open(&guest_cgroup, limit);

	if (reason)
		live_fail("%s", reason);
	setenv("WORKLOAD_CGROUP", guest_cgroup.dir, 1);
	guest_swap_on(SWAP_MIB);
}

static long long again_faults(const json_t *workload)
{
	return live_int(workload, "again_minor") + live_int(workload, "again_major");
}

/*
 * Swap-ins before the second reading are few, as the kernel reclaims the most recently used pages (stack
 * and data) last. They are in the stall, but not on the workload's clock.
 */
static void assert_swap_in_time(json_t *p, const json_t *workload)
{
	long long ns = live_int(p, "stalls.swap_in.ns"), max = live_int(p, "stalls.swap_in.max_ns");
	long long before = live_int(p, "stalls.swap_in.count") - live_int(workload, "again_major");

	print_message("swap_in: %lld ns, longest %lld, %lld not in the %lld ns of the reading\n",
		      ns, max, before, live_int(workload, "again_ns"));
	assert_true(before >= 0);
	assert_true(max > 0 && max <= ns);
	if (ns > live_int(workload, "again_ns") + before * max)
		live_fail("swap_in.ns: %lld in %lld", ns, live_int(workload, "again_ns"));
}

/* A process that needs more memory than its limit swaps its own pages out, and brings them back. */
static void test_own_limit(void **state)
{
	long long in = guest_vmstat("pswpin"), out = guest_vmstat("pswpout"), major;
	struct live_run *run;
	json_t *p;

	(void)state;
	open_guest(24 * MIB);
	run = live_run(NULL, LIVE_ARGV(live_workload("memhog"), "48", "again"));
	if (run->result->status || !run->workload)
		live_fail("status %d: %s", run->result->status, run->result->err);
	in = guest_vmstat("pswpin") - in;
	out = guest_vmstat("pswpout") - out;
	p = live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
	major = live_int(run->workload, "majflt");
	print_message("%lld swap faults, %lld major; kernel: %lld pages out, %lld in\n",
		      live_int(p, "faults.swap"), major, out, in);
	/* the kernel did swap: at least half of the memory went out and is back */
	assert_true(out >= 24 * MIB / PAGE);
	assert_true(again_faults(run->workload) >= 24 * MIB / PAGE);
	live_equal("minor", live_int(p, "faults.minor"), live_int(run->workload, "minflt"));
	live_equal("major", live_int(p, "faults.major"), major);
	live_near("swap", live_int(p, "faults.swap"), again_faults(run->workload),
		  slack_of(again_faults(run->workload)));
	live_near("anon", live_int(p, "faults.anon"), live_int(run->workload, "anon"),
		  slack_of(live_int(run->workload, "anon")));
	live_equal("swap_in.count", live_int(p, "stalls.swap_in.count"), major);
	/* each swap-in reads at least its own page, and perhaps some ahead */
	assert_true(live_int(p, "stalls.swap_in.count") <= in);
	assert_swap_in_time(p, run->workload);
	assert_true(live_int(p, "stalls.total_ns") <= live_int(run->workload, "wall_ns"));
	assert_true(live_int(p, "stalls.memcg_reclaim.count") > 0);
	live_equal("pages_taken_from_me", live_int(p, "reclaim.pages_taken_from_me"), 0);
	live_equal("lost", live_lost(run->summary), 0);
	live_run_free(run);
}

/* --- swapped out because of another process, while the owner waits --- */

#define HOG_MIB "48"
#define AGAIN_MIB "16"

struct hog {
	struct live_bg *bg;
	char pid[16];
	int input;
};

static struct hog start_hog(void)
{
	const char *fifo = live_path("fifo");
	struct hog hog;
	char *script;

	assert_int_equal(mkfifo(fifo, 0600), 0);
	/* read and write, as open() then does not wait for the reader */
	hog.input = open(fifo, O_RDWR | O_CLOEXEC);
	assert_true(hog.input >= 0);
	assert_true(asprintf(&script, "exec %s " HOG_MIB " again " AGAIN_MIB " <%s",
			     live_workload("memhog"), fifo) > 0);
	hog.bg = live_spawn(LIVE_ARGV("sh", "-c", script));
	free(script);
	assert_true(live_wait_text(hog.bg->err_path, "ready"));
	unlink(fifo);
	snprintf(hog.pid, sizeof(hog.pid), "%d", (int)hog.bg->pid);
	return hog;
}

static void hog_reads_again(const struct hog *hog)
{
	assert_int_equal(write(hog->input, "\n", 1), 1);
	assert_true(live_wait_text(hog->bg->err_path, "again"));
}

static json_t *end_hog(struct hog *hog)
{
	struct live_result *r;
	json_t *workload;

	close(hog->input);
	r = live_wait(hog->bg);
	live_equal("status of the hog", r->status, 0);
	workload = live_json(r->out);
	live_result_free(r);
	return workload;
}

/* The kernel's counts for the hog and for the machine. */
struct seen {
	long long minor, major, rss, swap, in, out, disk_ns;
};

static struct seen see(const struct hog *hog)
{
	struct seen now = {
		.rss = live_proc_status(hog->bg->pid, "VmRSS") * 1024 / PAGE,
		.swap = live_proc_status(hog->bg->pid, "VmSwap") * 1024 / PAGE,
		.in = guest_vmstat("pswpin"),
		.out = guest_vmstat("pswpout"),
		.disk_ns = guest_disk_read_ns(),
	};
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%s/stat", hog->pid);
	text = live_slurp(path, NULL);
	assert_int_equal(sscanf(strrchr(text, ')') + 2,
				"%*c %*d %*d %*d %*d %*d %*u %lld %*u %lld", &now.minor,
				&now.major), 2);
	free(text);
	return now;
}

/* A process that lowers memory.high reclaims the pages itself, at once. */
static void push_out(const char *to)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/memory.high", guest_cgroup.dir);
	guest_write(path, to);
	guest_write(path, "max");
}

static void assert_brought_back(json_t *p, const struct seen *out, const struct seen *back)
{
	long long major = back->major - out->major;

	live_equal("minor", live_int(p, "faults.minor"), back->minor - out->minor);
	live_equal("major", live_int(p, "faults.major"), major);
	live_equal("swap_in.count", live_int(p, "stalls.swap_in.count"), major);
	/* there is no read-ahead */
	live_near("swap_in.count, for the machine", live_int(p, "stalls.swap_in.count"),
		  back->in - out->in, slack_of(major));
	/* the reads follow one another, each within its fault */
	print_message("swap_in: %lld ns; the disk read for %lld ns\n",
		      live_int(p, "stalls.swap_in.ns"), back->disk_ns - out->disk_ns);
	assert_true(live_int(p, "stalls.swap_in.ns") >= back->disk_ns - out->disk_ns);
}

static void test_pushed_out(void **state)
{
	const char *path = live_path("top.json");
	struct seen begin, out, back;
	struct live_bg *top;
	json_t *summary, *workload, *p;
	struct hog hog;

	(void)state;
	open_guest(NO_LIMIT);
	guest_keep("/proc/sys/vm/page-cluster");
	guest_write("/proc/sys/vm/page-cluster", "0");
	hog = start_hog();
	top = live_start(LIVE_ARGV("top", "--json", "-o", path, "-p", hog.pid));
	begin = see(&hog);
	push_out("4M");
	out = see(&hog);
	hog_reads_again(&hog);
	back = see(&hog);
	live_result_free(live_stop(top));
	workload = end_hog(&hog);
	summary = live_last_summary(path);
	p = live_process(summary, (pid_t)atoi(hog.pid));
	print_message("%lld pages went, %lld to swap (%lld written), %lld came back (%lld read)\n",
		      begin.rss - out.rss, out.swap, out.out - begin.out, out.swap - back.swap,
		      back.in - out.in);
	/* the kernel did swap, and some of the memory is still swapped out */
	assert_true(out.swap >= 32 * MIB / PAGE);
	assert_true(back.swap >= 16 * MIB / PAGE);
	assert_true(back.major - out.major >= 8 * MIB / PAGE);
	live_near("pages_taken_from_me", live_int(p, "reclaim.pages_taken_from_me"),
		  begin.rss - out.rss, slack_of(begin.rss - out.rss));
	live_near("swap_bytes", live_int(p, "memory.swap_bytes"), back.swap * PAGE, RSS_SLACK);
	live_near("swap", live_int(p, "faults.swap"), again_faults(workload),
		  slack_of(again_faults(workload)));
	assert_brought_back(p, &out, &back);
	assert_swap_in_time(p, workload);
	live_equal("lost", live_lost(summary), 0);
	json_decref(summary);
	json_decref(workload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_own_limit),
		GUEST_TEST(test_pushed_out),
	};

	guest_only("turns swap on and off");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
