// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* task: which processes are seen, and that their accounts match the kernel's to the last fault. */
#include "live.h"
#include "scripted_workload.h"
#include "sandbox.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096L

/* --- helpers for runs --- */

static long long fault(const json_t *process, const char *name)
{
	return live_int(live_get(process, "faults"), name);
}

static struct live_run *run_ok(const char *const *cmd)
{
	struct live_run *run = live_run(NULL, cmd);

	if (run->result->status)
		live_fail("%s: status %d, %s", cmd[0], run->result->status, run->result->err);
	live_equal("lost", live_lost_faults(run->summary), 0);
	return run;
}

static const json_t *own_process(const struct live_run *run)
{
	assert_non_null(run->workload);
	return live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
}

static int count_pid(const json_t *summary, pid_t pid)
{
	json_t *process;
	size_t i;
	int count = 0;

	json_array_foreach(live_get(summary, "processes"), i, process)
		count += live_int(process, "pid") == pid;
	return count;
}

static int count_comm(const json_t *summary, const char *comm)
{
	json_t *process;
	size_t i;
	int count = 0;

	json_array_foreach(live_get(summary, "processes"), i, process)
		count += !strcmp(live_str(process, "comm"), comm);
	return count;
}

/* Checks the n processes of proctree's list against the faults and the status that wait4 returned for each. */
static void check_children(const struct live_run *run, const char *detail, long n)
{
	FILE *file = fopen(detail, "r");
	long minor, major, seen = 0;
	int pid, status;

	assert_non_null(file);
	while (fscanf(file, "%d %ld %ld %d", &pid, &minor, &major, &status) == 4) {
		const json_t *child = live_process(run->summary, pid);

		seen++;
		live_equal("minor of a child", fault(child, "minor"), minor);
		live_equal("major of a child", fault(child, "major"), major);
		live_equal("exit code", live_int(child, "exit_code"), WEXITSTATUS(status));
		live_equal("ppid", live_int(child, "ppid"), live_int(run->workload, "pid"));
		assert_true(live_bool(child, "exited"));
		assert_string_equal(live_str(child, "comm"), "proctree");
		assert_string_equal(live_str(child, "exe"), live_workload("proctree"));
	}
	fclose(file);
	unlink(detail);
	live_equal("children listed", seen, n);
	live_equal("processes", (long long)json_array_size(live_get(run->summary, "processes")),
		   n + 1);
}

static void short_processes(const char *mode, const char *at_once)
{
	const char *detail = live_path("children");
	struct live_run *run;

	setenv("WORKLOAD_DETAIL", detail, 1);
	run = run_ok((const char *[]){ live_workload("proctree"), mode, "1000", at_once, NULL });
	unsetenv("WORKLOAD_DETAIL");
	check_children(run, detail, 1000);
	/* the parent's own faults, without the children's */
	live_equal("minor of the parent", fault(own_process(run), "minor"),
		   live_int(run->workload, "minflt"));
	live_run_free(run);
}

static void test_short_processes(void **state)
{
	(void)state;
	short_processes("short", NULL);
}

static void test_short_processes_at_once(void **state)
{
	(void)state;
	short_processes("shortpar", "16");
}

/*
 * With more processes than there is room for, the sum over all rows must still equal wait4's total: live,
 * recorded, and in a replay.
 */
static void check_sum(const json_t *summary, const json_t *workload, long n)
{
	long long minor = 0, major = 0, causes = 0, processes = 0, rows = 0;
	json_t *p;
	size_t i;

	live_equal("lost", live_lost_faults(summary), 0); /* first: it explains the rest */
	json_array_foreach(live_get(summary, "processes"), i, p) {
		bool row = live_null(p, "pid");
		const char *cause;
		json_t *v;

		minor += fault(p, "minor");
		major += fault(p, "major");
		json_object_foreach(live_get(p, "faults"), cause, v)
			causes += json_is_integer(v) && !strstr("minor major user kernel read write exec", cause) ?
					  json_integer_value(v) :
					  0;
		processes += row ? live_int(p, "ended_processes") : 1;
		rows += row;
		if (row)
			assert_string_equal(live_str(p, "comm"), "proctree (ended)");
	}
	live_equal("minor", minor, live_int(workload, "minflt") + live_int(workload, "wait4_minflt"));
	live_equal("major", major, live_int(workload, "majflt") + live_int(workload, "wait4_majflt"));
	live_equal("causes", causes, minor + major);
	live_equal("processes", processes, n + 1);
	live_equal("rows of ended ones", rows, 1);
}

