/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Where file systems are mounted, and the names of the devices below them. */
#ifndef MB_HOST_MOUNTS_H
#define MB_HOST_MOUNTS_H

#include "model/ingest.h"

struct mb_mounts;

/* NULL only for want of memory; close it with mb_mounts_close (NULL is accepted). */
struct mb_mounts *mb_mounts_open(void);
void mb_mounts_close(struct mb_mounts *m);

/*
 * Feed the names of all devices that are mounted, when that is new or has changed; those of other devices that the model
 * knows; and where file systems are mounted that it has asked for.
 */
void mb_mounts_ingest(struct mb_mounts *m, struct mb_ingest *ingest);

#endif
