// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Compares top's intervals with the kernel's own counters and those of pidstat, for one storm of one process. */
#include "live.h"
#include "scripted_workload.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long lines_of(const char *path)
{
	char *text = live_slurp(path, NULL);
	long lines = 0;

	for (char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	free(text);
	return lines;
}

static void wait_lines(const char *path, long more)
{
	long want = lines_of(path) + more;

	for (int i = 0; lines_of(path) < want; i++) {
		if (i == 9000)
			live_fail("no new line in %s, however long one waits", path);
		usleep(10000);
	}
}

/*
 * The causes of an interval add up to its faults, but for one at either end: the process runs
 * while it is read, and the fault it is in may be counted already and explained only in the next.
 * No number is ever below 0.
 */
static void check_interval(const json_t *process)
{
	static const char *const causes[] = { "anon",	 "file",    "cow",  "shmem",	 "swap",  "file_io",
					      "mkwrite", "hugetlb", "numa", "userfault", "other", NULL };
	json_t *faults = live_get(process, "faults"), *value;
	long long total = live_int(faults, "minor") + live_int(faults, "major"), sum = 0;
	const char *key;

	for (int i = 0; causes[i]; i++)
		sum += live_int(faults, causes[i]);
	live_near("the causes of an interval", sum, total, 2);
	live_near("user and kernel of an interval",
		  live_int(faults, "user") + live_int(faults, "kernel"), total, 2);
	json_object_foreach(faults, key, value)
		if (json_is_integer(value) &&
		    (json_integer_value(value) < 0 || json_integer_value(value) > total + 2))
			live_fail("%s of an interval: %lld of %lld", key,
				  (long long)json_integer_value(value), total);
}

/* Sums top's interval lines, and returns the final line separately; both for one process. */
static void sum_intervals(const char *path, pid_t pid, long long *sum, long long *total)
{
	struct live_stream *stream = live_stream_open(path);
	json_t *line, *process;

	*sum = 0;
	*total = -1;
	while ((line = live_stream_next(stream))) {
		const char *scope = live_str(line, "scope");

		assert_true(*total < 0); /* the total is the last line */
		process = live_find_process(line, pid);
		if (process)
			check_interval(process);
		if (!strcmp(scope, "interval"))
			*sum += process ? live_int(process, "faults.minor") : 0;
		else
			*total = live_int(live_process(line, pid), "faults.minor");
		json_decref(line);
	}
	live_stream_close(stream);
}

/* The sum of pidstat's rates over its one-second intervals. */
static double pidstat_sum(char *text, pid_t pid)
{
	double sum = 0, rate;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		int got_pid;

		/* time (a 24-hour clock in the C locale), UID, PID, minflt/s */
		if (strncmp(line, "Average", 7) &&
		    sscanf(line, "%*s %*d %d %lf", &got_pid, &rate) == 2 && got_pid == pid)
			sum += rate;
	}
	return sum;
}

static struct live_bg *start_pidstat(const struct scripted *p)
{
	struct live_bg *pidstat;

	if (access("/usr/bin/pidstat", X_OK)) {
		print_message("pidstat is not installed: /proc/PID/stat alone\n");
		return NULL;
	}
	setenv("LC_ALL", "C", 1);
	pidstat = live_spawn(LIVE_ARGV("pidstat", "-r", "-p", p->text, "1"));
	/* pidstat has printed its heading, so its first interval begins */
	if (!live_wait_text(pidstat->out_path, "Linux"))
		live_fail("pidstat does not start");
	return pidstat;
}

static void test_beside_pidstat(void **state)
{
	const char *path = live_path("top.json");
	struct scripted *p = scripted_new();
	long long before = scripted_faults(p), made, sum, total, seen = 0;
	struct live_bg *top, *pidstat;
	struct live_result *result;

	(void)state;
	top = live_start(LIVE_ARGV("top", "--json", "-i", "1", "-o", path, "-p", p->text));
	pidstat = start_pidstat(p);
	scripted_do(p, "x");
	wait_lines(path, 2);
	made = scripted_faults(p) - before;
	if (pidstat) {
		result = live_stop(pidstat);
		seen = (long long)pidstat_sum(result->out, p->pid);
		live_result_free(result);
	}
	live_result_free(live_stop(top));
	sum_intervals(path, p->pid, &sum, &total);
	print_message("kernel %lld, intervals %lld, total %lld, pidstat %lld\n", made, sum, total,
		      seen);
	assert_true(made >= (long long)SCRIPTED_STORM_PAGES * SCRIPTED_STORM_ROUNDS);
	live_equal("the sum of the intervals", sum, made);
	live_equal("the final summary", total, made);
	/* pidstat shows rates by a clock of 10 ms, so its seconds are only accurate to about 1% */
	if (pidstat)
		live_near("pidstat", seen, sum, sum * 3 / 100);
	unlink(path);
	scripted_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beside_pidstat),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
