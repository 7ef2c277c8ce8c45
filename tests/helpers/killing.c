// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Shared code for the tests of OOM kill reports. */
#include "killing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sandbox_cgroup killing_cgroup;
struct sandbox_fs killing_fs;
char *killing_state_dir;
int killing_log = -1;

long long killing_threads;

static long long tables_slack(void)
{
	return killing_threads * 2 * sysconf(_SC_PAGESIZE);
}

static long long rss_slack(void)
{
	return kmsg_slack() + killing_threads * 64 * sysconf(_SC_PAGESIZE);
}

void killing_open(void)
{
	const char *reason = sandbox_cgroup_open(&killing_cgroup, KILLING_LIMIT);
	static int n;

	if (reason)
		live_skip("%s", reason);
	killing_log = sandbox_kmsg_open();
	if (killing_log < 0)
		live_skip("/dev/kmsg cannot be read");
	setenv("WORKLOAD_CGROUP", killing_cgroup.dir, 1);
	assert_true(asprintf(&killing_state_dir, "%s/state%d", live_tmp(), n++) > 0);
}

int killing_close(void **state)
{
	(void)state;
	unsetenv("WORKLOAD_CGROUP");
	if (killing_log >= 0)
		close(killing_log);
	killing_log = -1;
	if (killing_cgroup.dir[0])
		sandbox_cgroup_close(&killing_cgroup);
	if (killing_fs.dir[0])
		sandbox_fs_close(&killing_fs);
	killing_cgroup.dir[0] = killing_fs.dir[0] = '\0';
	free(killing_state_dir);
	killing_state_dir = NULL;
	killing_threads = 0;
	return 0;
}

struct live_bg *killing_start(void)
{
	return killing_start_in(killing_state_dir);
}

struct live_bg *killing_start_in(const char *state_dir)
{
	const char *families = getenv("LIVE_FAMILIES");

	if (families && *families)
		return live_start(LIVE_ARGV("oom", "--json", "--state-dir", state_dir, "-f", families));
	return live_start(LIVE_ARGV("oom", "--json", "--state-dir", state_dir));
}


struct killing_holder killing_hold(const char *mib, const char *adj)
{
	static int n;
	struct killing_holder h;
	char *script;

	snprintf(h.fifo, sizeof(h.fifo), "%s/holder%d", live_tmp(), n++);
	assert_int_equal(mkfifo(h.fifo, 0600), 0);
	assert_true(asprintf(&script, "echo %s >/proc/self/oom_score_adj; exec %s %s hold <%s", adj,
			     live_workload("memhog"), mib, h.fifo) > 0);
	h.bg = live_spawn(LIVE_ARGV("sh", "-c", script));
	h.input = open(h.fifo, O_WRONLY | O_CLOEXEC);
	h.pid = h.bg->pid;
	free(script);
	if (!live_wait_text(h.bg->err_path, "ready"))
		live_fail("the holder is not ready");
	return h;
}

void killing_end_holder(struct killing_holder *h, int status)
{
	struct live_result *r;

	close(h->input);
	r = live_wait(h->bg);
	live_equal("status of the holder", r->status, status);
	live_result_free(r);
	unlink(h->fifo);
}

int killing_hog(const char *mib, const char *mode, pid_t *pid)
{
	struct live_bg *bg = live_spawn(LIVE_ARGV(live_workload("memhog"), mib, mode));
	struct live_result *r;
	int status;

	*pid = bg->pid;
	r = live_wait(bg);
	status = r->status;
	live_result_free(r);
	return status;
}

/*
 * The reports so far about kills in this test's cgroup; the machine may have other kills. The last line may
 * be incomplete.
 */
static json_t *own_reports(const char *path)
{
	json_t *all = json_array();
	char *text = live_slurp(path, NULL), *line = text, *end;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		const json_t *cgroup;
		json_t *doc;

		*end = '\0';
		doc = live_json(line);
		cgroup = live_get(doc, "victim.cgroup");
		killing_assert_adds_up(doc);
		if (json_is_string(cgroup) && !strcmp(json_string_value(cgroup), killing_cgroup.path))
			json_array_append(all, doc);
		json_decref(doc);
	}
	free(text);
	return all;
}

