// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* oom: kills in the test's own memory cgroup, each compared with the kernel's own log line. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "killing.h"

/* The kernel's own log line for the next kill. */
static struct kmsg_kill read_truth(void)
{
	return kmsg_kill(killing_log, 0);
}

/* Does the environment force a hook here that knows only the victim's pid? */
static bool only_ids(void)
{
	const char *hooks = getenv("MEMBLAME_HOOKS");

	return hooks && strstr(hooks, "oom.kill=tp_btf id");
}

static void assert_victim_unknown(json_t *e)
{
	const char *key;
	json_t *value;

	json_object_foreach(live_get(e, "victim"), key, value)
		if (strcmp(key, "pid") && !json_is_null(value))
			live_fail("victim.%s is not null", key);
}

static void assert_kill(json_t *e, const struct kmsg_kill *t, pid_t trigger, const char *trigger_comm)
{
	assert_string_equal(live_str(e, "kind"), "event");
	assert_string_equal(live_str(e, "family"), "oom");
	assert_string_equal(live_str(e, "event"), "kill");
	live_equal("pid", live_int(e, "pid"), trigger);
	live_equal("trigger.pid", live_int(e, "trigger.pid"), trigger);
	live_equal("trigger.tid", live_int(e, "trigger.tid"), trigger);
	assert_string_equal(live_str(e, "trigger.comm"), trigger_comm);
	live_equal("victim.pid", live_int(e, "victim.pid"), t->pid);
	assert_true(live_int(e, "t_ns") > 0);
	if (only_ids()) {
		assert_victim_unknown(e);
		return;
	}
	assert_string_equal(live_str(e, "victim.comm"), t->comm);
	live_equal("victim.uid", live_int(e, "victim.uid"), t->uid);
	live_equal("victim.oom_score_adj", live_int(e, "victim.oom_score_adj"), t->adj);
	live_equal("victim.total_vm_bytes", live_int(e, "victim.total_vm_bytes"), t->total_vm);
	live_equal("victim.pgtables_bytes", live_int(e, "victim.pgtables_bytes"), t->pgtables);
	live_near("victim.anon_rss_bytes", live_int(e, "victim.anon_rss_bytes"), t->anon,
		  kmsg_slack());
	live_near("victim.file_rss_bytes", live_int(e, "victim.file_rss_bytes"), t->file,
		  kmsg_slack());
	live_near("victim.shmem_rss_bytes", live_int(e, "victim.shmem_rss_bytes"), t->shmem,
		  kmsg_slack());
}

/* The n-th kill among the saved events, which may include other events. */
static json_t *nth_kill(const json_t *summary, int n)
{
	json_t *e;
	size_t i;

	json_array_foreach(live_get(summary, "events"), i, e)
		if (!strcmp(live_str(e, "family"), "oom") && n-- == 0)
			return e;
	return NULL;
}

static json_t *the_kill(const json_t *summary)
{
	json_t *kill = nth_kill(summary, 0);

	if (!kill)
		live_fail("no kill among the events of the summary");
	if (nth_kill(summary, 1))
		live_fail("more than one kill: %s", json_dumps(live_get(summary, "events"), 0));
	return kill;
}

/* The hog is alone in its cgroup, so it both triggers the OOM kill and is its victim. */
static void test_hog_is_killed(void **state)
{
	struct live_run *run;
	struct kmsg_kill t;
	json_t *p;

	(void)state;
	killing_open();
	run = live_run(NULL, LIVE_ARGV(live_workload("memhog"), "128", "anon"));
	live_equal("status of memblame", run->result->status, KILLED);
	live_equal("the kernel's own count", sandbox_cgroup_oom_kills(&killing_cgroup), 1);
	t = read_truth();
	assert_string_equal(t.comm, "memhog");
	assert_kill(the_kill(run->summary), &t, t.pid, "memhog");
	p = live_process(run->summary, t.pid);
	live_equal("exit_code", live_int(p, "exit_code"), KILLED);
	assert_true(live_bool(p, "exited"));
	live_equal("kills_triggered", live_int(p, "oom.kills_triggered"), 1);
	live_equal("lost", live_lost(run->summary), 0);
	/* the hog reached the limit; the kernel's own share of the limit is small */
	assert_true(t.anon > KILLING_LIMIT / 2);
	live_run_free(run);
}

