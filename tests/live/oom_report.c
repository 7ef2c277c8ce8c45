// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * memblame oom: reports of kills in the test's own memory cgroup. Each figure is compared with the kernel's
 * log of the same kill, and the culprit with what the workload did.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "killing.h"

#define KILLS_AT_MOST 5

static void assert_memcg(json_t *doc, const struct kmsg_kill *k)
{
	assert_string_equal(live_str(doc, "memcg.path"), killing_cgroup.path);
	assert_string_equal(live_str(doc, "victim.cgroup"), killing_cgroup.path);
	live_equal("version", live_int(doc, "memcg.version"), killing_cgroup.v2 ? 2 : 1);
	live_equal("limit_bytes", live_int(doc, "memcg.limit_bytes"), KILLING_LIMIT);
	if (!k->whole)
		return;
	assert_string_equal(k->memcg, killing_cgroup.path);
	/* other processes charge the cgroup meanwhile, in batches of 64 pages */
	live_near("usage_bytes", live_int(doc, "memcg.usage_bytes"), k->usage, 64 * 4096 * 2);
	live_equal("limit", k->limit, KILLING_LIMIT);
	if (k->swap >= 0) /* v1 logs memory and swap together */
		live_near("swap_bytes", live_int(doc, "memcg.swap_bytes"),
			  killing_cgroup.v2 ? k->swap : k->swap - k->usage, 64 * 4096 * 2);
	if (live_int(doc, killing_cgroup.v2 ? "memcg.stat.anon" : "memcg.stat.total_rss") <= 0)
		live_fail("no anonymous memory at the kill, according to the %s", live_str(doc, "memcg.stat_from"));
}

static bool has_frame(json_t *stack, const char *begin)
{
	json_t *frame;
	size_t i;

	json_array_foreach(stack, i, frame)
		if (!strncmp(json_string_value(frame), begin, strlen(begin)))
			return true;
	return false;
}

static void assert_sentence(json_t *doc, const char *part)
{
	if (!strstr(live_str(doc, "sentence"), part))
		live_fail("no \"%s\" in: %s", part, live_str(doc, "sentence"));
}

/* ---- the culprit ---- */

static void test_own_growth(void **state)
{
	struct live_bg *oom;
	struct kmsg_kill k;
	json_t *all, *doc;
	char part[320];
	pid_t pid;

	(void)state;
	killing_open();
	oom = killing_start();
	live_equal("status of the hog", killing_hog("128", "anon", &pid), KILLED);
	k = kmsg_kill(killing_log, pid);
	all = killing_reports(oom, 1);
	doc = json_array_get(all, 0);
	killing_assert_logged(doc, &k);
	assert_memcg(doc, &k);
	killing_assert_lines(doc, &k);
	live_equal("trigger.pid", live_int(doc, "trigger.pid"), pid);
	live_equal("victims", (long long)json_array_size(live_get(doc, "victims")), 1);
	assert_false(live_bool(doc, "was_ending"));
	assert_string_equal(live_str(doc, "victim.exe"), live_workload("memhog"));
	assert_true(has_frame(live_get(doc, "trigger.kernel_stack"), "out_of_memory+"));
	/* the growth is the hog's own: no other process was there */
	if (strcmp(live_str(doc, "culprit.verdict"), "clear"))
		live_fail("not clear: %s %s", live_str(doc, "sentence"), json_dumps(live_get(doc, "culprit"), 0));
	live_equal("culprit", live_int(doc, "culprit.pid"), pid);
	live_near("growth_bytes", live_int(doc, "culprit.growth_bytes"), KILLING_LIMIT, KILLING_LIMIT / 10);
	snprintf(part, sizeof(part), "memhog (pid %d, %s) was killed because cgroup %s reached its limit of "
		 "64.0 MiB; the growth was its own (+", (int)pid, killing_cgroup.path, killing_cgroup.path);
	assert_sentence(doc, part);
	live_equal("lost", live_lost(doc), 0);
	json_decref(all);
	kmsg_free(&k);
}

