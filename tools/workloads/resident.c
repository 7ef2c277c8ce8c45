// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Brings memory into a state that its faults alone do not show, and reports how much of it the kernel counts. */
#include "workload.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1ul << 20)
#define HUGE_BYTES (2 * MIB)
#define TERABYTE (1ul << 40)

static char *map(size_t bytes, int flags, int prot)
{
	char *at = mmap(NULL, bytes, prot, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		err(1, "mmap of %zu bytes", bytes);
	return at;
}

static char *map_private(size_t bytes)
{
	return map(bytes, MAP_PRIVATE, PROT_READ | PROT_WRITE);
}

/* An aligned area with huge pages only as advised. */
static char *map_huge(size_t bytes, int advice)
{
	char *at = map_private(bytes + HUGE_BYTES);

	at += -(uintptr_t)at & (HUGE_BYTES - 1);
	madvise(at, bytes, advice);
	return at;
}

static char *touch(char *at, size_t bytes)
{
	wl_write_pages(at, bytes / wl_page());
	return at;
}

/* The Rss in smaps of the mappings in this range, both private pages and pages shared with other processes. */
static long long smaps_bytes(const char *at, size_t bytes)
{
	unsigned long start = 0, end = 0, kib;
	long long sum = 0;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "re");

	if (!f)
		err(1, "/proc/self/smaps");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && strchr(line, '-') < strchr(line, ' '))
			continue;
		if (start < (uintptr_t)at + bytes && end > (uintptr_t)at && sscanf(line, "Rss: %lu", &kib) == 1)
			sum += (long long)kib * 1024;
	}
	fclose(f);
	return sum;
}

static struct {
	char *at;
	size_t bytes;
} now;

static void is_at(char *at, size_t bytes)
{
	now.at = at;
	now.bytes = bytes;
}

static void zeros(size_t bytes)
{
	is_at(map_huge(bytes, MADV_NOHUGEPAGE), bytes);
	wl_read_pages(now.at, bytes / wl_page());
}

static void huge_zeros(size_t bytes)
{
	is_at(map_huge(bytes, MADV_HUGEPAGE), bytes);
	wl_read_pages(now.at, bytes / wl_page());
}

static void huge(size_t bytes)
{
	is_at(touch(map_huge(bytes, MADV_HUGEPAGE), bytes), bytes);
}

static void moved(size_t bytes)
{
	char *to = map_private(bytes);

	is_at(mremap(touch(map_huge(bytes, MADV_NOHUGEPAGE), bytes), bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to), bytes);
	if (now.at == MAP_FAILED)
		err(1, "mremap");
}

/* Like a growing vector too large for the heap of malloc(): it is moved as it grows. */
static void grown(size_t bytes)
{
	char *at = NULL;

	for (size_t n = MIB; n <= bytes; n += MIB) {
		at = realloc(at, n);
		touch(at + n - MIB, MIB);
		map_private(wl_page()); /* in the way */
	}
	is_at(at, bytes);
}

static void unneeded(size_t bytes)
{
	is_at(touch(map_private(bytes), bytes), bytes);
	madvise(now.at, bytes / 4 * 3, MADV_DONTNEED);
}

static void freed(size_t bytes)
{
	is_at(touch(map_private(bytes), bytes), bytes);
	madvise(now.at, bytes / 4 * 3, MADV_FREE);
}

static void shared(size_t bytes)
{
	is_at(touch(map(bytes, MAP_SHARED, PROT_READ | PROT_WRITE), bytes), bytes);
}

/* Reserves 20 TiB, as an address sanitizer does, and uses a little of it. */
static void reserved(size_t bytes)
{
	char *at = map(20 * TERABYTE, MAP_PRIVATE, PROT_NONE);

	is_at(at + 10 * TERABYTE, bytes);
	if (mprotect(now.at, bytes, PROT_READ | PROT_WRITE))
		err(1, "mprotect");
	touch(now.at, bytes);
}

/* The process touches all of the area; its child then touches the first half. */
static void forked(size_t bytes)
{
	pid_t child;

	is_at(touch(map_private(bytes), bytes), bytes);
	child = fork();
	if (!child) {
		touch(now.at, bytes / 2);
		for (;;)
			pause();
	}
}

static const struct {
	const char *name;
	void (*bring)(size_t bytes);
} states[] = {
	{ "zeros", zeros },	  { "huge-zeros", huge_zeros }, { "huge", huge },     { "moved", moved },
	{ "grown", grown },	  { "unneeded", unneeded },	{ "freed", freed },   { "shared", shared },
	{ "reserved", reserved }, { "forked", forked },
};

#define STATES (sizeof(states) / sizeof(states[0]))

int main(int argc, char **argv)
{
	size_t i = 0, bytes;

	if (argc < 4)
		errx(2, "usage: resident STATE MIB SECONDS");
	while (i < STATES && strcmp(states[i].name, argv[1]) != 0)
		i++;
	if (i == STATES)
		errx(2, "resident: no state '%s'", argv[1]);
	bytes = wl_parse(argv[2]) * MIB;
	wl_begin("resident", argv[1]);
	states[i].bring(bytes);
	wl_num("rss_bytes", smaps_bytes(now.at, now.bytes));
	fputs("resident: ready\n", stderr);
	sleep((unsigned int)wl_parse(argv[3]));
	wl_end(0);
}
