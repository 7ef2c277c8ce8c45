// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A process equals all of its threads: its first thread has ended, another one continues. Whether memblame
 * starts it, attaches to it, selects its cgroup or traces the whole machine, and whether the process is
 * recorded, killed or leaking, its account is as exact as any other's. getrusage() and /proc of the thread
 * are the reference.
 */
#include "leaking.h"
#include "live.h"
#include "sandbox.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define HELD_PAGES 2000
#define TOUCHED_PAGES 3000
#define LIMIT (32ul << 20)

/* ---- the process ---- */

static int orders[2], answers[2];
static void *volatile lost;

struct answer {
	long faults; /* of the whole process so far */
	pid_t tid;
};

static char *touch(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < pages; i++)
		((volatile char *)p)[i * PAGE] = 1;
	return p;
}

/* A single leaking line, identified by the name of this function. */
__attribute__((noinline)) static void leak_in_thread(void)
{
	lost = memset(malloc(20000), 1, 20000);
}

static void wait_for_end_of_first(void)
{
	char path[64], text[256], *at;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
	for (;;) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, text, sizeof(text) - 1);

		close(fd);
		text[n > 0 ? n : 0] = '\0';
		at = strrchr(text, ')');
		if (at && at[2] == 'Z')
			return;
		usleep(1000);
	}
}

static long faults_so_far(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_minflt + r.ru_majflt;
}

static void reply(void)
{
	struct answer a = { faults_so_far(), (pid_t)syscall(SYS_gettid) };

	if (write(answers[1], &a, sizeof(a)) != sizeof(a))
		_exit(90);
}

/* t, s: touch many pages, touch one; g: grow until killed; l: leak until killed; q: end. */
static void *go_on(void *arg)
{
	char order;

	(void)arg;
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	wait_for_end_of_first();
	touch(HELD_PAGES);
	reply();
	while (read(orders[0], &order, 1) == 1) {
		if (order == 't')
			touch(TOUCHED_PAGES);
		if (order == 's')
			touch(1);
		while (order == 'g' && touch(64))
			usleep(5000);
		while (order == 'l') {
			leak_in_thread();
			usleep(10000);
		}
		if (order == 'q')
			exit(7);
		reply();
	}
	_exit(91);
}

static _Noreturn void run_process(const struct sandbox_cgroup *in)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (in && !sandbox_cgroup_add(in, getpid()))
		_exit(93);
	if (pthread_create(&thread, NULL, go_on, NULL))
		_exit(92);
	pthread_exit(NULL);
}

/* ---- the test's side ---- */

static struct sandbox_cgroup group;
static bool grouped;
static pid_t process;
static char self[256]; /* path of this program */

static struct answer get_answer(void)
{
	struct answer a;

	assert_int_equal(read(answers[0], &a, sizeof(a)), sizeof(a));
	return a;
}

static void give_order(char order)
{
	assert_int_equal(write(orders[1], &order, 1), 1);
}

/* Starts the process in that cgroup (NULL: the test's own). Its first thread has ended when this returns. */
static struct answer start_process(const struct sandbox_cgroup *in)
{
	assert_int_equal(pipe2(orders, O_CLOEXEC) | pipe2(answers, O_CLOEXEC), 0);
	process = fork();
	if (!process)
		run_process(in);
	close(orders[0]);
	close(answers[1]);
	return get_answer();
}

static int tidy(void **state)
{
	(void)state;
	live_kill_rest();
	if (process > 0) {
		kill(process, SIGKILL);
		waitpid(process, NULL, 0);
		close(orders[1]);
		close(answers[0]);
	}
	process = 0;
	if (grouped)
		sandbox_cgroup_close(&group);
	grouped = false;
	return 0;
}

static void open_group(void)
{
	const char *reason = sandbox_cgroup_open(&group, LIMIT);

	if (reason)
		live_skip("%s", reason);
	grouped = true;
}

static const char *number(pid_t pid)
{
	static char text[4][16];
	static int next;
	char *to = text[next++ % 4];

	snprintf(to, sizeof(text[0]), "%d", (int)pid);
	return to;
}