/*
 * The trigger's code by function. A victim disappears within milliseconds. On a busy machine memblame cannot
 * always read the victim's map or open its file in time, and reports an address or an offset instead. One of
 * several kills is in time.
 */
static void test_names_of_frames(void **state)
{
	json_t *all, *stack;
	bool named = false;
	pid_t pid;

	(void)state;
	killing_open();
	for (int i = 0; i < (live_emulated() ? 1 : KILLS_AT_MOST) && !named; i++) {
		struct live_bg *oom = killing_start();

		live_equal("status of the hog", killing_hog("128", "anon", &pid), KILLED);
		all = killing_reports(oom, 1);
		stack = live_get(json_array_get(all, 0), "trigger.user_stack");
		named = has_frame(stack, "wl_write_pages (memhog+");
		if (!named && !has_frame(stack, "memhog+0x") && !has_frame(stack, "0x"))
			live_fail("trigger's code is at %s", json_dumps(stack, JSON_ENCODE_ANY));
		json_decref(all);
	}
	if (!named && !live_emulated())
		live_fail("the trigger's code had no name in %d kills", KILLS_AT_MOST);
}

static json_t *report_of(const json_t *all, pid_t victim)
{
	json_t *doc;
	size_t i;

	json_array_foreach(all, i, doc)
		if (live_int(doc, "victim.pid") == victim)
			return doc;
	live_fail("no report of the kill of %d", (int)victim);
	return NULL;
}

/*
 * One process holds memory and does nothing; another takes what is left. The kernel prefers the first as the
 * victim.
 */
static void test_victim_is_not_culprit(void **state)
{
	struct live_bg *oom, *grower;
	struct killing_holder holder;
	json_t *all, *doc, *points;
	char part[160], *script, fifo[256];
	struct kmsg_kill k;
	struct live_result *r;
	long long grew;
	int input;

	(void)state;
	killing_open();
	holder = killing_hold("30", "1000");
	oom = killing_start();
	usleep(2500000); /* part of the history is without growth */
	snprintf(fifo, sizeof(fifo), "%s/grower", live_tmp());
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_true(asprintf(&script, "exec %s 50 creep <%s", live_workload("memhog"), fifo) > 0);
	grower = live_spawn(LIVE_ARGV("sh", "-c", script));
	input = open(fifo, O_WRONLY | O_CLOEXEC);
	k = kmsg_kill(killing_log, holder.pid);
	/* if the kernel is slow to free the holder's memory, it kills the second process too */
	usleep(200000);
	all = killing_some_reports(oom, (size_t)sandbox_cgroup_oom_kills(&killing_cgroup));
	/* reports are in the order in which the victims end */
	doc = report_of(all, holder.pid);
	killing_assert_logged(doc, &k);
	assert_memcg(doc, &k);
	live_equal("victim", live_int(doc, "victim.pid"), holder.pid);
	live_equal("trigger", live_int(doc, "trigger.pid"), grower->pid);
	live_equal("culprit", live_int(doc, "culprit.pid"), grower->pid);
	/* the hog took what the holder had left */
	grew = live_int(doc, "culprit.growth_bytes");
	if (llabs(grew - (KILLING_LIMIT - 30 * MIB)) > 4 * MIB) {
		print_error("%s\n", json_dumps(live_get(doc, "history"), 0));
		live_fail("%s at %lld: %s", live_str(doc, "sentence"), live_int(doc, "t_ns"),
			  json_dumps(live_get(doc, "culprit"), 0));
	}
	snprintf(part, sizeof(part), "the growth came from memhog (pid %d, +", (int)grower->pid);
	assert_sentence(doc, part);
	assert_sentence(doc, "), not from the victim.");
	live_equal("first grower", live_int(json_array_get(live_get(doc, "history.growers"), 0), "pid"),
		   grower->pid);
	points = live_get(json_array_get(live_get(doc, "history.growers"), 0), "points");
	assert_true(json_array_size(points) >= 1);
	assert_true(json_array_size(live_get(doc, "history.faults_per_s")) >= 1);
	json_decref(all);
	killing_end_holder(&holder, KILLED);
	usleep(200000);
	close(input);
	r = live_wait(grower);
	live_equal("status of the grower", r->status, sandbox_cgroup_oom_kills(&killing_cgroup) == 1 ? 0 : KILLED);
	live_result_free(r);
	unlink(fifo);
	free(script);
	kmsg_free(&k);
}

