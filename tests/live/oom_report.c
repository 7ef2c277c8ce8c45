// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * memblame oom: reports of kills in a memory cgroup of the test's own, each figure against the kernel's log
 * of the same kill, whose fault it was against what the workload did, and what is kept on disk.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmsg.h"
#include "live.h"
#include "sandbox.h"

#define MIB (1ll << 20)
#define LIMIT (64 * MIB)
#define KILLED 137 /* 128 + SIGKILL */

static struct sandbox_cgroup cg;
static struct sandbox_fs fs;
static char *state_dir;
static int log_fd = -1;

/*
 * Other threads of a victim go on between the event and the kernel's line. Each may make page tables, and
 * before Linux 6.2 put the 64 changes that it keeps to itself where all see them.
 */
static long long threads;

static long long tables_slack(void)
{
	return threads * 2 * sysconf(_SC_PAGESIZE);
}

static long long rss_slack(void)
{
	return kmsg_slack() + threads * 64 * sysconf(_SC_PAGESIZE);
}

static void open_sandbox(void)
{
	const char *reason = sandbox_cgroup_open(&cg, LIMIT);
	static int n;

	if (reason)
		live_skip("%s", reason);
	log_fd = sandbox_kmsg_open();
	if (log_fd < 0)
		live_skip("/dev/kmsg cannot be read");
	setenv("WORKLOAD_CGROUP", cg.dir, 1);
	assert_true(asprintf(&state_dir, "%s/state%d", live_tmp(), n++) > 0);
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("WORKLOAD_CGROUP");
	if (log_fd >= 0)
		close(log_fd);
	log_fd = -1;
	if (cg.dir[0])
		sandbox_cgroup_close(&cg);
	if (fs.dir[0])
		sandbox_fs_close(&fs);
	cg.dir[0] = fs.dir[0] = '\0';
	free(state_dir);
	state_dir = NULL;
	threads = 0;
	return 0;
}

static struct live_bg *start_oom(void)
{
	return live_start(LIVE_ARGV("oom", "--json", "--state-dir", state_dir));
}

/* A process that has taken memory in the cgroup, and offers itself; its input keeps it there. */
struct holder {
	struct live_bg *bg;
	char fifo[256];
	int input;
	pid_t pid;
};

static struct holder start_holder(const char *mib, const char *adj)
{
	static int n;
	struct holder h;
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

static void end_holder(struct holder *h, int status)
{
	struct live_result *r;

	close(h->input);
	r = live_wait(h->bg);
	live_equal("status of the holder", r->status, status);
	live_result_free(r);
	unlink(h->fifo);
}

static int run_hog(const char *mib, const char *mode, pid_t *pid)
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
 * The reports so far of kills in this test's cgroup: there may be others on the machine. The last line may be
 * half written.
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
		if (json_is_string(cgroup) && !strcmp(json_string_value(cgroup), cg.path))
			json_array_append(all, doc);
		json_decref(doc);
	}
	free(text);
	return all;
}

/* Wait for so many of them at least, and stop memblame. */
static json_t *some_reports(struct live_bg *oom, size_t n)
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
	usleep(50000); /* for one too many */
	json_decref(all);
	/* its output goes when it is waited for */
	all = own_reports(path);
	r = live_stop(oom);
	live_equal("status of oom", r->status, 0);
	live_result_free(r);
	if (json_array_size(all) < n)
		live_fail("%zu reports, want %zu", json_array_size(all), n);
	return all;
}

static json_t *reports(struct live_bg *oom, size_t n)
{
	json_t *all = some_reports(oom, n);

	live_equal("reports", (long long)json_array_size(all), (long long)n);
	return all;
}

/* A report that its own log is about: the right figures, each beside the kernel's. */
static void assert_as_logged(json_t *doc, const struct kmsg_kill *k)
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
	/* what the kernel chose by is what the first one of them has */
	live_near("badness", live_int(json_array_get(live_get(doc, "tasks"), 0), "badness_pages"),
		  live_int(doc, "chosen_badness_pages"), (3 * rss_slack() + tables_slack()) / page);
}

