/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The mappings of a process, by address, and the code that created them. Built from the calls that
 * change an address space (struct mb_region_event). The events do not contain the full effect of a
 * call; the rest follows from the previous mappings, and the size of the address space after each
 * call confirms the result. On a mismatch the list of mappings is read again (mb_regions_sync).
 */
#ifndef MB_MODEL_REGIONS_H
#define MB_MODEL_REGIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"

/*
 * Maximum number of pieces of one address space: above the limit on mappings (vm.max_map_count is
 * 65,530 by default).
 */
#define MB_REGIONS_MAX (256u * 1024)

/* Above all user-space addresses (x86-64 with five-level page tables). */
#define MB_REGIONS_END (1ull << 56)

enum mb_region_kind {
	MB_REGION_ANON, /* private, without a file */
	MB_REGION_FILE, /* private or shared, with a file */
	MB_REGION_SHARED, /* shared, without a regular file: System V, memfd, MAP_SHARED | MAP_ANONYMOUS */
	MB_REGION_HEAP, /* brk */
	MB_REGION_STACK, /* grows down */
};

/* A part of a mapping that was created by one call. */
struct mb_region {
	uint64_t start, end;
	uint32_t stack; /* of the thread that created it; 0: it existed before tracing, or is unknown */
	uint32_t kind; /* enum mb_region_kind */
	/*
	 * System V shared memory: the address for shmdt, even if the piece no longer starts there;
	 * 0: other memory
	 */
	uint64_t attached;
};

struct mb_regions {
	struct mb_region *list; /* sorted by address, without overlaps */
	size_t n, room;
	uint64_t bytes; /* total of all pieces */
	uint64_t synced_ns; /* calls that ended before this are in the list already; 0: the list was not read yet */
	uint64_t unsure_ns; /* calls that ended before this may be in the list */
	bool unsure; /* the list must be read again */
	struct mb_region_event not_understood; /* reason: the first such call since the list was read */
	bool label; /* mb_regions_map() does not map, it only assigns an origin to existing pieces */
	uint64_t syncs; /* how often the list was read again because a call was not understood */
	/*
	 * Called for each addition or removal (bytes, pieces < 0) at the piece's origin, which is
	 * the only part of piece to be used; NULL: no callback.
	 */
	void (*changed)(void *arg, const struct mb_region *piece, int64_t bytes, int pieces);
	void *arg;
};

/* Empty the list; calls changed for each piece. */
void mb_regions_free(struct mb_regions *r);

/* Add (replacing whatever was there), or remove a mapping. Idempotent, as ranges are absolute. */
void mb_regions_map(struct mb_regions *r, uint64_t start, uint64_t end, uint32_t stack, uint32_t kind);
/* like mb_regions_map, with all members of the piece */
void mb_regions_put(struct mb_regions *r, const struct mb_region *one);
void mb_regions_unmap(struct mb_regions *r, uint64_t start, uint64_t end);

/* Number of mapped bytes between start and end. */
uint64_t mb_regions_covered(const struct mb_regions *r, uint64_t start, uint64_t end);

/* The piece that contains an address; NULL: none. */
const struct mb_region *mb_regions_at(const struct mb_regions *r, uint64_t addr);

/* The first piece that ends above an address; NULL: none. */
const struct mb_region *mb_regions_next(const struct mb_regions *r, uint64_t addr);

/*
 * The range that an mmap call has mapped, unless it failed. Returns false if the event does not
 * contain it.
 */
bool mb_regions_range(const struct mb_region_event *e, uint64_t *start, uint64_t *end);

/*
 * A call has ended; stack: of the caller. If the call cannot be interpreted, or the resulting size
 * differs from the kernel's, sets r->unsure, and the caller must read the list again.
 */
void mb_regions_apply(struct mb_regions *r, const struct mb_region_event *e, uint32_t stack);

/*
 * Replace the list by its current state now (sorted by address, no overlaps, stacks ignored), which
 * was read between from_ns and to_ns. Pieces that are in both lists retain their origin.
 */
void mb_regions_sync(struct mb_regions *r, const struct mb_region *now, size_t n, uint64_t from_ns,
		     uint64_t to_ns);

/* Fork: copy the parent's list, including all changes before the fork at fork_ns. */
void mb_regions_copy(struct mb_regions *r, const struct mb_regions *parent, uint64_t fork_ns);

#endif
