/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Names of code made at run time, from the file that run times write for perf: /tmp/perf-PID.map, with a line
 * "START SIZE NAME" in hexadecimal for each function. Anyone may put such a file there: only a regular file of
 * the process's owner or of root counts, and only so much of it.
 */
#ifndef MB_SYMBOLS_JIT_H
#define MB_SYMBOLS_JIT_H

#include <stddef.h>
#include <stdint.h>

struct mb_jit {
	int fd; /* -1: not open */
	uint64_t read; /* bytes of it, whole lines */
	struct mb_jit_function *functions; /* by start */
	size_t n, room;
	char *names;
	size_t names_len, names_room;
};

void mb_jit_init(struct mb_jit *j);
void mb_jit_free(struct mb_jit *j);

/* Open the file of a process if that has not been done; it can be read when the process is gone. */
void mb_jit_open(struct mb_jit *j, uint32_t pid);

/* The name of the function at an address; NULL: not known. Valid until the next call. */
const char *mb_jit_find(struct mb_jit *j, uint64_t address);

#endif
