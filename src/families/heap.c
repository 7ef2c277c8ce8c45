// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * heap: blocks of user-space allocators. Its events are for leaks (src/leaks/heap.c); the family
 * has no fields.
 */
#include "memblame/family.h"

static const struct mb_event_kind events[] = {
	{ MB_HEAP_BLOCK, "block", sizeof(struct mb_heap_block_event), NULL, 0, MB_EVENT_INTERNAL | MB_EVENT_STACK },
	{ MB_HEAP_FREED, "freed", sizeof(struct mb_heap_freed_event), NULL, 0, MB_EVENT_INTERNAL },
};

static const struct mb_hook blocks_hooks[] = {
	{ .name = "uprobe",
	  .programs = { "heap_malloc", "heap_calloc", "heap_realloc", "heap_reallocarray", "heap_posix_memalign",
			"heap_memalign", "heap_free", "heap_return" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "allocators without symbols are not seen (linked statically and stripped), nor are pools that "
		     "programs keep themselves; blocks from before the probes, or from before a fork, are not followed" },
};

static const struct mb_probe_point probe_points[] = {
	{ "blocks", "which blocks of the allocator are in use, and who allocated them?", blocks_hooks, 1,
	  "blocks of allocators are not followed", .on_request = true },
};

/*
 * A block whose allocation was missed is not tracked; a block whose free was missed is detected
 * when its address is used again. Both are counted as losses.
 */
const struct mb_family mb_family_heap = {
	.id = MB_FAM_heap,
	.name = "heap",
	MB_TABLE(events),
	MB_TABLE(probe_points),
};
