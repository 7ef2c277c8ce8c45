// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Containers: processes in cgroups that are named as container runtimes name them, and in their own
 * namespaces. The reference is what each process prints about itself: getpid() inside of the namespace,
 * /proc/self (the machine's) outside.
 */
#include "live.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "5759a1ae-36ca-48a8-b20a-b0b5c8a90fb8"
#define UID_ "5759a1ae_36ca_48a8_b20a_b0b5c8a90fb8"

/* ---- the workload: this program runs itself again ---- */

static void or_die(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	_exit(3);
}

/* Prints [outer pid, inner pid] in a single write, so that the output of several children does not mix. */
static void say_pids(int fd)
{
	char own[16] = "", line[64];
	int n;

	or_die(readlink("/proc/self", own, sizeof(own) - 1) > 0, "/proc/self");
	n = snprintf(line, sizeof(line), "[%s, %d],", own, (int)getpid());
	or_die(write(fd, line, (size_t)n) == n, "write");
}

/* Continues in a child; the parent only waits for the child. */
static void go_on_in_child(void)
{
	pid_t pid = fork();

	or_die(pid >= 0, "fork");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!pid)
		return;
	or_die(waitpid(pid, NULL, 0) == pid, "wait");
	_exit(0);
}

/*
 * Runs inside the cgroup: nests as many pid namespaces as levels says, and starts n processes in the
 * innermost one.
 */
static void inside(const char *host_name, int levels, int n, bool stay, int fd)
{
	for (; levels > 0; levels--) {
		or_die(!unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS), "unshare");
		go_on_in_child();
	}
	if (host_name[0])
		or_die(!sethostname(host_name, strlen(host_name)), "sethostname");
	say_pids(fd);
	for (int i = 1; i < n; i++) {
		pid_t pid = fork();

		or_die(pid >= 0, "fork");
		if (!pid) {
			say_pids(fd);
			_exit(0);
		}
		or_die(waitpid(pid, NULL, 0) == pid, "wait");
	}
	if (!stay)
		_exit(0);
	for (;;)
		pause();
}

static void make_all(const char *top, const char *below, bool remove)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", top, below);
	for (char *p = path + strlen(top) + 1; !remove && (p = strchr(p, '/')); p++) {
		*p = '\0';
		or_die(!mkdir(path, 0755) || errno == EEXIST, path);
		*p = '/';
	}
	if (!remove)
		or_die(!mkdir(path, 0755), path);
	while (remove && strlen(path) > strlen(top)) {
		/* a zombie of the ended namespace may still occupy the cgroup */
		for (int i = 0; rmdir(path) && i < 1000; i++)
			usleep(1000);
		*strrchr(path, '/') = '\0';
	}
}

/*
 * contain TOP BELOW HOST_NAME LEVELS N [stay]: makes the cgroup, runs in it, removes it, and prints the pids
 * of its processes.
 */
static int contain(char **argv)
{
	char path[PATH_MAX], pids[65536];
	int fds[2], fd;
	ssize_t n, len = 0;
	pid_t pid;

	make_all(argv[0], argv[1], false);
	snprintf(path, sizeof(path), "%s%s/cgroup.procs", argv[0], argv[1]);
	or_die(!pipe(fds), "pipe");
	pid = fork();
	or_die(pid >= 0, "fork");
	if (!pid) {
		fd = open(path, O_WRONLY);
		or_die(fd >= 0 && write(fd, "0", 1) == 1, path);
		inside(argv[2], atoi(argv[3]), atoi(argv[4]), argv[5], argv[5] ? STDOUT_FILENO : fds[1]);
	}
	close(fds[1]);
	while ((n = read(fds[0], pids + len, sizeof(pids) - 1 - (size_t)len)) > 0)
		len += n;
	or_die(waitpid(pid, NULL, 0) == pid, "wait");
	make_all(argv[0], argv[1], true);
	or_die(len > 0, "nothing said");
	printf("{\"pids\": [%.*s]}\n", (int)len - 1, pids);
	return 0;
}

/* ---- tests ---- */

static char self[PATH_MAX];

static void open_cgroup(struct sandbox_cgroup *cg)
{
	const char *reason = sandbox_cgroup_open(cg, 256UL << 20);

	if (reason)
		live_skip("%s", reason);
}

