// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * memblame oom when the whole machine, and so memblame itself, runs out of memory; and when the kernel kills a whole
 * cgroup at once (memory.oom.group, cgroup v2).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "killing.h"

#define HOG_MIB "2048"
#define GROUP 4
#define OTHERS 8 /* the processes to be killed next */

/* What the kernel's log says of kills: which processes, and which could not be reaped. */
static const char *kernel_said(void)
{
	static char log[1 << 20], said[1 << 16];
	int n = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log) - 1);
	size_t len = 0;

	log[n > 0 ? n : 0] = 0;
	for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
		if (strstr(line, "Killed process") || strstr(line, "oom") || strstr(line, "invoked"))
			len += (size_t)snprintf(said + len, sizeof(said) - len, "%.300s\n", line);
		if (len >= sizeof(said))
			break;
	}
	return said;
}

/* Waits until memblame has printed this text. Otherwise the test fails and prints what may explain it. */
static void wait_for(struct live_bg *oom, const char *text)
{
	struct live_result *r;
	char stack[64];

	if (live_wait_text(oom->out_path, text) && live_proc_alive(oom->pid))
		return;
	if (!live_proc_alive(oom->pid)) {
		r = live_wait(oom);
		live_fail("memblame is gone: status %d\n%s\n%s", r->status, r->err, kernel_said());
	}
	snprintf(stack, sizeof(stack), "/proc/%d/stack", (int)oom->pid);
	live_fail("no report: %s\n%s", live_slurp(oom->err_path, NULL), live_slurp(stack, NULL));
}

/* Stops memblame; returns everything it has printed. */
static char *all_said(struct live_bg *oom)
{
	struct live_result *r = live_stop(oom);
	char *text = strdup(r->out);

	live_equal("status of oom", r->status, 0);
	live_result_free(r);
	return text;
}

/* The first report. */
static json_t *the_report(struct live_bg *oom)
{
	char *text;
	json_t *doc;

	wait_for(oom, "\"kernel_log\"");
	text = all_said(oom);
	text[strcspn(text, "\n")] = '\0';
	doc = live_json(text);
	free(text);
	return doc;
}

/* The report that has the whole group: memblame writes it again if a process dies late. */
static json_t *report_of_group(struct live_bg *oom, const char *sentence)
{
	char *text;
	json_t *doc;

	wait_for(oom, sentence);
	text = all_said(oom);
	doc = live_last_json(text);
	free(text);
	return doc;
}

static long long kib_after(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	if (!at)
		live_fail("no %s in %.200s", key, line);
	return atoll(at + strlen(key)) << 10;
}

/* "Node 0 DMA32 free:1234kB ... min:1kB low:2kB high:3kB ... managed:4kB ..." */
static void assert_zone(json_t *zone, const struct kmsg_kill *k)
{
	char begin[64];
	long long boost;
	const char *line;

	snprintf(begin, sizeof(begin), "Node %lld %s free:", live_int(zone, "node"), live_str(zone, "zone"));
	line = strstr(k->text, begin);
	if (!line)
		live_fail("the kernel has no line \"%s\"", begin);
	/*
	 * For a while after fragmentation the kernel adds a boost to all three watermarks, and removes it when
	 * kswapd is done: perhaps between the kernel's line and the kill.
	 */
	boost = strstr(line, " boost:") ? kib_after(line, " boost:") : 2 << 20;
	live_near("min_bytes", live_int(zone, "min_bytes"), kib_after(line, " min:"), boost);
	live_near("low_bytes", live_int(zone, "low_bytes"), kib_after(line, " low:"), boost);
	live_near("high_bytes", live_int(zone, "high_bytes"), kib_after(line, " high:"), boost);
	live_equal("managed_bytes", live_int(zone, "managed_bytes"), kib_after(line, " managed:"));
	/* pages come and go between the kernel's line and the kill: an emulator takes long to write the log */
	live_near("free_bytes", live_int(zone, "free_bytes"), kib_after(line, " free:"), 16 << 20);
}

