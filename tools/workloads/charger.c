// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Charges MIB of memory of one kind to its cgroup over MS milliseconds, or dies trying if the limit of the cgroup is
 * lower. Most of this memory is in the resident set of no process, or of several.
 */
#include "workload.h"

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1ul << 20)

static char block[64 << 10];

/* Sleeps for one step's share of the time, so that all steps together take ms. */
static void pace(unsigned long steps, unsigned long ms)
{
	usleep((useconds_t)(ms * 1000 / (steps ? steps : 1)));
}

static void write_file(int fd, unsigned long mib, unsigned long ms)
{
	for (unsigned long i = 0; i < mib; i++) {
		for (size_t at = 0; at < MIB; at += sizeof(block)) {
			if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
				err(1, "write");
		}
		pace(mib, ms);
	}
}

static void touch(volatile char *area, unsigned long mib, unsigned long ms)
{
	for (unsigned long i = 0; i < mib; i++) {
		for (size_t at = 0; at < MIB; at += wl_page())
			area[i * MIB + at] = 1;
		pace(mib, ms);
	}
}

/* Written, but not mapped by any process. */
static void run_memfd(int argc, char **argv)
{
	int fd = memfd_create("charger", MFD_CLOEXEC);

	if (fd < 0)
		err(1, "memfd_create");
	write_file(fd, wl_parse(argv[0]), wl_arg(argc, argv, 1, 0));
	pause();
}

/* Reads one page in each 2 MiB: this allocates a page table each, but no other memory. */
static void run_tables(int argc, char **argv)
{
	size_t tables = wl_parse(argv[0]) * 256, span = 2 * MIB;
	volatile char *area = mmap(NULL, tables * span, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		err(1, "mmap");
	madvise((void *)area, tables * span, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < tables; i++) {
		(void)area[i * span];
		if (i % 256 == 0)
			pace(tables / 256, wl_arg(argc, argv, 1, 0));
	}
	pause();
}

/* N processes fault in the same shared memory. Each waits until all have its first page. */
static void run_shared(int argc, char **argv)
{
	unsigned long mib = wl_parse(argv[0]), n = wl_arg(argc, argv, 2, 4);
	char *area = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	atomic_ulong *started = (atomic_ulong *)area;

	if (area == MAP_FAILED)
		err(1, "mmap");
	for (unsigned long i = 1; i < n; i++) {
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			break;
		}
	}
	atomic_fetch_add(started, 1);
	while (atomic_load(started) < n)
		usleep(1000);
	touch(area + MIB, mib - 1, wl_arg(argc, argv, 1, 0));
	pause();
}

static void run_sysv(int argc, char **argv)
{
	unsigned long mib = wl_parse(argv[0]);
	int id = shmget(IPC_PRIVATE, mib * MIB, 0600);
	char *area = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

	if (id < 0 || area == (void *)-1)
		err(1, "System V shared memory");
	shmctl(id, IPC_RMID, NULL);
	touch(area, mib, wl_arg(argc, argv, 1, 0));
	pause();
}

struct clone_arg {
	char *area;
	unsigned long mib, ms;
};

static int clone_main(void *arg)
{
	pause();
	(void)arg;
	return 0;
}

/* N processes share one address space; only one of them fills it. */
static void run_clones(int argc, char **argv)
{
	unsigned long mib = wl_parse(argv[0]), n = wl_arg(argc, argv, 2, 4);
	char *area = wl_anon(mib * MIB / wl_page()), *stacks = malloc(n * sizeof(block));

	if (!stacks)
		err(1, "malloc");
	for (unsigned long i = 1; i < n; i++) {
		if (clone(clone_main, stacks + i * sizeof(block), CLONE_VM | SIGCHLD, NULL) < 0)
			err(1, "clone");
	}
	touch(area, mib, wl_arg(argc, argv, 1, 0));
	pause();
}

static void *grow(void *arg)
{
	const struct clone_arg *a = arg;

	usleep(1000);
	touch(a->area, a->mib, a->ms);
	pause();
	return NULL;
}

/* The main thread exits, another thread goes on. */
static void run_orphan(int argc, char **argv)
{
	static struct clone_arg a;
	pthread_t t;

	a.mib = wl_parse(argv[0]);
	a.ms = wl_arg(argc, argv, 1, 0);
	a.area = wl_anon(a.mib * MIB / wl_page());
	if (pthread_create(&t, NULL, grow, &a))
		errx(1, "no thread");
	pthread_exit(NULL);
}

/* A parent that holds MIB/4 forks N children, which only read it; then the parent allocates the rest. */
static void run_forks(int argc, char **argv)
{
	unsigned long mib = wl_parse(argv[0]), n = wl_arg(argc, argv, 2, 4), part = mib / 4;
	char *area = wl_anon(mib * MIB / wl_page());

	touch(area, part, 0);
	for (unsigned long i = 0; i < n; i++) {
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
		}
	}
	touch(area + part * MIB, mib - part, wl_arg(argc, argv, 1, 0));
	pause();
}

static void more_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* Full pipes, whose buffers are kernel memory. */
static void run_pipes(int argc, char **argv)
{
	unsigned long mib = wl_parse(argv[0]);

	more_files();
	for (unsigned long i = 0; i < mib * 16; i++) {
		int fd[2];

		if (pipe2(fd, O_NONBLOCK | O_CLOEXEC))
			err(1, "pipe");
		while (write(fd[1], block, 4096) > 0)
			;
		if (i % 16 == 0)
			pace(mib, wl_arg(argc, argv, 1, 0));
	}
	pause();
}

/* Sockets with data that no process reads. */
static void run_sockets(int argc, char **argv)
{
	unsigned long mib = wl_parse(argv[0]);

	more_files();
	for (unsigned long i = 0; i < mib * 8; i++) {
		int fd[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd))
			err(1, "socketpair");
		while (write(fd[0], block, 16384) > 0)
			;
		if (i % 8 == 0)
			pace(mib, wl_arg(argc, argv, 1, 0));
	}
	pause();
}

/* Dentries and inodes, which are slab memory. DIR is a folder for many empty files. */
static void run_inodes(int argc, char **argv)
{
	unsigned long n = wl_parse(argv[0]) * 1000;
	char path[512];

	if (argc < 3)
		errx(2, "charger inodes THOUSANDS MS DIR");
	for (unsigned long i = 0; i < n; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%0100lu", argv[2], i);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			err(1, "%s", path);
		close(fd);
		if (i % 1000 == 0)
			pace(n / 1000, wl_arg(argc, argv, 1, 0));
	}
	pause();
}

static const struct wl_mode modes[] = {
	{ "memfd", "MIB [MS]", 1, run_memfd },
	{ "tables", "MIB [MS]", 1, run_tables },
	{ "shared", "MIB [MS [PROCESSES]]", 1, run_shared },
	{ "sysv", "MIB [MS]", 1, run_sysv },
	{ "clones", "MIB [MS [PROCESSES]]", 1, run_clones },
	{ "orphan", "MIB [MS]", 1, run_orphan },
	{ "forks", "MIB [MS [PROCESSES]]", 1, run_forks },
	{ "pipes", "MIB [MS]", 1, run_pipes },
	{ "sockets", "MIB [MS]", 1, run_sockets },
	{ "inodes", "THOUSANDS MS DIR", 3, run_inodes },
	{ 0 },
};

int main(int argc, char **argv)
{
	wl_main(argc, argv, "charger", modes);
}
