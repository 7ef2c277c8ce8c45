/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What only the running system knows: names of devices, mount points, symbols of the kernel, limits of cgroups. */
#ifndef MB_HOST_LOOKUP_H
#define MB_HOST_LOOKUP_H

#include "model/ingest.h"

struct mb_lookup;

/*
 * Open what must be opened while there are privileges. NULL only for want of memory; close it with
 * mb_lookup_close (NULL is accepted).
 */
struct mb_lookup *mb_lookup_open(void);
void mb_lookup_close(struct mb_lookup *n);

/* Look up what the model has no name for yet, and feed it; what is not found is not looked for again. */
void mb_lookup_ingest(struct mb_lookup *n, struct mb_ingest *ingest);

/* What a cgroup may have and has; root: where the hierarchy is mounted. A path deeper than can be said stays unknown. */
void mb_lookup_ingest_limits(struct mb_ingest *ingest, const char *root, const char *path);

/* Read /proc/sys/vm/dirty_*; MB_UNKNOWN where that cannot be read. */
void mb_lookup_sysctls(struct mb_dirty_sysctls *s);

#endif
