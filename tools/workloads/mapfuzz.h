/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* One thread of mapfuzz: the arena that it may change freely, and its operations. */
#ifndef WORKLOAD_MAPFUZZ_H
#define WORKLOAD_MAPFUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MF_ARENA_BYTES (48UL << 20)
#define MF_RECENT      32
#define MF_OUTSIDE     16
#define MF_KINDS       16

struct mf_map {
	char *at; /* NULL: none */
	size_t len;
	bool shared;
};

/* All of it belongs to one thread. */
struct mf_thread {
	uint64_t random;
	char *arena;
	bool first;			   /* has the break and the stack */
	bool plain;			   /* MAPFUZZ_PLAIN: only changes whose effect is visible */
	bool calls;			   /* MAPFUZZ_CALLS: only mmap, munmap, mremap and brk change something */
	bool child;			   /* a forked process: it has no children */
	struct mf_map recent[MF_RECENT];   /* in the arena, if they are still there */
	struct mf_map outside[MF_OUTSIDE]; /* at addresses that the kernel chose; we have no others there */
	unsigned long ok[MF_KINDS], failed[MF_KINDS];
};

/* Opens the files and memory that all threads use; dir is for a file that is unlinked at once. */
void mf_prepare(const char *dir);
/* Does one random operation. */
void mf_step(struct mf_thread *t);
const char *mf_kind_name(unsigned int kind); /* NULL: there are no more */

#endif
