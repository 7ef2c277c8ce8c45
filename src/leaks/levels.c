// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The table of levels. */
#include "leaks/levels.h"

#include "leaks/heap.h"
#include "leaks/kernel.h"

/* ---- regions and pages ---- */

static const char *region_what(const struct mb_leaks_session *l, const struct mb_leak_key *key)
{
	static const char *const names[] = { "anon", "file", "shared", "heap", "stack" };

	(void)l;
	return key->kind < sizeof(names) / sizeof(names[0]) ? names[key->kind] : NULL;
}

/* The size of the brk heap is attributed to whichever call site last moved its end. */
static double region_weight(const struct mb_leak_key *key)
{
	return key->kind == MB_REGION_HEAP ? 0.25 : 1;
}

static enum mb_missing region_unproven(const struct mb_leak_space *sp, const struct mb_leak_sum *leaks)
{
	return mb_leak_is_borne_out(&sp->whole.mapped, leaks) ? MB_MISSING_NOTHING : MB_MISSING_OWN_GROWTH;
}

static const char *page_what(const struct mb_leaks_session *l, const struct mb_leak_key *key)
{
	return key->kind ? region_what(l, key) : NULL;
}

static enum mb_missing page_unproven(const struct mb_leak_space *sp, const struct mb_leak_sum *leaks)
{
	if (!mb_leak_is_borne_out(&sp->whole.own, leaks))
		return MB_MISSING_OWN_GROWTH;
	return mb_leak_is_borne_out(&sp->whole.mapped, leaks) ? MB_MISSING_NOTHING : MB_MISSING_ROOM;
}

/* ---- blocks ---- */

/* Smaller growth of blocks is not searched for in resident memory, which fluctuates by as much. */
#define OWN_SHOWS (1 << 20)

static double alloc_weight(const struct mb_leak_key *key)
{
	(void)key;
	return 4; /* blocks say more about their cause than pages and regions */
}

/*
 * Growth in blocks that also shows in the whole heap is a leak only if the process's memory grows
 * too: otherwise the blocks can be in memory that was freed earlier.
 */
static enum mb_missing alloc_unproven(const struct mb_leak_space *sp, const struct mb_leak_sum *leaks)
{
	bool shows = leaks->growth < OWN_SHOWS || mb_leak_is_borne_out(&sp->whole.own, leaks) ||
		     mb_leak_is_borne_out(&sp->whole.mapped, leaks);

	return shows && mb_leak_is_borne_out(&sp->whole.net, leaks) ? MB_MISSING_NOTHING : MB_MISSING_OWN_GROWTH;
}

/* ---- kernel objects ---- */

static const char *kernel_what(const struct mb_leaks_session *l, const struct mb_leak_key *key)
{
	return mb_leak_kernel_name(l, key->kind);
}

/* ---- the table ---- */

static const struct mb_leak_level_info levels[] = {
	[MB_LEAK_REGION] = { .name = "region", .of_process = true, .what = region_what, .weight = region_weight,
			     .unproven = region_unproven },
	/* a block's first page may be touched by malloc, its others by memset */
	[MB_LEAK_PAGE] = { .name = "page", .of_process = true, .from_caller = true, .what = page_what,
			   .unproven = page_unproven },
	[MB_LEAK_ALLOC] = { .name = "alloc", .of_process = true, .family = MB_FAM_heap, .event = mb_leak_heap_event,
			    .weight = alloc_weight, .unproven = alloc_unproven },
	[MB_LEAK_KERNEL] = { .name = "kernel", .family = MB_FAM_kmem, .event = mb_leak_kernel_event, .what = kernel_what },
};

_Static_assert(sizeof(levels) == MB_LEAK_LEVELS * sizeof(levels[0]), "a level has no row");

const struct mb_leak_level_info *mb_leak_level_info(enum mb_leak_level level)
{
	return &levels[level];
}