struct want {
	const char *id, *runtime, *pod_uid, *unit, *name; /* NULL: null in the JSON */
};

static void check_text(const json_t *process, const char *key, const char *want)
{
	if (!want)
		assert_true(live_null(process, key));
	else
		assert_string_equal(live_str(process, key), want);
}

static void check_place(const json_t *process, const struct want *w)
{
	check_text(process, "container", w->id);
	check_text(process, "runtime", w->runtime);
	check_text(process, "pod_uid", w->pod_uid);
	check_text(process, "unit", w->unit);
	check_text(process, "container_name", w->name);
}

/* Every process that printed its pids is in the summary, with the expected container and inner pid. */
static void check_all(const json_t *summary, const json_t *workload, const struct want *w, bool namespaces)
{
	json_t *pair;
	size_t i;

	json_array_foreach(live_get(workload, "pids"), i, pair) {
		const json_t *process =
			live_process(summary, (pid_t)json_integer_value(json_array_get(pair, 0)));

		check_place(process, w);
		if (namespaces)
			live_equal("inner pid", live_int(process, "inner_pid"),
				   json_integer_value(json_array_get(pair, 1)));
		else
			assert_true(live_null(process, "inner_pid"));
	}
	assert_true(i > 0);
}

static struct live_run *run_in(const struct sandbox_cgroup *cg, const char *below, const char *host_name,
			       const char *levels, const char *n)
{
	struct live_run *run =
		live_run(NULL, LIVE_ARGV(self, "contain", cg->dir, below, host_name, levels, n));

	live_equal("status", run->result->status, 0);
	assert_non_null(run->workload);
	return run;
}

/* The cgroup disappears as soon as its processes end, long before the next tick. */
static void test_forms(void **state)
{
	static const struct {
		const char *below;
		struct want want;
	} forms[] = {
		{ "/docker/" ID, { ID, "docker", NULL, NULL, "web-0" } },
		{ "/system.slice/docker-" ID ".scope",
		  { ID, "docker", NULL, "docker-" ID ".scope", "web-0" } },
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
		  ".slice/cri-containerd-" ID ".scope",
		  { ID, "containerd", UID, "cri-containerd-" ID ".scope", "web-0" } },
		{ "/kubepods/burstable/pod" UID "/" ID, { ID, NULL, UID, NULL, "web-0" } },
		{ "/machine.slice/libpod-" ID ".scope/container",
		  { ID, "podman", NULL, "libpod-" ID ".scope", "web-0" } },
		{ "/lxc.payload.db", { "db", "lxc", NULL, NULL, "db" } },
		{ "/system.slice/cron\\x2dx.service", { NULL, NULL, NULL, "cron-x.service", NULL } },
	};
	struct sandbox_cgroup cg;

	(void)state;
	open_cgroup(&cg);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct live_run *run = run_in(&cg, forms[i].below, "web-0", "1", "2");
		char path[PATH_MAX];

		check_all(run->summary, run->workload, &forms[i].want, true);
		snprintf(path, sizeof(path), "%s%s", cg.dir, forms[i].below);
		assert_int_equal(access(path, F_OK), -1);
		live_run_free(run);
	}
	sandbox_cgroup_close(&cg);
}

/* Every one of many processes that live for about a millisecond has its container. */
static void test_short_processes(void **state)
{
	const struct want want = { ID, "docker", NULL, "docker-" ID ".scope", "short" };
	struct sandbox_cgroup cg;
	struct live_run *run;

	(void)state;
	open_cgroup(&cg);
	run = run_in(&cg, "/docker-" ID ".scope", "short", "1", live_emulated() ? "50" : "300");
	live_equal("processes that spoke", (long long)json_array_size(live_get(run->workload, "pids")),
		   live_emulated() ? 50 : 300);
	check_all(run->summary, run->workload, &want, true);
	live_run_free(run);
	sandbox_cgroup_close(&cg);
}

/* Of nested namespaces, the innermost one counts. */
static void test_nested(void **state)
{
	const struct want want = { ID, "docker", NULL, NULL, "deep" };
	struct sandbox_cgroup cg;
	struct live_run *run;

	(void)state;
	open_cgroup(&cg);
	run = run_in(&cg, "/docker/" ID, "deep", "3", "3");
	check_all(run->summary, run->workload, &want, true);
	live_run_free(run);
	sandbox_cgroup_close(&cg);
}

