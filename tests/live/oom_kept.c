// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* memblame oom: it misses no kill, and reports survive. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "killing.h"

/* ---- no kill is missed ---- */

/* Kills in rapid succession, while other processes fault as fast as they can. */
static void test_storm(void **state)
{
	const int n = live_emulated() ? 12 : 50;
	struct live_bg *oom, *storm;
	json_t *all, *doc;
	char *script;
	long long last = 0;
	size_t i;

	(void)state;
	killing_open();
	oom = killing_start();
	unsetenv("WORKLOAD_CGROUP");
	storm = live_spawn(LIVE_ARGV(live_workload("faulter"), "storm", "2", "60s"));
	/* the shell stays out of the cgroup: the kernel might choose the shell while its child is exiting */
	assert_true(asprintf(&script, "i=0; while [ $i -lt %d ]; do WORKLOAD_CGROUP=%s %s 128 anon; "
			     "i=$((i+1)); done; exit 0", n, killing_cgroup.dir, live_workload("memhog")) > 0);
	live_result_free(live_exec(LIVE_ARGV("sh", "-c", script), NULL));
	kill(storm->pid, SIGKILL);
	live_result_free(live_wait(storm));
	live_equal("the kernel's own count", sandbox_cgroup_oom_kills(&killing_cgroup), n);
	all = killing_reports(oom, (size_t)n);
	json_array_foreach(all, i, doc) {
		struct kmsg_kill k = kmsg_kill(killing_log, (pid_t)live_int(doc, "victim.pid"));

		killing_assert_logged(doc, &k);
		killing_assert_lines(doc, &k);
		assert_true(live_int(doc, "t_ns") > last);
		last = live_int(doc, "t_ns");
		kmsg_free(&k);
	}
	json_decref(all);
	free(script);
	sleep(5); /* the kernel rate-limits its dumps to ten per 5 s (oom_rs), and the following tests need theirs */
}

/* ---- reports survive ---- */

static char *retained(const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/oom/%s", killing_state_dir, name) > 0);
	return path;
}

static struct live_result *read_back(const char *what, const char *number, const char *json)
{
	const char *args[8] = { "oom", what };
	int n = 2;

	if (number)
		args[n++] = number;
	args[n++] = "--state-dir";
	args[n++] = killing_state_dir;
	args[n] = json;
	return live_memblame(args);
}

/* memblame is killed as soon as the report is written. The report survives. */
static void test_kept(void **state)
{
	char *json, *text, *folder;
	struct live_result *r;
	struct live_bg *oom;
	struct stat st;
	json_t *doc;
	pid_t pid;

	(void)state;
	killing_open();
	json = retained("000001.json");
	text = retained("000001.txt");
	folder = retained("");
	oom = killing_start();
	live_equal("status of the hog", killing_hog("128", "anon", &pid), KILLED);
	for (int i = 0; i < 1000 && access(json, F_OK); i++)
		usleep(1000);
	kill(oom->pid, SIGKILL);
	live_result_free(live_wait(oom));
	assert_int_equal(stat(json, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(text, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	r = read_back("list", NULL, NULL);
	live_equal("status of list", r->status, 0);
	assert_non_null(strstr(r->out, "     1  "));
	assert_non_null(strstr(r->out, "the growth was its own"));
	live_result_free(r);
	r = read_back("show", "1", NULL);
	assert_non_null(strstr(r->out, "Who could have been chosen"));
	live_result_free(r);
	r = read_back("show", "1", "--json");
	doc = live_json(r->out);
	live_equal("victim", live_int(doc, "victim.pid"), pid);
	json_decref(doc);
	live_result_free(r);
	r = read_back("show", "2", NULL);
	live_equal("status of show 2", r->status, 1);
	assert_non_null(strstr(live_one_line(r), "no report 2"));
	live_result_free(r);
	r = live_memblame(LIVE_ARGV("oom", "lst"));
	live_equal("status of lst", r->status, 2);
	live_result_free(r);
	free(json);
	free(text);
	free(folder);
}

/* Without disk space, reports are still shown, and the loss is reported. */
static void test_disk_full(void **state)
{
	struct live_result *r;
	struct live_bg *oom;
	json_t *doc;
	char *fill;
	pid_t pid;

	(void)state;
	killing_open();
	if (sandbox_fs_open(&killing_fs, 16, 0))
		live_skip("no small file system");
	free(killing_state_dir);
	killing_state_dir = strdup(killing_fs.dir);
	oom = killing_start();
	assert_true(asprintf(&fill, "of=%s/fill", killing_fs.dir) > 0);
	unsetenv("WORKLOAD_CGROUP");
	live_result_free(live_exec(LIVE_ARGV("dd", "if=/dev/zero", "bs=4k", fill), NULL));
	setenv("WORKLOAD_CGROUP", killing_cgroup.dir, 1);
	live_equal("status of the hog", killing_hog("128", "anon", &pid), KILLED);
	assert_true(live_wait_text(oom->out_path, "\"oom\""));
	r = live_stop(oom);
	live_equal("status of oom", r->status, 1);
	assert_non_null(strstr(r->err, "could not be stored"));
	/* the output has both the report and the error */
	assert_non_null(strstr(r->out, "\n{\"schema\":1,\"kind\":\"error\""));
	*strchr(r->out, '\n') = '\0';
	doc = live_json(r->out);
	live_equal("victim", live_int(doc, "victim.pid"), pid);
	json_decref(doc);
	live_result_free(r);
	free(fill);
}

/* No report is lost if the state folder is unusable. */
static void test_no_folder(void **state)
{
	struct live_result *r;
	struct live_bg *oom;
	json_t *doc;
	char *used;
	pid_t pid;
	int fd;

	(void)state;
	killing_open();
	assert_true(asprintf(&used, "%s/oom", killing_state_dir) > 0);
	assert_int_equal(mkdir(killing_state_dir, 0700), 0);
	fd = open(used, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	oom = killing_start();
	live_equal("status of the hog", killing_hog("128", "anon", &pid), KILLED);
	assert_true(live_wait_text(oom->out_path, "\"oom\""));
	r = live_stop(oom);
	live_equal("status of oom", r->status, 1);
	assert_non_null(strstr(r->err, "not stored"));
	assert_non_null(strstr(r->out, "1 reports could not be stored"));
	*strchr(r->out, '\n') = '\0';
	doc = live_json(r->out);
	live_equal("victim", live_int(doc, "victim.pid"), pid);
	json_decref(doc);
	live_result_free(r);
	free(used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KILLING_TEST(test_storm),
		KILLING_TEST(test_kept),
		KILLING_TEST(test_disk_full),
		KILLING_TEST(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
