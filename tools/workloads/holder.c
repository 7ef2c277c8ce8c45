// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Holds mapped file pages and does nothing, so that it loses pages only because of other processes. */
#include "workload.h"

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* statm's third number: resident pages of files and shared memory */
static long rss_file_pages(void)
{
	long pages = -1;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%*d %*d %ld", &pages) != 1)
		err(1, "/proc/self/statm");
	fclose(file);
	return pages;
}

static void wait_for_end_of_input(unsigned long seconds)
{
	uint64_t end = wl_now_ns() + seconds * 1000000000, now;
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char scrap[64];

	while ((now = wl_now_ns()) < end)
		if (poll(&input, 1, (int)((end - now) / 1000000) + 1) > 0 &&
		    read(STDIN_FILENO, scrap, sizeof(scrap)) <= 0)
			return;
}

int main(int argc, char **argv)
{
	size_t pages;
	char *area;
	long before;
	int fd;

	if (argc < 4)
		errx(2, "usage: holder MIB FILE SECONDS [small]");
	wl_begin("holder", "file");
	pages = (wl_parse(argv[1]) << 20) / wl_page();
	fd = wl_file(argv[2], pages);
	/* no read-ahead, so no large folios, which may be mapped in units of 2 MiB */
	if (argc > 4 && posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		err(1, "POSIX_FADV_RANDOM");
	wl_cache_file(fd, pages);
	area = wl_map_file(fd, pages, PROT_READ, MAP_SHARED);
	wl_read_pages(area, pages);
	before = rss_file_pages();
	fputs("holder: ready\n", stderr);
	wait_for_end_of_input(wl_parse(argv[3]));
	wl_num("file_pages", (long long)pages);
	wl_num("rss_file_before_pages", before);
	wl_num("rss_file_after_pages", rss_file_pages());
	wl_num("resident_after", (long long)wl_resident(area, pages));
	wl_end(0);
}
