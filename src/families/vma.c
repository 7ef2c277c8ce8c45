// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* vma: requests of a process to its address space. */
#include "memblame/family.h"

#define FIELD(name, member, unit, text) \
	{ "vma", name, text, MB_LEDGER(vma.member), MB_FIELD_COUNTER, unit, "vma.calls" }

static const struct mb_field fields[] = {
	FIELD("mmap_calls", mmap_calls, MB_UNIT_COUNT, "mmap calls that succeeded"),
	FIELD("mmap_bytes", mmap_bytes, MB_UNIT_BYTES, "bytes they mapped, in whole pages"),
	FIELD("mmap_failed", mmap_failed, MB_UNIT_COUNT,
	      "mmap calls refused for want of address space or by a limit"),
	FIELD("munmap_calls", munmap_calls, MB_UNIT_COUNT, "munmap calls that succeeded"),
	FIELD("munmap_bytes", munmap_bytes, MB_UNIT_BYTES, "bytes they really unmapped"),
	FIELD("brk_calls", brk_calls, MB_UNIT_COUNT, "brk calls, queries included"),
	FIELD("brk_bytes", brk_bytes, MB_UNIT_BYTES, "bytes by which they grew the heap"),
	FIELD("mremap_calls", mremap_calls, MB_UNIT_COUNT, "mremap calls"),
	{ "vma", "mapped_bytes", "net change of the address space by all these calls",
	  MB_LEDGER(vma.net_bytes), MB_FIELD_SIGNED, MB_UNIT_BYTES, "vma.calls" },
};

static const struct mb_event_field call_fields[] = {
	{ "addr", MB_MEMBER(mb_vma_event, addr), MB_VALUE_HEX64, MB_UNIT_COUNT, NULL, false, 0 },
	{ "len_bytes", MB_MEMBER(mb_vma_event, len), MB_VALUE_U64, MB_UNIT_BYTES, NULL, false, 0 },
	{ "delta_bytes", MB_MEMBER(mb_vma_event, delta_bytes), MB_VALUE_S64, MB_UNIT_BYTES, NULL,
	  false, 0 },
	{ "flags", MB_MEMBER(mb_vma_event, flags), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false, 0 },
	{ "failed", MB_MEMBER(mb_vma_event, failed), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false, 0 },
};

static const struct mb_event_field munmap_fields[] = {
	{ "addr", MB_MEMBER(mb_vma_event, addr), MB_VALUE_HEX64, MB_UNIT_COUNT, NULL, false, 0 },
	{ "len_bytes", MB_MEMBER(mb_vma_event, len), MB_VALUE_U64, MB_UNIT_BYTES, NULL, false, 0 },
	{ "delta_bytes", MB_MEMBER(mb_vma_event, delta_bytes), MB_VALUE_S64, MB_UNIT_BYTES, NULL,
	  false, 0 },
	{ "failed", MB_MEMBER(mb_vma_event, failed), MB_VALUE_U32, MB_UNIT_COUNT, NULL, false, 0 },
};

/* brk has no length and no flags: its argument is the new end of the heap */
static const struct mb_event_field brk_fields[] = {
	{ "addr", MB_MEMBER(mb_vma_event, addr), MB_VALUE_HEX64, MB_UNIT_COUNT, NULL, false, 0 },
	{ "delta_bytes", MB_MEMBER(mb_vma_event, delta_bytes), MB_VALUE_S64, MB_UNIT_BYTES, NULL,
	  false, 0 },
};

#define CALL(op, name, table) \
	{ op, name, sizeof(struct mb_vma_event), table, MB_ARRAY_SIZE(table), 0 }

