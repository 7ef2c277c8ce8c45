// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Dirties pages for a while: each thread writes its own file from beginning to end, again and again. Reports
 * how much was written, for how long write() slept, and for how long a thread had no CPU. If WORKLOAD_START_NS
 * (of CLOCK_MONOTONIC) is set, several dirtiers begin at that same time.
 */
#include "workload.h"

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (64 << 10)
#define THREADS 32

static const char *name;
static size_t file_size, rate; /* rate: bytes per second and thread; 0: as fast as it can */
static uint64_t start_ns, end_ns;

struct writer {
	pthread_t thread;
	char path[256];
	size_t written;
	long calls, slept;
	uint64_t slept_ns;
	uint64_t cpu_wait_ns; /* ready to run, but without a CPU */
};

static long sleeps(void)
{
	struct rusage now;

	getrusage(RUSAGE_THREAD, &now);
	return now.ru_nvcsw;
}

static void write_block(struct writer *w, int fd, const char *data, size_t at)
{
	long before = sleeps();
	uint64_t begin = wl_now_ns(), cpu = wl_thread_cpu_ns();

	if (pwrite(fd, data, BLOCK, (off_t)at) != BLOCK)
		err(1, "cannot write %s", w->path);
	w->written += BLOCK;
	w->calls++;
	if (sleeps() == before)
		return;
	w->slept++;
	w->slept_ns += wl_now_ns() - begin - (wl_thread_cpu_ns() - cpu);
}

static void *run(void *arg)
{
	struct writer *w = arg;
	int fd = open(w->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *data = malloc(BLOCK);
	size_t at = 0;

	if (fd < 0 || !data)
		err(1, "cannot create %s", w->path);
	memset(data, 'd', BLOCK);
	while (wl_now_ns() < start_ns)
		usleep(1000);
	while (wl_now_ns() < end_ns) {
		write_block(w, fd, data, at);
		at = at + BLOCK < file_size ? at + BLOCK : 0;
		while (rate && wl_now_ns() < end_ns &&
		       (double)w->written > (double)(wl_now_ns() - start_ns) / 1e9 * (double)rate)
			usleep(2000);
	}
	w->cpu_wait_ns = wl_thread_cpu_wait_ns();
	close(fd);
	free(data);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct writer writers[THREADS];
	size_t n = argc > 3 ? wl_parse(argv[3]) : 1, written = 0;
	uint64_t slept_ns = 0, cpu_wait_ns = 0;
	long slept = 0, calls = 0;

	if (argc < 3 || !n || n > THREADS)
		errx(2, "usage: dirtier NAME MILLISECONDS [THREADS [FILE_MIB [KIB_PER_SECOND]]]");
	name = argv[1];
	start_ns = getenv("WORKLOAD_START_NS") ? strtoull(getenv("WORKLOAD_START_NS"), NULL, 10) : wl_now_ns();
	end_ns = start_ns + wl_parse(argv[2]) * 1000000ull;
	file_size = wl_arg(argc, argv, 4, 16) << 20;
	rate = wl_arg(argc, argv, 5, 0) << 10;
	wl_begin("dirtier", "write");
	for (size_t i = 0; i < n; i++) {
		snprintf(writers[i].path, sizeof(writers[i].path), "%s.%zu", name, i);
		if (pthread_create(&writers[i].thread, NULL, run, &writers[i]))
			errx(1, "cannot start a thread");
	}
	for (size_t i = 0; i < n; i++) {
		pthread_join(writers[i].thread, NULL);
		written += writers[i].written;
		calls += writers[i].calls;
		slept += writers[i].slept;
		slept_ns += writers[i].slept_ns;
		cpu_wait_ns += writers[i].cpu_wait_ns;
	}
	wl_num("written_bytes", (long long)written);
	wl_num("write_calls", calls);
	wl_num("blocked_calls", slept);
	wl_num("blocked_ns", (long long)slept_ns);
	wl_num("cpu_wait_ns", (long long)cpu_wait_ns);
	wl_end(0);
}
