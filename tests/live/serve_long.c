// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * serve under load for minutes (MEMBLAME_SERVE_S; 300 s). Its memory use stays flat, its recording stays
 * within its limits, and no fault is missing. The test makes the load itself, in a cgroup of its own.
 */
#include "serving.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RECORDING_BYTES (2 << 20) /* full after two minutes; with less, the rows of one moment would exceed 5 % */
#define RECORDING_AGE_S 600
#define MAX_SCRAPES 8192

static struct serving serving;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- the load --- */

static void dirty(const char *path)
{
	static char block[65536];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	for (int i = 0; fd >= 0 && i < 16; i++)
		if (write(fd, block, sizeof(block)) < 0)
			break;
	if (fd >= 0)
		close(fd);
}

static volatile sig_atomic_t over;

static void end(int sig)
{
	(void)sig;
	over = 1;
}

/* Until SIGTERM: starts and ends processes, makes and removes cgroups, touches and frees memory, writes files. */
static void load(int to, int ready)
{
	const char *file = live_path("dirty");
	struct rusage self, children;
	long long reported = 0;
	char dir[300];

	signal(SIGTERM, end);
	serving_join(serving_group.dir);
	if (write(to, &reported, sizeof(reported)) < 0 || read(ready, &reported, 1) != 1)
		_exit(91);
	getrusage(RUSAGE_SELF, &self);
	reported = -(self.ru_minflt + self.ru_majflt);
	for (unsigned long round = 0; !over; round++) {
		pid_t pid;

		snprintf(dir, sizeof(dir), "%s/round-%lu", serving_group.dir, round);
		mkdir(dir, 0755);
		pid = fork();
		if (!pid) {
			serving_join(dir);
			serving_touch(2000);
			dirty(file);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		while (rmdir(dir))
			usleep(1000);
		serving_touch(5000);
		usleep(20000);
	}
	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	reported += self.ru_minflt + self.ru_majflt + children.ru_minflt + children.ru_majflt;
	if (write(to, &reported, sizeof(reported)) < 0)
		_exit(93);
	for (;;)
		pause();
}

/* --- checks --- */

static long long file_size(const char *ending)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "%s/memblame.db%s", serving.dir, ending);
	return stat(path, &st) ? 0 : st.st_size;
}

static double scrapes[MAX_SCRAPES];
static int n_scrapes;

/* Scrapes once. The time is printed at the end but not checked, since the machine may be busy. */
static void scrape(void)
{
	char url[64];
	struct live_result *r;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/metrics", serving.port);
	r = live_exec(LIVE_ARGV("curl", "-s", "-m", "30", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", url),
		      NULL);
	if (strncmp(r->out, "200 ", 4) != 0)
		live_fail("scrape: %s", r->out);
	if (n_scrapes < MAX_SCRAPES)
		scrapes[n_scrapes++] = atof(r->out + 4);
	live_result_free(r);
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* "2026-11-22T16:00:00.123Z" */
static long long seconds_of(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%dT%H:%M:%S", &tm));
	return timegm(&tm);
}

/*
 * Checks at any time that the recording does not exceed 105 % of its size limit or its maximum age. Returns
 * whether it is full.
 */
static bool check_recording(void)
{
	json_t *status = serving_json(&serving, "/api/v1/status");
	long long bytes = file_size("") + file_size("-wal"), oldest = seconds_of(live_str(status, "recording.oldest"));

	if (bytes > RECORDING_BYTES * 105ll / 100)
		live_fail("the recording has %lld bytes", bytes);
	assert_false(live_bool(status, "recording.failed"));
	live_equal("lost", live_int(status, "recording.lost"), 0);
	if (time(NULL) - oldest > RECORDING_AGE_S * 105 / 100 + 5)
		live_fail("the oldest tick is %lld s old", (long long)time(NULL) - oldest);
	json_decref(status);
	return bytes >= RECORDING_BYTES * 95ll / 100;
}

static double all_faults(long long *lost)
{
	char *text = serving_get_ok(&serving, "/metrics", false);
	double sum = metric_sum(text, "memblame_faults_total", NULL, NULL);

	*lost = (long long)metric_sum(text, "memblame_lost_events_total", NULL, NULL);
	free(text);
	return sum;
}

/* Reloads the configuration from time to time, alternately correct and with a mistake. */
static void reload(int i)
{
	static char *good;

	if (!good)
		good = live_slurp(serving.config, NULL);
	if (i % 20 != 10)
		return;
	serving_rewrite(&serving, i % 40 == 10 ? "[serve]\nlisten = nowhere\n" : good);
	kill(serving.bg->pid, SIGHUP);
}

static void watch(double seconds)
{
	double begun = now_s();
	long long rss, early_rss = 0, most = 0;
	int fds = 0, full = 0, looks = 0;

	for (int i = 0; now_s() - begun < seconds; i++) {
		scrape();
		reload(i);
		usleep(500000);
		rss = live_proc_status(serving.bg->pid, "VmRSS");
		most = rss > most ? rss : most;
		/* after a third of the time, the tables have their final size */
		if (now_s() - begun < seconds / 3) {
			early_rss = most;
			fds = serving_descriptors(serving.bg->pid);
			continue;
		}
		if (i % 4)
			continue;
		full += check_recording();
		looks++;
		live_near("descriptors", serving_descriptors(serving.bg->pid), fds, 2); /* perhaps a request in progress */
	}
	qsort(scrapes, (size_t)n_scrapes, sizeof(scrapes[0]), by_size);
	print_message("%d scrapes, median %.1f ms, longest %.1f ms; resident %lld kB at a third, %lld kB at most; "
		      "recording full in %d of %d looks; %lld kB of files\n", n_scrapes, scrapes[n_scrapes / 2] * 1e3,
		      scrapes[n_scrapes - 1] * 1e3, early_rss, most, full, looks,
		      (file_size("") + file_size("-wal")) / 1024);
	assert_true(most <= early_rss + 2048);
	assert_true(looks > 0);
}

static void test_minutes(void **state)
{
	const char *text = getenv("MEMBLAME_SERVE_S");
	double seconds = text ? atof(text) : 300;
	int to[2], ready[2];
	long long reported, after, lost;
	double before;
	pid_t pid;

	(void)state;
	if (live_emulated())
		live_skip("minutes under load: on the machine itself only");
	serving_open_group(1ul << 30);
	assert_int_equal(pipe(to) | pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[0]);
		load(to[1], ready[0]);
	}
	close(to[1]);
	assert_int_equal(read(to[0], &reported, sizeof(reported)), sizeof(reported));
	serving_prepare(&serving, "long", "interval = 200ms\nbudget = 5\n[record]\ninterval = 200ms\nmax-size = 2MiB\n"
					  "max-age = 600s\n[metrics]\ncgroups = 20\n[history]\nsize = 1MiB\n");
	serving_start(&serving, LIVE_ARGV("-c", serving_group.path));
	serving_wait_ticks(&serving, 3);
	before = all_faults(&lost);
	assert_int_equal(write(ready[1], "g", 1), 1);
	watch(seconds);
	kill(pid, SIGTERM);
	assert_int_equal(read(to[0], &reported, sizeof(reported)), sizeof(reported));
	serving_wait_ticks(&serving, 3);
	after = (long long)(all_faults(&lost) - before);
	/* after its last reading of its counters the load only waits; before the first one it read a byte */
	live_near("faults", after, reported, 4);
	print_message("%lld faults, %lld events lost and counted\n", reported, lost);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	serving_stop(&serving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_minutes, serving_tidy),
	};

	return cmocka_run_group_tests_name("serve_long", tests, NULL, NULL);
}
