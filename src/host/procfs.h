/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What only /proc and the cgroup file system know of a process. */
#ifndef MB_HOST_PROCFS_H
#define MB_HOST_PROCFS_H

#include <stdbool.h>

#include "host/cgroups.h"
#include "model/ingest.h"

/* Find the path of the program and of the cgroup of every process that is new in the model. */
void mb_procfs_identify(struct mb_ingest *ingest, struct mb_cgroups *c);

/*
 * Bring the memory of live processes up to date from /proc/PID/status, which adds up the
 * kernel's per-CPU counters; the records' own figures leave out what each CPU holds back.
 * changed_only: leave out processes that did nothing in this interval. Where the model wants shares
 * (pss), those come from /proc/PID/smaps_rollup, for which the kernel walks all page tables of a process.
 */
void mb_procfs_memory(struct mb_ingest *ingest, bool changed_only);

#endif
