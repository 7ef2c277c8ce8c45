// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* serve under hostile conditions: names, clients, thousands of cgroups and threads, and its own sudden death. */
#include "serving.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scripted_workload.h"

#define CGROUPS 10000
#define SERIES 50
#define THREADS 20000
#define CLIENTS "200"

static struct serving serving;

static long long faults_of(int ref)
{
	struct rusage r;

	getrusage(ref, &r);
	return r.ru_minflt + r.ru_majflt;
}

static void check_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 && *text != '\n')
			live_fail("control character %d", *text);
}

/* --- names --- */

static pid_t start_named(const char *dir)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	serving_join(dir);
	prctl(PR_SET_NAME, "a\"b\\\n\t\x1b[2J\xff{}");
	for (;;) {
		serving_touch(50);
		usleep(10000);
	}
}

static void test_names(void **state)
{
	struct live_result *r;
	char dir[300], *text;
	json_t *summary;
	pid_t pid;

	(void)state;
	serving_open_group(1ul << 30);
	snprintf(dir, sizeof(dir), "%s/x\"} 1\t# HELP y\\\x1b[31m\xc3\x28,le=\"", serving_group.dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	pid = start_named(dir);
	serving_prepare(&serving, "names", "interval = 200ms\n[record]\ninterval = 200ms\n");
	serving_start(&serving, NULL);
	serving_wait_ticks(&serving, 12); /* by then it is among the largest that have a series */
	text = serving_get_ok(&serving, "/metrics", false);
	check_printable(text);
	r = live_exec(LIVE_ARGV("promtool", "check", "metrics"), text);
	if (r->status && r->status != 127)
		live_fail("promtool: %s%s", r->out, r->err);
	live_result_free(r);
	free(text);
	text = serving_get_ok(&serving, "/api/v1/summary", true);
	check_printable(text);
	summary = live_json(text);
	assert_true(live_int(live_process(summary, pid), "faults.minor") >= 50);
	json_decref(summary);
	free(text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(rmdir(dir), 0);
	serving_stop(&serving);
	/* the recording is also intact */
	snprintf(dir, sizeof(dir), "%s/memblame.db", serving.dir);
	r = live_memblame(LIVE_ARGV("report", dir));
	live_equal("status", r->status, 0);
	for (const char *c = r->out; *c; c++)
		if ((unsigned char)*c < 0x20 && *c != '\n')
			live_fail("control character %d on the terminal", *c);
	live_result_free(r);
}

/* --- clients --- */

static int connect_to(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void test_clients(void **state)
{
	static const char *const begun[] = { "GET /metr", "GET /metrics HTTP/1.1\r\nHost: a", "\x16\x03\x01\x02", "" };
	int stalled[4], slow, before, n = 0;
	struct live_result *r;
	char url[96];
	pid_t pid;

	(void)state;
	serving_prepare(&serving, "clients", "interval = 200ms\n");
	serving_start(&serving, NULL);
	pid = serving.bg->pid;
	serving_wait_ticks(&serving, 2);
	before = serving_descriptors(pid);
	for (int i = 0; i < 4; i++) {
		stalled[i] = connect_to(serving.port);
		assert_true(send(stalled[i], begun[i], strlen(begun[i]), MSG_NOSIGNAL) >= 0);
	}
	/* sends request after request and reads no answer */
	slow = connect_to(serving.port);
	fcntl(slow, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2000; i++)
		if (send(slow, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 43, MSG_NOSIGNAL) != 43)
			break;
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/metrics?[1-" CLIENTS "]", serving.port);
	r = live_exec(LIVE_ARGV("curl", "-s", "-Z", "--parallel-immediate", "--parallel-max", CLIENTS, "-m", "60",
				"-o", "/dev/null", "-w", "%{http_code}\n", url), NULL);
	for (const char *at = r->out; (at = strstr(at, "200\n")); at += 4)
		n++;
	live_equal("answers", n, atoi(CLIENTS));
	live_result_free(r);
	serving_wait_ticks(&serving, 3);
	for (int i = 0; i < 4; i++)
		close(stalled[i]);
	close(slow);
	for (int i = 0; i < 100 && serving_descriptors(pid) > before; i++)
		usleep(100000);
	live_equal("descriptors", serving_descriptors(pid), before);
	serving_stop(&serving);
}

/* --- ten thousand cgroups that live for a moment --- */

/* Makes the cgroups when it reads a byte. Answers with the faults of itself and its children, before and after. */
static void make_cgroups(int from, int to, int n)
{
	long long reported;
	char dir[300], byte;

	for (;;) {
		reported = faults_of(RUSAGE_SELF) + faults_of(RUSAGE_CHILDREN);
		if (write(to, &reported, sizeof(reported)) != sizeof(reported) || read(from, &byte, 1) != 1)
			_exit(0);
		for (int i = 0; byte == 'm' && i < n; i++) {
			pid_t pid;

			snprintf(dir, sizeof(dir), "%s/short-%d", serving_group.dir, i);
			if (mkdir(dir, 0755))
				_exit(92);
			pid = fork();
			if (!pid) {
				serving_join(dir);
				serving_touch(10);
				_exit(0);
			}
			waitpid(pid, NULL, 0);
			while (rmdir(dir)) /* it is busy for a moment */
				usleep(1000);
		}
	}
}

static long long ask(int to, int from, char byte)
{
	long long reported = 0;

	assert_int_equal(write(to, &byte, 1), 1);
	assert_int_equal(read(from, &reported, sizeof(reported)), sizeof(reported));
	return reported;
}

static double all_faults(int *series)
{
	char *text = serving_get_ok(&serving, "/metrics", false);
	double sum = metric_sum(text, "memblame_faults_total", NULL, series);

	free(text);
	return sum;
}

/* The faults that the maker takes between reading its own counters and its next wait show up in the next reading. */
static void test_short_cgroups(void **state)
{
	int n = live_emulated() ? 200 : CGROUPS, to[2], from[2], series;
	long long reported, rss_before, rss;
	double before, after;
	json_t *status;
	pid_t pid;

	(void)state;
	serving_open_group(1ul << 30);
	assert_int_equal(pipe(to) | pipe(from), 0);
	pid = fork();
	if (!pid) {
		close(to[1]);
		close(from[0]);
		serving_join(serving_group.dir);
		make_cgroups(to[0], from[1], n);
	}
	close(to[0]);
	close(from[1]);
	assert_int_equal(read(from[0], &reported, sizeof(reported)), sizeof(reported));
	/* one second of data waits to be recorded, not ten */
	serving_prepare(&serving, "short", "interval = 500ms\n[record]\ninterval = 1s\nmax-size = 64MiB\n[metrics]\ncgroups = 50\n");
	serving_start(&serving, LIVE_ARGV("-c", serving_group.path));
	serving_wait_ticks(&serving, 2);
	ask(to[1], from[0], 'm'); /* as many as possible, so that the tables reach their final size */
	reported = ask(to[1], from[0], 'n');
	serving_wait_ticks(&serving, 6); /* until it is written and its memory is freed */
	before = all_faults(&series);
	rss_before = live_proc_status(serving.bg->pid, "VmRSS");
	ask(to[1], from[0], 'm');
	reported = ask(to[1], from[0], 'n') - reported;
	serving_wait_ticks(&serving, 6);
	after = all_faults(&series);
	rss = live_proc_status(serving.bg->pid, "VmRSS");
	live_equal("faults", (long long)(after - before), reported);
	assert_in_range(series, 2, 2 * (SERIES + 3)); /* plus (other), (gone), (unknown) */
	print_message("%lld kB resident, then %lld\n", rss_before, rss);
	/*
	 * malloc's retained memory and the data that waits for the disk are some MiB; a KiB for each cgroup
	 * would add ten MiB
	 */
	assert_true(rss <= rss_before + 6144);
	status = serving_json(&serving, "/api/v1/status");
	live_equal("lost", live_int(status, "lost_total"), 0);
	json_decref(status);
	serving_stop(&serving);
	close(to[1]);
	close(from[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- twenty thousand threads --- */

static void *sleep_on(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* Makes as many threads as possible; answers with their number. */
static void make_threads(int to, int n)
{
	pthread_attr_t attr;
	pthread_t t;
	int made = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 32768);
	while (made < n && !pthread_create(&t, &attr, sleep_on, NULL))
		made++;
	if (write(to, &made, sizeof(made)) != sizeof(made))
		_exit(1);
	for (;;)
		pause();
}

static void test_threads(void **state)
{
	int n = live_emulated() ? 500 : THREADS, from[2], made = 0;
	char *text;
	pid_t pid;

	(void)state;
	serving_open_group(4ul << 30);
	serving_prepare(&serving, "threads", "interval = 500ms\n");
	serving_start(&serving, LIVE_ARGV("-c", serving_group.path));
	assert_int_equal(pipe(from), 0);
	pid = fork();
	if (!pid) {
		serving_join(serving_group.dir);
		make_threads(from[1], n);
	}
	close(from[1]);
	assert_int_equal(read(from[0], &made, sizeof(made)), sizeof(made));
	assert_true(made > n / 10);
	serving_wait_ticks(&serving, 3);
	text = serving_get_ok(&serving, "/metrics", false);
	live_equal("threads", (long long)metric_value(text, "memblame_threads", LIVE_ARGV(serving_own())), made + 1);
	live_equal("lost", (long long)metric_sum(text, "memblame_lost_events_total", NULL, NULL), 0);
	free(text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(from[0]);
	serving_wait_ticks(&serving, 3);
	text = serving_get_ok(&serving, "/metrics", false);
	live_equal("threads that are gone", (long long)metric_sum(text, "memblame_threads", LIVE_ARGV(serving_own()), NULL), 0);
	/* a ring cannot hold the end records of so many threads at once; the lost ones are reported */
	print_message("%.0f events lost at the end of %d threads\n",
		      metric_sum(text, "memblame_lost_events_total", NULL, NULL), made);
	metric_sum(text, "memblame_lost_events_total", LIVE_ARGV("family=\"task\"", "reason=\"ring full\""), &n);
	live_equal("series that tell it", n, 1);
	free(text);
	serving_stop(&serving);
}

/* --- death --- */

static long long recorded_ticks(void)
{
	json_t *status = serving_json(&serving, "/api/v1/status");
	long long ticks = live_int(status, "recording.ticks");

	json_decref(status);
	return ticks;
}

static void test_killed_and_started_again(void **state)
{
	struct scripted *p = scripted_new();
	long long before = scripted_faults(p), after, ticks;
	struct live_result *r;
	json_t *report;
	char path[300], *held;

	(void)state;
	serving_prepare(&serving, "killed", "interval = 200ms\n[record]\ninterval = 200ms\n");
	serving_start(&serving, NULL);
	scripted_do(p, "a");
	serving_wait_ticks(&serving, 6);
	ticks = recorded_ticks();
	held = serving_held(serving.bg->pid);
	assert_non_null(strstr(held, "prog "));
	assert_non_null(strstr(held, "map "));
	kill(serving.bg->pid, SIGKILL);
	r = live_wait(serving.bg);
	live_equal("status", r->status, 128 + SIGKILL);
	live_result_free(r);
	serving_gone(held);
	free(held);
	/* the socket's file remains, and must not prevent the start */
	serving_start(&serving, NULL);
	scripted_do(p, "a");
	serving_wait_ticks(&serving, 6);
	assert_true(recorded_ticks() > ticks);
	after = scripted_faults(p);
	serving_stop(&serving);
	snprintf(path, sizeof(path), "%s/memblame.db", serving.dir);
	r = live_memblame(LIVE_ARGV("report", "--json", path));
	live_equal("status", r->status, 0);
	report = live_json(r->out);
	live_equal("faults over both lives", live_int(live_process(report, p->pid), "faults.minor") +
		   live_int(live_process(report, p->pid), "faults.major"), after - before);
	json_decref(report);
	live_result_free(r);
	scripted_free(p);
	live_check_no_orphans("after it was killed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_names, serving_tidy),
		cmocka_unit_test_teardown(test_clients, serving_tidy),
		cmocka_unit_test_teardown(test_short_cgroups, serving_tidy),
		cmocka_unit_test_teardown(test_threads, serving_tidy),
		cmocka_unit_test_teardown(test_killed_and_started_again, serving_tidy),
	};

	return cmocka_run_group_tests_name("serve_hostile", tests, NULL, NULL);
}