/*
 * Two processes in one cgroup. One holds memory and has oom_score_adj 1000, so it is the preferred victim.
 * The other one asks for more than is left. So the second process triggers the kill, and the first one dies.
 * (If the kernel is slow to free the first one's memory, it kills the second one too, as a separate kill.)
 */
static void test_trigger_is_not_victim(void **state)
{
	const char *ready = live_path("ready");
	json_t *kill, *victim, *trigger;
	struct live_run *run;
	struct kmsg_kill t;
	char *script;
	pid_t hog;

	(void)state;
	killing_open();
	unlink(ready);
	assert_true(asprintf(&script,
			     "mkfifo %s.in; (echo 1000 >/proc/self/oom_score_adj; "
			     "exec %s 40 hold <%s.in 2>%s) & victim=$!; exec 9>%s.in; "
			     "until grep -q ready %s; do sleep 0.02; done; "
			     "%s 40 anon & echo '{\"pid\":'$!'}'; wait $!; wait $victim",
			     ready, live_workload("memhog"), ready, ready, ready, ready,
			     live_workload("memhog")) > 0);
	run = live_run(NULL, LIVE_ARGV("sh", "-c", script));
	live_equal("status of memblame", run->result->status, KILLED);
	hog = (pid_t)live_int(run->workload, "pid");
	t = read_truth();
	assert_true(t.pid != hog);
	live_equal("the victim's oom_score_adj", t.adj, 1000);
	kill = nth_kill(run->summary, 0);
	assert_non_null(kill);
	assert_kill(kill, &t, hog, "memhog");
	victim = live_process(run->summary, t.pid);
	trigger = live_process(run->summary, hog);
	live_equal("victim's exit_code", live_int(victim, "exit_code"), KILLED);
	live_equal("victim's kills_triggered", live_int(victim, "oom.kills_triggered"), 0);
	live_equal("trigger's kills_triggered", live_int(trigger, "oom.kills_triggered"),
		   sandbox_cgroup_oom_kills(&killing_cgroup));
	live_equal("trigger's exit_code", live_int(trigger, "exit_code"),
		   sandbox_cgroup_oom_kills(&killing_cgroup) == 1 ? 0 : KILLED);
	unlink(ready);
	free(script);
	live_run_free(run);
}

/* uid and comm are the victim's own, not root's. */
static void test_uid(void **state)
{
	struct live_run *run;
	struct kmsg_kill t;
	char *script;

	(void)state;
	killing_open();
	/* the hog runs as another user, so it cannot join the cgroup itself */
	unsetenv("WORKLOAD_CGROUP");
	assert_true(asprintf(&script, "echo $$ >%s/cgroup.procs; exec setpriv --reuid=12345 --regid=12345 "
			     "--clear-groups %s 128 anon", killing_cgroup.dir, live_workload("memhog")) > 0);
	run = live_run(NULL, LIVE_ARGV("sh", "-c", script));
	live_equal("status of memblame", run->result->status, KILLED);
	t = read_truth();
	live_equal("uid in the kernel's log", t.uid, 12345);
	assert_kill(the_kill(run->summary), &t, t.pid, "memhog");
	free(script);
	live_run_free(run);
}

/* A shell in the cgroup, which starts the hog once the file exists. */
static struct live_bg *start_waiting_hog(const char *dir, const char *go)
{
	struct live_bg *bg;
	char *script, procs[160], number[16];

	unsetenv("WORKLOAD_CGROUP"); /* the hog inherits the cgroup */
	assert_true(asprintf(&script, "echo $$ >%s/cgroup.procs; until test -e %s; do sleep 0.02; done; "
			     "%s 128 anon; exit $?", dir, go, live_workload("memhog")) > 0);
	bg = live_spawn(LIVE_ARGV("sh", "-c", script));
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	snprintf(number, sizeof(number), "%d", (int)bg->pid);
	assert_true(live_wait_text(procs, number));
	free(script);
	return bg;
}

