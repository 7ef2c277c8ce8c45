/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reads the state of the machine from /proc and /sys in each tick. */
#ifndef MB_HOST_SYSTEMFS_H
#define MB_HOST_SYSTEMFS_H

#include "model/system.h"

struct mb_systemfs;

/*
 * Opens the files. Values of files that do not exist are unknown from then on. Returns NULL without
 * memory.
 */
struct mb_systemfs *mb_systemfs_open(void);

/* Reads the current state into *s. If f is NULL, all values are unknown. */
void mb_systemfs_read(struct mb_systemfs *f, struct mb_system *s);

/* Closes the files and frees f. f may be NULL. */
void mb_systemfs_close(struct mb_systemfs *f);

#endif
