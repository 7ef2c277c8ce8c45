// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
#include "cli/demo_programs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/cgroups.h"

#define MIB (1024ul * 1024)

#define HELD_MIB       36 /* demo-cache holds most, so that the kernel kills it, not the one that grows */
#define BIG_FILE_MIB   64
#define WRITE_MIB      4

static void sleep_ms(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- the programs: each runs until it is killed ---- */

/* Mapped anew, so that it is never a part of freed memory. */
void *demo_use_memory(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	memset(p, 1, size);
	return p;
}

/* Every request takes a buffer, and every second one forgets to free it. */
void demo_leak_requests(const char *dir)
{
	(void)dir;
	for (unsigned int i = 0;; i++) {
		void *request = demo_use_memory(64 * 1024);

		if (i % 2)
			munmap(request, 64 * 1024);
		sleep_ms(10);
	}
}

static int open_file(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		_exit(1);
	return fd;
}

/* A database's log, say: a few bytes that must be on the disk before the next request is served. */
void demo_sync_log(const char *dir)
{
	char record[4096] = { 1 };
	int fd = open_file(dir, "log");

	for (;;) {
		if (write(fd, record, sizeof(record)) < 0 || fsync(fd))
			_exit(1);
		sleep_ms(20);
	}
}

/* A backup, say, into the same file system. */
void demo_write_backup(const char *dir)
{
	char *block = demo_use_memory(WRITE_MIB * MIB);
	int fd = open_file(dir, "big");

	for (unsigned long mib = 0;; mib += WRITE_MIB) {
		if (mib % BIG_FILE_MIB == 0 && ftruncate(fd, 0))
			_exit(1);
		if (write(fd, block, WRITE_MIB * MIB) < 0)
			_exit(1);
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		sleep_ms(100); /* 800 MB in all: enough for the others to wait, and little for the disk */
	}
}

/* Has what it needs, and takes no more. */
void demo_hold_memory(const char *dir)
{
	(void)dir;
	demo_use_memory(HELD_MIB * MIB);
	for (;;)
		pause();
}

/* Takes 1 MiB a time until the cgroup is full, and goes on a little after somebody was killed for it. */
void demo_fill_cgroup(const char *dir)
{
	(void)dir;
	sleep_ms(3000);
	for (unsigned int mib = 0; mib < HELD_MIB - 2; mib++) {
		demo_use_memory(MIB);
		sleep_ms(200);
	}
	for (;;)
		pause();
}

static const struct {
	const char *comm;
	void (*run)(const char *dir);
} programs[MB_DEMO_N] = {
#define MB_DEMO_ROW(name, comm, run) [MB_DEMO_##name] = { comm, run },
	MB_DEMO_PROGRAMS(MB_DEMO_ROW)
#undef MB_DEMO_ROW
};

/* ---- the place ---- */

static bool write_text(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* A memory cgroup below the root of the hierarchy, v1 or v2. Without one, the other programs still run. */
static void make_cgroup(struct mb_demo *d)
{
	struct mb_cgroups *c = mb_cgroups_open();
	const char *root = c ? mb_cgroups_root(c) : NULL;
	char limit[32];

	snprintf(limit, sizeof(limit), "%lu", MB_DEMO_LIMIT_MIB * MIB);
	if (!root) {
		snprintf(d->no_cgroup, sizeof(d->no_cgroup), "no memory cgroups are mounted");
	} else {
		snprintf(d->cgroup, sizeof(d->cgroup), "%.256s/memblame-demo.%d", root, (int)getpid());
		if (mkdir(d->cgroup, 0700)) {
			snprintf(d->no_cgroup, sizeof(d->no_cgroup), "cannot make a cgroup: %s", strerror(errno));
			d->cgroup[0] = '\0';
		} else if (!write_text(d->cgroup, "memory.max", limit) && !write_text(d->cgroup, "memory.limit_in_bytes", limit)) {
			snprintf(d->no_cgroup, sizeof(d->no_cgroup), "the cgroup takes no memory limit: %s", strerror(errno));
			rmdir(d->cgroup);
			d->cgroup[0] = '\0';
		} else { /* memory that is swapped out would only delay the kill */
			if (!write_text(d->cgroup, "memory.swap.max", "0"))
				write_text(d->cgroup, "memory.memsw.limit_in_bytes", limit);
		}
	}
	mb_cgroups_close(c);
}

static void remove_files(const char *dir)
{
	DIR *at = opendir(dir);

	for (struct dirent *f; at && (f = readdir(at));)
		unlinkat(dirfd(at), f->d_name, 0);
	if (at)
		closedir(at);
	rmdir(dir);
}

/* Ends the programs. The cgroup can only be removed when the kernel has let go of the last one. */
static void clean(const struct mb_demo *d)
{
	for (size_t i = 0; i < MB_DEMO_N; i++) {
		if (d->pids[i] > 0)
			kill(d->pids[i], SIGKILL);
	}
	for (int i = 0; d->cgroup[0] && i < 250 && rmdir(d->cgroup) && errno == EBUSY; i++)
		sleep_ms(20);
	remove_files(d->dir);
}

/* Ends with the parent, and waits for its word until then. */
static void be_program(const struct mb_demo *d, enum mb_demo_program n, int go, pid_t parent)
{
	sigset_t none;
	char word;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, programs[n].comm);
	/* Ctrl-C is for the demo, which ends the programs */
	signal(SIGINT, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (getppid() != parent)
		_exit(1);
	if ((n == MB_DEMO_CACHE || n == MB_DEMO_GROWING) && !write_text(d->cgroup, "cgroup.procs", "0"))
		_exit(1);
	if (read(go, &word, 1))
		_exit(1);
	programs[n].run(d->dir);
}

static pid_t start_program(const struct mb_demo *d, enum mb_demo_program n, const int go[2])
{
	pid_t parent = getpid(), pid = fork();

	if (!pid) {
		close(go[1]);
		be_program(d, n, go[0], parent);
		_exit(1);
	}
	return pid;
}

static pid_t start_cleaner(const struct mb_demo *d, const int alive[2])
{
	pid_t pid = fork();
	char word;

	if (!pid) { /* its signals stay blocked */
		prctl(PR_SET_NAME, "demo-cleaner");
		close(d->go);
		close(alive[1]);
		while (read(alive[0], &word, 1) < 0)
			;
		clean(d);
		_exit(0);
	}
	return pid;
}

int mb_demo_start(struct mb_demo *d, struct mb_err *e)
{
	int go[2], alive[2];
	struct statfs fs;

	memset(d, 0, sizeof(*d));
	d->go = d->alive = -1;
	snprintf(d->dir, sizeof(d->dir), "/var/tmp/memblame-demo.XXXXXX");
	if (!mkdtemp(d->dir)) {
		d->dir[0] = '\0';
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot make a folder in /var/tmp");
	}
	d->no_disk = statfs(d->dir, &fs) || fs.f_type != TMPFS_MAGIC ? "" : "/var/tmp is in memory (tmpfs)";
	make_cgroup(d);
	if (pipe2(go, O_CLOEXEC))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "pipe");
	d->go = go[1];
	for (size_t i = 0; i < MB_DEMO_N; i++) {
		if (!d->cgroup[0] && (i == MB_DEMO_CACHE || i == MB_DEMO_GROWING))
			continue;
		d->pids[i] = start_program(d, (enum mb_demo_program)i, go);
		if (d->pids[i] < 0)
			return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot start %s", programs[i].comm);
	}
	close(go[0]);
	if (pipe2(alive, O_CLOEXEC))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "pipe");
	d->alive = alive[1];
	d->cleaner = start_cleaner(d, alive);
	close(alive[0]);
	return d->cleaner < 0 ? mb_err_set(e, MB_EXIT_FAILED, errno, "cannot start the cleaner") : 0;
}

void mb_demo_go(struct mb_demo *d)
{
	close(d->go);
	d->go = -1;
}

void mb_demo_end(struct mb_demo *d)
{
	if (!d->dir[0])
		return;
	if (d->alive >= 0)
		close(d->alive);
	if (d->cleaner > 0)
		waitpid(d->cleaner, NULL, 0);
	else
		clean(d);
	for (size_t i = 0; i < MB_DEMO_N; i++) {
		if (d->pids[i] > 0)
			waitpid(d->pids[i], NULL, 0);
	}
	if (d->go >= 0)
		close(d->go);
	d->dir[0] = '\0';
}
