/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reading the state of the machine from /proc and /sys, each tick. */
#ifndef MB_HOST_SYSTEMFS_H
#define MB_HOST_SYSTEMFS_H

#include "model/system.h"

struct mb_systemfs;

/* Open the files; those that are not there are unknown from then on. NULL: no memory. */
struct mb_systemfs *mb_systemfs_open(void);

/* Read them as they are now. f may be NULL: nothing is known. */
void mb_systemfs_read(struct mb_systemfs *f, struct mb_system *s);

/* f may be NULL. */
void mb_systemfs_close(struct mb_systemfs *f);

#endif