/* Waits for at least n reports, and stops memblame. */
json_t *killing_some_reports(struct live_bg *oom, size_t n)
{
	struct live_result *r;
	json_t *all = NULL;
	char path[256];

	snprintf(path, sizeof(path), "%s", oom->out_path);
	for (int tries = 0; tries < 1000; tries++) {
		json_decref(all);
		all = own_reports(path);
		if (json_array_size(all) >= n)
			break;
		usleep(10000);
	}
	usleep(50000); /* time for an excess report to appear */
	json_decref(all);
	/* live_stop() removes the output file, so read it before */
	all = own_reports(path);
	r = live_stop(oom);
	live_equal("status of oom", r->status, 0);
	live_result_free(r);
	if (json_array_size(all) < n)
		live_fail("%zu reports, want %zu", json_array_size(all), n);
	return all;
}

json_t *killing_reports(struct live_bg *oom, size_t n)
{
	json_t *all = killing_some_reports(oom, n);

	live_equal("reports", (long long)json_array_size(all), (long long)n);
	return all;
}

static long long number_or_zero(json_t *object, const char *name)
{
	json_t *v = json_object_get(object, name);

	if (!v)
		live_fail("no %s", name);
	return json_is_integer(v) ? json_integer_value(v) : 0;
}

/*
 * Checks that the kinds of a split add up to the usage, and that no kind has grown by more than its size (for
 * anon, its size plus swap).
 */
static long long assert_split(json_t *split, long long *growth)
{
	static const char *const kinds[] = { "anon_bytes",	   "file_bytes", "shmem_bytes",	  "page_tables_bytes",
					     "kernel_stack_bytes", "slab_bytes", "sock_bytes",	  "hugetlb_bytes",
					     "kernel_bytes",	   "unaccounted_bytes" };
	json_t *grown = json_object_get(split, "growth");
	long long sum = 0, swap = number_or_zero(split, "swap_bytes");

	*growth = 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		long long has = number_or_zero(split, kinds[i]);
		long long more = json_is_object(grown) ? number_or_zero(grown, kinds[i]) : 0;

		sum += has;
		*growth += more > 0 ? more : 0;
		if (more > has + (i ? 0 : swap))
			live_fail("%s has grown by %lld, and has %lld", kinds[i], more, has);
	}
	live_equal("sum of the kinds", sum, number_or_zero(split, "usage_bytes"));
	return sum + swap;
}

/*
 * The usage of the memory cgroup when its kinds were logged. The one of the kill's event is from before that: in an
 * emulator that stands still in between, the cgroup has charged some MiB more by then.
 */
static long long logged_usage(json_t *doc)
{
	long long usage = live_int(doc, "memcg.usage_bytes"), logged;
	json_t *line;
	size_t i;

	json_array_foreach(live_get(doc, "kernel_log"), i, line) {
		if (kmsg_memcg_usage(json_string_value(line), &logged))
			return logged > usage ? logged : usage;
	}
	return usage;
}

void killing_assert_adds_up(json_t *doc)
{
	json_t *memcg = live_get(doc, "memcg"), *culprit = live_get(doc, "culprit"), *grower;
	json_t *split = json_object_get(json_is_object(memcg) ? memcg : live_get(doc, "memory"), "split");
	const char *verdict = json_is_object(culprit) ? live_str(doc, "culprit.verdict") : "";
	long long all, growth, named;
	size_t i;

	if (!json_is_object(split)) {
		assert_true(!*verdict || !strcmp(verdict, "unknown"));
		return;
	}
	all = assert_split(split, &growth);
	/* the kernel counts the kinds in batches, so their sum may slightly exceed the usage */
	if (json_is_object(memcg) && live_int(split, "usage_bytes") > logged_usage(doc) + 4 * MIB)
		live_fail("split of %lld, usage of %lld", live_int(split, "usage_bytes"), logged_usage(doc));
	if (json_is_object(memcg) && json_is_integer(live_get(doc, "memcg.limit_bytes")) &&
	    all - number_or_zero(split, "swap_bytes") > live_int(doc, "memcg.limit_bytes") * 9 / 8 + 4 * MIB)
		live_fail("%lld is more than the limit", all);
	if (!*verdict)
		return;
	named = live_int(doc, "culprit.growth_bytes");
	live_equal("all growth", live_int(doc, "culprit.all_growth_bytes"), growth);
	if (named < 0 || named > growth || growth > all)
		live_fail("growth of %lld, %lld in all, of %lld", named, growth, all);
	if ((!strcmp(verdict, "clear") || !strcmp(verdict, "not processes")) && named * 2 <= growth)
		live_fail("%s, but %lld of %lld", verdict, named, growth);
	json_array_foreach(live_get(doc, "history.growers"), i, grower)
		if (live_int(grower, "growth_bytes") > all)
			live_fail("a process grew by more than %lld", all);
}