/* Checks the summary's data of a process that has touched so many pages since tracing began. */
static void check_account(const json_t *sum, const struct answer *before, const struct answer *after,
			  long first)
{
	const json_t *p = live_process(sum, process);
	long long faults = live_int(p, "faults.minor") + live_int(p, "faults.major");

	/* reading the order may take one fault */
	if (faults < after->faults - before->faults - 1 || faults > after->faults - first + 1)
		live_fail("faults: got %lld, want %ld to %ld", faults, after->faults - before->faults, after->faults - first);
	assert_false(live_bool(p, "exited"));
	live_near("resident", live_int(p, "memory.rss_bytes"), live_proc_status(after->tid, "VmRSS") * 1024, 64 * PAGE);
	live_near("mapped", live_int(p, "memory.vm_bytes"), live_proc_status(after->tid, "VmSize") * 1024, 0);
	/* before 6.2, the thread may hold back up to 64 changes of the kernel's count */
	assert_true(live_int(p, "memory.anon_bytes") >= (HELD_PAGES + TOUCHED_PAGES - 64) * PAGE);
	assert_string_equal(live_str(p, "exe"), self);
}

static bool has_text(const char *path, const char *text)
{
	char *have = access(path, R_OK) ? NULL : live_slurp(path, NULL);
	bool found = have && strstr(have, text);

	free(have);
	return found;
}

/* Runs top with these arguments. The process exists before top starts, or moves into the group afterwards. */
static void watch(const char *option, const char *of, bool moves)
{
	const char *path = live_path("top");
	struct answer first, before, after;
	struct live_bg *top;
	char pid[32];
	json_t *sum;

	first = moves ? (struct answer){ 0 } : start_process(NULL);
	before = first;
	if (option && !strcmp(option, "-p"))
		of = number(!strcmp(of, "tid") ? before.tid : process);
	top = live_start(option ? LIVE_ARGV("top", "--json", "-i", "1", "-o", path, option, of) :
				  LIVE_ARGV("top", "--json", "-i", "1", "-o", path));
	if (moves) {
		first = start_process(NULL);
		assert_true(sandbox_cgroup_add(&group, process));
		/*
		 * top traces the other threads of a moved process only from the next tick on, so touch pages
		 * until it shows the process
		 */
		snprintf(pid, sizeof(pid), "\"pid\":%d,", (int)process);
		do {
			give_order('s');
			before = get_answer();
			usleep(100000);
		} while (!has_text(path, pid));
	}
	give_order('t');
	after = get_answer();
	live_result_free(live_stop(top));
	sum = live_last_summary(path);
	check_account(sum, &before, &after, first.faults);
	json_decref(sum);
}

static void test_attached(void **state)
{
	(void)state;
	watch("-p", "pid", false);
}

static void test_attached_by_thread(void **state)
{
	(void)state;
	watch("-p", "tid", false);
}

static void test_machine(void **state)
{
	(void)state;
	watch(NULL, NULL, false);
}

static void test_cgroup(void **state)
{
	(void)state;
	open_group();
	watch("-c", group.path, true);
}

/* ---- started by memblame: this program again, as COMMAND headless ---- */

static void *touch_and_end(void *arg)
{
	(void)arg;
	wait_for_end_of_first();
	touch(TOUCHED_PAGES);
	printf("{\"pid\":%d,\"before\":%ld}\n", (int)getpid(), faults_so_far());
	exit(7);
}

static int headless(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, touch_and_end, NULL))
		return 1;
	pthread_exit(NULL);
}

static void test_started(void **state)
{
	struct live_run *run;
	const json_t *p;
	long long faults;

	(void)state;
	run = live_run(NULL, LIVE_ARGV(self, "headless"));
	live_equal("status", run->result->status, 7);
	p = live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
	faults = live_int(p, "faults.minor") + live_int(p, "faults.major");
	/* printing and ending take some more faults */
	live_near("faults", faults, live_int(run->workload, "before") + 25, 25);
	assert_true(live_bool(p, "exited"));
	live_equal("exit code", live_int(p, "exit_code"), 7);
	assert_string_equal(live_str(p, "exe"), self);
	live_run_free(run);
}

/* ---- recorded ---- */