static void many_processes(const char *number)
{
	struct live_run *run = run_ok(LIVE_ARGV(live_workload("proctree"), "shortpar", number, "8"));

	check_sum(run->summary, run->workload, atol(number));
	live_run_free(run);
}

static void test_more_processes_than_room(void **state)
{
	(void)state;
	many_processes(live_emulated() ? "8500" : "12000");
	if (!live_emulated())
		many_processes("20000");
}

static void test_more_processes_than_room_recorded(void **state)
{
	const char *path = live_path("many.db"), *end;
	struct live_result *r;
	json_t *workload, *summary;

	(void)state;
	r = live_memblame(LIVE_ARGV("record", "--raw", "-o", path, "--", live_workload("proctree"), "shortpar",
				    live_emulated() ? "8500" : "10000", "8"));
	live_equal("status", r->status, 0);
	end = strchr(r->out, '\n');
	assert_non_null(end);
	r->out[end - r->out] = '\0';
	workload = live_json(r->out);
	for (int again = 0; again < 2; again++) {
		struct live_result *shown = live_memblame(again ? LIVE_ARGV("replay", path, "run", "--json") :
								  LIVE_ARGV("report", "--json", path));

		summary = live_json(shown->out);
		check_sum(summary, workload, live_emulated() ? 8500 : 10000);
		json_decref(summary);
		live_result_free(shown);
	}
	json_decref(workload);
	live_result_free(r);
	unlink(path);
}

/* top -p of an idle process has the process's row in each interval and in the total. */
static void test_idle_process(void **state)
{
	struct scripted *p = scripted_new();
	struct live_result *r = live_memblame(LIVE_ARGV("top", "-p", p->text, "-d", "2", "--json"));
	char *save = NULL;
	int lines = 0;

	(void)state;
	live_equal("status", r->status, 0);
	for (char *line = strtok_r(r->out, "\n", &save); line; line = strtok_r(NULL, "\n", &save), lines++) {
		json_t *j = live_json(line);
		const json_t *process = live_process(j, p->pid);

		live_equal("minor", fault(process, "minor"), 0);
		assert_true(live_int(process, "memory.rss_bytes") > 0);
		json_decref(j);
	}
	assert_true(lines >= 2);
	live_result_free(r);
	r = live_memblame(LIVE_ARGV("top", "-p", p->text, "-d", "3"));
	lines = 0;
	for (char *at = r->out; (at = strstr(at, p->text)); at++)
		lines++;
	assert_true(lines >= 2);
	live_result_free(r);
	scripted_free(p);
}

/* --- exec, threads --- */

static void check_child(const struct live_run *run, pid_t *pid)
{
	const json_t *child;

	*pid = (pid_t)live_int(run->workload, "child_pid");
	live_equal("entries of the child", count_pid(run->summary, *pid), 1);
	child = live_process(run->summary, *pid);
	live_equal("minor of the child", fault(child, "minor"),
		   live_int(run->workload, "child_minflt"));
	live_equal("major of the child", fault(child, "major"),
		   live_int(run->workload, "child_majflt"));
	assert_true(live_bool(child, "exited"));
	live_equal("exit code of the child", live_int(child, "exit_code"), 0);
	assert_string_equal(live_str(child, "comm"), "proctree");
	live_equal("minor of the parent", fault(own_process(run), "minor"),
		   live_int(run->workload, "minflt"));
}

