// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * memblame oom where the whole machine runs out of memory, memblame with it; and where a cgroup dies as one
 * (memory.oom.group, cgroup v2).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "killing.h"

#define HOG_MIB "2048"
#define GROUP 4

/* The one report there is, of a memblame that is then stopped. */
static json_t *the_report(struct live_bg *oom)
{
	struct live_result *r;
	json_t *doc;

	if (!live_wait_text(oom->out_path, "\"kernel_log\""))
		live_fail("no report");
	assert_true(live_proc_alive(oom->pid));
	r = live_stop(oom);
	live_equal("status of oom", r->status, 0);
	doc = live_json(r->out);
	live_result_free(r);
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
	 * For a while after fragmentation the kernel adds a boost to all three, which it takes back when
	 * kswapd has done: between its line and the kill, maybe.
	 */
	boost = strstr(line, " boost:") ? kib_after(line, " boost:") : 2 << 20;
	live_near("min_bytes", live_int(zone, "min_bytes"), kib_after(line, " min:"), boost);
	live_near("low_bytes", live_int(zone, "low_bytes"), kib_after(line, " low:"), boost);
	live_near("high_bytes", live_int(zone, "high_bytes"), kib_after(line, " high:"), boost);
	live_equal("managed_bytes", live_int(zone, "managed_bytes"), kib_after(line, " managed:"));
	/* pages come and go between the kernel's line and the kill: writing the log takes an emulator long */
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
	/* what the kernel had its scores of: memory and swap */
	live_near("score_base_bytes", live_int(doc, "score_base_bytes"),
		  managed + live_int(doc, "memory.swap_total_bytes"), 1 << 20);
	live_equal("tasks", (long long)json_array_size(live_get(doc, "tasks")), (long long)k->n_tasks);
	live_equal("swap_free_bytes", live_int(doc, "memory.swap_free_bytes"), k->free_swap);
	live_equal("swap_total_bytes", live_int(doc, "memory.swap_total_bytes"), k->total_swap);
}

/* Alone, or with a swap file that is used up first. */
static void use_up(unsigned int swap_mib)
{
	char path[64], *adj;
	struct kmsg_kill k;
	struct live_bg *oom, *hog;
	int log = sandbox_kmsg_open();
	json_t *doc;
	pid_t pid;

	if (swap_mib)
		guest_swap_on(swap_mib);
	oom = killing_start_in(live_path(swap_mib ? "machine with swap" : "machine"));
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)oom->pid);
	adj = live_slurp(path, NULL);
	assert_string_equal(adj, "-999\n");
	free(adj);
	assert_true(live_proc_status(oom->pid, "VmLck") > 0);
	usleep(2200000); /* ticks without growth come before */
	hog = live_spawn(LIVE_ARGV(live_workload("memhog"), HOG_MIB, "anon"));
	pid = hog->pid;
	live_equal("status of the hog", live_wait(hog)->status, KILLED);
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
	/* pages of its files are taken away until the last moment */
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
	doc = the_report(oom);
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
	assert_non_null(strstr(live_str(doc, "sentence"), "and 3 others were killed because cgroup "));
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