static void touch(const char *path)
{
	close(open(path, O_WRONLY | O_CREAT, 0600));
}

/* Checks that the stream so far has exactly this kill. */
static void assert_streamed(const char *path, const struct kmsg_kill *t)
{
	struct live_stream *stream;
	json_t *e;

	/* the event arrives while memblame is still running */
	if (!live_wait_text(path, "\"kill\""))
		live_fail("nothing came while trace was running");
	stream = live_stream_open(path);
	e = live_stream_next(stream);
	assert_kill(e, t, t->pid, "memhog");
	json_decref(e);
	assert_null(live_stream_next(stream));
	live_stream_close(stream);
}

static void test_trace_prints_at_once(void **state)
{
	struct live_result *r;
	struct live_bg *bg;
	struct kmsg_kill t;
	char path[256];

	(void)state;
	killing_open();
	bg = live_start(LIVE_ARGV("trace", "--json", "-f", "oom"));
	snprintf(path, sizeof(path), "%s", bg->out_path);
	r = live_exec(LIVE_ARGV(live_workload("memhog"), "128", "anon"), NULL);
	live_equal("status of the hog", r->status, KILLED);
	live_result_free(r);
	t = read_truth();
	assert_streamed(path, &t);
	r = live_stop(bg);
	live_equal("status of trace", r->status, 0);
	assert_non_null(strstr(r->out, "\"end\""));
	live_result_free(r);
}

/* Selection by cgroup: the report has the kill in the selected cgroup, and not the kill in another cgroup. */
static void test_cgroup_selection(void **state)
{
	const char *go = live_path("go"), *go_other = live_path("go_other");
	struct live_bg *bg, *hog, *other_hog;
	struct sandbox_cgroup other;
	struct kmsg_kill t, t_other;
	struct live_result *r;
	json_t *doc;

	(void)state;
	killing_open();
	assert_null(sandbox_cgroup_open(&other, KILLING_LIMIT / 4));
	hog = start_waiting_hog(killing_cgroup.dir, go);
	other_hog = start_waiting_hog(other.dir, go_other);
	bg = live_start(LIVE_ARGV("top", "--json", "-c", killing_cgroup.path, "-i", "60"));
	touch(go_other);
	live_result_free(live_wait(other_hog));
	t_other = read_truth();
	touch(go);
	live_result_free(live_wait(hog));
	t = read_truth();
	sandbox_cgroup_close(&other);
	r = live_stop(bg);
	live_equal("status of top", r->status, 0);
	doc = live_json(r->out);
	assert_kill(the_kill(doc), &t, t.pid, "memhog");
	live_equal("exit_code", live_int(live_process(doc, t.pid), "exit_code"), KILLED);
	assert_null(live_find_process(doc, t_other.pid));
	json_decref(doc);
	live_result_free(r);
}

/* A process belongs to the selection from the moment it is moved into the cgroup. */
static void test_cgroup_joined_later(void **state)
{
	struct live_bg *bg;
	struct kmsg_kill t;
	char path[256];

	(void)state;
	killing_open();
	bg = live_start(LIVE_ARGV("trace", "--json", "-f", "oom", "-c", killing_cgroup.dir));
	snprintf(path, sizeof(path), "%s", bg->out_path);
	live_result_free(live_exec(LIVE_ARGV(live_workload("memhog"), "128", "anon"), NULL));
	t = read_truth();
	assert_streamed(path, &t);
	live_result_free(live_stop(bg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KILLING_TEST(test_hog_is_killed),
		KILLING_TEST(test_trigger_is_not_victim),
		KILLING_TEST(test_uid),
		KILLING_TEST(test_trace_prints_at_once),
		KILLING_TEST(test_cgroup_selection),
		KILLING_TEST(test_cgroup_joined_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
