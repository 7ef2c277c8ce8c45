// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Allocates a known amount of memory, or dies trying: to be run in a cgroup with a lower limit. */
#include "workload.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void run_anon(int argc, char **argv)
{
	size_t pages = (wl_parse(argv[0]) << 20) / wl_page();
	uint64_t begin = wl_now_ns(), cpu = wl_thread_cpu_ns();

	(void)argc;
	wl_write_pages(wl_anon(pages), pages);
	cpu = wl_thread_cpu_ns() - cpu;
	wl_num("anon", (long long)pages);
	wl_num("blocked_ns", (long long)(wl_now_ns() - begin - cpu));
}

static void wait_for_end_of_input(void)
{
	char scrap[64];

	while (read(STDIN_FILENO, scrap, sizeof(scrap)) > 0)
		;
}

/* Holds its memory until the end of its input. */
static void run_hold(int argc, char **argv)
{
	run_anon(argc, argv);
	fputs("memhog: ready\n", stderr);
	wait_for_end_of_input();
}

/* Reads some of the memory again when its input has data or ends, then waits for the end of the input. */
static void run_again(int argc, char **argv)
{
	size_t pages = (wl_parse(argv[0]) << 20) / wl_page();
	size_t again = (wl_arg(argc, argv, 2, wl_parse(argv[0])) << 20) / wl_page();
	char *area = wl_anon(pages), scrap[64];
	struct wl_faults before, after;
	uint64_t begin;
	ssize_t n;

	if (again > pages)
		errx(2, "memhog MIB again AGAINMIB: not more than there is");
	wl_write_pages(area, pages);
	fputs("memhog: ready\n", stderr);
	n = read(STDIN_FILENO, scrap, sizeof(scrap));
	before = wl_faults();
	begin = wl_now_ns();
	wl_read_pages(area, again);
	wl_num("again_ns", (long long)(wl_now_ns() - begin));
	after = wl_faults();
	fputs("memhog: again\n", stderr);
	if (n > 0)
		wait_for_end_of_input();
	wl_num("anon", (long long)pages);
	wl_num("again_minor", after.minor - before.minor);
	wl_num("again_major", after.major - before.major);
}

static void run_file(int argc, char **argv)
{
	size_t pages = (wl_parse(argv[0]) << 20) / wl_page();
	unsigned long passes = wl_arg(argc, argv, 3, 4);
	char *area;

	if (argc < 3)
		errx(2, "memhog MIB file needs a FILE");
	area = wl_map_file(wl_file(argv[2], pages), pages, PROT_READ, MAP_SHARED);
	for (unsigned long i = 0; i < passes; i++)
		wl_read_pages(area, pages);
	wl_num("file_pages", (long long)pages);
	wl_num("passes", (long long)passes);
	wl_num("page_reads", (long long)(pages * passes));
}

/* Allocates the memory, then fills the page cache: reads ahead the file again and again, until it is killed. */
static void run_flood(int argc, char **argv)
{
	const size_t block = 128 << 10; /* as much as a device reads ahead by default */
	int fd = argc > 2 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || st.st_size < (off_t)block)
		errx(2, "memhog MIB flood needs a FILE");
	run_anon(argc, argv);
	fputs("memhog: ready\n", stderr);
	for (off_t at = 0;; at = at < st.st_size ? at + (off_t)block : 0)
		if (readahead(fd, at, block))
			err(1, "%s", argv[2]);
}

/* Allocates and frees the memory, ROUNDS times; measures how long the allocations took. */
static void run_pulse(int argc, char **argv)
{
	size_t pages = (wl_parse(argv[0]) << 20) / wl_page();
	long long rounds = (long long)wl_arg(argc, argv, 2, 100);
	uint64_t write_ns = 0, begin;
	char *area;

	for (long long i = 0; i < rounds; i++) {
		begin = wl_now_ns();
		area = wl_anon(pages);
		wl_write_pages(area, pages);
		write_ns += wl_now_ns() - begin;
		munmap(area, pages * wl_page());
		usleep(10000);
	}
	wl_num("anon", rounds * (long long)pages);
	wl_num("write_ns", (long long)write_ns);
}

/* Allocates slowly, so that kswapd or another process that frees memory in the background can keep up. */
static void run_creep(int argc, char **argv)
{
	size_t pages = (wl_parse(argv[0]) << 20) / wl_page();
	char *area = wl_anon(pages);

	(void)argc;
	for (size_t i = 0; i < pages; i++) {
		wl_write_pages(area + i * wl_page(), 1);
		if (i % 128 == 0)
			usleep(2000);
	}
	fputs("memhog: ready\n", stderr);
	wait_for_end_of_input();
}

static const struct wl_mode modes[] = {
	{ "anon", "MIB anon", 0, run_anon },
	{ "hold", "MIB hold", 0, run_hold },
	{ "again", "MIB again [AGAINMIB]", 0, run_again },
	{ "file", "MIB file FILE [PASSES]", 0, run_file },
	{ "flood", "MIB flood FILE", 0, run_flood },
	{ "pulse", "MIB pulse [ROUNDS]", 0, run_pulse },
	{ "creep", "MIB creep", 0, run_creep },
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct wl_mode *mode = wl_find_mode(modes, argc > 2 ? argv[2] : "anon");

	if (!mode || argc < 2)
		errx(2, "usage: memhog MIB [anon | hold | again [AGAINMIB] | file FILE [PASSES] | "
			"flood FILE | pulse [ROUNDS] | creep]");
	wl_begin("memhog", mode->name);
	mode->run(argc - 1, argv + 1);
	wl_end(0);
}
