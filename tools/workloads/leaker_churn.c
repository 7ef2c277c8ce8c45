// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Threads allocate and free as fast as they can, their own blocks and those of each other, and leak
 * an exactly known number of blocks at two lines. For tests of exact counts.
 */
#include "workload.h"

#include <err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "leak.h"
#include "leaker.h"

#define SLOTS	    64
#define SMALL	    48
#define LARGE	    3000
#define SMALL_EVERY 10
#define LARGE_EVERY 25
#define MAX_THREADS 64

static struct lk_site sites[2];
static void *volatile lost;
static void *slots[SLOTS]; /* one thread stores a block, another frees it */
static unsigned long pairs;
static int pair_line; /* of the blocks that are all freed */
static unsigned long long calls;

static LK_DEEP void churn_small(void)
{
	__atomic_store_n(&lost, LK_AT(&sites[0], malloc(SMALL)), __ATOMIC_RELAXED);
	lk_count(&sites[0], SMALL);
}

static LK_DEEP void churn_large(void)
{
	__atomic_store_n(&lost, LK_AT(&sites[1], malloc(LARGE)), __ATOMIC_RELAXED);
	lk_count(&sites[1], LARGE);
}

static unsigned int next_random(unsigned int *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Allocates a block with one of the allocation functions; the threads use all of them at the same time. */
static LK_DEEP char *some_block(unsigned int random)
{
	size_t size = 1 + random % 5000;
	char *at = NULL;

	switch (random / 5000 % 5) {
	case 0:
		return calloc(1, size);
	case 1:
		at = malloc(size / 2 + 1);
		return realloc(at, size);
	case 2:
		return posix_memalign((void **)&at, 64, size) ? NULL : at;
	default:
		return malloc(size);
	}
}

/* Puts a new block into a slot; frees the old block, whichever thread allocated it. */
static LK_DEEP void churn_pair(unsigned int *seed)
{
	const int line = __LINE__ + 1;
	char *at = some_block(next_random(seed));

	__atomic_store_n(&pair_line, line, __ATOMIC_RELAXED);
	if (!at)
		err(1, "no memory");
	*(volatile char *)at = 1;
	if (next_random(seed) & 1)
		at = __atomic_exchange_n(&slots[next_random(seed) % SLOTS], at, __ATOMIC_ACQ_REL);
	free(at);
}

static void *churn_thread(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (unsigned long i = 1; i <= pairs; i++) {
		churn_pair(&seed);
		if (i % SMALL_EVERY == 0)
			churn_small();
		if (i % LARGE_EVERY == 0)
			churn_large();
	}
	__atomic_add_fetch(&calls, pairs + pairs / SMALL_EVERY + pairs / LARGE_EVERY,
			   __ATOMIC_RELAXED);
	return NULL;
}

void churn(int argc, char **argv)
{
	unsigned long n = wl_arg(argc, argv, 1, 4);
	pthread_t threads[MAX_THREADS];

	pairs = wl_parse(argv[0]);
	if (n > MAX_THREADS)
		errx(2, "at most %d threads", MAX_THREADS);
	lk_begin("leaker", 1000000);
	for (unsigned long i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, churn_thread, (void *)(i + 1)))
			errx(1, "no thread");
	for (unsigned long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		free(slots[i]);
	lk_finish(sites, 2);
	wl_num("pair_line", pair_line);
	wl_num("allocations", (long long)calls);
	wl_num("threads", (long long)n);
}
