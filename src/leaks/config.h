/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What leaks looks for, and what it shows of it. */
#ifndef MB_LEAKS_CONFIG_H
#define MB_LEAKS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct mb_leaks_config {
	bool heap; /* blocks of allocators */
	bool kernel; /* objects of the kernel */
	bool judge_stacks; /* find out which processes keep frame pointers (--stacks=auto) */
	bool maps; /* show what is mapped, too: for tests */
	bool series; /* show what verdicts are made of, too */
	uint64_t page_sample_1_in; /* a power of two */
	uint64_t heap_sample_bytes; /* one sample in so many bytes allocated, on average; 1: every block */
	uint64_t diff_from_ns, diff_to_ns; /* the two moments that are compared, since the start; to 0: the end */
	const char *folded_path, *svg_path; /* NULL: none */
};

#endif
