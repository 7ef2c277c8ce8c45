// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The global function of core/stall.bpf.h, linked once for all families. */
#include "core/bits.bpf.h"
#include "core/trace_level.bpf.h"
#include "core/stall.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

int stall_note_length(__u64 start_ns, __u32 slot, __u64 ns)
{
	struct mb_stall_key key = {};
	struct stall_lengths *entry, *zero;
	__u32 first = 0, i = 0, bit = ns ? highest_bit(ns) : 0;

	if (!level_before(MB_LEVEL_COUNTS))
		return 0;
	key.start_ns = start_ns;
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	key.slot = slot;
	zero = bpf_map_lookup_elem(&stall_lengths_zero, &first);
	if (!zero)
		return 0;
	entry = table_entry(&stall_lengths, &key, zero, MB_FAM_task);
	if (!entry)
		return 0;
	if (bit >= MB_STALL_MIN_BITS)
		i = (bit - MB_STALL_MIN_BITS) * 2 + (ns >> (bit - 1) & 1);
	if (i >= MB_STALL_BUCKETS)
		i = MB_STALL_BUCKETS - 1;
	__sync_fetch_and_add(&entry->buckets[MB_BOUNDED(i, MB_STALL_BUCKETS - 1)], 1);
	return 0;
}