/* Checks the figures of a report with a kernel log: each must agree with the kernel's figure. */
void killing_assert_logged(json_t *doc, const struct kmsg_kill *k)
{
	const long long page = sysconf(_SC_PAGESIZE);
	json_t *task;
	size_t i;

	assert_string_equal(live_str(doc, "kind"), "oom");
	assert_string_equal(live_str(doc, "origin"), "kernel");
	assert_string_equal(live_str(doc, "constraint"), "memcg");
	live_equal("victim.pid", live_int(doc, "victim.pid"), k->pid);
	assert_string_equal(live_str(doc, "victim.comm"), k->comm);
	live_equal("victim.uid", live_int(doc, "victim.uid"), k->uid);
	live_equal("victim.oom_score_adj", live_int(doc, "victim.oom_score_adj"), k->adj);
	live_equal("victim.total_vm_bytes", live_int(doc, "victim.total_vm_bytes"), k->total_vm);
	live_near("victim.anon_rss_bytes", live_int(doc, "victim.anon_rss_bytes"), k->anon, rss_slack());
	live_near("victim.file_rss_bytes", live_int(doc, "victim.file_rss_bytes"), k->file, rss_slack());
	live_near("victim.shmem_rss_bytes", live_int(doc, "victim.shmem_rss_bytes"), k->shmem, rss_slack());
	live_near("victim.pgtables_bytes", live_int(doc, "victim.pgtables_bytes"), k->pgtables, tables_slack());
	if (!k->whole)
		return;
	assert_string_equal(live_str(doc, "constraint"), k->constraint);
	assert_string_equal(live_str(doc, "trigger.comm"), k->trigger_comm);
	live_equal("gfp_mask", live_int(doc, "trigger.gfp_mask"), k->gfp_mask);
	kmsg_assert_same_flags(live_str(doc, "trigger.gfp"), k->gfp);
	live_equal("order", live_int(doc, "trigger.order"), k->order);
	live_equal("tasks", (long long)json_array_size(live_get(doc, "tasks")), (long long)k->n_tasks);
	json_array_foreach(live_get(doc, "tasks"), i, task) {
		const struct kmsg_task *t = kmsg_task(k, live_int(task, "pid"));

		assert_string_equal(live_str(task, "comm"), t->comm);
		live_equal("uid", live_int(task, "uid"), t->uid);
		live_equal("total_vm_bytes", live_int(task, "total_vm_bytes"), t->total_vm * page);
		live_near("rss_bytes", live_int(task, "rss_bytes"), t->rss * page, 3 * rss_slack());
		live_near("pgtables_bytes", live_int(task, "pgtables_bytes"), t->pgtables, tables_slack());
		live_equal("swap_bytes", live_int(task, "swap_bytes"), t->swap * page);
		live_equal("oom_score_adj", live_int(task, "oom_score_adj"), t->adj);
	}
	/* the kernel chose the first task, so the task's badness is that of the choice */
	live_near("badness", live_int(json_array_get(live_get(doc, "tasks"), 0), "badness_pages"),
		  live_int(doc, "chosen_badness_pages"), (3 * rss_slack() + tables_slack()) / page);
}

void killing_assert_lines(json_t *doc, const struct kmsg_kill *k)
{
	json_t *line;
	size_t i, n = 0;

	json_array_foreach(live_get(doc, "kernel_log"), i, line)
		n += kmsg_has_line(k, json_string_value(line));
	/* every log line in the report comes from the kernel's log of this kill; the victim's line is one of them */
	live_equal("lines", (long long)n, (long long)json_array_size(live_get(doc, "kernel_log")));
	assert_true(n >= 1);
}
