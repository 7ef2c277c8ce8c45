// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Makes a known number of page faults of one known cause. */
#include "workload.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PAGES 10000
#define HUGE_BYTES    (2UL << 20)
#define STORM_BYTES   (64UL << 20)

static void run_anon(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES);

	wl_write_pages(wl_anon(n), n);
	wl_num("anon", (long long)n);
}

static void run_zero(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES);
	char *area = wl_anon(n);

	wl_read_pages(area, n);
	wl_write_pages(area, n);
	wl_num("anon_reads", (long long)n);
	wl_num("cow_writes", (long long)n);
}

static void run_cow(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES);
	char *area = wl_anon(n);
	struct rusage usage;
	int fds[2];
	pid_t child;

	wl_write_pages(area, n);
	if (pipe(fds))
		err(1, "pipe");
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		wl_write_pages(area, n);
		wl_report(fds[1], 0);
	}
	close(fds[1]);
	wl_read_report(fds[0], &usage);
	if (waitpid(child, NULL, 0) != child)
		err(1, "waitpid");
	wl_num("anon", (long long)n);
	wl_num("child_pid", child);
	wl_num("child_minflt", usage.ru_minflt);
	wl_num("child_majflt", usage.ru_majflt);
	wl_num("child_cow", (long long)n);
}

/* The pages are in the page cache: one fault maps up to 16 of them, so the program measures its own faults. */
static void read_cached(char *area, size_t n)
{
	struct wl_faults before, after;

	wl_num("resident_before", (long long)wl_resident(area, n));
	before = wl_faults();
	wl_read_pages(area, n);
	after = wl_faults();
	wl_num("file_pages", (long long)n);
	wl_num("file_faults", after.minor - before.minor);
	wl_num("file_major", after.major - before.major);
}

static char *map_cached(int argc, char **argv, size_t *n, int prot, int flags)
{
	int fd;

	*n = wl_arg(argc, argv, 0, DEFAULT_PAGES);
	fd = wl_file(argv[1], *n);
	wl_cache_file(fd, *n);
	return wl_map_file(fd, *n, prot, flags);
}

static void run_filepriv(int argc, char **argv)
{
	size_t n;
	char *area = map_cached(argc, argv, &n, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	read_cached(area, n);
	wl_write_pages(area, n);
	wl_num("cow", (long long)n);
}

static void run_file(int argc, char **argv)
{
	size_t n;
	char *area = map_cached(argc, argv, &n, PROT_READ, MAP_SHARED);

	read_cached(area, n);
}

/*
 * With MADV_RANDOM the kernel reads only the page asked for, without read-ahead, and fault-around maps
 * only pages in the page cache; so each page needs its own read and major fault.
 */
static void run_cold(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES);
	int fd = wl_file(argv[1], n);
	char *area = wl_map_file(fd, n, PROT_READ, MAP_SHARED);
	struct wl_faults before, after;

	if (madvise(area, n * wl_page(), MADV_RANDOM))
		err(1, "MADV_RANDOM");
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		err(1, "cannot drop the file from the page cache");
	wl_num("resident_before", (long long)wl_resident(area, n));
	before = wl_faults();
	wl_read_pages(area, n);
	after = wl_faults();
	wl_num("cold_pages", (long long)n);
	wl_num("major_seen", after.major - before.major);
	wl_num("minor_seen", after.minor - before.minor);
}

static void run_shmem(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, DEFAULT_PAGES);
	char *area = mmap(NULL, n * wl_page(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);

	if (area == MAP_FAILED)
		err(1, "cannot map %zu shared pages", n);
	wl_write_pages(area, n);
	wl_num("shmem", (long long)n);
}

static void run_thp(int argc, char **argv)
{
	size_t n = wl_arg(argc, argv, 0, 8), bytes = (n + 1) * HUGE_BYTES;
	struct wl_faults before, after;
	char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long huge_kb;

	if (area == MAP_FAILED)
		err(1, "cannot map %zu bytes", bytes);
	area += HUGE_BYTES - ((uintptr_t)area & (HUGE_BYTES - 1));
	/* Fails on a kernel without huge pages: huge_kb then says 0. */
	if (argc < 2)
		(void)madvise(area, n * HUGE_BYTES, MADV_HUGEPAGE);
	before = wl_faults();
	for (size_t i = 0; i < n; i++)
		*(volatile char *)(area + i * HUGE_BYTES) = 1;
	after = wl_faults();
	wl_num("thp", (long long)n);
	wl_num("thp_faults", after.minor - before.minor);
	huge_kb = wl_proc_number("/proc/self/smaps_rollup", "AnonHugePages:");
	wl_num("huge_kb", huge_kb);
}

static sigjmp_buf after_segv;
static volatile sig_atomic_t maperr, accerr, other_code;

static void on_segv(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (info->si_code == SEGV_MAPERR)
		maperr++;
	else if (info->si_code == SEGV_ACCERR)
		accerr++;
	else
		other_code++;
	siglongjmp(after_segv, 1);
}

static void provoke(volatile char *address, unsigned long times)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO };

	if (sigaction(SIGSEGV, &action, NULL))
		err(1, "sigaction");
	for (volatile unsigned long i = 0; i < times; i++)
		if (!sigsetjmp(after_segv, 1))
			*address = 1;
	wl_num("maperr", maperr);
	wl_num("accerr", accerr);
	wl_num("other_code", other_code);
}

