// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * serve: its numbers against the kernel's own, its answers and who may get them, and its life under a service
 * manager.
 */
#include "serving.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "scripted_workload.h"

#define SECRET "thesecretword"

static struct serving serving;

static double faults(const char *text, const char *type)
{
	return metric_sum(text, "memblame_faults_total", LIVE_ARGV(serving_own(), type), NULL);
}

/* --- numbers --- */

static void test_counts_are_the_kernels(void **state)
{
	struct scripted *p = scripted_new();
	long long base, before, after;
	char *first, *second;
	json_t *summary, *process;

	(void)state;
	serving_open_group(1ul << 30);
	assert_true(sandbox_cgroup_add(&serving_group, p->pid));
	base = scripted_faults(p);
	serving_prepare(&serving, "counts", "interval = 200ms\n");
	serving_start(&serving, NULL);
	serving_wait_ticks(&serving, 2);
	before = scripted_faults(p);
	first = serving_get_ok(&serving, "/metrics", false);
	scripted_do(p, "astw");
	serving_wait_ticks(&serving, 2);
	after = scripted_faults(p);
	serving_wait_ticks(&serving, 2);
	second = serving_get_ok(&serving, "/metrics", false);
	live_equal("faults", (long long)(faults(second, "type=\"minor\"") - faults(first, "type=\"minor\"") +
					 faults(second, "type=\"major\"") - faults(first, "type=\"major\"")),
		   after - before);
	live_equal("threads", (long long)metric_value(second, "memblame_threads", LIVE_ARGV(serving_own())),
		   live_proc_status(p->pid, "Threads"));
	live_equal("processes", (long long)metric_value(second, "memblame_processes", LIVE_ARGV(serving_own())), 1);
	/* the kernel adds up per-CPU counters, so the sum lags by some pages (64 per CPU and kind) */
	live_near("anon", (long long)metric_value(second, "memblame_memory_bytes", LIVE_ARGV(serving_own(), "kind=\"anon\"")),
		  live_proc_status(p->pid, "RssAnon") * 1024, 64 * 4096 * sysconf(_SC_NPROCESSORS_CONF));
	/* compare with the same numbers of the JSON interface */
	summary = serving_json(&serving, "/api/v1/summary");
	process = live_process(summary, p->pid);
	live_equal("faults of the summary", live_int(process, "faults.minor") + live_int(process, "faults.major"),
		   after - base);
	json_decref(summary);
	serving_stop(&serving);
	free(first);
	free(second);
	scripted_free(p);
}

/* promtool accepts the output in every format. */
static void test_promtool(void **state)
{
	struct live_result *r;
	char *text;

	(void)state;
	serving_prepare(&serving, "promtool", "interval = 200ms\n");
	serving_start(&serving, NULL);
	serving_wait_ticks(&serving, 2);
	text = serving_get_ok(&serving, "/metrics", false);
	r = live_exec(LIVE_ARGV("promtool", "check", "metrics"), text);
	if (r->status == 127)
		live_skip("there is no promtool");
	if (r->status)
		live_fail("promtool: %s%s", r->out, r->err);
	live_result_free(r);
	free(text);
	serving_stop(&serving);
}

/* --- access rights --- */

static void check_mode(const char *path, unsigned int mode)
{
	struct stat st;

	if (lstat(path, &st))
		live_fail("%s: %s", path, strerror(errno));
	if ((st.st_mode & 0777) != mode)
		live_fail("%s has mode %o, want %o", path, st.st_mode & 0777, mode);
}

static void test_privacy(void **state)
{
	static const char *const open_paths[] = { "/", "/metrics", "/healthz", "/readyz", "/api/v1/status" };
	const char *program = live_path("program-" SECRET);
	struct live_bg *sleeper;
	char *body, path[300];
	int status;

	(void)state;
	live_result_free(live_exec(LIVE_ARGV("cp", "/bin/sleep", program), NULL));
	setenv("AN_ENVIRONMENT", SECRET, 1);
	sleeper = live_spawn(LIVE_ARGV(program, "100"));
	unsetenv("AN_ENVIRONMENT");
	serving_prepare(&serving, "privacy", "interval = 200ms\n[record]\ninterval = 200ms\n");
	serving_start(&serving, NULL);
	serving_wait_ticks(&serving, 3);
	for (size_t i = 0; i < sizeof(open_paths) / sizeof(open_paths[0]); i++) {
		body = serving_get_ok(&serving, open_paths[i], false);
		if (strstr(body, "-" SECRET) || strstr(body, "=" SECRET))
			live_fail("%s tells", open_paths[i]);
		free(body);
	}
	free(serving_get(&serving, "/api/v1/summary", false, &status));
	live_equal("the summary over TCP", status, 403);
	free(serving_get(&serving, "/api/v1/oom", false, &status));
	live_equal("reports over TCP", status, 403);
	free(serving_get(&serving, "/nothing", false, &status));
	live_equal("what there is not", status, 404);
	body = serving_get_ok(&serving, "/api/v1/summary", true);
	assert_non_null(strstr(body, program));
	assert_null(strstr(body, "AN_ENVIRONMENT"));
	free(body);
	check_mode(serving.local, 0600);
	check_mode(serving.dir, 0700);
	snprintf(path, sizeof(path), "%s/memblame.db", serving.dir);
	check_mode(path, 0600);
	serving_stop(&serving);
	assert_int_equal(access(serving.local, F_OK), -1);
	live_result_free(live_stop(sleeper));
}