static void test_exec_chain(void **state)
{
	struct live_run *run = run_ok(LIVE_ARGV(live_workload("proctree"), "exec", "20"));
	long long anon = live_int(run->workload, "child_anon");
	pid_t child;

	(void)state;
	check_child(run, &child);
	/* each of the 20 programs also has a start-up of some twenty pages */
	assert_in_range(fault(live_process(run->summary, child), "anon"), anon, anon + 20 * 48);
	live_run_free(run);
}

/* A thread other than the first execs. It becomes the process; the faults of the other threads still count. */
static void test_exec_from_thread(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct live_run *run = run_ok(LIVE_ARGV(live_workload("proctree"), "threadexec"));
		long long anon = live_int(run->workload, "child_anon");
		pid_t child;

		check_child(run, &child);
		assert_in_range(fault(live_process(run->summary, child), "anon"), anon,
				anon + 8 * 8 + 48);
		live_run_free(run);
	}
}

/* Faults that a thread takes while it ends, after its last reading of its own counters. */
static void test_faults_at_exit(void **state)
{
	(void)state;
	for (int i = live_emulated() ? 3 : 0; i < 5; i++) {
		struct live_run *run =
			run_ok(LIVE_ARGV(live_workload("proctree"), "threadfork", "9", "50"));
		pid_t child;

		check_child(run, &child);
		live_run_free(run);
	}
}

/*
 * A process that nobody has reaped yet when memblame ends: the command, its parent, is gone. Its counters are
 * final all the same.
 */
static void test_zombie(void **state)
{
	const char *path = live_path("zombie");
	struct live_result *r;
	const json_t *zombie;
	json_t *summary;
	char stat[64], comm[32];
	long minor, major;
	FILE *f;
	int pid;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	r = live_memblame(LIVE_ARGV("run", "--json", "--", live_workload("proctree"), "orphan", path));
	live_equal("status", r->status, 0);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	unlink(path);
	snprintf(stat, sizeof(stat), "/proc/%d/stat", pid);
	f = fopen(stat, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d (%31[^)]) Z %*d %*d %*d %*d %*d %*u %ld %*u %ld", comm, &minor, &major), 3);
	fclose(f);
	while (waitpid(-1, NULL, 0) > 0)
		;
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	summary = live_last_json(r->out);
	live_equal("lost", live_lost_faults(summary), 0);
	zombie = live_process(summary, pid);
	live_equal("minor", fault(zombie, "minor"), minor);
	live_equal("major", fault(zombie, "major"), major);
	assert_true(live_bool(zombie, "exited"));
	json_decref(summary);
	live_result_free(r);
}

static void test_many_threads(void **state)
{
	struct live_run *run = run_ok(LIVE_ARGV(live_workload("faulter"), "threads", "64", "300"));
	const json_t *process = own_process(run);

	(void)state;
	live_equal("minor", fault(process, "minor"), live_int(run->workload, "minflt"));
	live_equal("major", fault(process, "major"), live_int(run->workload, "majflt"));
	live_equal("processes", (long long)json_array_size(live_get(run->summary, "processes")), 1);
	live_run_free(run);
}

/*
 * With a hash that is too small for all ledgers, each thread that finds the hash full counts as lost once,
 * and only that thread's faults are missing.
 */
static void test_hash_overflow(void **state)
{
	const int room = 24, threads = 64, touches = 200;
	long long lost = 0, missing;
	struct live_run *run;
	json_t *by;
	size_t i;

	(void)state;
	setenv("MEMBLAME_HOOKS", "task.ledger=hash", 1);
	setenv("MEMBLAME_HASH_LEDGERS", "24", 1);
	run = live_run(NULL, LIVE_ARGV(live_workload("faulter"), "threads", "64", "200"));
	unsetenv("MEMBLAME_HOOKS");
	unsetenv("MEMBLAME_HASH_LEDGERS");
	assert_int_equal(run->result->status, 0);
	json_array_foreach(live_get(run->summary, "lost.by"), i, by) {
		if (!strcmp(live_str(by, "reason"), "no ledger")) {
			assert_string_equal(live_str(by, "family"), "task");
			lost += live_int(by, "count");
		}
	}
	/* a thread that ends early makes room; the first thread needs a ledger itself */
	assert_in_range(lost, 1, threads + 1 - room);
	missing = live_int(run->workload, "minflt") - fault(own_process(run), "minor");
	/* a thread also touches its stack and its thread block */
	assert_in_range(missing, lost * touches, lost * (touches + 8));
	live_run_free(run);
}