static const struct mb_event_kind events[] = {
	CALL(MB_VMA_MMAP, "mmap", call_fields),
	CALL(MB_VMA_MUNMAP, "munmap", munmap_fields),
	CALL(MB_VMA_MREMAP, "mremap", call_fields),
	CALL(MB_VMA_BRK, "brk", brk_fields),
	/* for leaks (src/leaks/leaks.c) */
	{ MB_VMA_REGION, "region", sizeof(struct mb_region_event), NULL, 0, MB_EVENT_INTERNAL | MB_EVENT_STACK },
	{ MB_VMA_FORK, "region_fork", sizeof(struct mb_region_fork_event), NULL, 0, MB_EVENT_INTERNAL },
	{ MB_VMA_EXEC, "region_exec", sizeof(struct mb_region_exec_event), NULL, 0, MB_EVENT_INTERNAL },
	{ MB_VMA_CODE, "region_code", sizeof(struct mb_region_code_event), NULL, 0, MB_EVENT_INTERNAL },
};

static const struct mb_hook calls_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "vma_lock", "vma_unlock" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "calls refused before they reach the address space (bad arguments) are not "
		     "counted; a MAP_FIXED mmap that fails after it counts as done" },
	{ .name = "fexit",
	  .programs = { "vma_enter_mmap", "vma_exit_mmap", "vma_enter_munmap", "vma_exit_munmap",
			"vma_enter_mremap", "vma_exit_mremap", "vma_enter_brk", "vma_exit_brk" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "what two threads of a process do at the same time can be counted to either; "
		     "calls of 32-bit programs are not counted" },
};

static const struct mb_hook regions_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "vma_area", "vma_area_again", "vma_fork", "vma_exec", "vma_lock_again",
			"vma_unlock_again" },
	  .requires = { "vma_lock" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "whether a move to a fixed place was done is not always seen: mappings are then read again "
		     "at the next tick, and what had moved is from nobody" },
	{ .name = "fexit",
	  .programs = { "vma_fork", "vma_exec", "vma_region_mmap", "vma_region_munmap", "vma_region_mremap",
			"vma_region_brk" },
	  .optional = { "vma_area" },
	  .requires = { "vma_enter_mmap" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "shmat, stacks that grow, and some of what two threads of a process do at the same time: seen "
		     "at the next tick, without the code that did it" },
};

static const struct mb_hot hot[] = {
	{ "vma_lock", MB_LEVEL_ITERATOR },
	{ "vma_unlock", MB_LEVEL_ITERATOR },
	{ "vma_enter_mmap", MB_LEVEL_ITERATOR },
	{ "vma_exit_mmap", MB_LEVEL_ITERATOR },
	{ "vma_enter_munmap", MB_LEVEL_ITERATOR },
	{ "vma_exit_munmap", MB_LEVEL_ITERATOR },
	{ "vma_enter_mremap", MB_LEVEL_ITERATOR },
	{ "vma_exit_mremap", MB_LEVEL_ITERATOR },
	{ "vma_enter_brk", MB_LEVEL_ITERATOR },
	{ "vma_exit_brk", MB_LEVEL_ITERATOR },
};

static const struct mb_probe_point probe_points[] = {
	{ "calls", "which calls change the address space, and by how much?", calls_hooks, 2,
	  "mmap, munmap, mremap and brk are not counted", .off_from = MB_LEVEL_ITERATOR },
	{ "regions", "what is mapped where, and which code mapped it?", regions_hooks, 2,
	  "leaks shows no regions", .on_request = true },
};

/* If both programs were missed in a call, "corrections" count it. */
static const struct mb_missed missed[] = {
	{ "vma_lock", true, 0, "vma_lock_again" },
	{ "vma_lock_again", true, 0, NULL },
	{ "vma_unlock", true, 0, "vma_unlock_again" },
	{ "vma_unlock_again", true, 0, NULL },
	{ "vma_area", true, 0, "vma_area_again" },
	{ "vma_area_again", true, 0, NULL },
};

const struct mb_family mb_family_vma = {
	.id = MB_FAM_vma,
	.name = "vma",
	MB_TABLE(fields),
	MB_TABLE(events),
	MB_TABLE(probe_points),
	MB_TABLE(hot),
	MB_TABLE(missed),
};
