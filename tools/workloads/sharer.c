// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Two processes share a known amount of memory and then do nothing. Linked statically, so that no other
 * program maps any of their pages, and the kernel's proportional shares stay the same.
 */
#include "workload.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child gets its own copy of half of the private pages; the rest stays shared by both. */
static void be_child(char *private, size_t pages, int ready, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	wl_write_pages(private, pages / 2);
	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void run_hold(int argc, char **argv)
{
	size_t pages = wl_parse(argv[0]), shared_pages = wl_parse(argv[1]);
	char *private = wl_anon(pages), *shared, scrap;
	pid_t parent = getpid(), child;
	int ready[2];

	(void)argc;
	shared = mmap(NULL, shared_pages * wl_page(), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe(ready))
		err(1, "sharer");
	wl_write_pages(private, pages);
	wl_write_pages(shared, shared_pages);
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		wl_read_pages(shared, shared_pages);
		be_child(private, pages, ready[1], parent);
	}
	if (read(ready[0], &scrap, 1) != 1)
		errx(1, "the child has gone");
	fputs("sharer: ready\n", stderr);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	static const struct wl_mode modes[] = {
		{ "hold", "PRIVATE-PAGES SHARED-PAGES", 2, run_hold },
		{ NULL },
	};

	wl_main(argc, argv, "sharer", modes);
}
