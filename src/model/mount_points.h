/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Mount points of the file systems whose files are named. Plain data; host/mounts.h does the
 * lookups requested here.
 */
#ifndef MB_MODEL_MOUNT_POINTS_H
#define MB_MODEL_MOUNT_POINTS_H

#include <stdint.h>

#include "memblame/abi.h"

#define MB_MOUNT_POINTS 64u /* capacity; the oldest entry is dropped */

struct mb_mount {
	uint32_t dev;
	uint32_t known; /* the lookup was done */
	char path[MB_PATH_LEN]; /* "": unknown */
};

/* Initialize with zeros; owns no memory. */
struct mb_mount_points {
	struct mb_mount list[MB_MOUNT_POINTS];
	uint32_t n;
	uint64_t evicted; /* entries dropped for lack of space */
};

/* Register a file system that is in use, so that its mount point gets looked up. */
void mb_mount_note(struct mb_mount_points *m, uint32_t dev);

/* Store the mount point of a file system; path "": it cannot be determined. */
void mb_mount_found(struct mb_mount_points *m, uint32_t dev, const char *path);

/* The entry of a file system; NULL: not registered. */
const struct mb_mount *mb_mount_of(const struct mb_mount_points *m, uint32_t dev);

#endif