/* --- data of a process --- */

static void test_identity(void **state)
{
	struct live_run *run;
	const json_t *shell, *child;
	char script[512], exe[PATH_MAX];

	(void)state;
	snprintf(script, sizeof(script), "%s anon 10; kill -9 $$", live_workload("faulter"));
	run = live_run(NULL, LIVE_ARGV("sh", "-c", script));
	live_equal("status", run->result->status, 137);
	child = own_process(run);
	assert_string_equal(live_str(child, "comm"), "faulter");
	assert_string_equal(live_str(child, "exe"), live_workload("faulter"));
	live_equal("exit code of the child", live_int(child, "exit_code"), 0);
	shell = live_process(run->summary, (pid_t)live_int(child, "ppid"));
	assert_string_equal(live_str(shell, "comm"), "sh");
	assert_non_null(realpath(live_str(shell, "exe"), exe));
	live_equal("exit code of the shell", live_int(shell, "exit_code"), 137);
	assert_true(live_bool(shell, "exited"));
	assert_true(live_int(shell, "start_t_ns") <= live_int(child, "start_t_ns"));
	assert_true(live_int(shell, "start_t_ns") > 0);
	/* memblame itself is not among the processes */
	live_equal("processes", (long long)json_array_size(live_get(run->summary, "processes")), 2);
	live_run_free(run);
	run = live_run(NULL, LIVE_ARGV("sh", "-c", "exit 42"));
	live_equal("status", run->result->status, 42);
	shell = json_array_get(live_get(run->summary, "processes"), 0);
	live_equal("exit code", live_int(shell, "exit_code"), 42);
	live_run_free(run);
}

/*
 * Compares with the kernel's own peak, from getrusage. Both are sums of per-CPU counters, each of which may
 * lag by 32 pages. They are read at different times, with the last lines of the workload in between.
 */
static void test_peak(void **state)
{
	static const char *const pages[] = { "1", "3000", "20000" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct live_run *run =
			run_ok(LIVE_ARGV(live_workload("faulter"), "anon", pages[i]));

		live_near("rss_peak_bytes", live_int(own_process(run), "memory.rss_peak_bytes"),
			  live_int(run->workload, "maxrss_kb") * 1024, 128 * PAGE);
		live_run_free(run);
	}
}

static void test_live_memory(void **state)
{
	const char *path = live_path("top.json");
	struct scripted *p = scripted_new();
	struct live_bg *top;
	const json_t *memory, *process;
	json_t *summary;
	/* see test_peak; a waiting scripted workload changes nothing between the two readings */
	long long slack = 128 * PAGE;

	(void)state;
	scripted_do(p, "asw");
	top = live_start(LIVE_ARGV("top", "--json", "-o", path, "-p", p->text));
	live_result_free(live_stop(top));
	summary = live_last_summary(path);
	process = live_process(summary, p->pid);
	memory = live_get(process, "memory");
	live_near("rss", live_int(memory, "rss_bytes"),
		  live_proc_status(p->pid, "VmRSS") * 1024, slack);
	live_near("peak", live_int(memory, "rss_peak_bytes"),
		  live_proc_status(p->pid, "VmHWM") * 1024, slack);
	live_near("anon", live_int(memory, "anon_bytes"),
		  live_proc_status(p->pid, "RssAnon") * 1024, slack);
	live_near("file", live_int(memory, "file_bytes"),
		  live_proc_status(p->pid, "RssFile") * 1024, slack);
	live_near("shmem", live_int(memory, "shmem_bytes"),
		  live_proc_status(p->pid, "RssShmem") * 1024, slack);
	live_equal("vm", live_int(memory, "vm_bytes"), live_proc_status(p->pid, "VmSize") * 1024);
	live_equal("threads", live_int(process, "threads"), live_proc_status(p->pid, "Threads"));
	live_equal("ppid", live_int(process, "ppid"), getpid());
	assert_false(live_bool(process, "exited"));
	assert_true(live_null(process, "exit_code"));
	json_decref(summary);
	scripted_free(p);
}

