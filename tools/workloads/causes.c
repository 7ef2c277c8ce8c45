// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Makes a known number of page faults with causes that the page counters of a process do not show. */
#include "workload.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PAGES 2000
#define HUGE_BYTES (2UL << 20)
#define ANSWER_NS 200000

static struct wl_faults before;

static void begin_count(void)
{
	before = wl_faults();
}

static void end_count(const char *key)
{
	struct wl_faults now = wl_faults();

	wl_num(key, now.minor - before.minor + now.major - before.major);
}

/* All pages of a shared file are clean and mapped: each write makes one writable. Repeated after write-back. */
static void run_mkwrite(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES);
	int fd = wl_file(argv[1], n);
	char *area;

	wl_cache_file(fd, n);
	area = wl_map_file(fd, n, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (int round = 0; round < 2; round++) {
		wl_read_pages(area, n);
		begin_count();
		wl_write_pages(area, n);
		end_count(round ? "mkwrite_again" : "mkwrite");
		if (msync(area, n * wl_page(), MS_SYNC))
			err(1, "msync");
	}
}

/* Copy-on-write pages whose other owner, a child, has ended: the parent reuses each page, by one fault each. */
static void run_reuse(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES);
	char *area = wl_anon(n);
	pid_t child;

	wl_write_pages(area, n);
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child)
		_exit(0);
	if (waitpid(child, NULL, 0) != child)
		err(1, "waitpid");
	begin_count();
	wl_write_pages(area, n);
	end_count("cow");
}

/* Maps anonymous memory and a shared file page in turn at one address: the mapping is gone when memblame looks. */
static void run_alternate(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES), size = wl_page();
	int fd = wl_file(argv[1], 1);
	char *at = wl_anon(1);
	struct wl_faults start;

	wl_cache_file(fd, 1);
	start = wl_faults();
	for (size_t i = 0; i < n; i++) {
		if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, fd, 0) != at)
			err(1, "mmap");
		wl_read_pages(at, 1);
		wl_write_pages(at, 1);
		/* the page must be clean again for the next turn */
		if (munmap(at, size) || fdatasync(fd))
			err(1, "munmap");
		if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0) != at)
			err(1, "mmap");
		wl_read_pages(at, 1);
	}
	before = start;
	end_count("all");
	wl_num("turns", (long long)n);
}

static void write_huge(char *area, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*(volatile char *)(area + i * HUGE_BYTES) = 1;
}

/* Huge pages of the hugetlb pool: half of them are read first, the rest written; after a fork all are written. */
static void run_hugetlb(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, 4);
	char *area = mmap(NULL, n * HUGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	volatile char sum = 0;
	pid_t child;

	if (area == MAP_FAILED)
		err(1, "cannot map %zu huge pages", n);
	begin_count();
	for (size_t i = 0; i < n / 2; i++)
		sum += area[i * HUGE_BYTES];
	write_huge(area + n / 2 * HUGE_BYTES, n - n / 2);
	end_count("hugetlb");
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child)
		_exit(0);
	if (waitpid(child, NULL, 0) != child)
		err(1, "waitpid");
	begin_count();
	write_huge(area, n);
	end_count("hugetlb_again");
	if (munmap(area, n * HUGE_BYTES))
		err(1, "munmap");
}

static sigjmp_buf after;

static void on_signal(int signal)
{
	(void)signal;
	siglongjmp(after, 1);
}

/*
 * Accesses that fail in turn with SIGSEGV, with SIGBUS beyond the end of a file, and with EFAULT. After each one, the
 * kernel itself faults in a page of this process (mlock), which also counts for this thread.
 */
static void run_failed(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES), size = wl_page();
	int fd = wl_file(argv[1], 1), null = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	char *area = wl_anon(n), *hole = wl_anon(1),
	     *beyond = mmap(NULL, 2 * size, PROT_READ, MAP_SHARED, fd, 0);
	long long failed[3] = { 0 }, locked = 0;

	if (beyond == MAP_FAILED || null < 0 || ftruncate(fd, (off_t)size))
		err(1, "cannot prepare");
	munmap(hole, size);
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	for (volatile size_t i = 0; i < n; i++) {
		if (sigsetjmp(after, 1))
			failed[i % 3]++;
		else if (i % 3 == 0)
			*(volatile char *)hole = 1;
		else if (i % 3 == 1)
			(void)*(volatile char *)(beyond + size);
		else if (read(null, hole, 1) < 0 && errno == EFAULT)
			failed[2]++;
		locked += !mlock(area + i * size, size);
	}
	wl_num("segv", failed[0]);
	wl_num("bus", failed[1]);
	wl_num("efault", failed[2]);
	wl_num("locked", locked);
}

/* This process writes a child's pages (process_vm_writev): the kernel counts the faults here, not for the child. */
static void run_remote(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES), size = n * wl_page();
	char *there = wl_anon(n), *here = wl_anon(n);
	struct iovec local = { here, size }, remote = { there, size };
	struct rusage usage;
	int go[2], done[2];
	pid_t child;
	char byte;

	wl_write_pages(here, n);
	if (pipe(go) || pipe(done))
		err(1, "pipe");
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		close(go[1]);
		if (read(go[0], &byte, 1) < 0)
			_exit(1);
		wl_report(done[1], 0);
	}
	close(done[1]);
	begin_count();
	if (process_vm_writev(child, &local, 1, &remote, 1, 0) != (ssize_t)size)
		err(1, "process_vm_writev");
	end_count("remote");
	close(go[1]);
	wl_read_report(done[0], &usage);
	if (waitpid(child, NULL, 0) != child)
		err(1, "waitpid");
	wl_num("child_pid", child);
	wl_num("child_minflt", usage.ru_minflt);
	wl_num("child_majflt", usage.ru_majflt);
}

