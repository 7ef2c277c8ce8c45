/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a process has mapped, by address, and which code mapped it. Built from the calls that change an address
 * space (struct mb_region_event). The kernel does not tell all of what they did; the rest follows from what was there
 * before, and the size of the address space after each call says whether it was right. Where it was
 * not, the list of mappings is read again (mb_regions_sync).
 */
#ifndef MB_MODEL_REGIONS_H
#define MB_MODEL_REGIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"

/* Pieces of one address space: more than its mappings can be (vm.max_map_count is 65,530 by default). */
#define MB_REGIONS_MAX (256u * 1024)

/* Above all addresses of user space (x86-64 with five levels of page tables). */
#define MB_REGIONS_END (1ull << 56)

enum mb_region_kind {
	MB_REGION_ANON, /* private, of no file */
	MB_REGION_FILE, /* private or shared, of a file */
	MB_REGION_SHARED, /* shared, of no file: System V, memfd, MAP_SHARED | MAP_ANONYMOUS */
	MB_REGION_HEAP, /* brk */
	MB_REGION_STACK, /* grows down */
};

/* A piece with one origin. */
struct mb_region {
	uint64_t start, end;
	uint32_t stack; /* who mapped it; 0: it was there before tracing, or it is not known */
	uint32_t kind; /* enum mb_region_kind */
	uint64_t attached; /* System V shared memory: the address for shmdt, whose start it may have lost; 0: it is none */
};

struct mb_regions {
	struct mb_region *list; /* by address; none overlap */
	size_t n, room;
	uint64_t bytes; /* in all of them */
	uint64_t synced_ns; /* calls that ended before this are in the list already; 0: it is not known yet */
	uint64_t unsure_ns; /* calls that ended before this may be */
	bool unsure; /* the list must be read again */
	struct mb_region_event not_understood; /* why: the first one since the list was read */
	bool label; /* mb_regions_map() does not map, it says whose it is what is mapped there */
	uint64_t syncs; /* how often it was read again because a call was not understood */
	/*
	 * Called for what comes or goes (bytes, pieces < 0) of a piece's origin, which is all that is to be looked at;
	 * NULL: nobody wants to know.
	 */
	void (*changed)(void *arg, const struct mb_region *piece, int64_t bytes, int pieces);
	void *arg;
};

/* Empties it; changed is told of each piece. */
void mb_regions_free(struct mb_regions *r);

/* A mapping comes (over whatever was there), goes, or moves: absolute, so that doing it twice does no harm. */
void mb_regions_map(struct mb_regions *r, uint64_t start, uint64_t end, uint32_t stack, uint32_t kind);
void mb_regions_put(struct mb_regions *r, const struct mb_region *one); /* the same as mapping, with all there is of it */
void mb_regions_unmap(struct mb_regions *r, uint64_t start, uint64_t end);

/* Bytes between start and end that are mapped. */
uint64_t mb_regions_covered(const struct mb_regions *r, uint64_t start, uint64_t end);

/* The piece that an address is in, or NULL. */
const struct mb_region *mb_regions_at(const struct mb_regions *r, uint64_t addr);

/* The first piece that ends behind an address, or NULL. */
const struct mb_region *mb_regions_next(const struct mb_regions *r, uint64_t addr);

/* Where a call of mmap has mapped something, unless it failed. False: that is not told. */
bool mb_regions_place(const struct mb_region_event *e, uint64_t *start, uint64_t *end);

/*
 * A call has ended. stack: who made it. Where it cannot be understood, or the sum is not what the kernel has,
 * r->unsure is set, and the caller reads the list again.
 */
void mb_regions_apply(struct mb_regions *r, const struct mb_region_event *e, uint32_t stack);

/*
 * The list as it is now (by address; none overlap; stacks are not looked at), read between from_ns and to_ns. What
 * is in both keeps its origin.
 */
void mb_regions_sync(struct mb_regions *r, const struct mb_region *now, size_t n, uint64_t from_ns,
		     uint64_t to_ns);

/* A child's copy of its parent's, with all that was done before the fork, at fork_ns. */
void mb_regions_copy(struct mb_regions *r, const struct mb_regions *parent, uint64_t fork_ns);

#endif