/* --- selection --- */

static void test_tree(void **state)
{
	struct scripted *stranger = scripted_new();
	struct live_run *run;
	const json_t *faulter, *middle;
	char script[1024];

	(void)state;
	/* a grandchild; then a process that outlives its parent, and for which no process waits */
	snprintf(script, sizeof(script),
		 "sh -c '%s anon 100; true'; (sleep 0.2 & exit 0); sleep 0.4; true",
		 live_workload("faulter"));
	scripted_do(stranger, "t");
	run = run_ok(LIVE_ARGV("sh", "-c", script));
	scripted_do(stranger, "a");
	faulter = own_process(run);
	live_equal("minor", fault(faulter, "minor"), live_int(run->workload, "minflt"));
	middle = live_process(run->summary, (pid_t)live_int(faulter, "ppid"));
	assert_string_equal(live_str(middle, "comm"), "sh");
	live_process(run->summary, (pid_t)live_int(middle, "ppid"));
	live_equal("sleeps", count_comm(run->summary, "sleep"), 2);
	live_equal("strangers", count_pid(run->summary, stranger->pid), 0);
	live_equal("this test", count_pid(run->summary, getpid()), 0);
	live_equal("memblame", count_comm(run->summary, "memblame"), 0);
	/* shell, its shell, faulter, subshell, two sleeps */
	live_equal("processes", (long long)json_array_size(live_get(run->summary, "processes")), 6);
	live_run_free(run);
	scripted_free(stranger);
}

static void test_pid(void **state)
{
	const char *path = live_path("top.json");
	struct scripted *p = scripted_new(), *other = scripted_new();
	struct live_bg *top;
	long long before;
	json_t *summary;
	pid_t child;

	(void)state;
	scripted_do(p, "a");
	before = scripted_faults(p);
	top = live_start(LIVE_ARGV("top", "--json", "-o", path, "-p", p->text));
	scripted_do(p, "at");
	child = scripted_do(p, "f");
	scripted_do(p, "t");
	scripted_do(other, "a");
	live_result_free(live_stop(top));
	summary = live_last_summary(path);
	/* /proc/PID/stat includes the faults of the threads, but not those of the child */
	live_equal("faults", fault(live_process(summary, p->pid), "minor") +
				     fault(live_process(summary, p->pid), "major"),
		   scripted_faults(p) - before);
	assert_true(scripted_faults(p) - before >= 10000);
	live_equal("its child", count_pid(summary, child), 0);
	live_equal("processes", (long long)json_array_size(live_get(summary, "processes")), 1);
	json_decref(summary);
	scripted_free(p);
	scripted_free(other);
}

