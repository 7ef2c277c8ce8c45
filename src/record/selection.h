/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Restricts a recording that is read to some processes, cgroups and families. */
#ifndef MB_RECORD_SELECTION_H
#define MB_RECORD_SELECTION_H

#include <stddef.h>
#include <stdint.h>

#include "record/reader.h"

/* Processes of one of the pids or in one of the cgroups, or below it; numbers of one of the families. None: all. */
struct mb_selection {
	const unsigned int *pids;
	size_t n_pids;
	const char *const *cgroups; /* paths below the hierarchy's root, or of their folders */
	size_t n_cgroups;
	uint32_t families; /* one bit per family id */
};

/*
 * From now on, queries of the reader's database see only the selection: temporary views stand before the tables.
 * Returns 0, or -errno with *e set: the recording has no such process or cgroup, or is damaged.
 */
int mb_selection_apply(const struct mb_selection *selection, struct mb_reader *r, struct mb_err *e);

#endif
