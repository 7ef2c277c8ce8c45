// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * edges BLOCKS: this many blocks stay, although reallocarray is called on them with impossible sizes, whose products
 * overflow 64 bits; as many others are freed by asking for 0 bytes. The JSON line: bytes and count of blocks that stay.
 */
#include "workload.h"

#include <err.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK 100000
#define DEEP __attribute__((noinline))

static DEEP void *held(void)
{
	return malloc(BLOCK);
}

static DEEP void *freed(void)
{
	return malloc(BLOCK);
}

static void must_fail(void *block, volatile size_t n, volatile size_t size)
{
	if (reallocarray(block, n, size))
		errx(1, "reallocarray has given %zu times %zu bytes", n, size);
}

int main(int argc, char **argv)
{
	unsigned long n = wl_arg(argc, argv, 1, 200);
	volatile size_t none = 0;

	wl_begin("edges", "realloc");
	usleep(300000);
	for (unsigned long i = 0; i < n; i++) {
		char *block = held(), *other = freed();

		if (!block || !other)
			err(1, "no memory");
		*(volatile char *)block = 1;
		/* volatile, as the compiler would reject such sizes */
		must_fail(block, 1ul << 33, 1ul << 31); /* the product is 0 in 64 bits */
		must_fail(block, (1ul << 32) + 1, 1ul << 32);
		must_fail(block, ~0ul, 2);
		must_fail(block, 3, 1ul << 62);
		/* the C library frees the block */
		if (reallocarray(other, none, 1ul << 40))
			errx(1, "a block of no size");
	}
	wl_num("bytes", (long long)n * BLOCK);
	wl_num("count", (long long)n);
	usleep(1200000);
	wl_end(0);
}