static void test_cgroup(void **state)
{
	const char *path = live_path("top.json"), *reason;
	struct scripted *p = scripted_new(), *other = scripted_new();
	struct sandbox_cgroup cg;
	struct live_bg *top;
	long long before;
	json_t *summary;
	pid_t child;

	(void)state;
	reason = sandbox_cgroup_open(&cg, 256UL << 20);
	if (reason) {
		scripted_free(p);
		scripted_free(other);
		live_skip("%s", reason);
	}
	assert_true(sandbox_cgroup_add(&cg, p->pid));
	before = scripted_faults(p);
	top = live_start(LIVE_ARGV("top", "--json", "-o", path, "-c", cg.path));
	child = scripted_do(p, "atf");
	scripted_do(other, "a");
	live_result_free(live_stop(top));
	summary = live_last_summary(path);
	live_equal("faults", fault(live_process(summary, p->pid), "minor") +
				     fault(live_process(summary, p->pid), "major"),
		   scripted_faults(p) - before);
	assert_true(fault(live_process(summary, child), "minor") >= 500);
	live_equal("exit code of its child",
		   live_int(live_process(summary, child), "exit_code"), 7);
	assert_string_equal(live_str(live_process(summary, p->pid), "cgroup"), cg.path);
	assert_string_equal(live_str(live_process(summary, child), "cgroup"), cg.path);
	live_equal("processes", (long long)json_array_size(live_get(summary, "processes")), 2);
	json_decref(summary);
	/* the same group by its path in the file system */
	top = live_start(LIVE_ARGV("top", "--json", "-o", path, "-c", cg.dir));
	live_result_free(live_stop(top));
	summary = live_last_summary(path);
	live_process(summary, p->pid);
	json_decref(summary);
	scripted_free(p);
	scripted_free(other);
	sandbox_cgroup_close(&cg);
}

/* The whole machine: processes that were there before, new processes, and ended processes. */
static void test_machine(void **state)
{
	const char *path = live_path("top.json");
	struct scripted *p = scripted_new();
	struct live_bg *top = live_start(LIVE_ARGV("top", "--json", "-o", path));
	struct live_result *came = live_exec(LIVE_ARGV(live_workload("faulter"), "anon", "500"),
					     NULL);
	json_t *workload = live_json(came->out), *summary;
	const json_t *process;

	(void)state;
	live_result_free(live_stop(top));
	summary = live_last_summary(path);
	process = live_process(summary, (pid_t)live_int(workload, "pid"));
	live_equal("minor", fault(process, "minor"), live_int(workload, "minflt"));
	live_equal("major", fault(process, "major"), live_int(workload, "majflt"));
	assert_true(live_bool(process, "exited"));
	assert_false(live_bool(live_process(summary, p->pid), "exited"));
	/* a process that was there before: kthreadd for one (some kernels hide init from every iterator) */
	live_process(summary, 2);
	live_process(summary, getpid());
	json_decref(summary);
	json_decref(workload);
	live_result_free(came);
	scripted_free(p);
}

/* --- privileges --- */

static bool has(long long mask, int capability)
{
	return mask >> capability & 1;
}

static void test_capabilities(void **state)
{
	static const int gone[] = { CAP_SYS_ADMIN, CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_SETUID,
				    CAP_NET_ADMIN };
	struct live_bg *top = live_start(LIVE_ARGV("top", "-i", "60"));
	long long effective = live_proc_status(top->pid, "CapEff");
	long long permitted = live_proc_status(top->pid, "CapPrm");
	struct live_run *run;
	char want[32];

	(void)state;
	live_result_free(live_stop(top));
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		if (has(effective, gone[i]) || has(permitted, gone[i]))
			live_fail("capability %d is still there: effective %llx, permitted %llx",
				  gone[i], effective, permitted);
	/* CMD runs with the privileges of the user */
	run = run_ok(LIVE_ARGV("grep", "CapEff", "/proc/self/status"));
	snprintf(want, sizeof(want), "%016llx", live_proc_status(getpid(), "CapEff"));
	assert_non_null(strstr(run->result->out, want));
	live_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_processes),
		cmocka_unit_test(test_short_processes_at_once),
		cmocka_unit_test(test_more_processes_than_room),
		cmocka_unit_test(test_more_processes_than_room_recorded),
		cmocka_unit_test(test_idle_process),
		cmocka_unit_test(test_exec_chain),
		cmocka_unit_test(test_exec_from_thread),
		cmocka_unit_test(test_faults_at_exit),
		cmocka_unit_test(test_zombie),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_hash_overflow),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_peak),
		cmocka_unit_test(test_live_memory),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_pid),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_capabilities),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