/* --- a service --- */

/* A datagram socket, like the one of a service manager. */
static int manager_open(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", live_path("notify"));
	unlink(at.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	return fd;
}

/* Waits for a message that has this line. */
static void manager_hears(int fd, const char *line)
{
	char text[512];
	ssize_t n;

	do {
		n = recv(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			live_fail("no %s from the service", line);
		text[n] = '\0';
	} while (!strstr(text, line));
}

/* The command of the unit file, with the program and the configuration of this test. */
static char **unit_command(char *line, const char *config)
{
	static char *argv[32];
	char *unit = live_slurp(UNIT_FILE, NULL), *at = strstr(unit, "\nExecStart="), *word, *save;
	int n = 0;

	assert_non_null(at);
	at += strlen("\nExecStart=");
	snprintf(line, 512, "%.*s", (int)strcspn(at, "\n"), at);
	for (word = strtok_r(line, " ", &save); word && n < 31; word = strtok_r(NULL, " ", &save))
		argv[n++] = !strcmp(word, "/usr/sbin/memblame") ? (char *)live_bin("memblame") :
			    !strcmp(word, "/etc/memblame.conf") ? (char *)config : word;
	argv[n] = NULL;
	free(unit);
	return argv;
}

static void test_unit(void **state)
{
	int manager = manager_open();
	char line[512], path[300];
	struct live_result *r;
	struct live_bg *bg;

	(void)state;
	setenv("WATCHDOG_USEC", "1000000", 1);
	serving_prepare(&serving, "unit", "interval = 200ms\n[record]\ninterval = 200ms\n");
	bg = live_spawn((const char *const *)unit_command(line, serving.config));
	manager_hears(manager, "READY=1");
	manager_hears(manager, "WATCHDOG=1");
	manager_hears(manager, "WATCHDOG=1");
	free(serving_get_ok(&serving, "/readyz", false));
	serving_wait_ticks(&serving, 3);
	kill(bg->pid, SIGHUP);
	manager_hears(manager, "RELOADING=1");
	manager_hears(manager, "READY=1");
	/* the recording can be read while memblame writes to it */
	snprintf(path, sizeof(path), "%s/memblame.db", serving.dir);
	r = live_memblame(LIVE_ARGV("report", "--json", path));
	if (r->status)
		live_fail("report: status %d: %s", r->status, r->err);
	live_result_free(r);
	kill(bg->pid, SIGTERM);
	manager_hears(manager, "STOPPING=1");
	r = live_wait(bg);
	live_equal("status", r->status, 0);
	live_result_free(r);
	close(manager);
}

/* --- reload --- */

static void wait_reloads(long long reloads)
{
	for (int i = 0; i < 100; i++) {
		json_t *status = serving_json(&serving, "/api/v1/status");
		bool there = live_int(status, "reloads") >= reloads;

		json_decref(status);
		if (there)
			return;
		usleep(100000);
	}
	live_fail("no reload");
}

static void test_reload(void **state)
{
	struct scripted *p = scripted_new();
	char lines[1024], *text;
	int old_port, n;
	long long before;
	char *first, *second;

	(void)state;
	serving_open_group(1ul << 30);
	assert_true(sandbox_cgroup_add(&serving_group, p->pid));
	serving_prepare(&serving, "reload", "interval = 200ms\n");
	serving_start(&serving, NULL);
	serving_wait_ticks(&serving, 2);
	first = serving_get_ok(&serving, "/metrics", true);
	before = scripted_faults(p);
	/* another port, no processes; the unix socket stays the same */
	old_port = serving.port;
	serving.port = free_port();
	snprintf(lines, sizeof(lines), "[serve]\nlisten = 127.0.0.1:%d\nlisten = unix:%s\nstate-dir = %s\n"
		 "interval = 300ms\n[metrics]\nprocesses = no\n", serving.port, serving.local, serving.dir);
	serving_rewrite(&serving, lines);
	scripted_do(p, "a");
	kill(serving.bg->pid, SIGHUP);
	scripted_do(p, "a");
	wait_reloads(1);
	serving_wait_ticks(&serving, 2);
	second = serving_get_ok(&serving, "/metrics", false);
	/* no fault is missing */
	live_equal("faults", (long long)(faults(second, "type=\"minor\"") - faults(first, "type=\"minor\"")),
		   scripted_faults(p) - before);
	metric_sum(second, "memblame_process_minor_faults_total", NULL, &n);
	live_equal("series of processes", n, 0);
	/* on errors, memblame reports each one with its line, and changes nothing */
	snprintf(lines, sizeof(lines), "[serve]\nlisten = 127.0.0.1:%d\nintervall = 1s\n[record]\nmax-age = soon\n",
		 old_port);
	serving_rewrite(&serving, lines);
	kill(serving.bg->pid, SIGHUP);
	assert_true(live_wait_text(serving.bg->err_path, "stays as it was"));
	text = live_slurp(serving.bg->err_path, NULL);
	assert_non_null(strstr(text, "reload.conf:3: "));
	assert_non_null(strstr(text, "reload.conf:5: "));
	free(text);
	free(serving_get_ok(&serving, "/healthz", false));
	serving_stop(&serving);
	free(first);
	free(second);
	scripted_free(p);
}

static void test_check_config(void **state)
{
	struct live_result *r;

	(void)state;
	serving_prepare(&serving, "check", "");
	r = live_memblame(LIVE_ARGV("serve", "--check-config", "--config", serving.config));
	live_equal("status", r->status, 0);
	assert_non_null(strstr(r->out, serving.dir));
	live_result_free(r);
	serving_rewrite(&serving, "[serve]\nbudget = lots\n[recrd]\n");
	r = live_memblame(LIVE_ARGV("serve", "--check-config", "--config", serving.config));
	live_equal("status", r->status, 2);
	assert_non_null(strstr(r->err, "check.conf:2: "));
	assert_non_null(strstr(r->err, "check.conf:3: "));
	live_result_free(r);
	/* nor does memblame start with this file */
	r = live_memblame(LIVE_ARGV("serve", "--config", serving.config));
	live_equal("status", r->status, 2);
	live_result_free(r);
}

/* --- OOM kills --- */

static void test_oom(void **state)
{
	char *text, *reports;
	struct live_bg *hog;
	json_t *report;

	(void)state;
	serving_open_group(32ul << 20);
	serving_prepare(&serving, "oom", "interval = 200ms\n");
	serving_start(&serving, LIVE_ARGV("--json"));
	serving_wait_ticks(&serving, 2);
	setenv("WORKLOAD_CGROUP", serving_group.dir, 1);
	hog = live_spawn(LIVE_ARGV(live_workload("memhog"), "64", "anon"));
	unsetenv("WORKLOAD_CGROUP");
	live_result_free(live_wait(hog));
	assert_true(live_wait_text(serving.bg->out_path, "\"kind\":\"oom\""));
	serving_wait_ticks(&serving, 2);
	text = serving_get_ok(&serving, "/metrics", false);
	live_equal("kills", (long long)metric_sum(text, "memblame_oom_kills_total",
						  LIVE_ARGV(serving_own(), "constraint=\"memcg\""), NULL),
		   sandbox_cgroup_oom_kills(&serving_group));
	free(text);
	reports = serving_get_ok(&serving, "/api/v1/oom?number=1", true);
	report = live_json(reports);
	assert_string_equal(live_str(report, "kind"), "oom");
	assert_string_equal(live_str(report, "victim.cgroup"), serving_group.path);
	json_decref(report);
	free(reports);
	serving_stop(&serving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_counts_are_the_kernels, serving_tidy),
		cmocka_unit_test_teardown(test_promtool, serving_tidy),
		cmocka_unit_test_teardown(test_privacy, serving_tidy),
		cmocka_unit_test_teardown(test_unit, serving_tidy),
		cmocka_unit_test_teardown(test_reload, serving_tidy),
		cmocka_unit_test_teardown(test_check_config, serving_tidy),
		cmocka_unit_test_teardown(test_oom, serving_tidy),
	};

	return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
