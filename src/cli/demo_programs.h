/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The programs of memblame demo, and the place they run in: a folder for their files, a memory cgroup with a limit,
 * and a process that removes both and ends the programs as soon as the demo ends, however it ends.
 */
#ifndef MB_CLI_DEMO_PROGRAMS_H
#define MB_CLI_DEMO_PROGRAMS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * One entry per program: its name, its command name, and the function that it runs. These functions are exported, so
 * that an installed, stripped memblame still shows their names in stacks.
 */
#define MB_DEMO_PROGRAMS(X)                             \
	X(LEAK, "demo-leak", demo_leak_requests)        \
	X(FSYNC, "demo-fsync", demo_sync_log)           \
	X(WRITER, "demo-writer", demo_write_backup)     \
	X(CACHE, "demo-cache", demo_hold_memory)        \
	X(GROWING, "demo-growing", demo_fill_cgroup)

enum mb_demo_program {
#define MB_DEMO_NUMBER(name, comm, run) MB_DEMO_##name,
	MB_DEMO_PROGRAMS(MB_DEMO_NUMBER)
#undef MB_DEMO_NUMBER
	MB_DEMO_N,
};

#define MB_DEMO_FUNCTION(name, comm, run) void run(const char *dir);
MB_DEMO_PROGRAMS(MB_DEMO_FUNCTION)
#undef MB_DEMO_FUNCTION
void *demo_use_memory(size_t size);

#define MB_DEMO_LIMIT_MIB 64 /* of the cgroup of demo-cache and demo-growing */

struct mb_demo {
	char dir[64]; /* for files; removed with all that is in it */
	char cgroup[320]; /* the cgroup's directory; "": there is none */
	char no_cgroup[160]; /* why not; "": there is one */
	const char *no_disk; /* why the files are not on a disk; "": they are */
	pid_t pids[MB_DEMO_N]; /* 0: not started */
	pid_t cleaner;
	int go; /* closing it lets the programs begin */
	int alive; /* closing it lets the cleaner begin */
};

/*
 * Makes the place and starts the programs, which wait. The caller blocks the signals that could end it before, and
 * calls mb_demo_end() in any case. Returns 0 or -errno with *e set.
 */
int mb_demo_start(struct mb_demo *d, struct mb_err *e);

/* Lets the programs begin. */
void mb_demo_go(struct mb_demo *d);

/* Ends the programs and removes everything. Returns when it is done. */
void mb_demo_end(struct mb_demo *d);

#endif
