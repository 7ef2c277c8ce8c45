/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A process's mappings and resident pages as /proc has them. */
#ifndef MB_PROCMAPS_H
#define MB_PROCMAPS_H

#include "model/pages.h"
#include "model/regions.h"

/* Bring r up to what /proc/PID/maps says. False: the process is gone, or has no memory. */
bool mb_procmaps_sync(struct mb_regions *r, uint32_t pid);

/*
 * Ask the page map about all pages that p follows. find: also look for resident pages of the sample
 * (mb_page_sampled(addr, mask)) in r's anonymous memory that p does not know; before: they are from before tracing,
 * else from who mapped the region. False: the process is gone.
 */
bool mb_procmaps_pages(struct mb_pages *p, const struct mb_regions *r, uint32_t pid, uint32_t mask, bool find,
		       bool before);

#endif
