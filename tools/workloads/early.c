// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Allocates from its first instruction on: 10 blocks in a constructor, 10 at the beginning of main, then 100 in 0.1 s,
 * and frees none. The JSON line: blocks of each function. With an argument the program ends at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEEP __attribute__((noinline))

static void *volatile lost;

static DEEP void before_main(void)
{
	lost = malloc(5000);
}

static DEEP void at_once(void)
{
	lost = malloc(100000);
}

static DEEP void slowly(void)
{
	lost = malloc(1000);
}

__attribute__((constructor)) static void construct(void)
{
	for (int i = 0; i < 10; i++)
		before_main();
}

int main(int argc, char **argv)
{
	(void)argv;
	for (int i = 0; i < 10; i++)
		at_once();
	for (int i = 0; i < 100; i++) {
		slowly();
		if (argc < 2)
			usleep(1000);
	}
	puts("{\"workload\":\"early\",\"before_main\":10,\"at_once\":10,\"slowly\":100}");
	fflush(stdout);
	return 0;
}
