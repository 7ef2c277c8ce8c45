// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Starts processes and threads that end, exec and fork in awkward ways; wait4() gives the true counts. */
#include "workload.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINK_PAGES   100 /* touched by each program of an exec chain */
#define EXEC_THREADS 8
#define THREAD_PAGES 50
#define MAX_CHILD    7 /* most pages a short-lived child touches */

struct child {
	pid_t pid;
	long minor, major;
	int status;
};

static pid_t must_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	return pid;
}

static void must_pipe(int fds[2])
{
	if (pipe(fds))
		err(1, "pipe");
}

static void wait_child(pid_t pid, struct child *child)
{
	struct rusage usage;

	child->pid = wait4(pid, &child->status, 0, &usage);
	if (child->pid < 0)
		err(1, "wait4");
	child->minor = usage.ru_minflt;
	child->major = usage.ru_majflt;
}

static void write_detail(const struct child *children, unsigned long n)
{
	const char *path = getenv("WORKLOAD_DETAIL");
	FILE *file = path ? fopen(path, "we") : NULL;

	if (!path)
		return;
	if (!file)
		err(1, "%s", path);
	for (unsigned long i = 0; i < n; i++)
		fprintf(file, "%d %ld %ld %d\n", children[i].pid, children[i].minor,
			children[i].major, children[i].status);
	if (fclose(file))
		err(1, "%s", path);
}

/* Runs `parallel` children at a time. Only the children touch the area, so it is untouched for each of them. */
static void short_children(unsigned long n, unsigned long parallel)
{
	struct child *children = calloc(n + 1, sizeof(*children));
	char *area = wl_anon(MAX_CHILD);
	unsigned long started = 0, ended = 0;
	long long anon = 0, minor = 0, major = 0;

	if (!children || !parallel)
		errx(1, "cannot run %lu children", n);
	while (ended < n) {
		while (started < n && started - ended < parallel) {
			size_t pages = started % MAX_CHILD + 1;

			if (!must_fork()) {
				wl_write_pages(area, pages);
				_exit((int)(started % 3));
			}
			started++;
			anon += (long long)pages;
		}
		wait_child(-1, &children[ended++]);
	}
	for (unsigned long i = 0; i < n; i++) {
		minor += children[i].minor;
		major += children[i].major;
	}
	write_detail(children, n);
	free(children);
	wl_num("children", (long long)n);
	wl_num("children_anon", anon);
	wl_num("wait4_minflt", minor);
	wl_num("wait4_majflt", major);
}

static void run_short(int argc, char **argv)
{
	short_children(wl_arg(argc, argv, 0, 1000), 1);
}

static void run_shortpar(int argc, char **argv)
{
	short_children(wl_arg(argc, argv, 0, 1000), wl_arg(argc, argv, 1, 8));
}

/* Executes this program again by its real path: /proc/self/exe itself would set comm to "exe". */
static _Noreturn void exec_self(const char *mode, unsigned long left, int fd)
{
	static char self[4096], left_text[24], fd_text[12];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		err(1, "/proc/self/exe");
	snprintf(left_text, sizeof(left_text), "%lu", left);
	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	execl(self, "proctree", mode, left_text, fd_text, (char *)NULL);
	err(1, "exec of %s", self);
}

/* One program of an exec chain; the last one reports. Not for users: exec_self() starts it. */
static void run_link(int argc, char **argv)
{
	unsigned long left = wl_arg(argc, argv, 0, 0);
	int fd = (int)wl_arg(argc, argv, 1, 0);

	wl_write_pages(wl_anon(LINK_PAGES), LINK_PAGES);
	if (left)
		exec_self("link", left - 1, fd);
	wl_report(fd, 0);
}

/* Runs body in a child that ends by wl_report(); prints its own count beside the parent's. */
static void run_child(void (*body)(unsigned long n, int fd), unsigned long n)
{
	struct rusage self;
	struct child child;
	int fds[2];
	pid_t pid;

	must_pipe(fds);
	pid = must_fork();
	if (!pid) {
		close(fds[0]);
		body(n, fds[1]);
		_exit(1);
	}
	close(fds[1]);
	wl_read_report(fds[0], &self);
	wait_child(pid, &child);
	if (child.status)
		errx(1, "the child ended with status %d", child.status);
	wl_num("child_pid", pid);
	wl_num("child_minflt", child.minor);
	wl_num("child_majflt", child.major);
	wl_num("child_self_minflt", self.ru_minflt);
	wl_num("child_self_majflt", self.ru_majflt);
}

static void exec_chain(unsigned long n, int fd)
{
	wl_write_pages(wl_anon(LINK_PAGES), LINK_PAGES);
	if (n)
		exec_self("link", n - 1, fd);
	wl_report(fd, 0);
}

static void run_exec(int argc, char **argv)
{
	unsigned long n = wl_arg(argc, argv, 0, 10);

	run_child(exec_chain, n);
	wl_num("execs", (long long)n);
	wl_num("child_anon", (long long)(n + 1) * LINK_PAGES);
}

static pthread_barrier_t all_touched;
static int report_fd;

static void *exec_thread(void *arg)
{
	wl_write_pages(wl_anon(THREAD_PAGES), THREAD_PAGES);
	pthread_barrier_wait(&all_touched);
	if (arg)
		exec_self("link", 0, report_fd);
	pause();
	return NULL;
}

static void exec_from_thread(unsigned long threads, int fd)
{
	pthread_t id;

	report_fd = fd;
	pthread_barrier_init(&all_touched, NULL, (unsigned int)threads);
	for (unsigned long i = 0; i < threads; i++) {
		bool last = i == threads - 1;

		errno = pthread_create(&id, NULL, exec_thread, last ? &all_touched : NULL);
		if (errno)
			err(1, "cannot start thread %lu", i);
	}
	for (;;)
		pause();
}

