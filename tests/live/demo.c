// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* demo: the three right answers, and nothing that stays behind, however it ends. */
#include "live.h"

#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Waits until nothing of the demo remains: what was killed together with it is removed a moment later. */
static void check_nothing_left(const char *when)
{
	static const char *const files[] = { "/var/tmp/memblame-demo.*", "/sys/fs/cgroup/memblame-demo.*",
					     "/sys/fs/cgroup/memory/memblame-demo.*" };
	char left[256] = "";

	for (int i = 0; i < 500; i++) {
		struct live_result *r = live_exec(LIVE_ARGV("pgrep", "-l", "^demo-"), NULL);
		glob_t g;

		left[0] = '\0';
		for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
			if (glob(files[f], 0, NULL, &g) == 0)
				snprintf(left, sizeof(left), "%s", g.gl_pathv[0]);
			globfree(&g);
		}
		if (r->out[0])
			snprintf(left, sizeof(left), "%s", r->out);
		live_result_free(r);
		if (!left[0])
			return;
		usleep(20000);
	}
	live_fail("%s: left behind: %s", when, left);
}

static const char *after(const char *text, const char *what)
{
	const char *at = strstr(text, what);

	if (!at)
		live_fail("'%s' is not in: %s", what, text);
	return at;
}

static void test_answers(void **state)
{
	struct live_result *r = live_memblame(LIVE_ARGV("demo"));
	const char *row;
	char verdict[16], comm[32];
	double percent;
	int pid;

	(void)state;
	live_equal("status", r->status, 0);
	/* who leaks: the first row, with the function that does; how sure it is, is not a matter of the demo */
	row = after(after(r->out, "VERDICT"), "\n") + 1;
	assert_int_equal(sscanf(row, "%15s %d %31s", verdict, &pid, comm), 3);
	assert_string_equal(comm, "demo-leak");
	if (strcmp(verdict, "leak") && strcmp(verdict, "growing"))
		live_fail("demo-leak: %s", verdict);
	after(row, "demo_leak_requests");
	/* who held up the fsync: the first culprit, with most of it */
	row = after(after(r->out, "demo-fsync      lost"), "\n") + 1;
	assert_int_equal(sscanf(row, "%lf%% %d %31s", &percent, &pid, comm), 3);
	assert_string_equal(comm, "demo-writer");
	if (percent < 50)
		live_fail("demo-writer has only %.1f %%", percent);
	/* whose growth led to the kill */
	after(after(r->out, "demo-cache (pid"), "was killed because cgroup");
	after(r->out, "the growth came from demo-growing");
	live_result_free(r);
	check_nothing_left("after the demo");
}

/* Ends it at this time after its start: between any two of its steps. */
static void end_at(unsigned int ms, int sig, int status)
{
	struct live_bg *bg = live_spawn(LIVE_ARGV(live_bin("memblame"), "demo"));
	struct live_result *r;
	char when[64];

	usleep(ms * 1000);
	kill(bg->pid, sig);
	r = live_wait(bg);
	snprintf(when, sizeof(when), "signal %d after %u ms", sig, ms);
	live_equal(when, r->status, status);
	live_equal("bytes of output", (long long)r->out_len, 0);
	live_result_free(r);
	check_nothing_left(when);
}

static void test_interrupted(void **state)
{
	static const unsigned int moments[] = { 5, 10, 20, 40, 80, 200, 500, 1000, 4000 };

	(void)state;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++)
		end_at(moments[i], i % 2 ? SIGTERM : SIGINT, 128 + (i % 2 ? SIGTERM : SIGINT));
}

/* Not even then does it leave anything: the process that cleans up is another one. */
static void test_killed(void **state)
{
	(void)state;
	end_at(300, SIGKILL, 128 + SIGKILL);
	end_at(5000, SIGKILL, 128 + SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
