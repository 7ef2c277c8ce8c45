/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where the functions of a memory allocator are in a file, and on which of their instructions a probe costs least:
 * the kernel emulates a few (push, nop, relative jumps and calls), all others it has to single-step, which takes
 * ten times as long.
 */
#ifndef MB_SYMBOLS_ALLOCATORS_H
#define MB_SYMBOLS_ALLOCATORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"

#define MB_ALLOCATOR_CALLS 64

/* One function, and where it is best probed. */
struct mb_allocator_call {
	uint64_t offset; /* of the instruction, in the file */
	uint64_t function; /* of the function's first one */
	uint32_t op; /* enum mb_heap_op */
	bool slow; /* the kernel must single-step it */
	char name[40];
};

/* A file that defines an allocator. */
struct mb_allocator {
	struct mb_allocator_call calls[MB_ALLOCATOR_CALLS];
	size_t n; /* 0: it defines none */
	bool nameless; /* it is linked statically and has no symbols: what it has cannot be found */
};

/* Look for an allocator in an open ELF file of x86-64. False: it cannot be read. */
bool mb_allocator_read(struct mb_allocator *a, int fd);

/*
 * Which instruction of a function to probe: code holds its first len bytes. Those before it leave arguments as
 * they are, and the stack pointer too unless it is free-like (op MB_HEAP_FREE); each call of the function comes by it
 * exactly once. Returns its offset in code; *slow: it is the first, and must be single-stepped.
 */
size_t mb_allocator_choose(const uint8_t *code, size_t len, uint32_t op, bool *slow);

/* Called with each file that a process has mapped as code; it closes fd. path: as the process sees it. */
typedef void (*mb_mapped_file)(void *arg, int fd, const char *path);

/* The files with code that a process has mapped, each once. False: there is no such process. */
bool mb_mapped_files(uint32_t pid, mb_mapped_file fn, void *arg);

#endif