static void assert_memcg(json_t *doc, const struct kmsg_kill *k)
{
	assert_string_equal(live_str(doc, "memcg.path"), cg.path);
	assert_string_equal(live_str(doc, "victim.cgroup"), cg.path);
	live_equal("version", live_int(doc, "memcg.version"), cg.v2 ? 2 : 1);
	live_equal("limit_bytes", live_int(doc, "memcg.limit_bytes"), LIMIT);
	if (!k->whole)
		return;
	assert_string_equal(k->memcg, cg.path);
	/* others charge it meanwhile, a batch of 64 pages at a time */
	live_near("usage_bytes", live_int(doc, "memcg.usage_bytes"), k->usage, 64 * 4096 * 2);
	live_equal("limit", k->limit, LIMIT);
	assert_true(live_int(doc, cg.v2 ? "memcg.stat.anon" : "memcg.stat.total_rss") > 0);
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

static void assert_lines(json_t *doc, const struct kmsg_kill *k)
{
	json_t *line;
	size_t i, n = 0;

	json_array_foreach(live_get(doc, "kernel_log"), i, line)
		n += kmsg_has_line(k, json_string_value(line));
	/* all that are there are the kernel's, of this kill; the victim's line is one of them */
	live_equal("lines", (long long)n, (long long)json_array_size(live_get(doc, "kernel_log")));
	assert_true(n >= 1);
}

static void assert_sentence(json_t *doc, const char *part)
{
	if (!strstr(live_str(doc, "sentence"), part))
		live_fail("no \"%s\" in: %s", part, live_str(doc, "sentence"));
}

/* ---- who did it ---- */

static void test_own_growth(void **state)
{
	struct live_bg *oom;
	struct kmsg_kill k;
	json_t *all, *doc;
	char part[320];
	pid_t pid;

	(void)state;
	open_sandbox();
	oom = start_oom();
	live_equal("status of the hog", run_hog("128", "anon", &pid), KILLED);
	k = kmsg_kill(log_fd, pid);
	all = reports(oom, 1);
	doc = json_array_get(all, 0);
	assert_as_logged(doc, &k);
	assert_memcg(doc, &k);
	assert_lines(doc, &k);
	live_equal("trigger.pid", live_int(doc, "trigger.pid"), pid);
	live_equal("victims", (long long)json_array_size(live_get(doc, "victims")), 1);
	assert_false(live_bool(doc, "was_ending"));
	assert_string_equal(live_str(doc, "victim.exe"), live_workload("memhog"));
	assert_true(has_frame(live_get(doc, "trigger.kernel_stack"), "out_of_memory+"));
	/* where an emulator is slow, the victim may be gone before its map is read: then it is an address */
	if (!has_frame(live_get(doc, "trigger.user_stack"), "memhog+") &&
	    !(live_emulated() && has_frame(live_get(doc, "trigger.user_stack"), "0x")))
		live_fail("trigger's code is at %s", json_dumps(live_get(doc, "trigger.user_stack"), JSON_ENCODE_ANY));
	/* its own growth, nobody else was there */
	assert_string_equal(live_str(doc, "culprit.verdict"), "clear");
	live_equal("culprit", live_int(doc, "culprit.pid"), pid);
	live_near("growth_bytes", live_int(doc, "culprit.growth_bytes"), LIMIT, LIMIT / 10);
	snprintf(part, sizeof(part), "memhog (pid %d, %s) was killed because cgroup %s reached its limit of "
		 "64.0 MiB; the growth was its own (+", (int)pid, cg.path, cg.path);
	assert_sentence(doc, part);
	live_equal("lost", live_lost(doc), 0);
	json_decref(all);
	kmsg_free(&k);
}

/* One is there and does nothing; another takes what is left. The kernel prefers the first. */
static void test_victim_is_not_culprit(void **state)
{
	struct live_bg *oom, *grower;
	struct holder holder;
	json_t *all, *doc, *points;
	char part[160], *script, fifo[256];
	struct kmsg_kill k;
	struct live_result *r;
	int input;

	(void)state;
	open_sandbox();
	holder = start_holder("30", "1000");
	oom = start_oom();
	usleep(2500000); /* some of its history is without growth */
	snprintf(fifo, sizeof(fifo), "%s/grower", live_tmp());
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_true(asprintf(&script, "exec %s 50 creep <%s", live_workload("memhog"), fifo) > 0);
	grower = live_spawn(LIVE_ARGV("sh", "-c", script));
	input = open(fifo, O_WRONLY | O_CLOEXEC);
	k = kmsg_kill(log_fd, holder.pid);
	/* where the kernel is slow to free what the first one had, it kills the second one too */
	all = some_reports(oom, 1);
	doc = json_array_get(all, 0);
	assert_as_logged(doc, &k);
	assert_memcg(doc, &k);
	live_equal("victim", live_int(doc, "victim.pid"), holder.pid);
	live_equal("trigger", live_int(doc, "trigger.pid"), grower->pid);
	live_equal("culprit", live_int(doc, "culprit.pid"), grower->pid);
	/* it took what the holder had left */
	live_near("growth_bytes", live_int(doc, "culprit.growth_bytes"), LIMIT - 30 * MIB, 4 * MIB);
	snprintf(part, sizeof(part), "the growth came from memhog (pid %d, +", (int)grower->pid);
	assert_sentence(doc, part);
	assert_sentence(doc, "), not from the victim.");
	live_equal("first grower", live_int(json_array_get(live_get(doc, "history.growers"), 0), "pid"),
		   grower->pid);
	points = live_get(json_array_get(live_get(doc, "history.growers"), 0), "points");
	assert_true(json_array_size(points) >= 1);
	assert_true(json_array_size(live_get(doc, "history.faults_per_s")) >= 1);
	json_decref(all);
	end_holder(&holder, KILLED);
	usleep(200000);
	close(input);
	r = live_wait(grower);
	live_equal("status of the grower", r->status, sandbox_cgroup_oom_kills(&cg) == 1 ? 0 : KILLED);
	live_result_free(r);
	unlink(fifo);
	free(script);
	kmsg_free(&k);
}

/* Each takes little, all of them together too much. */
static void test_many_small(void **state)
{
	struct holder small[40];
	struct live_bg *oom;
	int n = 0;
	json_t *all, *doc;

	(void)state;
	open_sandbox();
	oom = start_oom();
	/* the kernel's own memory of each counts, too: how many there is room for depends on that */
	while (n < 40 && !sandbox_cgroup_oom_kills(&cg)) {
		static char script[512];

		snprintf(small[n].fifo, sizeof(small[n].fifo), "%s/small%d", live_tmp(), n);
		assert_int_equal(mkfifo(small[n].fifo, 0600), 0);
		snprintf(script, sizeof(script), "exec %s 4 hold <%s", live_workload("memhog"), small[n].fifo);
		small[n].bg = live_spawn(LIVE_ARGV("sh", "-c", script));
		small[n].input = open(small[n].fifo, O_WRONLY | O_CLOEXEC);
		for (int i = 0; i < 500 && !sandbox_cgroup_oom_kills(&cg); i++) {
			char *err = live_slurp(small[n].bg->err_path, NULL);
			bool ready = strstr(err, "ready");

			free(err);
			if (ready)
				break;
			usleep(5000);
		}
		n++;
	}
	/* what one had is soon taken by the others: it may not be the only one */
	all = some_reports(oom, 1);
	doc = json_array_get(all, 0);
	assert_string_equal(live_str(doc, "culprit.verdict"), "clear");
	assert_string_equal(live_str(doc, "culprit.comm"), "memhog");
	assert_true(json_is_null(live_get(doc, "culprit.pid")));
	/* the last one may not have got anything yet */
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

/* What fills the memory is files of a tmpfs: no process has it. */
static void test_not_processes(void **state)
{
	struct live_bg *oom;
	json_t *all, *doc;
	char *script;

	(void)state;
	open_sandbox();
	if (sandbox_tmpfs_open(&fs))
		live_skip("no tmpfs");
	unsetenv("WORKLOAD_CGROUP");
	oom = start_oom();
	assert_true(asprintf(&script, "echo $$ >%s/cgroup.procs; exec dd if=/dev/zero of=%s/file bs=64k count=2000",
			     cg.dir, fs.dir) > 0);
	live_equal("status of dd", live_exec(LIVE_ARGV("sh", "-c", script), NULL)->status, KILLED);
	all = reports(oom, 1);
	doc = json_array_get(all, 0);
	assert_string_equal(live_str(doc, "victim.comm"), "dd");
	assert_string_equal(live_str(doc, "culprit.verdict"), "not processes");
	assert_sentence(doc, "the rest is files, shared or kernel memory");
	json_decref(all);
	free(script);
}

/* ---- whom ---- */

static void test_threads(void **state)
{
	struct live_bg *oom, *bg;
	struct kmsg_kill k;
	json_t *all, *doc;
	pid_t pid;

	(void)state;
	open_sandbox();
	oom = start_oom();
	bg = live_spawn(LIVE_ARGV(live_workload("faulter"), "threads", "16", "4096"));
	pid = bg->pid;
	live_result_free(live_wait(bg));
	k = kmsg_kill(log_fd, pid);
	all = reports(oom, 1);
	doc = json_array_get(all, 0);
	threads = 17;
	assert_as_logged(doc, &k);
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
	open_sandbox();
	r = live_exec(LIVE_ARGV("unshare", "-p", "-f", "true"), NULL);
	if (r->status)
		live_skip("no pid namespaces here: %s", r->err);
	live_result_free(r);
	oom = start_oom();
	live_result_free(live_exec(LIVE_ARGV("unshare", "-p", "-f", live_workload("memhog"), "128", "anon"),
				   NULL));
	all = reports(oom, 1);
	doc = json_array_get(all, 0);
	/* its first process */
	live_equal("ns_pid", live_int(doc, "victim.ns_pid"), 1);
	assert_true(live_int(doc, "victim.pid") > 1);
	assert_string_equal(live_str(doc, "victim.comm"), "memhog");
	json_decref(all);
}

/* Is the machine itself short of memory? Then every SIGKILL counts (docs/families/oom.md). */
static bool machine_is_short(void)
{
	char *text = access("/proc/pressure/memory", R_OK) ? strdup("some avg10=0.00") :
							      live_slurp("/proc/pressure/memory", NULL);
	double avg10 = 100;

	sscanf(text, "some avg10=%lf", &avg10);
	free(text);
	return avg10 > 5;
}

/* A process kills another while its cgroup is full; and one for which there is plenty. */
static void test_killed_by_a_process(void **state)
{
	struct holder holder;
	struct live_result *r;
	struct live_bg *oom;
	json_t *all, *doc;
	char *script;

	(void)state;
	open_sandbox();
	holder = start_holder("60", "0");
	for (int i = 0; i < 60 && machine_is_short(); i++) /* the tests before this one have made it so */
		sleep(1);
	oom = start_oom();
	r = live_exec(LIVE_ARGV("sh", "-c", "sleep 60 & kill -9 $!; wait"), NULL);
	live_result_free(r);
	assert_true(asprintf(&script, "kill -9 %d; :", (int)holder.pid) > 0);
	unsetenv("WORKLOAD_CGROUP");
	r = live_exec(LIVE_ARGV("sh", "-c", script), NULL);
	live_equal("status of the killer", r->status, 0);
	live_result_free(r);
	all = reports(oom, 1);
	doc = json_array_get(all, 0);
	assert_string_equal(live_str(doc, "origin"), "process");
	assert_true(live_null(doc, "constraint"));
	assert_string_equal(live_str(doc, "trigger.comm"), "sh");
	live_equal("victim", live_int(doc, "victim.pid"), holder.pid);
	assert_string_equal(live_str(doc, "memcg.path"), cg.path);
	assert_sentence(doc, "killed by sh (pid ");
	assert_sentence(doc, ", not by the kernel.");
	json_decref(all);
	end_holder(&holder, KILLED);
	free(script);
}

/* ---- never missed ---- */

/* One kill after the other, as fast as it goes, while others fault as fast as they can. */
static void test_storm(void **state)
{
	const int n = live_emulated() ? 12 : 50;
	struct live_bg *oom, *storm;
	json_t *all, *doc;
	char *script;
	long long last = 0;
	size_t i;

	(void)state;
	open_sandbox();
	oom = start_oom();
	unsetenv("WORKLOAD_CGROUP");
	storm = live_spawn(LIVE_ARGV(live_workload("faulter"), "storm", "2", "60s"));
	assert_true(asprintf(&script, "echo $$ >%s/cgroup.procs; i=0; while [ $i -lt %d ]; do %s 128 anon; "
			     "i=$((i+1)); done; exit 0", cg.dir, n, live_workload("memhog")) > 0);
	live_result_free(live_exec(LIVE_ARGV("sh", "-c", script), NULL));
	kill(storm->pid, SIGKILL);
	live_result_free(live_wait(storm));
	live_equal("the kernel's own count", sandbox_cgroup_oom_kills(&cg), n);
	all = reports(oom, (size_t)n);
	json_array_foreach(all, i, doc) {
		struct kmsg_kill k = kmsg_kill(log_fd, (pid_t)live_int(doc, "victim.pid"));

		assert_as_logged(doc, &k);
		assert_lines(doc, &k);
		assert_true(live_int(doc, "t_ns") > last);
		last = live_int(doc, "t_ns");
		kmsg_free(&k);
	}
	json_decref(all);
	free(script);
}

/* ---- kept ---- */

static char *kept(const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/oom/%s", state_dir, name) > 0);
	return path;
}

static struct live_result *read_back(const char *what, const char *number, const char *json)
{
	const char *args[8] = { "oom", what };
	int n = 2;

	if (number)
		args[n++] = number;
	args[n++] = "--state-dir";
	args[n++] = state_dir;
	args[n] = json;
	return live_memblame(args);
}

/* memblame is killed as soon as the report is there: it stays. */
static void test_kept(void **state)
{
	char *json, *text, *folder;
	struct live_result *r;
	struct live_bg *oom;
	struct stat st;
	json_t *doc;
	pid_t pid;

	(void)state;
	open_sandbox();
	json = kept("000001.json");
	text = kept("000001.txt");
	folder = kept("");
	oom = start_oom();
	live_equal("status of the hog", run_hog("128", "anon", &pid), KILLED);
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

/* No room for reports: they are shown, and what is lost is said. */
static void test_disk_full(void **state)
{
	struct live_result *r;
	struct live_bg *oom;
	json_t *doc;
	char *fill;
	pid_t pid;

	(void)state;
	open_sandbox();
	if (sandbox_fs_open(&fs, 16, 0))
		live_skip("no small file system");
	free(state_dir);
	state_dir = strdup(fs.dir);
	oom = start_oom();
	assert_true(asprintf(&fill, "of=%s/fill", fs.dir) > 0);
	unsetenv("WORKLOAD_CGROUP");
	live_result_free(live_exec(LIVE_ARGV("dd", "if=/dev/zero", "bs=4k", fill), NULL));
	setenv("WORKLOAD_CGROUP", cg.dir, 1);
	live_equal("status of the hog", run_hog("128", "anon", &pid), KILLED);
	assert_true(live_wait_text(oom->out_path, "\"oom\""));
	r = live_stop(oom);
	live_equal("status of oom", r->status, 1);
	assert_non_null(strstr(r->err, "could not be kept"));
	/* the report, and the error */
	assert_non_null(strstr(r->out, "\n{\"schema\":1,\"kind\":\"error\""));
	*strchr(r->out, '\n') = '\0';
	doc = live_json(r->out);
	live_equal("victim", live_int(doc, "victim.pid"), pid);
	json_decref(doc);
	live_result_free(r);
	free(fill);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_own_growth),
		TEST(test_victim_is_not_culprit),
		TEST(test_many_small),
		TEST(test_not_processes),
		TEST(test_threads),
		TEST(test_pid_namespace),
		TEST(test_killed_by_a_process),
		TEST(test_storm),
		TEST(test_kept),
		TEST(test_disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
