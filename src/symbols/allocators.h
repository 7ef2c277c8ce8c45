/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Finds the functions of a memory allocator in a file, and the instruction of each on which a
 * uprobe costs least: the kernel emulates some instructions (push, nop, relative jumps and calls)
 * and single-steps all others, which takes ten times as long.
 */
#ifndef MB_SYMBOLS_ALLOCATORS_H
#define MB_SYMBOLS_ALLOCATORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"

#define MB_ALLOCATOR_CALLS 64

/* One function and where to probe it. */
struct mb_allocator_call {
	uint64_t offset; /* file offset of the instruction to probe */
	uint64_t function; /* file offset of the function's first instruction */
	uint32_t op; /* enum mb_heap_op */
	bool slow; /* the kernel must single-step it */
	char name[40];
};

/* A file that contains an allocator. */
struct mb_allocator {
	struct mb_allocator_call calls[MB_ALLOCATOR_CALLS];
	size_t n; /* 0: the file contains no allocator */
	bool nameless; /* statically linked and without symbols: an allocator cannot be found */
};

/* Look for an allocator in an open x86-64 ELF file. Returns false if the file cannot be read. */
bool mb_allocator_read(struct mb_allocator *a, int fd);

/*
 * Choose the instruction of a function to probe. code: its first len bytes. The instructions before
 * the chosen one leave the arguments intact, and also the stack pointer unless op is MB_HEAP_FREE;
 * each call of the function executes the chosen one exactly once. Returns its offset in code.
 * *slow: it is the first instruction and must be single-stepped.
 */
size_t mb_allocator_choose(const uint8_t *code, size_t len, uint32_t op, bool *slow);

/* Called for each file that a process maps as code; must close fd. path: as the process sees it. */
typedef void (*mb_mapped_file)(void *arg, int fd, const char *path);

/* Call fn once for each file that a process maps as code. Returns false if there is no such process. */
bool mb_mapped_files(uint32_t pid, mb_mapped_file fn, void *arg);

#endif
