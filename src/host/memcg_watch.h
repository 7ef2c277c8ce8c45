/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Reads in each tick what memory cgroups are charged by kind. Only cgroups with a limit are read,
 * because only they can run into an OOM kill of their own. They are searched for when tracing
 * begins, and then among the cgroups of processes.
 */
#ifndef MB_HOST_MEMCG_WATCH_H
#define MB_HOST_MEMCG_WATCH_H

#include "host/cgroups.h"
#include "model/ingest.h"

struct mb_memcg_watch;

/*
 * Returns NULL without memory. The caller owns the result (mb_memcg_watch_close(), which accepts
 * NULL).
 */
struct mb_memcg_watch *mb_memcg_watch_open(void);
void mb_memcg_watch_close(struct mb_memcg_watch *w);

/*
 * Handles the event that a cgroup was created: at that time its usage was zero. Ignores other
 * events.
 */
void mb_memcg_watch_event(struct mb_memcg_watch *w, const void *data, size_t len);

/*
 * Call after the tick at t_ns. If the history recorded a point at that tick, reads the cgroups with
 * a limit and passes their charges to the model. c may be NULL.
 */
void mb_memcg_watch_tick(struct mb_memcg_watch *w, struct mb_ingest *ingest, struct mb_cgroups *c, uint64_t t_ns);

/*
 * Call when an OOM kill happened in this cgroup. If the model knows nothing of the cgroup, passes
 * the time of its creation, when its usage was zero. w may be NULL.
 */
void mb_memcg_watch_kill(struct mb_memcg_watch *w, struct mb_ingest *ingest, uint64_t cgroup);

#endif