struct answering {
	int fd;
	unsigned long answered;
	unsigned long long mode; /* UFFDIO_REGISTER_MODE_* */
	char page[4096] __attribute__((aligned(4096)));
};

static int answer(struct answering *a, unsigned long long at)
{
	struct uffdio_range range = { at, 4096 };
	struct uffdio_copy copy = { .dst = at, .src = (unsigned long)a->page, .len = 4096 };
	struct uffdio_continue go_on = { .range = range };
	struct uffdio_writeprotect allow = { .range = range };

	if (a->mode == UFFDIO_REGISTER_MODE_WP)
		return ioctl(a->fd, UFFDIO_WRITEPROTECT, &allow);
	if (a->mode == UFFDIO_REGISTER_MODE_MINOR)
		return ioctl(a->fd, UFFDIO_CONTINUE, &go_on);
	return ioctl(a->fd, UFFDIO_COPY, &copy);
}

/* Answers each fault after a while, until no more faults can come. */
static void *answer_thread(void *arg)
{
	struct answering *a = arg;
	struct uffd_msg msg;

	while (read(a->fd, &msg, sizeof(msg)) == sizeof(msg)) {
		nanosleep(&(struct timespec){ .tv_nsec = ANSWER_NS }, NULL);
		__atomic_add_fetch(&a->answered, 1, __ATOMIC_RELEASE);
		if (answer(a, msg.arg.pagefault.address & ~4095ull))
			err(1, "cannot answer");
	}
	return NULL;
}

/* If the kernel lacks a feature, the program ends with status 3. */
static int watch(unsigned long long mode, char *area, size_t size)
{
	unsigned long long features =
		mode == UFFDIO_REGISTER_MODE_MINOR ? UFFD_FEATURE_MINOR_SHMEM :
		mode == UFFDIO_REGISTER_MODE_WP	   ? UFFD_FEATURE_PAGEFAULT_FLAG_WP :
						     0;
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = { .range = { (unsigned long)area, size }, .mode = mode };
	struct uffdio_writeprotect protect = { .range = reg.range,
					       .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    (mode == UFFDIO_REGISTER_MODE_WP && ioctl(fd, UFFDIO_WRITEPROTECT, &protect)))
		err(3, "userfaultfd");
	return fd;
}

/* The program or read(2) touches pages one by one; another thread must first answer the fault of each. */
static void run_userfault(int argc, char **argv)
{
	static struct answering a;
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES), size = n * wl_page();
	const char *access = argv[2];
	int memory = memfd_create("causes", MFD_CLOEXEC),
	    zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	char *area = wl_anon(n);
	volatile char sum = 0;
	pthread_t thread;
	uint64_t begin;

	a.mode = !strcmp(argv[1], "protect") ? UFFDIO_REGISTER_MODE_WP :
		 !strcmp(argv[1], "minor")   ? UFFDIO_REGISTER_MODE_MINOR :
					       UFFDIO_REGISTER_MODE_MISSING;
	if (a.mode == UFFDIO_REGISTER_MODE_WP)
		wl_write_pages(area, n);
	if (a.mode ==
	    UFFDIO_REGISTER_MODE_MINOR) { /* the pages are there, but not in this mapping */
		if (memory < 0 || ftruncate(memory, (off_t)size))
			err(1, "memfd");
		wl_write_pages(wl_map_file(memory, n, PROT_READ | PROT_WRITE, MAP_SHARED), n);
		area = wl_map_file(memory, n, PROT_READ | PROT_WRITE, MAP_SHARED);
	}
	a.fd = watch(a.mode, area, size);
	errno = pthread_create(&thread, NULL, answer_thread, &a);
	if (errno)
		err(1, "cannot start a thread");
	begin = wl_now_ns();
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(access, "syscall") ? read(zero, area + i * wl_page(), 1) != 1 : false)
			err(1, "read");
		else if (!strcmp(access, "read"))
			sum += area[i * wl_page()];
		else if (!strcmp(access, "write"))
			*(volatile char *)(area + i * wl_page()) = 1;
	}
	wl_num("touch_ns", (long long)(wl_now_ns() - begin));
	wl_num("answer_ns", ANSWER_NS);
	wl_num("answered", (long long)__atomic_load_n(&a.answered, __ATOMIC_ACQUIRE));
}

static const struct wl_mode modes[] = {
	{ "mkwrite", "PAGES FILE", 2, run_mkwrite },
	{ "reuse", "[PAGES]", 0, run_reuse },
	{ "alternate", "TURNS FILE", 2, run_alternate },
	{ "hugetlb", "[PAGES]", 0, run_hugetlb },
	{ "failed", "TIMES FILE", 2, run_failed },
	{ "remote", "[PAGES]", 0, run_remote },
	{ "userfault", "PAGES missing|protect|minor write|read|syscall", 3, run_userfault },
	{ 0 },
};

int main(int argc, char **argv)
{
	wl_main(argc, argv, "causes", modes);
}
