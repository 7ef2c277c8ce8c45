/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Run times that generate code at run time, and how to make each of them write a perf map. */
#ifndef MB_SYMBOLS_RUNTIMES_H
#define MB_SYMBOLS_RUNTIMES_H

#include <stdbool.h>

/* A known run time. */
struct mb_runtime {
	const char *file; /* prefix of the name of the file that contains the run time */
	const char *name; /* name to show */
	const char *hint; /* what the user can do to get names */
	bool interprets; /* interpreted functions have no stack frames of their own */
};

/* The run time that a file contains, by its path; NULL if it is not a known one. */
const struct mb_runtime *mb_runtime_of(const char *path);

/* Hint for unknown run times. */
extern const char mb_runtime_hint[];

#endif
