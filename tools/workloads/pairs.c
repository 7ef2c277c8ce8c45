// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Times pairs of free and malloc: frees the oldest of a thousand blocks and allocates a new one. */
#include "workload.h"

#include <err.h>
#include <stdlib.h>

#include "leak.h"

#define BLOCKS 1000

static void *blocks[BLOCKS];

static void *new_block(size_t size)
{
	char *at = malloc(size);

	if (!at)
		err(1, "no memory");
	*(volatile char *)at = 1;
	return at;
}

/* Frees every block once, and allocates another one instead. */
static LK_DEEP void renew_blocks(size_t size)
{
	for (int i = 0; i < BLOCKS; i++) {
		free(blocks[i]);
		blocks[i] = new_block(size);
	}
}

int main(int argc, char **argv)
{
	unsigned long rounds = (wl_arg(argc, argv, 1, 1000000) + BLOCKS - 1) / BLOCKS;
	unsigned long size = wl_arg(argc, argv, 2, 64);
	uint64_t begin, ns;

	wl_begin("pairs", "malloc");
	lk_begin("pairs", 0);
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = new_block(size);
	begin = wl_now_ns();
	for (unsigned long i = 0; i < rounds; i++)
		renew_blocks(size);
	ns = wl_now_ns() - begin;
	wl_num("pairs", (long long)(rounds * BLOCKS));
	wl_num("loop_ns", (long long)ns);
	wl_hundredths("ns_per_pair", rounds ? ns * 100 / (rounds * BLOCKS) : 0);
	lk_finish(NULL, 0);
	wl_end(0);
}
