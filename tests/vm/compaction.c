// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A process compacts all memory by writing to /proc/sys/vm/compact_memory. Compares how often and
 * how long with the kernel's own trace. Only for the guest that tests/vm/run boots.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

#define WRITES 3
#define SPARSE_BYTES (96L << 20)
#define PAGE 4096

/* Maps small pages with a hole after each: memory that compaction has to move. */
static char *map_sparse(void)
{
	char *map = mmap(NULL, SPARSE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	assert_true(map != MAP_FAILED);
	/* fails on a kernel that has no huge pages at all, such as -rt */
	assert_true(!madvise(map, SPARSE_BYTES, MADV_NOHUGEPAGE) || errno == EINVAL);
	for (long at = 0; at < SPARSE_BYTES; at += PAGE)
		map[at] = 1;
	for (long at = PAGE; at < SPARSE_BYTES; at += 2L * PAGE)
		assert_int_equal(madvise(map + at, PAGE, MADV_DONTNEED), 0);
	return map;
}

static void test_compact_memory(void **state)
{
	const char *reason = pairs_open(&guest_pairs, "compaction", "mm_compaction");
	struct pairs_truth truth;
	char commands[160], *script, *map;
	struct live_run *run;
	json_t *p;
	pid_t pid;

	(void)state;
	if (reason)
		live_skip("%s", reason);
	if (access("/proc/sys/vm/compact_memory", W_OK))
		live_skip("this kernel does not compact memory (/proc/sys/vm/compact_memory)");
	map = map_sparse();
	snprintf(commands, sizeof(commands),
		 "for i in $(seq %d); do echo 1 >/proc/sys/vm/compact_memory || exit 1; done; "
		 "echo \"{\\\"pid\\\": $$}\"", WRITES);
	script = pairs_script(&guest_pairs, "compaction", commands);
	run = live_run(NULL, LIVE_ARGV("sh", "-c", script));
	free(script);
	munmap(map, SPARSE_BYTES);
	live_equal("status", run->result->status, 0);
	pid = (pid_t)live_int(run->workload, "pid");
	truth = pairs_read(&guest_pairs, pid);
	/* each write compacts every zone with memory */
	assert_true(truth.count >= WRITES);
	assert_true(truth.min_ns > 0);
	p = live_process(run->summary, pid);
	live_equal("compaction.count", live_int(p, "stalls.compaction.count"), truth.count);
	pairs_check(p, "compaction", &truth);
	live_equal("lost", live_lost(run->summary), 0);
	live_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_compact_memory),
	};

	guest_only("moves all memory");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
