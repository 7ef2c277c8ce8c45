/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A process's mappings as /proc has them. */
#ifndef MB_HOST_PROCMAPS_H
#define MB_HOST_PROCMAPS_H

#include "model/regions.h"

/* Bring r up to what /proc/PID/maps says. False: the process is gone, or has no memory. */
bool mb_procmaps_sync(struct mb_regions *r, uint32_t pid);

/* The most that this program has had resident (VmHWM), in bytes: not what its process was before exec. 0: not known. */
uint64_t mb_procmaps_peak(uint32_t pid);

#endif
