// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Takes a known amount of memory, or dies trying: to be run in a cgroup that has less. */
#include "workload.h"

#include <err.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void run_anon(int argc, char **argv)
{
	size_t pages = (wl_parse(argv[0]) << 20) / wl_page();

	(void)argc;
	wl_write_pages(wl_anon(pages), pages);
	wl_num("anon", (long long)pages);
}

/* Keeps what it took until the end of its input. */
static void run_hold(int argc, char **argv)
{
	char scrap[64];

	run_anon(argc, argv);
	fputs("memhog: ready\n", stderr);
	while (read(STDIN_FILENO, scrap, sizeof(scrap)) > 0)
		;
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

static const struct wl_mode modes[] = {
	{ "anon", "MIB anon", 0, run_anon },
	{ "hold", "MIB hold", 0, run_hold },
	{ "file", "MIB file FILE [PASSES]", 0, run_file },
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct wl_mode *mode = wl_find_mode(modes, argc > 2 ? argv[2] : "anon");

	if (!mode || argc < 2)
		errx(2, "usage: memhog MIB [anon | hold | file FILE [PASSES]]");
	wl_begin("memhog", mode->name);
	mode->run(argc - 1, argv + 1);
	wl_end(0);
}
