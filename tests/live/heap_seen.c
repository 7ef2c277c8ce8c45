// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The time since when memblame sees the blocks of a process, and the memory from before: for a process that
 * is started, attached to, or forked, or that loads an allocator later.
 */
#include "live.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BYTES (64ll << 20)
#define LIBRARY "libtcmalloc_minimal.so.4"

static void load(int sig)
{
	(void)sig;
	if (!dlopen(LIBRARY, RTLD_NOW))
		_exit(1);
}

static char *volatile block;

static void hold(void)
{
	block = malloc(BYTES);
	memset(block, 1, BYTES);
	signal(SIGUSR1, load);
}

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void test_attached(void **state)
{
	pid_t pid = live_fork_holding(hold);
	long long before = now_ns(), own = live_proc_status(pid, "RssAnon") * 1024, ended;
	char number[16];
	struct live_result *r;
	json_t *document, *seen;

	(void)state;
	snprintf(number, sizeof(number), "%d", (int)pid);
	r = live_memblame(LIVE_ARGV("leaks", "--json", "--heap", "-p", number, "-d", "1"));
	ended = now_ns();
	live_fork_end(pid);
	assert_int_equal(r->status, 0);
	document = live_json(r->out);
	seen = live_get(live_process(document, pid), "heap_seen");
	assert_string_equal(live_str(seen, "reason"), "probed later");
	live_near("own memory before", live_int(seen, "before_bytes"), own,
		  1 << 20); /* pages of code with probes become private */
	assert_true(live_int(seen, "since_ns") > 0);
	/* the process started shortly before, by a clock of 10 ms */
	assert_true(live_int(seen, "since_ns") < ended - before + 60000000000ll);
	json_decref(document);
	live_result_free(r);
}

static void test_held(void **state)
{
	struct live_result *r =
		live_memblame(LIVE_ARGV("leaks", "--json", "--heap", "--", "/bin/true"));
	json_t *document = live_json(r->out), *process;
	size_t i;

	(void)state;
	assert_int_equal(r->status, 0);
	assert_true(json_array_size(live_get(document, "processes")) > 0);
	json_array_foreach(live_get(document, "processes"), i, process)
	{
		assert_string_equal(live_str(process, "heap_seen.reason"),
				    "from its first instruction");
		live_equal("since", live_int(process, "heap_seen.since_ns"), 0);
		live_equal("before", live_int(process, "heap_seen.before_bytes"), 0);
	}
	json_decref(document);
	live_result_free(r);
}

/* A child that execs no program: it has the memory of its parent. */
static void test_forked(void **state)
{
	struct live_bg *bg = live_start(LIVE_ARGV("leaks", "--json", "--heap", "-i", "1", "--",
						  live_bin("tests/live/heap_seen"), "fork"));
	struct live_result *r;
	json_t *document, *process;
	bool found = false;
	size_t i;

	(void)state;
	if (!live_wait_text(bg->out_path, "\"forked\""))
		live_fail("no process is said to be forked");
	r = live_stop(bg);
	document = live_last_json(r->out);
	json_array_foreach(live_get(document, "processes"), i, process)
	{
		if (strcmp(live_str(process, "heap_seen.reason"), "forked") != 0)
			continue;
		found = true;
		assert_true(live_int(process, "heap_seen.before_bytes") >= BYTES);
		assert_true(live_int(process, "heap_seen.before_bytes") < BYTES + (8 << 20));
	}
	assert_true(found);
	json_decref(document);
	live_result_free(r);
}

static void test_loaded_later(void **state)
{
	struct live_bg *bg;
	struct live_result *r;
	json_t *document, *seen, *file;
	char number[16];
	pid_t pid;

	(void)state;
	if (system("LD_PRELOAD=" LIBRARY " true 2>&1 | grep -q .") == 0)
		live_skip(LIBRARY " is not here");
	pid = live_fork_holding(hold);
	snprintf(number, sizeof(number), "%d", (int)pid);
	bg = live_start(LIVE_ARGV("leaks", "--json", "--heap", "-i", "1", "-p", number));
	kill(pid, SIGUSR1);
	if (!live_wait_text(bg->out_path, LIBRARY))
		live_fail("the allocator that was loaded is not reported");
	r = live_stop(bg);
	live_fork_end(pid);
	document = live_last_json(r->out);
	seen = live_get(live_process(document, pid), "heap_seen");
	live_equal("allocators that came later", json_array_size(live_get(seen, "later")), 1);
	file = json_array_get(live_get(seen, "later"), 0);
	assert_non_null(strstr(live_str(file, "file"), LIBRARY));
	assert_true(live_int(file, "unseen_ns") > 0);
	json_decref(document);
	live_result_free(r);
}

/* The command of test_forked(). */
static int fork_one(void)
{
	pid_t pid;

	hold();
	pid = fork();
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attached),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_forked),
		cmocka_unit_test(test_loaded_later),
	};

	if (argc > 1 && !strcmp(argv[1], "fork"))
		return fork_one();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
