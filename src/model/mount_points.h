/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Where file systems are mounted whose files are named. Plain data; host/mounts.h looks for what is asked for here. */
#ifndef MB_MODEL_MOUNT_POINTS_H
#define MB_MODEL_MOUNT_POINTS_H

#include <stdint.h>

#include "memblame/abi.h"

#define MB_MOUNT_POINTS 64u /* the oldest goes */

struct mb_mount {
	uint32_t dev;
	uint32_t known; /* it has been looked for */
	char path[MB_PATH_LEN]; /* "": not known */
};

/* Starts as zeros; owns nothing. */
struct mb_mount_points {
	struct mb_mount list[MB_MOUNT_POINTS];
	uint32_t n;
	uint64_t evicted; /* for want of room */
};

/* A file system is in use: somebody should look for where it is mounted. */
void mb_mount_note(struct mb_mount_points *m, uint32_t dev);

/* Where a file system is mounted; path "" where that cannot be told. */
void mb_mount_found(struct mb_mount_points *m, uint32_t dev, const char *path);

/* That file system; NULL: nobody has asked for it. */
const struct mb_mount *mb_mount_of(const struct mb_mount_points *m, uint32_t dev);

#endif