/* Each process takes little, but all of them together take too much. */
static void test_many_small(void **state)
{
	struct killing_holder small[40];
	struct live_bg *oom;
	int n = 0;
	json_t *all, *doc;

	(void)state;
	killing_open();
	oom = killing_start();
	/* the kernel memory of each process counts too, so the number of processes that fit depends on it */
	while (n < 40 && !sandbox_cgroup_oom_kills(&killing_cgroup)) {
		static char script[512];

		snprintf(small[n].fifo, sizeof(small[n].fifo), "%s/small%d", live_tmp(), n);
		assert_int_equal(mkfifo(small[n].fifo, 0600), 0);
		snprintf(script, sizeof(script), "exec %s 4 hold <%s", live_workload("memhog"), small[n].fifo);
		small[n].bg = live_spawn(LIVE_ARGV("sh", "-c", script));
		small[n].input = open(small[n].fifo, O_WRONLY | O_CLOEXEC);
		for (int i = 0; i < 500 && !sandbox_cgroup_oom_kills(&killing_cgroup); i++) {
			char *err = live_slurp(small[n].bg->err_path, NULL);
			bool ready = strstr(err, "ready");

			free(err);
			if (ready)
				break;
			usleep(5000);
		}
		n++;
	}
	/* the others soon take what the victim frees, so there may be more than one kill */
	all = killing_some_reports(oom, 1);
	doc = json_array_get(all, 0);
	assert_string_equal(live_str(doc, "culprit.verdict"), "clear");
	assert_string_equal(live_str(doc, "culprit.comm"), "memhog");
	assert_true(json_is_null(live_get(doc, "culprit.pid")));
	/* the last process may not have taken any memory yet */
	live_near("processes", live_int(doc, "culprit.processes"), n, 1);
	assert_sentence(doc, "processes named memhog (together +");
	live_near("tasks", (long long)json_array_size(live_get(doc, "tasks")), n, 1);
	json_decref(all);
	for (int i = 0; i < n; i++) {
		close(small[i].input);
		live_result_free(live_wait(small[i].bg));
		unlink(small[i].fifo);
	}
}

/* Files on a tmpfs fill the memory: no process owns it. */
static void test_not_processes(void **state)
{
	struct live_bg *oom;
	json_t *all, *doc;
	char *script;

	(void)state;
	killing_open();
	if (sandbox_tmpfs_open(&killing_fs))
		live_skip("no tmpfs");
	unsetenv("WORKLOAD_CGROUP");
	oom = killing_start();
	assert_true(asprintf(&script, "echo $$ >%s/cgroup.procs; exec dd if=/dev/zero of=%s/file bs=64k count=2000",
			     killing_cgroup.dir, killing_fs.dir) > 0);
	live_equal("status of dd", live_exec(LIVE_ARGV("sh", "-c", script), NULL)->status, KILLED);
	all = killing_reports(oom, 1);
	doc = json_array_get(all, 0);
	assert_string_equal(live_str(doc, "victim.comm"), "dd");
	/* the kernel's stack identifies the process that was writing */
	assert_string_equal(live_str(doc, "culprit.verdict"), "clear");
	assert_string_equal(live_str(doc, "culprit.how"), "wrote");
	assert_string_equal(live_str(doc, "culprit.comm"), "dd");
	assert_string_equal(live_str(doc, "culprit.kind"), "shmem");
	live_near("growth", live_int(doc, "culprit.growth_bytes"), KILLING_LIMIT, KILLING_LIMIT / 8);
	assert_sentence(doc, "MiB of shared memory in ");
	json_decref(all);
	free(script);
}

