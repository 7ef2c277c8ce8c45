// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Memory that grows like a leak but is none: it is used, freed, or limited. */
#include "workload.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "leak.h"
#include "leaker.h"

static void *filled(size_t size)
{
	void *at = malloc(size);

	if (!at)
		err(1, "no memory");
	return memset(at, 1, size);
}

/* --- a cache that is filled and evicted at random --- */

#define NOISE_SLOTS 6400 /* half of them are in use: 100 MiB */
#define NOISE_BYTES (32 << 10)

static struct {
	void *at;
	size_t size;
} noise[NOISE_SLOTS];
static struct lk_site noise_site;

static LK_DEEP void noise_entry(unsigned int slot)
{
	size_t size = NOISE_BYTES / 2 + lk_random(NOISE_BYTES);

	noise[slot].at = LK_AT(&noise_site, filled(size));
	noise[slot].size = size;
	lk_count(&noise_site, (long)size);
}

static LK_DEEP void noise_evict(unsigned int slot)
{
	free(noise[slot].at);
	noise[slot].at = NULL;
	lk_count(&noise_site, -(long)noise[slot].size);
}

static LK_DEEP void noise_change(void)
{
	unsigned int slot = lk_random(NOISE_SLOTS);

	if (noise[slot].at)
		noise_evict(slot);
	else
		noise_entry(slot);
}

void noise_fill(void)
{
	for (unsigned int slot = 0; slot < NOISE_SLOTS; slot += 2)
		noise_entry(slot);
}

/* 4,000 in a second: 60 MiB filled, 60 MiB evicted */
void noise_round(void)
{
	for (int i = 0; i < 40; i++)
		noise_change();
}

void noise_report(void)
{
	wl_str("noise_function", noise_site.function);
	wl_num("noise_line", noise_site.line);
	wl_num("noise_bytes", noise_site.bytes);
	wl_num("noise_count", noise_site.count);
}

void steady_cache(int argc, char **argv)
{
	lk_begin("leaker", wl_arg(argc, argv, 0, 10));
	noise_fill();
	while (lk_tick(10))
		noise_round();
	lk_finish(NULL, 0);
	noise_report();
}

/* --- a cache that fills for a third of the time, then is used --- */

#define WARM_BYTES (16 << 10)
#define WARM_SLOTS 2048 /* 32 MiB */

static void *warm[WARM_SLOTS];

static LK_DEEP void warm_up(unsigned int *have, uint64_t wanted)
{
	while (*have < WARM_SLOTS && *have < wanted)
		warm[(*have)++] = filled(WARM_BYTES);
}

/* Look-ups find an entry; one in ten replaces it: after a few seconds each entry has been replaced. */
static LK_DEEP unsigned int warm_use(unsigned int have)
{
	unsigned int sum = 0, slot;

	for (int i = 0; have && i < 100; i++) {
		slot = lk_random(have);
		sum += *(volatile unsigned char *)warm[slot];
		if (i % 10)
			continue;
		free(warm[slot]);
		warm[slot] = filled(WARM_BYTES);
	}
	return sum;
}

void steady_warmup(int argc, char **argv)
{
	unsigned long seconds = wl_arg(argc, argv, 0, 10);
	unsigned int have = 0, found = 0;

	lk_begin("leaker", seconds);
	while (lk_tick(10)) {
		warm_up(&have, lk_elapsed_ns() * 3 * WARM_SLOTS / (seconds * 1000000000 + 1));
		found += warm_use(have);
	}
	lk_finish(NULL, 0);
	wl_num("live_bytes", (long long)have * WARM_BYTES);
	wl_num("found", found);
}

/* --- fragments: the live bytes stay the same, but the heap needs more and more room --- */

#define PIECE  1024
#define PIECES (32 << 10) /* 32 MiB */

static void *pieces[PIECES], *pairs[PIECES / 4];

/* Frees every other piece, and allocates a block of twice the size, which fits into none of the holes. */
static LK_DEEP void crack(unsigned int pair)
{
	free(pieces[4 * pair]);
	free(pieces[4 * pair + 2]);
	pieces[4 * pair] = pieces[4 * pair + 2] = NULL;
	pairs[pair] = filled(2 * PIECE);
}

static LK_DEEP void fragment_use(void)
{
	unsigned int slot = 2 * lk_random(PIECES / 2) + 1;

	free(pieces[slot]);
	pieces[slot] = filled(PIECE);
}

void steady_fragment(int argc, char **argv)
{
	unsigned long seconds = wl_arg(argc, argv, 0, 10);
	unsigned int cracked = 0;
	long before, after;

	lk_begin("leaker", seconds);
	for (unsigned int i = 0; i < PIECES; i++)
		pieces[i] = filled(PIECE);
	before = wl_proc_number("/proc/self/status", "VmRSS:");
	while (lk_tick(10)) {
		uint64_t wanted = lk_elapsed_ns() * 3 * (PIECES / 4) / (seconds * 1000000000 + 1);

		while (cracked < PIECES / 4 && cracked < wanted)
			crack(cracked++);
		for (int i = 0; i < 100; i++) /* all of them after a few seconds */
			fragment_use();
	}
	after = wl_proc_number("/proc/self/status", "VmRSS:");
	lk_finish(NULL, 0);
	wl_num("live_bytes", (long long)PIECES * PIECE);
	wl_num("cracked", cracked);
	wl_num("rss_growth_bytes", (after - before) * 1024LL);
}

/* --- a pool that grows and is dropped --- */

#define GC_BYTES  4096
#define GC_MS	  1500
#define GC_BLOCKS 6000 /* 24 MiB in a period */

struct pooled {
	struct pooled *next;
};

static LK_DEEP struct pooled *gc_drop(struct pooled *pool)
{
	while (pool) {
		struct pooled *next = pool->next;

		free(pool);
		pool = next;
	}
	return NULL;
}

static LK_DEEP struct pooled *gc_grow(struct pooled *pool)
{
	struct pooled *one = filled(GC_BYTES);

	one->next = pool;
	return one;
}

void steady_gc(int argc, char **argv)
{
	uint64_t period = 0, now;
	struct pooled *pool = NULL;
	unsigned int have = 0;

	lk_begin("leaker", wl_arg(argc, argv, 0, 10));
	while (lk_tick(10)) {
		now = lk_elapsed_ns() / 1000000;
		if (now / GC_MS != period) {
			period = now / GC_MS;
			pool = gc_drop(pool);
			have = 0;
		}
		for (; have < now % GC_MS * GC_BLOCKS / GC_MS; have++)
			pool = gc_grow(pool);
	}
	lk_finish(NULL, 0);
	wl_num("live_bytes", (long long)have * GC_BYTES);
	wl_num("collections", (long long)period);
}
