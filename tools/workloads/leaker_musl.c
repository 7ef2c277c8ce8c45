// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* `leaker heap` for another C library: it shares no code with the other workloads, which need glibc. */
#define _GNU_SOURCE 1
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define DEEP __attribute__((noipa))

static volatile sig_atomic_t go, stop;
static void *volatile lost;
static int line;
static unsigned long bytes, count;

static void on_signal(int signo)
{
	if (signo == SIGTERM)
		stop = 1;
	else
		go = 1;
}

static DEEP void leak_block(size_t size)
{
	line = __LINE__, lost = memset(malloc(size), 1, size);
	bytes += size;
	count++;
}

static DEEP void leak_due(unsigned long due, size_t block)
{
	while (bytes + block <= due)
		leak_block(block);
}

static DEEP void leak_heap(unsigned long rate, size_t block, unsigned long seconds)
{
	const struct timespec tick = { .tv_nsec = 10000000 };

	for (unsigned long i = 1; i <= seconds * 100 && !stop; i++) {
		nanosleep(&tick, NULL);
		leak_due(i * (rate / 100), block);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct rusage usage;

	if (argc < 5)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	if (getenv("WORKLOAD_WAIT")) {
		if (write(2, "leaker: ready\n", 14) != 14)
			return 1;
		while (!go && !stop)
			usleep(5000);
	}
	leak_heap(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"workload\":\"leaker_musl\",\"mode\":\"heap\",\"pid\":%d,\"bytes\":%lu,\"count\":%lu,"
	       "\"function\":\"leak_block\",\"file\":\"leaker_musl.c\",\"line\":%d,"
	       "\"chain\":\"leak_block leak_due leak_heap main\",\"minflt\":%ld,"
	       "\"majflt\":%ld,\"maxrss_kb\":%ld}\n",
	       (int)getpid(), bytes, count, line, usage.ru_minflt, usage.ru_majflt, usage.ru_maxrss);
	return 0;
}
