// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * One process has exactly one account. Children come and go while tight loops read memblame's own iterator.
 * So fork and the iterator try to make the same ledgers at the same time, and threads end while they are
 * read. wait4() is the reference.
 */
#include "live.h"
#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READERS 2
#define PAGES 20
#define PID_MAX (4 << 20)

static struct sandbox_cgroup group;
static pid_t readers[READERS];

static void open_group(void)
{
	const char *reason = sandbox_cgroup_open(&group, 256ul << 20);

	if (reason)
		live_skip("%s", reason);
}

static int tidy(void **state)
{
	(void)state;
	for (int i = 0; i < READERS; i++) {
		if (readers[i] > 0) {
			kill(readers[i], SIGKILL);
			waitpid(readers[i], NULL, 0);
		}
		readers[i] = 0;
	}
	live_kill_rest();
	sandbox_cgroup_close(&group);
	return 0;
}

/* --- readers of the iterator --- */

/* The id of the link to memblame's iterator over tasks, from memblame's descriptors; there is only one such link. */
static unsigned int iterator_of(pid_t pid)
{
	unsigned int id = 0;
	char dir[64], path[400];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fdinfo", (int)pid);
	d = opendir(dir);
	assert_non_null(d);
	while (!id && (e = readdir(d))) {
		char *text, *at;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		text = live_slurp(path, NULL);
		at = text && strstr(text, "link_type:\titer") ? strstr(text, "link_id:") : NULL;
		if (at)
			id = (unsigned int)atoi(at + strlen("link_id:"));
		free(text);
	}
	closedir(d);
	return id;
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static _Noreturn void read_forever(unsigned int id)
{
	static char room[1 << 18];
	union bpf_attr attr;
	int link;

	memset(&attr, 0, sizeof(attr));
	attr.link_id = id;
	link = bpf(BPF_LINK_GET_FD_BY_ID, &attr);
	for (;;) {
		int iter;

		memset(&attr, 0, sizeof(attr));
		attr.iter_create.link_fd = (unsigned int)link;
		iter = bpf(BPF_ITER_CREATE, &attr);
		if (iter < 0)
			_exit(1);
		while (read(iter, room, sizeof(room)) > 0)
			;
		close(iter);
	}
}

static void start_readers(const struct live_bg *bg)
{
	unsigned int id = iterator_of(bg->pid);

	if (!id)
		live_skip("this kernel does not say which links a process has");
	for (int i = 0; i < READERS; i++) {
		readers[i] = fork();
		if (!readers[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			read_forever(id);
		}
	}
}

/* Checks that the readers ran to the end: without them, the test would prove nothing. */
static void check_readers(void)
{
	for (int i = 0; i < READERS; i++)
		assert_int_equal(waitpid(readers[i], NULL, WNOHANG), 0);
}

/* --- children --- */

struct storm {
	long faults;
	unsigned char born[PID_MAX]; /* how often a child had this pid */
};

static _Noreturn void child(void)
{
	volatile char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < PAGES; i++)
		p[i * 4096] = 1;
	_exit(0);
}

/* In the group: runs n children one after another, at most two at once. Call it in a process of its own. */
static _Noreturn void run_storm(struct storm *s, int n)
{
	struct rusage of;

	if (!sandbox_cgroup_add(&group, getpid()))
		_exit(2);
	for (int i = 0, alive = 0; i < n || alive;) {
		pid_t pid;

		if (i < n && alive < 2) {
			pid = fork();
			if (!pid)
				child();
			if (pid < 0)
				_exit(3);
			s->born[pid]++;
			i++;
			alive++;
			continue;
		}
		if (wait4(-1, NULL, 0, &of) < 0)
			_exit(4);
		s->faults += of.ru_minflt + of.ru_majflt;
		alive--;
	}
	_exit(0);
}

/* Starts a storm whose children belong to the process *parent. */
static struct storm *storm(pid_t *parent)
{
	struct storm *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	assert_true(s != MAP_FAILED);
	*parent = fork();
	if (!*parent)
		run_storm(s, live_emulated() ? 200 : 3000);
	assert_int_equal(waitpid(*parent, &status, 0), *parent);
	assert_int_equal(status, 0);
	return s;
}

/* --- tests --- */

static bool is_exit(const json_t *line)
{
	const char *kind = json_string_value(json_object_get(line, "kind"));
	const char *event = json_string_value(json_object_get(line, "event"));

	return kind && event && !strcmp(kind, "event") && !strcmp(event, "exit");
}

static void test_each_ends_once(void **state)
{
	static unsigned char ended[PID_MAX];
	const char *path = live_path("trace");
	struct live_stream *stream;
	struct live_bg *bg;
	struct storm *s;
	json_t *line;
	pid_t parent;
	long n = 0;

	(void)state;
	open_group();
	bg = live_start(LIVE_ARGV("trace", "-f", "task", "--json", "-o", path, "-c", group.path));
	start_readers(bg);
	s = storm(&parent);
	check_readers();
	live_result_free(live_stop(bg));
	stream = live_stream_open(path);
	while ((line = live_stream_next(stream))) {
		if (is_exit(line))
			ended[live_int(line, "pid")]++;
		json_decref(line);
	}
	live_stream_close(stream);
	for (pid_t pid = 0; pid < PID_MAX; pid++) {
		n += s->born[pid];
		if (pid != parent && s->born[pid] != ended[pid])
			live_fail("pid %d was born %d times and ended %d times", (int)pid, s->born[pid], ended[pid]);
	}
	live_equal("ends of their parent", ended[parent], 1);
	live_equal("children", n, live_emulated() ? 200 : 3000);
	munmap(s, sizeof(*s));
}

static void test_faults_count_once(void **state)
{
	const char *path = live_path("top");
	json_t *sum, *process;
	long long faults = 0;
	struct live_bg *bg;
	struct storm *s;
	pid_t parent;
	size_t i;

	(void)state;
	open_group();
	bg = live_start(LIVE_ARGV("top", "-i", "1", "--json", "-o", path, "-c", group.path));
	start_readers(bg);
	s = storm(&parent);
	check_readers();
	live_result_free(live_stop(bg));
	sum = live_last_summary(path);
	json_array_foreach(live_get(sum, "processes"), i, process)
		if (live_int(process, "pid") != parent)
			faults += live_int(process, "faults.minor") + live_int(process, "faults.major");
	live_equal("faults of the children", faults, s->faults);
	json_decref(sum);
	munmap(s, sizeof(*s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_each_ends_once, tidy),
		cmocka_unit_test_teardown(test_faults_count_once, tidy),
	};

	return cmocka_run_group_tests_name("ledgers", tests, NULL, NULL);
}
