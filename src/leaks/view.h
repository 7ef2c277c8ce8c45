/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What sinks show of leak detection: sorted groups with their verdicts and resolved stacks. */
#ifndef MB_LEAKS_VIEW_H
#define MB_LEAKS_VIEW_H

#include "leaks/groups.h"
#include "leaks/outlook.h"
#include "leaks/whole.h"
#include "memblame/sink.h"
#include "model/regions.h"
#include "symbols/address_space.h"

/* One line of the output: all groups that a reader cannot tell apart. */
struct mb_leak_row {
	const struct mb_leak_group *group; /* points to sum */
	struct mb_leak_group sum; /* sum of all groups whose stacks resolve to the same text */
	struct mb_trend trend;
	const char *what; /* kind of region, or kernel cache; or NULL */
	uint64_t error_bytes; /* standard error of the outstanding bytes; 0: exact */
	int64_t second_bytes; /* at the second point in time of a comparison (sum.first_bytes: at the first) */
	int64_t growth_bytes; /* between these two points in time */
	/* of its process, if this row grows and the outlook is known; else NULL */
	const struct mb_outlook *outlook;
	const struct mb_source_frame *sources; /* innermost first */
	unsigned int n_sources;
	bool whole; /* complete up to the outermost frame */
	bool allocators; /* the memory was requested by an allocator, or contains its blocks */
	/* while the view is built: number of this row, and of the row that it is a view of */
	uint32_t id, owner;
	const struct mb_leak_row *evidence; /* other views of the same memory, the largest first */
	size_t n_evidence;
};

#define MB_LEAK_NO_OWNER UINT32_MAX

/* A file mapped by a process that contains an allocator. */
struct mb_leak_allocator {
	const char *file;
	uint64_t dev, ino;
	uint64_t since_ns; /* when its probes were attached */
	uint64_t found_ns; /* when the allocator was found in this process */
	uint64_t mapped_ns; /* when the process mapped it; 0: not known */
	uint64_t unseen_ns; /* time between mapped_ns and since_ns, if known */
	bool unseen_known;
	bool held; /* the process was stopped and had not run its code by then */
	bool first; /* among the allocators found first; later ones were mapped with dlopen */
};

/* Maximum number of allocator files per process; further ones are counted. */
#define MB_LEAK_ALLOCATORS 8u

/* From when on the heap of a process is traced. */
enum mb_heap_seen {
	MB_HEAP_SEEN_UNKNOWN, /* not checked yet, or the heap is not traced */
	MB_HEAP_SEEN_NONE, /* no known allocator */
	MB_HEAP_SEEN_FIRST, /* traced from the first instruction */
	MB_HEAP_SEEN_LATE, /* earlier allocations are not known */
	MB_HEAP_SEEN_FORKED, /* blocks inherited from the parent are not known */
};

/* Since when the blocks of a process are traced. */
struct mb_leak_heap_seen {
	enum mb_heap_seen how;
	uint64_t since_ns; /* relative to the start of the program */
	bool before_known;
	uint64_t before_bytes; /* the process's own memory at that time, or at the fork */
	struct mb_leak_allocator later[MB_LEAK_ALLOCATORS];
	size_t n_later;
	uint64_t left_out;
};

/* Code generated at run time, as far as it occurs in stacks that are shown. */
struct mb_leak_jit {
	uint64_t frames, nameless;
	bool has_map; /* the run time writes a perf map */
	bool interpreted; /* its functions have no stack frames of their own, only the interpreter has */
	uint64_t unread_bytes; /* unread part of the perf map: too much at once, or no room for more */
	const char *runtime; /* NULL: not known */
	const char *hint; /* how to get names; NULL: nothing is missing */
};

/* A process in the output. */
struct mb_leak_process {
	uint32_t pid;
	uint64_t start_ns;
	const char *comm;
	bool ended; /* the values are those at its end */
	struct mb_outlook outlook; /* of all of its own memory */
	uint64_t tracked_bytes; /* mapped, according to memblame's accounting */
	uint64_t before_bytes; /* part of it that was mapped before tracing, or by an unknown stack */
	uint64_t total_vm_bytes; /* mapped, according to the kernel */
	uint64_t corrections; /* number of times the accounting was wrong and the mappings were read again */
	uint64_t blocks; /* number of allocator blocks tracked */
	const struct mb_heap_shares *heap; /* all blocks since its allocator was probed; NULL: not known */
	uint64_t allocated, freed; /* number of these blocks */
	struct mb_leak_heap_seen seen;
	struct mb_leak_jit jit;
	const struct mb_regions *maps; /* mappings to show; NULL: do not show them */
	/* the process totals that its groups' verdicts are checked against */
	const struct mb_leak_whole *whole;
};

/* A cgroup of a process in the view, or an ancestor of such a cgroup. */
struct mb_leak_cgroup {
	const char *path;
	struct mb_outlook outlook; /* of all memory in the cgroup */
};

/* The state of leak detection at one point in time. */
struct mb_leaks_view {
	struct mb_leak_row *rows; /* the worst first */
	size_t n_rows;
	struct mb_leak_row *evidence; /* evidence of all rows; its memory is already counted in them */
	size_t n_evidence;
	struct mb_leak_process *processes;
	size_t n_processes;
	struct mb_leak_cgroup *cgroups;
	size_t n_cgroups;
	uint64_t ended_left_out; /* processes that ended earlier and are not shown */
	/* number of times a cgroup could not be followed because the table was full */
	uint64_t cgroups_left_out;
	uint64_t page_sample_1_in, heap_sample_bytes; /* heap_sample_bytes 0: the heap is not traced */
	bool compared; /* two points in time are compared (--diff); false: now with the start */
	uint64_t from_ns, to_ns; /* the points in time that are compared, relative to the start */
	uint64_t stacks_whole, stacks_cut;
	bool series; /* at the end, also show the series behind the verdicts */
	uint64_t left_out; /* groups, stacks and events for which there was no room */
	uint64_t left_out_bytes; /* bytes outstanding in those groups */
};

/* Bytes to show: adding and removing samples can leave a sum below zero. */
static inline uint64_t mb_leak_shown_bytes(int64_t bytes)
{
	return bytes > 0 ? (uint64_t)bytes : 0;
}

/* The name of a level as shown in the output. */
const char *mb_leak_level_name(enum mb_leak_level level);

/*
 * Format a source location: "main at leaker.c:42", "malloc in libc.so.6+0x9f3a0". Returns buf,
 * which has size bytes.
 */
const char *mb_leak_source_name(const struct mb_source_frame *p, char *buf, size_t size);

/* Is this source location inside an allocator or the C library's mmap, which is not of interest to the user? */
bool mb_leak_is_allocator(const struct mb_source_frame *p);

/* Does the text begin with one of the list, which ends with NULL? text NULL: no. */
bool mb_leak_begins_with(const char *text, const char *const *list);

/* Index of the first frame of interest: the caller of the allocator, or the innermost frame if there is no caller. */
unsigned int mb_leak_first_frame(const struct mb_leak_row *r);

/*
 * Hash of what a reader considers the same call site: process, level, and the function and line of each frame, however
 * often a recursion repeats them.
 */
uint64_t mb_leak_call_site(const struct mb_leak_row *r);

/*
 * Write folded stacks or, with svg, the flame graph of all rows: by outstanding bytes, or by growth
 * for a comparison.
 */
int mb_leaks_flame(struct mb_out *o, const struct mb_leaks_view *v, bool svg);

/* The JSON and text output, in json.c and text.c. */
void mb_json_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v);
void mb_text_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v);

#endif