static void assert_machine(json_t *doc, const struct kmsg_kill *k)
{
	long long free_bytes = 0, managed = 0;
	json_t *zone;
	size_t i;

	json_array_foreach(live_get(doc, "memory.zones"), i, zone) {
		assert_zone(zone, k);
		free_bytes += live_int(zone, "free_bytes");
		managed += live_int(zone, "managed_bytes");
	}
	assert_true(i >= 1);
	live_equal("free_bytes", live_int(doc, "memory.free_bytes"), free_bytes);
	live_near("managed", managed, live_int(doc, "memory.total_bytes"), 1 << 20);
	/* the kernel bases its scores on memory and swap */
	live_near("score_base_bytes", live_int(doc, "score_base_bytes"),
		  managed + live_int(doc, "memory.swap_total_bytes"), 1 << 20);
	live_equal("tasks", (long long)json_array_size(live_get(doc, "tasks")), (long long)k->n_tasks);
	live_equal("swap_free_bytes", live_int(doc, "memory.swap_free_bytes"), k->free_swap);
	live_equal("swap_total_bytes", live_int(doc, "memory.swap_total_bytes"), k->total_swap);
}

/*
 * Freeing the hog's memory may be slow in an emulator, and then the kernel kills the next largest process: that must
 * not be the test. Processes that the test starts inherit the value unless they set their own.
 */
static void protect(const char *adj)
{
	guest_write("/proc/self/oom_score_adj", adj);
}

/* The next process killed must not be memblame either: these are killed before it. */
static void offer_others(pid_t *pids)
{
	for (int i = 0; i < OTHERS; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		guest_write("/proc/self/oom_score_adj", "0");
		for (;;)
			pause();
	}
}

static void end_others(const pid_t *pids)
{
	for (int i = 0; i < OTHERS; i++) {
		assert_true(pids[i] > 0);
		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	}
}

/* Uses up all memory: without swap, or with a swap file that fills first. */
static void use_up(unsigned int swap_mib)
{
	char path[64], *adj, *script;
	struct kmsg_kill k;
	struct live_bg *oom, *hog;
	int log = sandbox_kmsg_open();
	pid_t pid, others[OTHERS];
	json_t *doc;

	if (swap_mib)
		guest_swap_on(swap_mib);
	oom = killing_start_in(live_path(swap_mib ? "machine with swap" : "machine"));
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)oom->pid);
	adj = live_slurp(path, NULL);
	assert_string_equal(adj, "-999\n");
	free(adj);
	assert_true(live_proc_status(oom->pid, "VmLck") > 0);
	usleep(2200000); /* some ticks without growth come first */
	protect("-998");
	offer_others(others);
	assert_true(asprintf(&script, "echo 0 >/proc/self/oom_score_adj; exec %s %s anon", live_workload("memhog"), HOG_MIB) > 0);
	hog = live_spawn(LIVE_ARGV("sh", "-c", script));
	free(script);
	pid = hog->pid;
	live_equal("status of the hog", live_wait(hog)->status, KILLED);
	protect("0");
	end_others(others);
	k = kmsg_kill(log, pid);
	doc = the_report(oom);
	assert_string_equal(live_str(doc, "constraint"), "global");
	assert_string_equal(k.constraint, "global");
	assert_true(live_null(doc, "memcg"));
	live_equal("victim", live_int(doc, "victim.pid"), pid);
	live_equal("gfp_mask", live_int(doc, "trigger.gfp_mask"), k.gfp_mask);
	kmsg_assert_same_flags(live_str(doc, "trigger.gfp"), k.gfp);
	live_equal("order", live_int(doc, "trigger.order"), k.order);
	live_near("anon_rss_bytes", live_int(doc, "victim.anon_rss_bytes"), k.anon, kmsg_slack());
	assert_machine(doc, &k);
	live_equal("culprit", live_int(doc, "culprit.pid"), pid);
	/* the kernel reclaims file pages of the hog until the last moment */
	if (live_int(doc, "culprit.growth_bytes") < k.anon - (4 << 20))
		print_error("%s\n%s\n%s\n%s\n", live_str(doc, "sentence"), json_dumps(live_get(doc, "culprit"), 0),
			    json_dumps(live_get(doc, "memory.split"), 0), json_dumps(live_get(doc, "history.kinds"), 0));
	live_near("growth_bytes", live_int(doc, "culprit.growth_bytes"),
		  k.anon + k.file + live_int(doc, "victim.swap_bytes"), 4 << 20);
	assert_true(live_int(doc, "victim.swap_bytes") >= (long long)swap_mib / 2 << 20);
	assert_non_null(strstr(live_str(doc, "sentence"), "because the machine ran out of memory ("));
	assert_non_null(strstr(live_str(doc, "sentence"), "the growth was its own (+"));
	assert_true(live_int(doc, "memory.available_bytes") >= 0);
	json_decref(doc);
	kmsg_free(&k);
	close(log);
}

