// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Runs memblame and workloads for the live tests, and reads back their output. */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Only a hang takes this long. These timeouts do not check the speed of the machine. */
#define END_TIMEOUT_MS	180000
#define TEXT_TIMEOUT_MS 90000
#define STEP_MS		5
#define GRACE_MS	20000
#define MAX_ARGS	128
#define MAX_BG		32

static char tmp_dir[64];
/* Background programs that still run. They are killed at exit, so that a failed test leaves nothing behind. */
static pid_t running[MAX_BG];

/* LIVE_TESTS: a pattern; only the tests whose names match it run. */
__attribute__((constructor)) static void select_tests(void)
{
	if (getenv("LIVE_TESTS"))
		cmocka_set_test_filter(getenv("LIVE_TESTS"));
}

void live_fail_at(const char *file, int line, const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_error("%s\n", text);
	_fail(file, line);
}

void live_skip(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* on a line of its own on stdout, whatever output format cmocka uses */
	fflush(NULL);
	printf("skip: %s\n", text);
	fflush(stdout);
	skip();
}

bool live_is_near_at(const char *what, long long got, long long want, long long slack, bool last,
		     const char *file, int line)
{
	if (llabs(got - want) <= slack)
		return true;
	if (last)
		live_fail_at(file, line, "%s: got %lld, want %lld (slack %lld)", what, got, want, slack);
	return false;
}

void live_near_at(const char *what, long long got, long long want, long long slack,
		  const char *file, int line)
{
	live_is_near_at(what, got, want, slack, true, file, line);
}

/* --- paths --- */

static const char *build_dir(void)
{
	static char dir[PATH_MAX];

	if (!dir[0]) {
		ssize_t len = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

		assert_true(len > 0);
		dir[len] = '\0';
		/* build/tests/live/NAME */
		for (int up = 0; up < 3; up++)
			*strrchr(dir, '/') = '\0';
	}
	return dir;
}

static const char *must_exist(char *path)
{
	if (access(path, X_OK))
		live_fail("%s is not there: build it first", path);
	return path;
}

static char *join(const char *format, const char *a, const char *b)
{
	char *text = NULL;

	if (asprintf(&text, "%s%s%s", a, format, b) < 0)
		abort();
	return text;
}

bool live_emulated(void)
{
	return getenv("MEMBLAME_GUEST") != NULL;
}

const char *live_bin(const char *name)
{
	return must_exist(join("/", build_dir(), name));
}

