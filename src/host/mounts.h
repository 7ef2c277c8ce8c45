/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Mount points of file systems, and the names of their devices. */
#ifndef MB_HOST_MOUNTS_H
#define MB_HOST_MOUNTS_H

#include "model/ingest.h"

struct mb_mounts;

/*
 * Returns NULL only without memory. The caller frees the result with mb_mounts_close(), which
 * accepts NULL.
 */
struct mb_mounts *mb_mounts_open(void);
void mb_mounts_close(struct mb_mounts *m);

/*
 * Passes names to the model: those of all mounted devices if they are new or have changed, those of
 * other devices that the model contains, and the mount points that the model asks for.
 */
void mb_mounts_ingest(struct mb_mounts *m, struct mb_ingest *ingest);

#endif