/* ---- the victim ---- */

static void test_threads(void **state)
{
	struct live_bg *oom, *bg;
	struct kmsg_kill k;
	json_t *all, *doc;
	pid_t pid;

	(void)state;
	killing_open();
	oom = killing_start();
	bg = live_spawn(LIVE_ARGV(live_workload("faulter"), "threads", "16", "4096"));
	pid = bg->pid;
	live_result_free(live_wait(bg));
	k = kmsg_kill(killing_log, pid);
	all = killing_reports(oom, 1);
	doc = json_array_get(all, 0);
	killing_threads = 17;
	killing_assert_logged(doc, &k);
	live_equal("victim", live_int(doc, "victim.pid"), pid);
	live_equal("trigger", live_int(doc, "trigger.pid"), pid);
	live_equal("victims", (long long)json_array_size(live_get(doc, "victims")), 1);
	json_decref(all);
	kmsg_free(&k);
}

static void test_pid_namespace(void **state)
{
	struct live_bg *oom;
	struct live_result *r;
	json_t *all, *doc;

	(void)state;
	killing_open();
	r = live_exec(LIVE_ARGV("unshare", "-p", "-f", "true"), NULL);
	if (r->status)
		live_skip("no pid namespaces here: %s", r->err);
	live_result_free(r);
	oom = killing_start();
	live_result_free(live_exec(LIVE_ARGV("unshare", "-p", "-f", live_workload("memhog"), "128", "anon"),
				   NULL));
	all = killing_reports(oom, 1);
	doc = json_array_get(all, 0);
	/* the first process of its namespace */
	live_equal("ns_pid", live_int(doc, "victim.ns_pid"), 1);
	assert_true(live_int(doc, "victim.pid") > 1);
	assert_string_equal(live_str(doc, "victim.comm"), "memhog");
	json_decref(all);
}

/* A process kills another one while the victim's cgroup is full. */
static void test_killed_by_a_process(void **state)
{
	struct killing_holder holder;
	struct live_result *r;
	struct live_bg *oom;
	json_t *all, *doc;
	char *script;

	(void)state;
	killing_open();
	holder = killing_hold("60", "0");
	oom = killing_start();
	assert_true(asprintf(&script, "kill -9 %d; :", (int)holder.pid) > 0);
	unsetenv("WORKLOAD_CGROUP");
	r = live_exec(LIVE_ARGV("sh", "-c", script), NULL);
	live_equal("status of the killer", r->status, 0);
	live_result_free(r);
	all = killing_reports(oom, 1);
	doc = json_array_get(all, 0);
	assert_string_equal(live_str(doc, "origin"), "process");
	assert_true(live_null(doc, "constraint"));
	assert_string_equal(live_str(doc, "trigger.comm"), "sh");
	live_equal("victim", live_int(doc, "victim.pid"), holder.pid);
	assert_string_equal(live_str(doc, "memcg.path"), killing_cgroup.path);
	assert_sentence(doc, "killed by sh (pid ");
	assert_sentence(doc, ", not by the kernel.");
	json_decref(all);
	killing_end_holder(&holder, KILLED);
	free(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KILLING_TEST(test_own_growth),
		KILLING_TEST(test_names_of_frames),
		KILLING_TEST(test_victim_is_not_culprit),
		KILLING_TEST(test_many_small),
		KILLING_TEST(test_not_processes),
		KILLING_TEST(test_threads),
		KILLING_TEST(test_pid_namespace),
		KILLING_TEST(test_killed_by_a_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
