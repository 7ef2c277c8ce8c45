/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The kernel's files about the whole machine. A trace reads them before and after memblame does, both at the
 * start and at the end. The growth of each counter that memblame reports must lie between the smallest and
 * the largest growth that these readings allow.
 */
#ifndef MB_TESTS_MOMENTS_H
#define MB_TESTS_MOMENTS_H

#include "live.h"

#define MOMENT_PAGE 4096L
/* The work that the test itself does within a trace. */
#define TRACE_TOUCHED_PAGES 6000
#define TRACE_HUGE_PAGES    8

enum { MEMINFO, VMSTAT, ZONEINFO, BUDDYINFO, PSI_MEMORY, PSI_IO, FILES };

extern const char *const moment_paths[FILES];

/* All files at one moment; NULL: the file does not exist. */
struct moment {
	char *text[FILES];
	char *numastat; /* of node 0 */
};

struct trace {
	struct moment before_start, after_start, before_end, after_end;
	json_t *summary;
	const json_t *system;
};

/* The text of a file, which the caller frees; NULL if there is no such file. */
char *moment_slurp(const char *path);

/* The number behind a key at the start of a line; "x_*": the sum over all keys with this prefix. -1: not found. */
long long moment_find(const char *text, const char *key);

/* Touches huge pages and single pages, and frees them. */
void trace_work(void);

/* Runs memblame top around trace_work(). */
struct trace trace_run(void);
void trace_free(struct trace *t);

#endif
