/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Looks up what only the running system knows: names of devices, mount points, kernel symbols,
 * limits of cgroups.
 */
#ifndef MB_HOST_LOOKUP_H
#define MB_HOST_LOOKUP_H

#include "model/ingest.h"

struct mb_lookup;

/*
 * Opens the files that need privileges. Returns NULL only without memory. The caller frees the
 * result with mb_lookup_close(), which accepts NULL.
 */
struct mb_lookup *mb_lookup_open(void);
void mb_lookup_close(struct mb_lookup *n);

/*
 * Looks up everything that the model has no name for yet, and passes it to the model. What is not
 * found is not looked up again.
 */
void mb_lookup_ingest(struct mb_lookup *n, struct mb_ingest *ingest);

/*
 * Passes limits and usage of a cgroup to the model. root: mount point of the hierarchy. If the path
 * is longer than PATH_MAX, its limits remain unknown.
 */
void mb_lookup_ingest_limits(struct mb_ingest *ingest, const char *root, const char *path);

/* Reads /proc/sys/vm/dirty_*; MB_UNKNOWN for those that cannot be read. */
void mb_lookup_sysctls(struct mb_dirty_sysctls *s);

#endif
