// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Signals at any time, and other ways to end early: there must be a summary and a status, and no CMD left behind. */
#include "live.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Starts CMD, a shell with this script, whose $0 is the mark. Returns once the mark exists. */
static struct live_bg *start_cmd(const char *script, const char *mark, const char *out)
{
	struct live_bg *bg;

	unlink(mark);
	bg = live_spawn(LIVE_ARGV(live_bin("memblame"), "run", "--json", "-o", out, "--", "sh",
				  "-c", script, mark));
	for (int i = 0; !there(mark); i++) {
		assert_true(i < 2000);
		usleep(5000);
	}
	return bg;
}

/* Checks that the summary is complete, and that it contains CMD. */
static void check_summary(const char *path, long long exit_code)
{
	char *text = live_slurp(path, NULL);
	json_t *summary = live_json(text);
	const json_t *process = json_array_get(live_get(summary, "processes"), 0);

	assert_string_equal(live_str(summary, "kind"), "summary");
	assert_non_null(process);
	assert_true(live_bool(process, "exited"));
	live_equal("exit code of CMD", live_int(process, "exit_code"), exit_code);
	json_decref(summary);
	free(text);
	unlink(path);
}

static void test_signal_while_running(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM };

	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *out = live_path("out.json");
		struct live_bg *bg = start_cmd("touch $0; exec sleep 300", live_path("mark"), out);
		struct live_result *result;

		kill(bg->pid, signals[i]);
		result = live_wait(bg);
		live_equal("status", result->status, 128 + signals[i]);
		assert_string_equal(result->err, "");
		live_result_free(result);
		check_summary(out, 128 + signals[i]);
		live_check_no_orphans("after a signal while it ran");
	}
}

static void test_signal_ignored(void **state)
{
	const char *out = live_path("out.json");
	struct live_bg *bg =
		start_cmd("trap '' INT TERM; touch $0; exec sleep 300", live_path("mark"), out);
	struct live_result *result;

	(void)state;
	kill(bg->pid, SIGINT);
	usleep(500000);
	assert_true(live_proc_alive(bg->pid)); /* CMD continues to run */
	kill(bg->pid, SIGINT);
	result = live_wait(bg);
	live_equal("status", result->status, 137);
	live_result_free(result);
	check_summary(out, 137);
	live_check_no_orphans("after two signals");
}

/* A CMD that handles the signal decides itself how it ends. */
static void test_signal_handled(void **state)
{
	const char *out = live_path("out.json");
	struct live_bg *bg = start_cmd("trap 'exit 9' INT; touch $0; while :; do read x < /dev/null;"
				       " done", live_path("mark"), out);
	struct live_result *result = live_stop(bg);

	(void)state;
	live_equal("status", result->status, 9);
	live_result_free(result);
	check_summary(out, 9);
	live_check_no_orphans("after it handled the signal");
}

/* At any moment, from before main to well after CMD was released. */
static void signal_at_any_time(int signo)
{
	int last = live_emulated() ? 1600 : 160, step = live_emulated() ? 320 : 4;

	for (int ms = 0; ms <= last; ms += step) {
		struct live_bg *bg = live_spawn(LIVE_ARGV(live_bin("memblame"), "run", "-o",
							  "/dev/null", "--", "sleep", "300"));
		struct live_result *result;
		char when[64];

		usleep((useconds_t)ms * 1000);
		kill(bg->pid, signo);
		result = live_wait(bg);
		snprintf(when, sizeof(when), "signal %d after %d ms", signo, ms);
		if (result->status != 128 + signo)
			live_fail("%s: status %d, stderr: %s", when, result->status, result->err);
		if (result->err[0])
			live_one_line(result);
		live_result_free(result);
		live_check_no_orphans(when);
	}
}

static void test_sigint_any_time(void **state)
{
	(void)state;
	signal_at_any_time(SIGINT);
}

static void test_sigterm_any_time(void **state)
{
	(void)state;
	signal_at_any_time(SIGTERM);
}

/* If memblame itself is killed, CMD ends, whether it is still held back or running. */
static void test_sigkill_any_time(void **state)
{
	(void)state;
	signal_at_any_time(SIGKILL);
}

static void kill_with_cmd(const char *script, const char *when)
{
	struct live_bg *bg = start_cmd(script, live_path("mark"), "/dev/null");
	struct live_result *result;

	usleep(100000); /* until the shell has reached the end of its script */
	kill(bg->pid, SIGKILL);
	result = live_wait(bg);
	live_equal("status", result->status, 137);
	live_result_free(result);
	live_check_no_orphans(when);
}

static void test_sigkill_running(void **state)
{
	(void)state;
	kill_with_cmd("touch $0; exec sleep 300", "memblame killed while it ran");
}

static void test_sigkill_stopped(void **state)
{
	(void)state;
	kill_with_cmd("touch $0; kill -STOP $$; exec sleep 300",
		      "memblame killed while it was stopped");
}

static void test_sigkill_stubborn(void **state)
{
	(void)state;
	kill_with_cmd("trap '' TERM INT HUP; touch $0; exec sleep 300",
		      "memblame killed while it ignored SIGTERM");
}

/* The duration ends CMD, even a stopped one. */
static void test_duration(void **state)
{
	static const char *const scripts[] = { "exec sleep 300", "kill -STOP $$; exec sleep 300" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct live_run *run = live_run(LIVE_ARGV("-d", "0.5"),
						LIVE_ARGV("sh", "-c", scripts[i]));

		assert_true(live_int(run->summary, "duration_ns") >= 500000000);
		assert_true(live_bool(json_array_get(live_get(run->summary, "processes"), 0),
				      "exited"));
		live_run_free(run);
		live_check_no_orphans("after -d");
	}
}

static void test_top_ends(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct live_bg *bg = live_start(LIVE_ARGV("top", "--json", "-i", "60"));
		struct live_result *result;
		json_t *summary;

		kill(bg->pid, signals[i]);
		result = live_wait(bg);
		live_equal("status", result->status, 0);
		summary = live_json(result->out);
		assert_string_equal(live_str(summary, "scope"), "total");
		json_decref(summary);
		live_result_free(result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signal_while_running),
		cmocka_unit_test(test_signal_ignored),
		cmocka_unit_test(test_signal_handled),
		cmocka_unit_test(test_sigint_any_time),
		cmocka_unit_test(test_sigterm_any_time),
		cmocka_unit_test(test_sigkill_any_time),
		cmocka_unit_test(test_sigkill_running),
		cmocka_unit_test(test_sigkill_stopped),
		cmocka_unit_test(test_sigkill_stubborn),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_top_ends),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
