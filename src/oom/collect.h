/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a report of an OOM kill needs of the running system, beside the kernel's events: the kernel's log
 * (/dev/kmsg), names of functions and modules in stacks, memory.stat. All memory is taken by
 * mb_oom_collect_open(); only the look-up of a cgroup that no process is known to be in takes more.
 */
#ifndef MB_OOM_COLLECT_H
#define MB_OOM_COLLECT_H

#include "host/cgroups.h"
#include "model/ingest.h"

struct mb_oom_collect;
struct mb_oom_kill;

/* Open the log at its end, read the kernel's symbols. NULL: no memory. */
struct mb_oom_collect *mb_oom_collect_open(void);
void mb_oom_collect_close(struct mb_oom_collect *w);

/* A tick, while there is no kill: names of the kernel's functions are kept up with its modules. w may be NULL. */
void mb_oom_collect_tick(struct mb_oom_collect *w);

/* Readable when the kernel has logged something; -1: its log cannot be read. */
int mb_oom_collect_fd(const struct mb_oom_collect *w);

/*
 * Take what the kernel has logged. A kill's event is in its ring before its lines are in the log: drain the
 * rings between read and feed.
 */
void mb_oom_collect_read(struct mb_oom_collect *w);
void mb_oom_collect_ingest(struct mb_oom_collect *w, struct mb_ingest *ingest);

/* Tell the model what the addresses in the stacks of new kills are called. */
void mb_oom_collect_stacks(struct mb_oom_collect *w, struct mb_ingest *ingest);

/*
 * Tell it the functions of user stacks, where the kill was in a cgroup: for when its report is safe, as that takes time
 * and memory. False: none has a name.
 */
bool mb_oom_collect_functions(struct mb_oom_collect *w, struct mb_ingest *ingest, const struct mb_oom_kill *k);

/* Tell it of their cgroups: paths, and memory.stat of the one at its limit. c may be NULL. */
void mb_oom_collect_cgroups(struct mb_ingest *ingest, struct mb_cgroups *c);

/*
 * Be the last to die for want of memory: lock what is mapped so far into memory (whole), or what of it is used and
 * will be, and ask the OOM killer to choose others first. What is not permitted is left as it is, with a message.
 */
void mb_oom_collect_harden(bool whole);

#endif
