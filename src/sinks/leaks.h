/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What sinks show of leaks: groups in order, with what their histories say and their stacks by name. */
#ifndef MB_SINKS_LEAKS_H
#define MB_SINKS_LEAKS_H

#include "memblame/sink.h"
#include "model/leaks.h"
#include "model/regions.h"
#include "symbols/space.h"

struct mb_leak_row {
	const struct mb_leak_group *group; /* the sum */
	struct mb_leak_group sum; /* of all groups that read the same */
	struct mb_trend trend;
	const char *what; /* kind of region, cache of the kernel; or NULL */
	uint64_t error_bytes; /* standard error of what is outstanding; 0: exact */
	int64_t growth_bytes; /* between the two moments that are compared */
	bool eta_known;
	uint64_t eta_ns; /* until the limit is reached, if this goes on */
	const char *limit; /* which: "cgroup", "address space", "free memory" */
	const struct mb_place *places; /* innermost first */
	unsigned int n_places;
	bool whole; /* up to the outermost frame */
};

struct mb_leak_process {
	uint32_t pid;
	const char *comm;
	uint64_t tracked_bytes; /* mapped, by our accounts */
	uint64_t before_bytes; /* of that, mapped before tracing, or nobody knows by whom */
	uint64_t total_vm_bytes; /* mapped, as the kernel has it */
	uint64_t corrections; /* times that our account was not right, and the mappings were read again */
	uint64_t blocks; /* of its allocator that are followed */
	const struct mb_regions *maps; /* show them, too; NULL: do not */
};

struct mb_leaks_view {
	struct mb_leak_row *rows; /* the worst first */
	size_t n_rows;
	struct mb_leak_process *processes;
	size_t n_processes;
	uint64_t page_sample_1_in, heap_sample_bytes; /* heap: 0: not traced */
	uint64_t from_ns, to_ns; /* the moments that are compared, since the start */
	uint64_t stacks_whole, stacks_cut;
	uint64_t left_out; /* groups, stacks and events for which there was no room */
};

const char *mb_leak_level_name(enum mb_leak_level level);

/* "main at leaker.c:42", "malloc in libc.so.6+0x9f3a0"; buf of size bytes. */
const char *mb_leak_place_name(const struct mb_place *p, char *buf, size_t size);

/* Is this place within an allocator or the C library's mmap: what one is not interested in? */
bool mb_leak_is_allocator(const struct mb_place *p);

/* Folded stacks and flame graph of all rows; compared: by growth, not by what is outstanding. */
int mb_leaks_flame(struct mb_out *o, const struct mb_leaks_view *v, bool svg, bool compared);

/* json_leaks.c, text_leaks.c */
void mb_json_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v);
void mb_text_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v);

#endif