static void test_recorded(void **state)
{
	const char *path = live_path("headless.db");
	struct answer before, after;
	struct live_result *report;
	struct live_bg *record;
	json_t *sum;

	(void)state;
	before = start_process(NULL);
	record = live_start(LIVE_ARGV("record", "-o", path, "-p", number(process)));
	give_order('t');
	after = get_answer();
	live_result_free(live_stop(record));
	report = live_memblame(LIVE_ARGV("report", "--json", path));
	assert_int_equal(report->status, 0);
	sum = live_json(report->out);
	check_account(sum, &before, &after, before.faults);
	json_decref(sum);
	live_result_free(report);
	unlink(path);
}

/* ---- killed ---- */

static json_t *task_of(const json_t *report, pid_t pid)
{
	json_t *task;
	size_t i;

	json_array_foreach(live_get(report, "tasks"), i, task)
		if (live_int(task, "pid") == pid)
			return task;
	return NULL;
}

static void test_killed(void **state)
{
	const char *path = live_path("oom");
	struct live_stream *stream;
	struct live_bg *oom;
	json_t *report, *task;

	(void)state;
	open_group();
	start_process(&group); /* not moved later: the OOM killer looks for first threads */
	oom = live_start(LIVE_ARGV("oom", "--json", "-f", "fault,oom", "-o", path, "-c", group.path, "--state-dir",
				   live_path("state")));
	give_order('g');
	assert_true(live_wait_text(path, "\"kind\":\"oom\""));
	live_result_free(live_stop(oom));
	stream = live_stream_open(path);
	report = live_stream_next(stream);
	live_stream_close(stream);
	unlink(path);
	assert_non_null(report);
	live_equal("victim", live_int(report, "victim.pid"), process);
	assert_true(live_int(report, "victim.anon_rss_bytes") > (long long)LIMIT / 2);
	task = task_of(report, process);
	assert_non_null(task);
	assert_true(live_int(task, "rss_bytes") > (long long)LIMIT / 2);
	assert_string_equal(live_str(task, "cgroup"), group.path);
	json_decref(report);
}

/* ---- leaking ---- */

static bool names(const json_t *g, const char *function)
{
	json_t *frame;
	size_t i;

	json_array_foreach(live_get(g, "stack"), i, frame) {
		const char *symbol = json_string_value(json_object_get(frame, "symbol"));

		if (symbol && !strcmp(symbol, function))
			return true;
	}
	return false;
}

static void look_for_leak(const char *heap, const char *level)
{
	const char *path = live_path("leaks");
	struct live_bg *leaks;
	long long found = 0;
	const json_t *g;
	json_t *sum;
	size_t i;

	start_process(NULL);
	leaks = live_start(heap ? LIVE_ARGV("leaks", "--json", heap, "-o", path, "-p", number(process)) :
				  LIVE_ARGV("leaks", "--json", "-o", path, "-p", number(process)));
	give_order('l');
	sleep(live_emulated() ? 20 : 6); /* some 10 MiB, of which the sample has a part */
	live_result_free(live_stop(leaks));
	sum = live_last_summary(path);
	json_array_foreach(leaking_views(sum), i, g)
		if (live_int(g, "pid") == process && !strcmp(live_str(g, "level"), level) && names(g, "leak_in_thread"))
			found += live_int(g, "outstanding_bytes");
	if (found < 1 << 20)
		live_fail("%lld bytes of level %s by leak_in_thread", found, level);
	json_decref(sum);
}

static void test_leaking_pages(void **state)
{
	(void)state;
	look_for_leak(NULL, "page");
}

static void test_leaking_blocks(void **state)
{
	(void)state;
	look_for_leak("--heap", "alloc");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_attached, tidy),
		cmocka_unit_test_teardown(test_attached_by_thread, tidy),
		cmocka_unit_test_teardown(test_machine, tidy),
		cmocka_unit_test_teardown(test_cgroup, tidy),
		cmocka_unit_test_teardown(test_started, tidy),
		cmocka_unit_test_teardown(test_recorded, tidy),
		cmocka_unit_test_teardown(test_killed, tidy),
		cmocka_unit_test_teardown(test_leaking_pages, tidy),
		cmocka_unit_test_teardown(test_leaking_blocks, tidy),
	};

	(void)argv;
	if (argc > 1)
		return headless();
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		return 1;
	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