static void run_segv_unmapped(int argc, char **argv)
{
	char *area = wl_anon(1);

	munmap(area, wl_page());
	provoke(area, wl_arg(argc, argv, 0, 100));
}

static void run_segv_access(int argc, char **argv)
{
	char *area = wl_anon(1);

	if (mprotect(area, wl_page(), PROT_READ))
		err(1, "mprotect");
	wl_read_pages(area, 1);
	provoke(area, wl_arg(argc, argv, 0, 100));
}

struct worker {
	pthread_t id;
	unsigned long want, made;
	uint64_t ns, cpu_ns;
};

static pthread_barrier_t start;
static volatile bool over;

static void *touch_thread(void *arg)
{
	struct worker *self = arg;
	char *area = wl_anon(self->want);

	pthread_barrier_wait(&start);
	wl_write_pages(area, self->want);
	self->made = self->want;
	return NULL;
}

static void *storm_thread(void *arg)
{
	struct worker *self = arg;
	size_t page = wl_page();
	unsigned long made = 0, want = self->want;
	char *area = wl_anon(STORM_BYTES / page);
	uint64_t begin, cpu;

	pthread_barrier_wait(&start);
	begin = wl_now_ns();
	cpu = wl_thread_cpu_ns();
	while (made < want && !over) {
		for (size_t at = 0; at < STORM_BYTES && made < want && !over; at += page, made++)
			*(volatile char *)(area + at) = 1;
		if (madvise(area, STORM_BYTES, MADV_DONTNEED))
			err(1, "MADV_DONTNEED");
	}
	self->cpu_ns = wl_thread_cpu_ns() - cpu;
	self->ns = wl_now_ns() - begin;
	self->made = made;
	return NULL;
}

/* Starts all threads at once, ends them after `seconds` unless 0, returns the sums. */
static struct worker run_threads(unsigned long count, unsigned long want, unsigned long seconds,
				 void *(*body)(void *))
{
	struct worker sum = { 0 }, *workers = calloc(count, sizeof(*workers));

	if (!workers || !count)
		errx(1, "cannot run %lu threads", count);
	pthread_barrier_init(&start, NULL, (unsigned int)count + 1);
	for (unsigned long i = 0; i < count; i++) {
		workers[i].want = want;
		errno = pthread_create(&workers[i].id, NULL, body, &workers[i]);
		if (errno)
			err(1, "cannot start thread %lu", i);
	}
	pthread_barrier_wait(&start);
	if (seconds) {
		nanosleep(&(struct timespec){ .tv_sec = (time_t)seconds }, NULL);
		over = true;
	}
	for (unsigned long i = 0; i < count; i++) {
		pthread_join(workers[i].id, NULL);
		sum.made += workers[i].made;
		sum.ns += workers[i].ns;
		sum.cpu_ns += workers[i].cpu_ns;
	}
	free(workers);
	return sum;
}

static void run_threads_mode(int argc, char **argv)
{
	unsigned long threads = wl_arg(argc, argv, 0, 64);
	struct worker sum = run_threads(threads, wl_arg(argc, argv, 1, 200), 0, touch_thread);

	wl_num("threads", (long long)threads);
	wl_num("anon", (long long)sum.made);
}

static void run_storm(int argc, char **argv)
{
	unsigned long threads = wl_arg(argc, argv, 0, 2), want = ULONG_MAX, seconds = 0;
	struct worker sum;

	if (argc > 1 && !strncmp(argv[1], "count:", 6))
		want = wl_parse(argv[1] + 6);
	else
		seconds = wl_arg(argc, argv, 1, 1);
	if (!seconds && want == ULONG_MAX)
		errx(2, "a storm of 0 seconds");
	sum = run_threads(threads, want, seconds, storm_thread);
	wl_num("threads", (long long)threads);
	wl_num("faults_made", (long long)sum.made);
	wl_num("loop_ns", (long long)sum.ns);
	wl_hundredths("ns_per_fault", sum.made ? sum.ns * 100 / sum.made : 0);
	wl_hundredths("cpu_ns_per_fault", sum.made ? sum.cpu_ns * 100 / sum.made : 0);
}

static const struct wl_mode modes[] = {
	{ "anon", "[PAGES]", 0, run_anon },
	{ "zero", "[PAGES]", 0, run_zero },
	{ "cow", "[PAGES]", 0, run_cow },
	{ "filepriv", "PAGES FILE", 2, run_filepriv },
	{ "file", "PAGES FILE", 2, run_file },
	{ "cold", "PAGES FILE", 2, run_cold },
	{ "shmem", "[PAGES]", 0, run_shmem },
	{ "thp", "[REGIONS [unasked]]", 0, run_thp },
	{ "segv_unmapped", "[TIMES]", 0, run_segv_unmapped },
	{ "segv_access", "[TIMES]", 0, run_segv_access },
	{ "threads", "[THREADS [PAGES]]", 0, run_threads_mode },
	{ "storm", "[THREADS [SECONDS | count:TOUCHES]]", 0, run_storm },
	{ 0 },
};

int main(int argc, char **argv)
{
	wl_main(argc, argv, "faulter", modes);
}
