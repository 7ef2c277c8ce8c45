// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * kmem: kernel objects by call site, cache and process. The family has no fields per process:
 * kernel.c adds up the data of its table.
 */
#include "memblame/family.h"

static const struct mb_event_kind events[] = {
	{ MB_KMEM_EVENT_CHANGED, "changed", sizeof(struct mb_kmem_event), NULL, 0, MB_EVENT_INTERNAL },
};

static const struct mb_kern_table tables[] = {
	{ "kmem_sites", MB_KMEM_EVENT_CHANGED },
};

#define BULK                                                                                             \
	"what is given back in bulk (kfree_rcu, the network's own store of buffers) shows no free; it is " \
	"known when its address is used again"

#define SLAB                                                                                                   \
	.programs = { "kmem_kmalloc", "kmem_alloc", "kmem_kfree", "kmem_free", "kmem_free_again" },            \
	.optional = { "kmem_kmalloc_node", "kmem_alloc_node" }, .quality = MB_QUALITY_PARTIAL

/* Before 6.1 (11e9734bcb6a) node-specific allocations have tracepoints of their own. */
static const struct mb_hook slab_hooks[] = {
	{ .name = "tp_btf", SLAB, .argument = { "kmem_cache_alloc", "s" }, .missing = BULK },
	{ .name = "tp_btf read",
	  SLAB,
	  .argument = { "kmem_cache_alloc", "s" },
	  .reads_pointers = true,
	  .missing = BULK },
	{ .name = "tp_btf sizes",
	  SLAB,
	  .reads_pointers = true,
	  .missing = "caches are known by the size of their objects only; " BULK },
};

static const struct mb_hook page_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "kmem_pages", "kmem_put" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "pages of user space, of the page cache and of slabs are left out" },
};

static const struct mb_hook cache_hooks[] = {
	{ .name = "slabinfo", .file = "/proc/slabinfo", .quality = MB_QUALITY_FULL },
};

static const struct mb_hook vmalloc_hooks[] = {
	{ .name = "vmallocinfo", .file = "/proc/vmallocinfo", .quality = MB_QUALITY_FULL },
};

static const struct mb_probe_point probe_points[] = {
	{ "slab", "who holds objects of the kernel? (leaks --kernel)", slab_hooks, MB_ARRAY_SIZE(slab_hooks),
	  "objects of the kernel are not laid upon anybody", true },
	{ "pages", "who holds pages of the kernel? (leaks --kernel)", page_hooks, MB_ARRAY_SIZE(page_hooks),
	  "pages of the kernel are not laid upon anybody", true },
	{ "caches", "which slab caches grow? (leaks --kernel)", cache_hooks, MB_ARRAY_SIZE(cache_hooks),
	  "slab caches are not watched", true },
	{ "vmalloc", "who holds vmalloc memory? (leaks --kernel)", vmalloc_hooks, MB_ARRAY_SIZE(vmalloc_hooks),
	  "vmalloc is not watched", true },
};

/* Each program compensates for misses of the other: bpf/kmem.bpf.c. */
static const struct mb_missed missed[] = {
	{ "kmem_free", true, 0 },
	{ "kmem_free_again", true, 0 },
};

const struct mb_family mb_family_kmem = {
	.id = MB_FAM_kmem,
	.name = "kmem",
	MB_TABLE(events),
	MB_TABLE(probe_points),
	MB_TABLE(missed),
	MB_TABLE(tables),
};
