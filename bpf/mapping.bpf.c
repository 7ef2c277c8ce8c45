// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Lookup in an address space's maple tree of mappings, like the kernel's own lockless readers
 * (lib/maple_tree.c).
 */
#include "core/mapping.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MAPPING_LEVELS \
	8 /* a node has at least 5 entries: enough for the maximum number of mappings */
#define PIVOTS 15 /* of a leaf node; other nodes have fewer */
#define PIVOTS_READ \
	8 /* at a time: the calling programs use much of the 512 bytes of BPF stack already */
#define NODE_MASK 255ull /* MAPLE_NODE_MASK: the lower bits contain the node type */

MB_INLINE __u32 kind_of(__u64 node)
{
	return node >> 3 & 15;
}

/*
 * The entry of a node for an address; 0: not readable. Not static, so that the verifier checks it
 * once and not for each level.
 */
__noinline __u64 mapping_below(__u64 entry, __u64 addr)
{
	__u64 node = entry & ~NODE_MASK, pivots[PIVOTS_READ], slots, below = 0;
	__u32 n = PIVOTS, i;

	if (!bpf_core_type_exists(struct maple_range_64)) /* before 6.1: the verifier still checks this function */
		return 0;
	slots = node + bpf_core_field_offset(struct maple_range_64, slot);
	if (kind_of(entry) == bpf_core_enum_value(enum maple_type, maple_arange_64)) {
		n = 9;
		slots = node + bpf_core_field_offset(struct maple_arange_64, slot);
	}
	for (i = 0; i < PIVOTS; i++) {
		const void *from = (void *)node + bpf_core_field_offset(struct maple_range_64, pivot);
		__u32 at = i % PIVOTS_READ;

		if (!at && bpf_probe_read_kernel(pivots, sizeof(pivots), from + i * sizeof(pivots[0])))
			return 0;
		if (i >= n || (i && !pivots[at]) || pivots[at] >= addr)
			break;
	}
	return bpf_probe_read_kernel(&below, sizeof(below), (void *)slots + i * sizeof(below)) ? 0 : below;
}

/*
 * Nodes are not freed while a program runs, and unused entries are 0. With a concurrent change of
 * the tree, the result may at worst be the previous mapping.
 */
__u64 mapping_find(__u64 mm, __u64 addr)
{
	__u64 entry = 0;

	if (!bpf_core_type_exists(struct maple_range_64))
		return 0;
	bpf_probe_read_kernel(&entry, sizeof(entry),
			      (void *)mm + bpf_core_field_offset(struct mm_struct, mm_mt.ma_root));
	if ((entry & 3) != 2 ||
	    /*
	     * include/linux/xarray.h, xa_is_node(): no process has so few mappings that its tree
	     * has no node
	     */
	    entry <= 4096)
		return 0;
	for (int level = 0; level < MAPPING_LEVELS && entry; level++) {
		bool leaf = kind_of(entry) == bpf_core_enum_value(enum maple_type, maple_leaf_64);

		entry = mapping_below(entry, addr);
		if (leaf)
			return entry;
	}
	return 0;
}
