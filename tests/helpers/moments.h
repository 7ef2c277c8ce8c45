/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The kernel's files about the machine. A trace reads them before and after memblame does, at both of its
 * ends: what a counter grew by lies between what it must and what it can have grown by.
 */
#ifndef MB_TESTS_MOMENTS_H
#define MB_TESTS_MOMENTS_H

#include "live.h"

#define MOMENT_PAGE 4096L
/* What the test itself does within a trace. */
#define TRACE_TOUCHED_PAGES 6000
#define TRACE_HUGE_PAGES    8

enum { MEMINFO, VMSTAT, ZONEINFO, BUDDYINFO, PSI_MEMORY, PSI_IO, FILES };

extern const char *const moment_paths[FILES];

/* All files at one moment; NULL: not there. */
struct moment {
	char *text[FILES];
	char *numastat; /* of node 0 */
};

struct trace {
	struct moment before_start, after_start, before_end, after_end;
	json_t *summary;
	const json_t *system;
};

/* A file's text, to be freed; NULL where there is none. */
char *moment_slurp(const char *path);

/* The number behind a key at the beginning of a line; "x_*": the sum of all that begin so. -1: none. */
long long moment_find(const char *text, const char *key);

/* Huge pages and single ones, touched and given back. */
void trace_work(void);

/* memblame top around trace_work(). */
struct trace trace_run(void);
void trace_free(struct trace *t);

#endif
