/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What sinks show of leaks: groups in order, with what their histories say and their stacks by name. */
#ifndef MB_LEAKS_VIEW_H
#define MB_LEAKS_VIEW_H

#include "leaks/groups.h"
#include "leaks/outlook.h"
#include "leaks/whole.h"
#include "memblame/sink.h"
#include "model/regions.h"
#include "symbols/address_space.h"

struct mb_leak_row {
	const struct mb_leak_group *group; /* the sum */
	struct mb_leak_group sum; /* of all groups that read the same */
	struct mb_trend trend;
	const char *what; /* kind of region, cache of the kernel; or NULL */
	uint64_t error_bytes; /* standard error of what is outstanding; 0: exact */
	int64_t second_bytes; /* at the second of the two moments that are compared (sum.first_bytes: at the first) */
	int64_t growth_bytes; /* between them */
	const struct mb_outlook *outlook; /* of its process, if this grows and that is known; else NULL */
	const struct mb_source_frame *places; /* innermost first */
	unsigned int n_places;
	bool whole; /* up to the outermost frame */
	bool allocators; /* it lies in memory that an allocator has asked for, or has blocks in */
	uint32_t id, owner; /* while a view is made: this row, and the one that it is a view of */
	const struct mb_leak_row *evidence; /* other views of the same memory, the largest first */
	size_t n_evidence;
};

#define MB_LEAK_NO_OWNER UINT32_MAX

/* A file with an allocator that a process has mapped. */
struct mb_leak_allocator {
	const char *file;
	uint64_t dev, ino;
	uint64_t since_ns; /* its probes are there */
	uint64_t found_ns; /* in this process */
	uint64_t mapped_ns; /* there; 0: not known */
	uint64_t unseen_ns; /* between those two, if that is known */
	bool unseen_known;
	bool held; /* the process had not run its code by then */
	bool first; /* of those that were found first; others came later (dlopen) */
};

/* Files with allocators of one process that are followed; more are counted. */
#define MB_LEAK_ALLOCATORS 8u

enum mb_heap_seen {
	MB_HEAP_SEEN_UNKNOWN, /* nobody has looked yet, or the heap is not traced */
	MB_HEAP_SEEN_NONE, /* there is no allocator that we know */
	MB_HEAP_SEEN_FIRST, /* from the first instruction on */
	MB_HEAP_SEEN_LATE, /* what was allocated before is not known */
	MB_HEAP_SEEN_FORKED, /* what it has from its parent is not known */
};

/* Since when the blocks of a process are seen. */
struct mb_leak_heap_seen {
	enum mb_heap_seen how;
	uint64_t since_ns; /* after the program has begun */
	bool before_known;
	uint64_t before_bytes; /* its own memory at that moment, or at the fork */
	struct mb_leak_allocator later[MB_LEAK_ALLOCATORS];
	size_t n_later;
	uint64_t left_out;
};

/* Code that a process made at run time, as far as stacks that are shown lead through it. */
struct mb_leak_jit {
	uint64_t frames, nameless;
	bool has_map; /* its run time writes the names */
	bool interpreted; /* its functions have no frames of their own, only their interpreter has */
	uint64_t unread_bytes; /* of that file: too much at once, or more than there is room for */
	const char *runtime; /* NULL: not known */
	const char *hint; /* what to do for names; NULL: nothing is missing */
};

struct mb_leak_process {
	uint32_t pid;
	uint64_t start_ns;
	const char *comm;
	bool ended; /* what it had at the end, and how it grew up to then */
	struct mb_outlook outlook; /* of its own memory, all together */
	uint64_t tracked_bytes; /* mapped, by our accounts */
	uint64_t before_bytes; /* of that, mapped before tracing, or nobody knows by whom */
	uint64_t total_vm_bytes; /* mapped, as the kernel has it */
	uint64_t corrections; /* times that our account was not right, and the mappings were read again */
	uint64_t blocks; /* of its allocator that are followed */
	const struct mb_heap_shares
		*heap; /* all its blocks since they were probed; NULL: not known */
	uint64_t allocated, freed; /* the same, in number */
	struct mb_leak_heap_seen seen;
	struct mb_leak_jit jit;
	const struct mb_regions *maps; /* show them, too; NULL: do not */
	const struct mb_leak_whole *whole; /* what verdicts of its groups are compared with */
};

/* One that a process of the view is in, or that is above one. */
struct mb_leak_cgroup {
	const char *path;
	struct mb_outlook outlook; /* of all that is in it */
};

struct mb_leaks_view {
	struct mb_leak_row *rows; /* the worst first */
	size_t n_rows;
	struct mb_leak_row *evidence; /* of all rows: counted there already */
	size_t n_evidence;
	struct mb_leak_process *processes;
	size_t n_processes;
	struct mb_leak_cgroup *cgroups;
	size_t n_cgroups;
	uint64_t ended_left_out; /* processes that ended before, and are not shown */
	uint64_t cgroups_left_out; /* times that there was no room to follow one */
	uint64_t page_sample_1_in, heap_sample_bytes; /* heap: 0: not traced */
	bool compared; /* two moments are, by --diff; else what there is, with the start */
	uint64_t from_ns, to_ns; /* the moments that are compared, since the start */
	uint64_t stacks_whole, stacks_cut;
	bool series; /* at the end, show what verdicts are made of, too */
	uint64_t left_out; /* groups, stacks and events for which there was no room */
	uint64_t left_out_bytes; /* that those groups have outstanding */
};

/* Bytes to show: what has been added to a sum and taken away again may leave less than nothing. */
static inline uint64_t mb_leak_shown_bytes(int64_t bytes)
{
	return bytes > 0 ? (uint64_t)bytes : 0;
}

const char *mb_leak_level_name(enum mb_leak_level level);

/* "main at leaker.c:42", "malloc in libc.so.6+0x9f3a0"; buf of size bytes. */
const char *mb_leak_source_name(const struct mb_source_frame *p, char *buf, size_t size);

/* Is this place within an allocator or the C library's mmap: what one is not interested in? */
bool mb_leak_is_allocator(const struct mb_source_frame *p);

/* Folded stacks or, with svg, the flame graph of all rows: by what is outstanding; of a comparison, by growth. */
int mb_leaks_flame(struct mb_out *o, const struct mb_leaks_view *v, bool svg);

/* json_leaks.c, text_leaks.c */
void mb_json_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v);
void mb_text_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v);

#endif
