// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A crowd: many processes that each do a little again and again, or many threads that only wait. */
#include "workload.h"

#include <err.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAUSE_US 100000
#define PAGES 16

/* Ten times a second: allocates, touches and frees memory. */
static void be_active(void)
{
	size_t bytes = PAGES * wl_page();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (area == MAP_FAILED)
			_exit(1);
		for (size_t at = 0; at < bytes; at += wl_page())
			*(volatile char *)(area + at) = 1;
		munmap(area, bytes);
		usleep(PAUSE_US);
	}
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void make_processes(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid)
			be_active();
		usleep(PAUSE_US / n); /* not all at the same moment */
	}
}

static void make_threads(unsigned long n)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (unsigned long i = 0; i < n; i++)
		if (pthread_create(&t, &attr, wait_for_ever, NULL))
			errx(1, "%lu threads are all there can be", i);
}

/* Runs until its input ends. */
int main(int argc, char **argv)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char scrap[64];

	if (argc != 3 || (strcmp(argv[1], "processes") && strcmp(argv[1], "threads")))
		errx(2, "usage: crowd processes|threads NUMBER");
	wl_begin("crowd", argv[1]);
	if (argv[1][0] == 'p')
		make_processes(wl_parse(argv[2]));
	else
		make_threads(wl_parse(argv[2]));
	fputs("crowd: ready\n", stderr);
	while (poll(&input, 1, -1) < 0 || read(STDIN_FILENO, scrap, sizeof(scrap)) > 0)
		;
	wl_num("number", (long long)wl_parse(argv[2]));
	wl_end(0); /* processes die with it */
}