/* With the machine's own namespaces (docker run --uts=host --pid=host), the host name is not the container's name. */
static void test_host_namespaces(void **state)
{
	const struct want want = { ID, "docker", NULL, NULL, NULL };
	struct sandbox_cgroup cg;
	struct live_run *run;

	(void)state;
	open_cgroup(&cg);
	run = run_in(&cg, "/docker/" ID, "", "0", "2");
	check_all(run->summary, run->workload, &want, false);
	live_run_free(run);
	sandbox_cgroup_close(&cg);
}

/*
 * Any process that may create a cgroup or a UTS namespace chooses its name freely. The documents must remain
 * valid JSON.
 */
static void test_hostile_names(void **state)
{
	const struct want lxc = { "x\x1b[2J\"\\y", "lxc", NULL, NULL, "x\x1b[2J\"\\y" };
	const struct want docker = { ID, "docker", NULL, NULL, "a\"b\\c\nd\x1b[31m\xef\xbf\xbd" };
	struct sandbox_cgroup cg;
	struct live_run *run;

	(void)state;
	open_cgroup(&cg);
	run = run_in(&cg, "/lxc.payload.x\x1b[2J\"\\y", "other", "1", "1");
	check_all(run->summary, run->workload, &lxc, true);
	live_run_free(run);
	run = run_in(&cg, "/docker/" ID, "a\"b\\c\nd\x1b[31m\xff", "1", "1");
	check_all(run->summary, run->workload, &docker, true);
	live_run_free(run);
	sandbox_cgroup_close(&cg);
}

/* The container exists before memblame starts, so memblame has seen no event about it. */
static void test_there_before(void **state)
{
	const struct want want = { ID, "containerd", UID, "cri-containerd-" ID ".scope", "old-0" };
	const char *path = live_path("top.json");
	struct sandbox_cgroup cg;
	struct live_bg *bg, *top;
	json_t *summary, *process, *pair;
	char *text;

	(void)state;
	open_cgroup(&cg);
	bg = live_spawn(LIVE_ARGV(self, "contain", cg.dir,
				  "/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" ID ".scope", "old-0",
				  "1", "1", "stay"));
	assert_true(live_wait_text(bg->out_path, "],"));
	text = live_slurp(bg->out_path, NULL);
	*strrchr(text, ',') = '\0';
	pair = live_json(text);
	top = live_start(LIVE_ARGV("top", "--json", "-o", path, "-c", cg.path));
	live_result_free(live_stop(top));
	summary = live_last_summary(path);
	process = live_process(summary, (pid_t)json_integer_value(json_array_get(pair, 0)));
	check_place(process, &want);
	live_equal("inner pid", live_int(process, "inner_pid"), 1);
	kill(bg->pid, SIGKILL);
	live_result_free(live_wait(bg));
	free(text);
	json_decref(pair);
	json_decref(summary);
	sandbox_cgroup_close(&cg);
}

/* A recording has the container in its tables and in its events. */
static void test_recording(void **state)
{
	const struct want want = { ID, "podman", NULL, "libpod-" ID ".scope", "kept" };
	const char *db = live_path("trace.db");
	struct sandbox_cgroup cg;
	struct live_result *r;
	json_t *workload, *summary;

	(void)state;
	open_cgroup(&cg);
	r = live_memblame(LIVE_ARGV("record", "--raw", "--quiet", "--json", "-o", db, "--", self, "contain", cg.dir,
				    "/libpod-" ID ".scope", "kept", "1", "3"));
	live_equal("status", r->status, 0);
	*strchr(r->out, '\n') = '\0';
	workload = live_json(r->out);
	live_result_free(r);
	for (int i = 0; i < 2; i++) {
		r = i ? live_memblame(LIVE_ARGV("replay", db, "run", "--json")) :
			live_memblame(LIVE_ARGV("report", "--json", db));
		live_equal("status", r->status, 0);
		summary = live_json(r->out);
		check_all(summary, workload, &want, true);
		json_decref(summary);
		live_result_free(r);
	}
	json_decref(workload);
	sandbox_cgroup_close(&cg);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_short_processes),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_host_namespaces),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_there_before),
		cmocka_unit_test(test_recording),
	};

	if (argc > 6 && !strcmp(argv[1], "contain"))
		return contain(argv + 2);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
