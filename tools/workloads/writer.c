// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Writes a known amount into a new file and measures how long the writes were held up. */
#include "workload.h"

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *path;
static size_t total, block;
static char *data;
static struct {
	uint64_t ns, blocked_ns, blocked_call_ns, max_ns, cpu_ns, cpu_wait_ns, fsync_ns;
	long calls, blocked_calls, fsyncs;
} spent;

static int new_file(void)
{
	int fd;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		err(1, "cannot create %s", path);
	return fd;
}

/* Voluntary context switches: if their number grows during a block, the thread did more than copy. */
static long sleeps(void)
{
	struct rusage now;

	getrusage(RUSAGE_THREAD, &now);
	return now.ru_nvcsw;
}

/* ns: the time of the call; cpu_ns: the part of it in which the thread ran. */
static void account(uint64_t ns, uint64_t cpu_ns, bool slept)
{
	spent.calls++;
	spent.ns += ns;
	if (ns > spent.max_ns)
		spent.max_ns = ns;
	if (slept) {
		spent.blocked_calls++;
		spent.blocked_ns += ns > cpu_ns ? ns - cpu_ns : 0;
		spent.blocked_call_ns += ns;
	}
}

static void sync_file(int fd)
{
	uint64_t begin = wl_now_ns();

	if (fsync(fd))
		err(1, "cannot fsync %s", path);
	spent.fsync_ns += wl_now_ns() - begin;
	spent.fsyncs++;
}

/* Writes into `map` if given, otherwise by write(). */
static void write_all(int fd, char *map, bool sync_each)
{
	uint64_t cpu = wl_thread_cpu_ns(), wait = wl_thread_cpu_wait_ns();

	for (size_t at = 0, n; at < total; at += n) {
		long slept = sleeps();
		uint64_t begin = wl_now_ns(), ran = wl_thread_cpu_ns(), ns;

		n = total - at < block ? total - at : block;
		if (map)
			memcpy(map + at, data, n);
		else if (write(fd, data, n) != (ssize_t)n)
			err(1, "cannot write %s", path);
		ns = wl_now_ns() - begin;
		account(ns, wl_thread_cpu_ns() - ran, sleeps() != slept);
		if (sync_each)
			sync_file(fd);
	}
	spent.cpu_ns = wl_thread_cpu_ns() - cpu;
	spent.cpu_wait_ns = wl_thread_cpu_wait_ns() - wait;
}

static void run_nosync(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	write_all(new_file(), NULL, false);
}

static void run_fsync(int argc, char **argv)
{
	int fd = new_file();

	(void)argc;
	(void)argv;
	write_all(fd, NULL, false);
	sync_file(fd);
}

/* After each block. */
static void run_fsyncs(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	write_all(new_file(), NULL, true);
}

static void run_mmap(int argc, char **argv)
{
	int fd = new_file();

	(void)argc;
	(void)argv;
	if (ftruncate(fd, (off_t)total))
		err(1, "cannot size %s", path);
	write_all(fd, wl_map_file(fd, total / wl_page(), PROT_READ | PROT_WRITE, MAP_SHARED),
		  false);
}

/* Reads the clocks only before and after: the cost of writing, without the cost of measuring. */
static void run_plain(int argc, char **argv)
{
	int fd = new_file();
	uint64_t begin = wl_now_ns(), cpu = wl_thread_cpu_ns();

	(void)argc;
	(void)argv;
	for (size_t at = 0, n; at < total; at += n, spent.calls++) {
		n = total - at < block ? total - at : block;
		if (write(fd, data, n) != (ssize_t)n)
			err(1, "cannot write %s", path);
	}
	spent.cpu_ns = wl_thread_cpu_ns() - cpu;
	spent.ns = wl_now_ns() - begin;
}

static const struct wl_mode modes[] = {
	{ "nosync", "FILE MIB nosync [BLOCKBYTES]", 0, run_nosync },
	{ "fsync", "FILE MIB fsync [BLOCKBYTES]", 0, run_fsync },
	{ "fsyncs", "FILE MIB fsyncs [BLOCKBYTES]", 0, run_fsyncs },
	{ "mmap", "FILE MIB mmap [BLOCKBYTES]", 0, run_mmap },
	{ "plain", "FILE MIB plain [BLOCKBYTES]", 0, run_plain },
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct wl_mode *mode = wl_find_mode(modes, argc > 3 ? argv[3] : "nosync");

	if (!mode || argc < 3)
		errx(2, "usage: writer FILE MIB [fsync|fsyncs|nosync|mmap|plain] [BLOCKBYTES]");
	path = argv[1];
	total = wl_parse(argv[2]) << 20;
	block = wl_arg(argc, argv, 4, 64 << 10);
	data = block ? malloc(block) : NULL;
	if (!data)
		errx(1, "no block of %zu bytes", block);
	memset(data, 'w', block);
	wl_begin("writer", mode->name);
	mode->run(0, NULL);
	wl_num("written_bytes", (long long)total);
	wl_num("block_bytes", (long long)block);
	wl_num("write_calls", spent.calls);
	wl_num("write_ns", (long long)spent.ns);
	wl_num("max_write_ns", (long long)spent.max_ns);
	wl_num("blocked_calls", spent.blocked_calls);
	wl_num("blocked_ns", (long long)spent.blocked_ns);
	wl_num("blocked_call_ns", (long long)spent.blocked_call_ns);
	wl_num("cpu_ns", (long long)spent.cpu_ns);
	wl_num("cpu_wait_ns", (long long)spent.cpu_wait_ns);
	wl_num("fsyncs", spent.fsyncs);
	wl_num("fsync_ns", (long long)spent.fsync_ns);
	wl_end(0);
}
