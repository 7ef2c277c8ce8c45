// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * For some seconds: touches new memory, writes a block of a file, and has it written back. Reports how long the calls
 * waited for the write-back, so that each level of tracing can be compared.
 */
#include "workload.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK (64u << 10)
#define TOUCHED 512 /* pages */

static int fd;
static uint64_t end_ns, calls, call_ns;
static char *data;

static void sync_all(void)
{
	if (fsync(fd))
		err(1, "fsync");
}

static void sync_range(void)
{
	if (sync_file_range(fd, 0, BLOCK,
			    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				    SYNC_FILE_RANGE_WAIT_AFTER))
		err(1, "sync_file_range");
}

static void loop(void (*wait_for)(void))
{
	while (wl_now_ns() < end_ns) {
		char *memory = wl_anon(TOUCHED);
		uint64_t begin;

		wl_write_pages(memory, TOUCHED);
		munmap(memory, TOUCHED * wl_page());
		if (pwrite(fd, data, BLOCK, 0) != BLOCK)
			err(1, "pwrite");
		begin = wl_now_ns();
		wait_for();
		call_ns += wl_now_ns() - begin;
		calls++;
	}
}

static void run_fsync(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	loop(sync_all);
}

static void run_range(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	loop(sync_range);
}

static const struct wl_mode modes[] = {
	{ "fsync", "FILE SECONDS fsync", 0, run_fsync },
	{ "range", "FILE SECONDS range", 0, run_range },
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct wl_mode *mode = wl_find_mode(modes, argc > 3 ? argv[3] : "fsync");
	uint64_t wait_begin;

	if (!mode || argc < 3)
		wl_usage("syncer", modes);
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	data = malloc(BLOCK);
	if (fd < 0 || !data)
		err(1, "cannot open %s", argv[1]);
	memset(data, 's', BLOCK);
	wl_begin("syncer", mode->name);
	end_ns = wl_now_ns() + wl_parse(argv[2]) * 1000000000ull;
	wait_begin = wl_thread_cpu_wait_ns();
	mode->run(0, NULL);
	wl_num("cpu_wait_ns", (long long)(wl_thread_cpu_wait_ns() - wait_begin));
	wl_num("calls", (long long)calls);
	wl_num("call_ns", (long long)call_ns);
	wl_end(0);
}
