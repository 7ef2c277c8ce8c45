/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Options for leak detection: what to trace and what to show. */
#ifndef MB_LEAKS_CONFIG_H
#define MB_LEAKS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

/* Set from the command line; constant during a session. */
struct mb_leaks_config {
	bool heap; /* trace allocator blocks */
	bool kernel; /* trace kernel objects */
	bool no_stacks; /* stacks are not wanted (--stacks=none) */
	bool judge_stacks; /* find out which processes keep frame pointers (--stacks=auto) */
	bool maps; /* also show the mappings; for tests */
	bool series; /* also show the time series behind the verdicts */
	uint64_t page_sample_1_in; /* a power of two */
	/* average number of allocated bytes between two samples; 1: sample every block */
	uint64_t heap_sample_bytes;
	/* the two points in time to compare, relative to the start; diff_to_ns 0: the end */
	uint64_t diff_from_ns, diff_to_ns;
	const char *folded_path, *svg_path; /* output files; NULL: none */
};

#endif
