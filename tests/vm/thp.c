// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Huge pages enabled for the whole machine, and pages of 64 KiB: each first touch is one fault, which
 * the kernel counts, too. (tests/live/fault.c tests huge pages that a process asks for.)
 */
#include <stdlib.h>
#include <unistd.h>

#include "guest.h"

#define THP "/sys/kernel/mm/transparent_hugepage"
#define THP_64K THP "/hugepages-64kB"
#define COUNT_2M "sed -n 's/^thp_fault_alloc //p' /proc/vmstat"
#define COUNT_64K "cat " THP_64K "/stats/anon_fault_alloc"
/* How far the start-up faults of two processes of one program may differ. */
#define SLACK 6
/* The resident set of each process may be off by 32 pages per CPU and kind (docs/families/task.md). */
#define RSS_SLACK (256 * 4096)

/* Two processes in one run: one touches nothing, the other its regions, once each. */
struct both {
	long long regions;
	struct live_run *run;
	json_t *nothing, *touched; /* as memblame reports them */
	long long counted;	   /* huge pages that the kernel counted meanwhile */
};

static struct both run_both(int regions, const char *unasked, const char *count)
{
	const char *faulter = live_workload("faulter"), *report = live_path("nothing");
	long long before, after;
	json_t *nothing;
	struct both b = { .regions = regions };
	char *text;

	assert_true(asprintf(&text, "%s thp 0 >%s && %s && %s thp %d %s && %s", faulter, report,
			     count, faulter, regions, unasked, count) > 0);
	b.run = live_run(NULL, LIVE_ARGV("sh", "-c", text));
	free(text);
	if (b.run->result->status || !b.run->workload)
		live_fail("status %d: %s", b.run->result->status, b.run->result->err);
	live_equal("lost", live_lost(b.run->summary), 0);
	assert_int_equal(sscanf(b.run->result->out, "%lld %*[^\n] %lld", &before, &after), 2);
	b.counted = after - before;
	text = live_slurp(report, NULL);
	nothing = live_json(text);
	free(text);
	b.nothing = live_process(b.run->summary, (pid_t)live_int(nothing, "pid"));
	b.touched = live_process(b.run->summary, (pid_t)live_int(b.run->workload, "pid"));
	json_decref(nothing);
	return b;
}

static long long more(const struct both *b, const char *path)
{
	return live_int(b->touched, path) - live_int(b->nothing, path);
}

/* Each touch brought in a page of that size by one fault. */
static void check_both(const struct both *b, long long bytes)
{
	print_message("anon %lld, rss %lld KiB more; kernel: %lld huge pages, %lld KiB of 2 MiB\n",
		      more(b, "faults.anon"), more(b, "memory.rss_peak_bytes") / 1024, b->counted,
		      live_int(b->run->workload, "huge_kb"));
	live_equal("the workload's count", live_int(b->run->workload, "thp_faults"), b->regions);
	live_near("anon", more(b, "faults.anon"), b->regions, SLACK);
	live_equal("minor", live_int(b->touched, "faults.minor"),
		   live_int(b->run->workload, "minflt"));
	live_equal("major", live_int(b->touched, "faults.major"),
		   live_int(b->run->workload, "majflt"));
	live_near("rss", more(b, "memory.rss_peak_bytes"), b->regions * bytes, RSS_SLACK);
}

/* Makes free memory as contiguous as possible: its fragmentation is the only reason to get a smaller page. */
static void make_room(void)
{
	guest_drop_caches();
	guest_write("/proc/sys/vm/compact_memory", "1");
}

static void test_always(void **state)
{
	struct both b;

	(void)state;
	if (access(THP, F_OK))
		live_skip("this kernel has no transparent huge pages");
	guest_keep(THP "/enabled");
	guest_write(THP "/enabled", "always");
	/* if earlier tests left memory fragmented, the kernel's own count shows that it used smaller pages */
	for (int tries = 1;; tries++) {
		make_room();
		b = run_both(24, "unasked", COUNT_2M);
		if (b.counted >= b.regions || tries == 4)
			break;
		live_run_free(b.run);
	}
	check_both(&b, 2LL << 20);
	live_equal("AnonHugePages, kB", live_int(b.run->workload, "huge_kb"), b.regions * 2048);
	/* other processes get huge pages, too */
	assert_in_range(b.counted, b.regions, b.regions + 2);
	live_run_free(b.run);
}

/* Pages larger than the base page and smaller than what one page directory entry maps. */
static void test_64k(void **state)
{
	struct both b;

	(void)state;
	if (access(THP, F_OK))
		live_skip("this kernel has no transparent huge pages");
	if (access(THP_64K "/stats/anon_fault_alloc", F_OK))
		live_skip("this kernel has no huge pages of 64 KiB, or does not count them");
	guest_keep(THP_64K "/enabled");
	guest_keep(THP "/hugepages-2048kB/enabled");
	guest_write(THP_64K "/enabled", "madvise");
	guest_write(THP "/hugepages-2048kB/enabled", "never");
	make_room();
	b = run_both(96, "", COUNT_64K);
	check_both(&b, 64LL << 10);
	live_equal("AnonHugePages, kB", live_int(b.run->workload, "huge_kb"), 0);
	/* no other process asks for any */
	live_equal("the kernel's count", b.counted, b.regions);
	live_run_free(b.run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_always),
		GUEST_TEST(test_64k),
	};

	guest_only("changes what size all memory comes in");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
