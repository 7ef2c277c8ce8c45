// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Shared code of all workloads; above all a last line whose fault counts stay true until exit. */
#include "workload.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char line[8192];
static size_t line_len, line_mark;
static struct rusage usage;
static uint64_t begun_ns;
static int devnull = -1;

static void put_char(char c)
{
	if (line_len < sizeof(line))
		line[line_len++] = c;
}

static void put(const char *text)
{
	while (*text)
		put_char(*text++);
}

static void put_number(unsigned long long value)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + value % 10);
	while (value /= 10);
	while (n)
		put_char(digits[--n]);
}

static void put_key(const char *key)
{
	put(line_len > 1 ? ",\"" : "\"");
	put(key);
	put("\":");
}

void wl_num(const char *key, long long value)
{
	put_key(key);
	if (value < 0)
		put_char('-');
	put_number(value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value);
}

void wl_hundredths(const char *key, unsigned long long value)
{
	put_key(key);
	put_number(value / 100);
	put_char('.');
	put_number(value / 10 % 10);
	put_number(value % 10);
}

void wl_str(const char *key, const char *value)
{
	put_key(key);
	put_char('"');
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			put_char('\\');
		put_char((unsigned char)*value < ' ' ? '?' : *value);
	}
	put_char('"');
}

static void join_cgroup(void)
{
	const char *dir = getenv("WORKLOAD_CGROUP");
	char path[4096];
	int fd;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%d\n", getpid()) < 0)
		err(1, "cannot join %s", path);
	close(fd);
}

void wl_begin(const char *workload, const char *mode)
{
	begun_ns = wl_now_ns();
	join_cgroup();
	devnull = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (devnull < 0)
		err(1, "/dev/null");
	put_char('{');
	wl_str("workload", workload);
	wl_str("mode", mode);
	wl_num("pid", getpid());
	wl_num("page_size", (long long)wl_page());
}

/*
 * The kernel itself writes here: to the rseq area whenever the thread was preempted. After a fork that
 * write is a fault, and it may come late, so this copies the pages before the counts are read.
 */
static void own_thread_block(void)
{
	volatile char *self = __builtin_thread_pointer();
	volatile char *rseq = self + __rseq_offset;

	*self = *self;
	if (__rseq_size)
		*rseq = *rseq;
}

/*
 * Reads the counts, prints them and exits. It makes two passes that differ only in data, the first one
 * to /dev/null and without the exit. This rehearsal uses every instruction, stack slot and byte of the
 * last pass, so no page of it can be missing. All calls go through syscall(): as this is one libc
 * function, the rehearsal touches all pages of libc that are needed.
 */
static _Noreturn __attribute__((noinline)) void
last_words(int fd, int status, const char *buf, size_t *len, void (*compose)(void))
{
	const int fds[2] = { devnull, fd };
	const long nrs[2] = { SYS_getpid, SYS_exit_group };
	volatile unsigned int pass = 0; /* volatile, so that the loop is not compiled twice */

	for (;;) {
		own_thread_block();
		syscall(SYS_getrusage, RUSAGE_SELF, &usage);
		compose();
		syscall(SYS_write, fds[pass & 1], buf, *len);
		syscall(nrs[pass & 1], status);
		pass++;
	}
}

static void compose_line(void)
{
	line_len = line_mark;
	put(",\"minflt\":");
	put_number((unsigned long)usage.ru_minflt);
	put(",\"majflt\":");
	put_number((unsigned long)usage.ru_majflt);
	put(",\"maxrss_kb\":");
	put_number((unsigned long)usage.ru_maxrss);
	put("}\n");
}

static void compose_nothing(void)
{
}

void wl_end(int status)
{
	if (getenv("WORKLOAD_DELAYS"))
		wl_delays();
	/* The children that we waited for: wait4() in our parent adds them to our own counts. */
	getrusage(RUSAGE_CHILDREN, &usage);
	wl_num("children_minflt", usage.ru_minflt);
	wl_num("children_majflt", usage.ru_majflt);
	wl_num("wall_ns", (long long)(wl_now_ns() - begun_ns));
	line_mark = line_len;
	last_words(STDOUT_FILENO, status, line, &line_len, compose_line);
}

void wl_report(int fd, int status)
{
	size_t len = sizeof(usage);

	last_words(fd, status, (const char *)&usage, &len, compose_nothing);
}