static void run_threadexec(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	run_child(exec_from_thread, EXEC_THREADS);
	wl_num("threads", EXEC_THREADS);
	wl_num("execs", 1);
	wl_num("child_anon", EXEC_THREADS * THREAD_PAGES + LINK_PAGES);
}

static volatile unsigned long round_now = 1;
static atomic_ulong asleep;
static volatile bool leave;
static unsigned long fork_threads;

/*
 * Each fork makes the threads' memory read-only. Meanwhile a third of the threads returns and a third
 * ends by the bare system call; the last third sleeps until the process exits. In exit, the kernel
 * clears each tid word and finds these threads' pages read-only: this causes faults that the program
 * cannot see in its own count any more, one for each such thread, except perhaps one.
 */
static void *stack_thread(void *arg)
{
	unsigned long index = (unsigned long)(uintptr_t)arg, seen = 0;
	volatile char stack[16384];

	while (!leave || index % 3 == 2) {
		if (seen != round_now) {
			seen = round_now;
			for (size_t at = 0; at < sizeof(stack); at += 1024)
				stack[at] = 1;
		}
		if (index % 3 == 2) { /* by syscall(), as libc would write to the thread's memory */
			asleep++;
			for (;;)
				syscall(SYS_ppoll, NULL, 0, NULL, NULL);
		}
		if (index % 3 == 0)
			sched_yield();
	}
	if (index % 3 == 1)
		syscall(SYS_exit, 0);
	return NULL;
}

static void fork_beside_threads(unsigned long forks, int fd)
{
	pthread_t *ids = calloc(fork_threads, sizeof(*ids));
	int hold[2];
	char scrap;

	must_pipe(hold);
	signal(SIGCHLD, SIG_IGN); /* children are not waited for, so their faults are not added to ours */
	for (unsigned long i = 0; i < fork_threads; i++) {
		errno = pthread_create(&ids[i], NULL, stack_thread, (void *)(uintptr_t)i);
		if (errno)
			err(1, "cannot start thread %lu", i);
	}
	for (unsigned long i = 0; i < forks; i++) {
		round_now++;
		if (!must_fork())
			_exit(0);
	}
	/* This child shares our memory until we are gone, so late writes cause real copies. */
	if (!must_fork()) {
		close(hold[1]);
		close(fd);
		close(STDOUT_FILENO);
		_exit(read(hold[0], &scrap, 1) != 0);
	}
	leave = true;
	for (unsigned long i = 0; i < fork_threads; i++)
		if (i % 3 != 2)
			pthread_join(ids[i], NULL);
	while (asleep < fork_threads / 3)
		sched_yield();
	/* Wait a little longer, so that they really sleep: only then the kernel does the next write. */
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	if (!must_fork())
		_exit(0);
	wl_report(fd, 0);
}

static void run_threadfork(int argc, char **argv)
{
	unsigned long forks = wl_arg(argc, argv, 1, 50);

	fork_threads = wl_arg(argc, argv, 0, 9);
	run_child(fork_beside_threads, forks);
	wl_num("threads", (long long)fork_threads);
	wl_num("sleeping_threads", (long long)fork_threads / 3);
	wl_num("forks", (long long)forks + 2);
}

static void sleep_ms(long ms)
{
	syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Shares the memory of the process *victim, protects it by a fork, and kills that process. */
static int kill_after_fork(void *victim)
{
	if (syscall(SYS_fork) == 0) {
		sleep_ms(40);
		syscall(SYS_exit_group, 0);
	}
	sleep_ms(10); /* until the victim sleeps */
	syscall(SYS_kill, *(pid_t *)victim, SIGKILL);
	sleep_ms(20);
	syscall(SYS_exit_group, 0);
	return 0;
}

/*
 * Asleep when it is killed, so the kernel is the next to write to its memory: it clears the tid word in exit, as
 * the memory is shared, and copies the page for it.
 */
static void die_asleep(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	pid_t self = getpid();

	if (clone(kill_after_fork, stack + sizeof(stack), CLONE_VM | SIGCHLD, &self) < 0)
		err(1, "clone");
	for (;;)
		syscall(SYS_pause);
}

/* A killed child that is not reaped; nothing else remains. Its pid is written to PATH. */
static void run_orphan(int argc, char **argv)
{
	FILE *f = fopen(argv[0], "w");
	siginfo_t info;
	int hold[2];
	char scrap;
	pid_t pid;

	(void)argc;
	if (!f)
		err(1, "cannot write %s", argv[0]);
	must_pipe(hold);
	pid = must_fork();
	if (!pid)
		die_asleep();
	close(hold[1]);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) || read(hold[0], &scrap, 1))
		err(1, "cannot wait for the child");
	if (fprintf(f, "%d\n", (int)pid) < 0 || fclose(f))
		err(1, "cannot write %s", argv[0]);
}

static const struct wl_mode modes[] = {
	{ "short", "[CHILDREN]", 0, run_short },
	{ "shortpar", "[CHILDREN [AT_ONCE]]", 0, run_shortpar },
	{ "exec", "[EXECS]", 0, run_exec },
	{ "threadexec", "", 0, run_threadexec },
	{ "threadfork", "[THREADS [FORKS]]", 0, run_threadfork },
	{ "orphan", "PATH", 1, run_orphan },
	{ "link", "(internal)", 2, run_link },
	{ 0 },
};

int main(int argc, char **argv)
{
	wl_main(argc, argv, "proctree", modes);
}
