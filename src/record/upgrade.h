/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Frames of recordings of earlier builds, as this build has them. */
#ifndef MB_UPGRADE_H
#define MB_UPGRADE_H

#include <stdbool.h>

#include "model/ingest.h"

/*
 * Bytes that a task record had before mkwrite, hugetlb, numa and userfault were causes of their own, when such faults were
 * counted under others.
 */
size_t mb_upgrade_task_record_bytes(void);

struct mb_upgrade {
	bool earlier; /* the recording is of such a build */
	union {
		struct mb_task_record task;
		struct mb_stalls_event stalls;
	} room;
};

/* Makes the first frame of such a recording one of this build's; false: it is of no build that is known. */
bool mb_upgrade_setup(struct mb_upgrade *u, struct mb_setup *s);

/* The event as this build has it: data itself, or in u->room, with *len set. */
const void *mb_upgrade_event(struct mb_upgrade *u, const void *data, size_t *len);

#endif
