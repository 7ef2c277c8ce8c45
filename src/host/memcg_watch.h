/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Reading what memory cgroups are charged, by kind, tick by tick: of those with a limit, as only they can be the
 * scene of a kill. Which have one is looked for when tracing begins and among the cgroups of processes.
 */
#ifndef MB_HOST_MEMCG_WATCH_H
#define MB_HOST_MEMCG_WATCH_H

#include "host/cgroups.h"
#include "model/ingest.h"

struct mb_memcg_watch;

/* NULL: no memory. */
struct mb_memcg_watch *mb_memcg_watch_open(void);
void mb_memcg_watch_close(struct mb_memcg_watch *w);

/* Look at an event: of a cgroup that is made it is known that it had nothing then. */
void mb_memcg_watch_event(struct mb_memcg_watch *w, const void *data, size_t len);

/* After the tick at t_ns: read the cgroups with a limit, if the history took its points then, and feed the model. c may be NULL. */
void mb_memcg_watch_tick(struct mb_memcg_watch *w, struct mb_ingest *ingest, struct mb_cgroups *c, uint64_t t_ns);

/* There was a kill in that cgroup: tell the model when it was made, if that is all that is known of it. */
void mb_memcg_watch_kill(struct mb_memcg_watch *w, struct mb_ingest *ingest, uint64_t cgroup);

#endif