void wl_read_report(int fd, struct rusage *into)
{
	if (read(fd, into, sizeof(*into)) != sizeof(*into))
		errx(1, "the child ended without its report");
}

struct wl_faults wl_faults(void)
{
	struct rusage now;

	getrusage(RUSAGE_SELF, &now);
	return (struct wl_faults){ now.ru_minflt, now.ru_majflt };
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t wl_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t wl_thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t wl_thread_cpu_wait_ns(void)
{
	unsigned long long ran, waited = 0;
	FILE *f = fopen("/proc/thread-self/schedstat", "re");

	if (f && fscanf(f, "%llu %llu", &ran, &waited) != 2)
		waited = 0;
	if (f)
		fclose(f);
	return waited;
}

size_t wl_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

char *wl_anon(size_t pages)
{
	char *area = mmap(NULL, pages * wl_page(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		err(1, "cannot map %zu pages", pages);
	/* EINVAL: a kernel without huge pages, which does not matter. */
	if (madvise(area, pages * wl_page(), MADV_NOHUGEPAGE) && errno != EINVAL)
		err(1, "MADV_NOHUGEPAGE");
	return area;
}

void wl_read_pages(const char *area, size_t pages)
{
	size_t page = wl_page();

	for (size_t i = 0; i < pages; i++)
		(void)*(const volatile char *)(area + i * page);
}

void wl_write_pages(char *area, size_t pages)
{
	size_t page = wl_page();

	for (size_t i = 0; i < pages; i++)
		*(volatile char *)(area + i * page) = 1;
}

static char io[64 << 10];

int wl_file(const char *path, size_t pages)
{
	off_t want = (off_t)(pages * wl_page()), at = 0;
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	if (st.st_size >= want)
		return fd;
	memset(io, 'w', sizeof(io));
	while (at < want) {
		size_t part = want - at < (off_t)sizeof(io) ? (size_t)(want - at) : sizeof(io);
		ssize_t n = pwrite(fd, io, part, at);

		if (n <= 0)
			err(1, "cannot write %s", path);
		at += n;
	}
	if (fsync(fd))
		err(1, "cannot fsync %s", path);
	return fd;
}

void wl_cache_file(int fd, size_t pages)
{
	off_t want = (off_t)(pages * wl_page());
	ssize_t n;

	for (off_t at = 0; at < want; at += n) {
		n = pread(fd, io, sizeof(io), at);
		if (n <= 0)
			err(1, "cannot read the file");
	}
}

char *wl_map_file(int fd, size_t pages, int prot, int flags)
{
	char *area = mmap(NULL, pages * wl_page(), prot, flags, fd, 0);

	if (area == MAP_FAILED)
		err(1, "cannot map the file");
	return area;
}

size_t wl_resident(char *area, size_t pages)
{
	unsigned char in_core[4096];
	size_t resident = 0;

	for (size_t at = 0; at < pages; at += sizeof(in_core)) {
		size_t n = pages - at < sizeof(in_core) ? pages - at : sizeof(in_core);

		if (mincore(area + at * wl_page(), n * wl_page(), in_core))
			err(1, "mincore");
		for (size_t i = 0; i < n; i++)
			resident += in_core[i] & 1;
	}
	return resident;
}

long wl_proc_number(const char *path, const char *label)
{
	static char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -1;
	text[n] = '\0';
	at = strstr(text, label);
	return at ? strtol(at + strlen(label), NULL, 10) : -1;
}

unsigned long wl_parse(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		errx(2, "'%s' is not a number", text);
	return value;
}

unsigned long wl_arg(int argc, char **argv, int i, unsigned long fallback)
{
	return i < argc ? wl_parse(argv[i]) : fallback;
}

const struct wl_mode *wl_find_mode(const struct wl_mode *modes, const char *name)
{
	for (; modes->name; modes++)
		if (!strcmp(modes->name, name))
			return modes;
	return NULL;
}

void wl_usage(const char *workload, const struct wl_mode *modes)
{
	for (; modes->name; modes++)
		fprintf(stderr, "usage: %s %s %s\n", workload, modes->name, modes->args);
	exit(2);
}

void wl_main(int argc, char **argv, const char *workload, const struct wl_mode *modes)
{
	const struct wl_mode *mode = argc < 2 ? NULL : wl_find_mode(modes, argv[1]);

	if (!mode || argc - 2 < mode->min_args)
		wl_usage(workload, modes);
	wl_begin(workload, mode->name);
	mode->run(argc - 2, argv + 2);
	wl_end(0);
}
