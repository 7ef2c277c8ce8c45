/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Adding to the tables of core/maps.bpf.h. */
#ifndef MEMBLAME_TABLES_H
#define MEMBLAME_TABLES_H

#include "core/emit.bpf.h"

/* The entry of a key, created from zero if missing; NULL: no room, which is counted for family. */
MB_INLINE void *table_entry(void *map, const void *key, const void *zero, __u32 family)
{
	void *entry = bpf_map_lookup_elem(map, key);

	if (entry)
		return entry;
	bpf_map_update_elem(map, key, zero, BPF_NOEXIST);
	entry = bpf_map_lookup_elem(map, key);
	if (!entry)
		count_drop(family, MB_DROP_TABLE_FULL);
	return entry;
}

#endif
