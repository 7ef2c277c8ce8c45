/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What an OOM kill report needs from the running system in addition to the kernel's events: the
 * kernel log (/dev/kmsg), names of functions and modules in stacks, memory.stat.
 * mb_oom_collect_open() allocates all memory in advance. Only the path lookup of a cgroup that
 * contains no known process allocates more.
 */
#ifndef MB_OOM_COLLECT_H
#define MB_OOM_COLLECT_H

#include "host/cgroups.h"
#include "model/ingest.h"

struct mb_oom_collect;
struct mb_oom_kill;

/*
 * Opens the kernel log at its end and reads the kernel's symbols. Returns NULL without memory. The
 * caller owns the result (mb_oom_collect_close(), which accepts NULL).
 */
struct mb_oom_collect *mb_oom_collect_open(void);
void mb_oom_collect_close(struct mb_oom_collect *w);

/*
 * To be called each tick while there is no kill: brings the kernel's symbols up to date with its
 * loaded modules. w may be NULL.
 */
void mb_oom_collect_tick(struct mb_oom_collect *w);

/*
 * A descriptor that is readable when the kernel has logged something. -1: the kernel log cannot be
 * read. w may be NULL.
 */
int mb_oom_collect_fd(const struct mb_oom_collect *w);

/*
 * mb_oom_collect_read() reads what the kernel has logged into a buffer, mb_oom_collect_ingest()
 * passes the buffered lines to the model. The kernel puts the event of a kill into a ring before it
 * logs the kill, so drain the rings between these two calls: then the model knows the kill before
 * its log lines.
 */
void mb_oom_collect_read(struct mb_oom_collect *w);
void mb_oom_collect_ingest(struct mb_oom_collect *w, struct mb_ingest *ingest);

/* Passes the names of the addresses in the stacks of new kills to the model. */
void mb_oom_collect_stacks(struct mb_oom_collect *w, struct mb_ingest *ingest);

/*
 * Passes the function names of user stacks to the model if the kill happened in a cgroup. Call this
 * function after the report has been stored, because symbol lookup takes time and memory. Returns
 * false if no function has a name.
 */
bool mb_oom_collect_functions(struct mb_oom_collect *w, struct mb_ingest *ingest, const struct mb_oom_kill *k);

/*
 * Passes cgroup data of new kills to the model: paths, and memory.stat of the cgroup that reached
 * its limit. c may be NULL.
 */
void mb_oom_collect_cgroups(struct mb_ingest *ingest, struct mb_cgroups *c);

/*
 * Makes memblame one of the last processes to fail or die when memory runs out: locks its mappings
 * into memory and lowers its oom_score_adj. whole: all pages of the present mappings are locked;
 * otherwise each page of these mappings is locked when it is first used. What is not
 * permitted is left unchanged, with a message.
 */
void mb_oom_collect_harden(bool whole);

#endif