static void test_machine(void **state)
{
	(void)state;
	use_up(0);
}

static void test_machine_with_swap(void **state)
{
	(void)state;
	use_up(64);
}

static void test_group(void **state)
{
	const char *reason = sandbox_cgroup_open(&guest_cgroup, 48 << 20), *fifo = live_path("group");
	struct live_bg *oom, *member[GROUP];
	char path[320], *script;
	json_t *doc, *victim;
	pid_t pid[GROUP];
	size_t i;
	int input;

	(void)state;
	if (reason)
		live_fail("%s", reason);
	snprintf(path, sizeof(path), "%s/memory.oom.group", guest_cgroup.dir);
	guest_write(path, "1");
	setenv("WORKLOAD_CGROUP", guest_cgroup.dir, 1);
	assert_true(asprintf(&script, "rm -f %s; mkfifo %s", fifo, fifo) > 0);
	live_result_free(live_exec(LIVE_ARGV("sh", "-c", script), NULL));
	free(script);
	assert_true(asprintf(&script, "exec %s 4 hold <%s", live_workload("memhog"), fifo) > 0);
	for (i = 0; i < GROUP - 1; i++)
		member[i] = live_spawn(LIVE_ARGV("sh", "-c", script));
	input = open(fifo, O_WRONLY | O_CLOEXEC);
	for (i = 0; i < GROUP - 1; i++)
		assert_true(live_wait_text(member[i]->err_path, "ready"));
	oom = killing_start_in(live_path("groups"));
	member[i] = live_spawn(LIVE_ARGV(live_workload("memhog"), "128", "anon"));
	unsetenv("WORKLOAD_CGROUP");
	for (i = 0; i < GROUP; i++) {
		pid[i] = member[i]->pid;
		live_equal("status", live_wait(member[i])->status, KILLED);
	}
	close(input);
	doc = report_of_group(oom, "and 3 others were killed because cgroup ");
	assert_string_equal(live_str(doc, "constraint"), "memcg");
	assert_string_equal(live_str(doc, "memcg.path"), guest_cgroup.path);
	live_equal("victim", live_int(doc, "victim.pid"), pid[GROUP - 1]);
	live_equal("victims", (long long)json_array_size(live_get(doc, "victims")), GROUP);
	json_array_foreach(live_get(doc, "victims"), i, victim) {
		bool member_of_it = false;

		for (int j = 0; j < GROUP; j++)
			member_of_it |= pid[j] == live_int(victim, "pid");
		if (!member_of_it)
			live_fail("%lld is not one of the group", live_int(victim, "pid"));
		assert_string_equal(live_str(victim, "comm"), "memhog");
	}
	json_decref(doc);
	free(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_machine),
		GUEST_TEST(test_machine_with_swap),
		GUEST_TEST(test_group),
	};

	guest_only("uses up all memory");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
