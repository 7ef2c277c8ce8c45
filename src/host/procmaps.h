/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reads the mappings of a process from /proc. */
#ifndef MB_HOST_PROCMAPS_H
#define MB_HOST_PROCMAPS_H

#include "model/regions.h"

/*
 * Reads /proc/PID/maps into *list, *n regions as mb_regions_sync() takes them, which the caller frees. Returns false
 * if the process is gone or has no address space.
 */
bool mb_procmaps_read(uint32_t pid, struct mb_region **list, size_t *n);

/*
 * The peak resident memory (VmHWM) of the current program, in bytes. It does not include what the
 * process had before exec. 0: not known.
 */
uint64_t mb_procmaps_peak(uint32_t pid);

#endif
