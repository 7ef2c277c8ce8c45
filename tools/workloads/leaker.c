// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Leaks at a steady pace, at one line a few functions deep: heap, growing blocks, regions.
 * Programs that only look like a leak are in leaker_steady.c.
 */
#include "workload.h"

#include <err.h>
#include <malloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "leak.h"
#include "leaker.h"

#define STACK_BYTES (40 << 10)
#define GROWTH	    (16 << 10)

static struct lk_site sites[3];
static void *volatile lost; /* overwriting it loses the old block */

/* --- heap --- */

static LK_DEEP void leak_block(size_t size)
{
	/* bytes that are not zero, or the compiler makes this a calloc */
	lost = LK_AT(&sites[0], memset(malloc(size), 1, size));
	lk_count(&sites[0], (long)size);
}

static LK_DEEP void leak_due(unsigned long rate, size_t block)
{
	while ((uint64_t)sites[0].bytes + block <= lk_due(rate))
		leak_block(block);
}

static LK_DEEP void leak_heap(int argc, char **argv)
{
	unsigned long rate = wl_parse(argv[0]), block = wl_parse(argv[1]);
	bool noisy = argc > 3 && !strcmp(argv[3], "noisy");

	if (!block || (argc > 3 && !noisy))
		errx(2, "heap RATE BLOCK SECONDS [noisy]");
	lk_begin("leaker", wl_parse(argv[2]));
	if (noisy)
		noise_fill();
	while (lk_tick(10)) {
		leak_due(rate, block);
		if (noisy)
			noise_round();
	}
	lk_finish(sites, 1);
	wl_str("chain", "leak_block leak_due leak_heap wl_main main");
	if (noisy)
		noise_report();
}

/* --- calloc, memalign: the same with other functions --- */

static LK_DEEP void leak_zeroes(size_t n, size_t size)
{
	lost = LK_AT(&sites[0], memset(calloc(n, size), 1, n * size));
	lk_count(&sites[0], (long)(n * size));
}

/* Has a frame with pages that are never touched: they are missing between those of its caller and its callee. */
static LK_DEEP void in_large_frame(size_t n, size_t size)
{
	char room[12800];

	__asm__ volatile("" : : "r"(room) : "memory");
	leak_zeroes(n, size);
}

static LK_DEEP void leak_calloc(int argc, char **argv)
{
	lk_begin("leaker", wl_arg(argc, argv, 0, 10));
	while (lk_tick(10))
		in_large_frame(10, 400);
	lk_finish(sites, 1);
	wl_str("chain", "leak_zeroes in_large_frame leak_calloc wl_main main");
}

static LK_DEEP void leak_posix_memalign(size_t size)
{
	void *at = NULL;

	if (LK_AT(&sites[0], posix_memalign(&at, 256, size) || !memset(at, 1, size)))
		errx(1, "posix_memalign");
	lost = at;
	lk_count(&sites[0], (long)size);
}

static LK_DEEP void leak_aligned_alloc(size_t size)
{
	lost = LK_AT(&sites[1], memset(aligned_alloc(1024, size), 1, size));
	lk_count(&sites[1], (long)size);
}

static LK_DEEP void leak_memalign(size_t size)
{
	lost = LK_AT(&sites[2], memset(memalign(4096, size), 1, size));
	lk_count(&sites[2], (long)size);
}

static LK_DEEP void leak_aligned(int argc, char **argv)
{
	lk_begin("leaker", wl_arg(argc, argv, 0, 10));
	while (lk_tick(10)) {
		leak_posix_memalign(1000);
		leak_aligned_alloc(2048);
		leak_memalign(5000);
	}
	lk_finish(sites, 3);
}

/* --- realloc: one block that grows forever --- */

static LK_DEEP char *grow_block(char *block, size_t size)
{
	block = LK_AT(&sites[0], realloc(block, size + GROWTH)), memset(block + size, 1, GROWTH);
	sites[0].bytes = (long)(size + GROWTH);
	sites[0].count = 1;
	return block;
}

static LK_DEEP void leak_realloc(int argc, char **argv)
{
	char *block = NULL;

	lk_begin("leaker", wl_arg(argc, argv, 0, 10));
	while (lk_tick(10))
		block = grow_block(block, (size_t)sites[0].bytes);
	lost = block;
	lk_finish(sites, 1);
	wl_str("chain", "grow_block leak_realloc wl_main main");
}

/* --- regions: thread stacks that are never unmapped --- */

static LK_DEEP char *map_stack(void)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
	void *at = LK_AT(&sites[0], mmap(NULL, STACK_BYTES, prot, flags, -1, 0));

	if (at == MAP_FAILED)
		err(1, "a stack");
	lk_count(&sites[0], STACK_BYTES);
	return at;
}

/* The thread has no libc state of its own, so it must not call libc. */
static int thread_work(void *arg)
{
	volatile char on_stack[12 << 10];

	for (size_t i = 0; i < sizeof(on_stack); i += 1024)
		on_stack[i] = (char)i;
	return arg != NULL;
}

static LK_DEEP void start_thread(void)
{
	char *stack = map_stack();

	if (clone(thread_work, stack + STACK_BYTES,
		  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
		  NULL) < 0)
		err(1, "clone");
}

static LK_DEEP void leak_regions(int argc, char **argv)
{
	lk_begin("leaker", wl_arg(argc, argv, 0, 10));
	while (lk_tick(50))
		start_thread();
	lk_finish(sites, 1);
	wl_str("chain", "map_stack start_thread leak_regions wl_main main");
}

int main(int argc, char **argv)
{
	static const struct wl_mode modes[] = {
		{ "heap", "RATE_BYTES_PER_S BLOCK_BYTES SECONDS [noisy]", 3, leak_heap },
		{ "calloc", "[SECONDS]", 0, leak_calloc },
		{ "memalign", "[SECONDS]", 0, leak_aligned },
		{ "realloc", "[SECONDS]", 0, leak_realloc },
		{ "regions", "[SECONDS]", 0, leak_regions },
		{ "warmup", "[SECONDS]", 0, steady_warmup },
		{ "fragment", "[SECONDS]", 0, steady_fragment },
		{ "gc", "[SECONDS]", 0, steady_gc },
		{ "cache", "[SECONDS]", 0, steady_cache },
		{ "churn", "PAIRS THREADS", 2, churn },
		{ NULL },
	};

	wl_main(argc, argv, "leaker", modes);
}