const char *live_workload(const char *name)
{
	return must_exist(join("/workloads/", build_dir(), name));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void live_kill_rest(void)
{
	for (int i = 0; i < MAX_BG; i++)
		if (running[i] > 0) {
			kill(running[i], SIGKILL);
			waitpid(running[i], NULL, 0);
			running[i] = 0;
		}
}

/* PDEATHSIG alone is not enough: a memblame that dies this way may leave its CMD behind. */
static void clean_up(void)
{
	static pid_t owner;

	if (!owner) {
		owner = getpid();
		return;
	}
	if (owner != getpid())
		return; /* a forked child of a test */
	live_kill_rest();
	if (tmp_dir[0])
		nftw(tmp_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void on_signal(int signo)
{
	clean_up();
	signal(signo, SIG_DFL);
	raise(signo);
}

/* cmocka turns a crash of a test into a failure, so only exit and these signals remain to be handled. */
static void arm_clean_up(void)
{
	static bool armed;

	if (armed)
		return;
	armed = true;
	clean_up(); /* the first call records the pid that owns the folder */
	atexit(clean_up);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
}

const char *live_tmp(void)
{
	if (!tmp_dir[0]) {
		arm_clean_up();
		strcpy(tmp_dir, "/tmp/memblame-live-XXXXXX");
		if (!mkdtemp(tmp_dir)) {
			tmp_dir[0] = '\0';
			live_fail("mkdtemp: %s", strerror(errno));
		}
	}
	return tmp_dir;
}

const char *live_path(const char *name)
{
	return join("/", live_tmp(), name);
}

char *live_slurp(const char *path, size_t *len)
{
	size_t size = 0, room = 1 << 16, got;
	char *text = malloc(room);
	FILE *file = fopen(path, "r");

	if (!file)
		live_fail("%s: %s", path, strerror(errno));
	while ((got = fread(text + size, 1, room - size - 1, file)) > 0) {
		size += got;
		if (size + 1 == room)
			text = realloc(text, room *= 2);
	}
	fclose(file);
	text[size] = '\0';
	if (len)
		*len = size;
	return text;
}

/* --- running programs --- */

static void child_side(const char *const *argv, const char *in, const char *out, const char *err)
{
	sigset_t none;

	/* if a test dies, its programs die with it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int signo = 1; signo < 32; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(open(in, O_RDONLY), 0) < 0 ||
	    dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), 1) < 0 ||
	    dup2(open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600), 2) < 0)
		_exit(99);
	for (int fd = 3; fd < 64; fd++)
		close(fd);
	execvp(argv[0], (char *const *)argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(98);
}

static struct live_bg *spawn(const char *const *argv, const char *in)
{
	struct live_bg *bg = calloc(1, sizeof(*bg));
	static unsigned int number;

	number++;
	snprintf(bg->out_path, sizeof(bg->out_path), "%s/%u.out", live_tmp(), number);
	snprintf(bg->err_path, sizeof(bg->err_path), "%s/%u.err", live_tmp(), number);
	/* create the file before the program starts, so that a test can open it at once */
	close(open(bg->out_path, O_WRONLY | O_CREAT, 0600));
	close(open(bg->err_path, O_WRONLY | O_CREAT, 0600));
	fflush(NULL);
	bg->pid = fork();
	assert_true(bg->pid >= 0);
	if (!bg->pid)
		child_side(argv, in, bg->out_path, bg->err_path);
	bg->pidfd = (int)syscall(SYS_pidfd_open, bg->pid, 0);
	for (int i = 0; i < MAX_BG; i++)
		if (!running[i]) {
			running[i] = bg->pid;
			break;
		}
	return bg;
}

struct live_bg *live_spawn(const char *const *argv)
{
	return spawn(argv, "/dev/null");
}

struct live_result *live_wait(struct live_bg *bg)
{
	struct live_result *result = calloc(1, sizeof(*result));
	struct pollfd end = { .fd = bg->pidfd, .events = POLLIN };
	bool hung = poll(&end, 1, END_TIMEOUT_MS) == 0;
	int status;

	if (hung)
		kill(bg->pid, SIGKILL);
	assert_int_equal(waitpid(bg->pid, &status, 0), bg->pid);
	for (int i = 0; i < MAX_BG; i++)
		if (running[i] == bg->pid)
			running[i] = 0;
	result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	result->out = live_slurp(bg->out_path, &result->out_len);
	result->err = live_slurp(bg->err_path, NULL);
	unlink(bg->out_path);
	unlink(bg->err_path);
	close(bg->pidfd);
	free(bg);
	if (hung)
		live_fail("did not end within three minutes; stderr: %s", result->err);
	return result;
}

struct live_result *live_stop(struct live_bg *bg)
{
	kill(bg->pid, SIGINT);
	return live_wait(bg);
}

void live_result_free(struct live_result *result)
{
	if (!result)
		return;
	free(result->out);
	free(result->err);
	free(result);
}

struct live_result *live_exec(const char *const *argv, const char *input)
{
	const char *path = "/dev/null";

	if (input) {
		FILE *file;

		path = live_path("input");
		file = fopen(path, "w");
		assert_non_null(file);
		fputs(input, file);
		fclose(file);
	}
	return live_wait(spawn(argv, path));
}

/* argv = memblame FIRST... ARGS... */
static void with_program(const char *out[MAX_ARGS], const char *first, const char *const *args)
{
	int n = 0;

	out[n++] = live_bin("memblame");
	if (first)
		out[n++] = first;
	for (; args && *args; args++) {
		assert_true(n < MAX_ARGS - 1);
		out[n++] = *args;
	}
	out[n] = NULL;
}

struct live_result *live_memblame(const char *const *args)
{
	const char *argv[MAX_ARGS];

	with_program(argv, NULL, args);
	return live_exec(argv, NULL);
}

bool live_wait_text(const char *path, const char *text)
{
	for (int waited = 0; waited < TEXT_TIMEOUT_MS; waited += STEP_MS) {
		if (!access(path, R_OK)) {
			char *have = live_slurp(path, NULL);
			bool found = strstr(have, text) != NULL;

			free(have);
			if (found)
				return true;
		}
		usleep(STEP_MS * 1000);
	}
	return false;
}

struct live_bg *live_start(const char *const *args)
{
	const char *argv[MAX_ARGS];
	struct live_bg *bg;

	with_program(argv, "--verbose", args);
	bg = live_spawn(argv);
	if (!live_wait_text(bg->err_path, "attached in")) {
		kill(bg->pid, SIGKILL);
		live_fail("memblame did not attach: %s", live_wait(bg)->err);
	}
	return bg;
}

const char *live_one_line(struct live_result *result)
{
	char *end = strchr(result->err, '\n');

	if (!end || end == result->err || end[1])
		live_fail("want one line on stderr, got: <<%s>>", result->err);
	else
		*end = '\0';
	return result->err;
}

/* --- memblame run --- */

/* The last line on stdout that is a JSON object; CMD may print other lines. */
static json_t *workload_line(char *text)
{
	json_t *last = NULL;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *object = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;

		if (object) {
			json_decref(last);
			last = object;
		}
	}
	return last;
}

struct live_run *live_run(const char *const *opts, const char *const *cmd)
{
	struct live_run *run = calloc(1, sizeof(*run));
	const char *args[MAX_ARGS] = { "run", "--json", "-o", live_path("summary.json") };
	const char *families = getenv("LIVE_FAMILIES");
	int n = 4;
	char *text;

	unlink(args[3]);
	if (families && *families) {
		args[n++] = "-f";
		args[n++] = families;
	}
	for (; opts && *opts && n < MAX_ARGS - 2; opts++)
		args[n++] = *opts;
	args[n++] = "--";
	for (; *cmd && n < MAX_ARGS - 1; cmd++)
		args[n++] = *cmd;
	args[n] = NULL;
	run->result = live_memblame(args);
	if (access(args[3], R_OK))
		live_fail("no summary; status %d, stderr: %s", run->result->status,
			  run->result->err);
	text = live_slurp(args[3], NULL);
	run->summary = live_json(text);
	free(text);
	assert_string_equal(live_str(run->summary, "kind"), "summary");
	text = strdup(run->result->out);
	run->workload = workload_line(text);
	free(text);
	return run;
}

void live_run_free(struct live_run *run)
{
	if (!run)
		return;
	live_result_free(run->result);
	json_decref(run->summary);
	json_decref(run->workload);
	free(run);
}

/* --- no orphans: the test is a subreaper, so orphans of memblame become its children --- */

static void kill_orphans(void)
{
	char path[64], *text, *save;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	text = live_slurp(path, NULL);
	for (char *pid = strtok_r(text, " ", &save); pid; pid = strtok_r(NULL, " ", &save)) {
		char stat[64], *line;

		snprintf(stat, sizeof(stat), "/proc/%s/stat", pid);
		line = live_slurp(stat, NULL);
		print_error("left behind: %.60s\n", line);
		free(line);
		kill(atoi(pid), SIGKILL);
	}
	free(text);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

void live_check_no_orphans(const char *when)
{
	for (int waited = 0;; waited += 10) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (pid == 0 && waited > GRACE_MS)
			break;
		if (pid == 0)
			usleep(10000);
	}
	kill_orphans();
	live_fail("CMD was left behind: %s", when);
}

/* --- /proc --- */

long long live_proc_status(pid_t pid, const char *key)
{
	char path[64], *text, *line;
	size_t len = strlen(key);

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	text = live_slurp(path, NULL);
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == ':') {
			/* capability masks are in hexadecimal */
			int base = strncmp(key, "Cap", 3) ? 10 : 16;
			long long value = (long long)strtoull(line + len + 1, NULL, base);

			free(text);
			return value;
		}
	}
	live_fail("no %s in %s", key, path);
	return -1;
}

bool live_proc_alive(pid_t pid)
{
	char path[64], text[512], *at;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	at = strrchr(text, ')');
	return at && at[2] != 'Z' && at[2] != 'X';
}

/* --- a forked child of the test --- */

pid_t live_fork_holding(void (*begin)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		begin();
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

void live_fork_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
