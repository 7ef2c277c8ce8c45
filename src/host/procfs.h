/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reads data of processes that only /proc and the cgroup file system have. */
#ifndef MB_HOST_PROCFS_H
#define MB_HOST_PROCFS_H

#include <stdbool.h>

#include "host/cgroups.h"
#include "model/ingest.h"

/*
 * Finds the paths of the executable and of the cgroup of every process that is new in the model. c
 * may be NULL.
 */
void mb_procfs_identify(struct mb_ingest *ingest, struct mb_cgroups *c);

/*
 * Updates the memory of live processes from /proc/PID/status, which sums the kernel's per-CPU
 * counters; the numbers in the records do not include what each CPU has not flushed yet.
 * changed_only: skips processes that did nothing in this interval. If the model needs PSS, it is
 * read from /proc/PID/smaps_rollup, for which the kernel walks all page tables of the process.
 */
void mb_procfs_memory(struct mb_ingest *ingest, bool changed_only);

#endif
