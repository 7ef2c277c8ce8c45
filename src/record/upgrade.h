/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Converts ingest records of earlier builds to those of this build. */
#ifndef MB_UPGRADE_H
#define MB_UPGRADE_H

#include <stdbool.h>

#include "model/ingest.h"

/*
 * Size in bytes of a task record from before mkwrite, hugetlb, numa and userfault became separate causes. Those
 * builds counted such faults under other causes.
 */
size_t mb_upgrade_task_record_bytes(void);

struct mb_upgrade {
	bool earlier; /* the recording is of such a build */
	union {
		struct mb_task_record task;
		struct mb_stalls_event stalls;
	} room;
};

/* Convert the setup record of such a recording to this build's. Returns false if it is from no known build. */
bool mb_upgrade_setup(struct mb_upgrade *u, struct mb_setup *s);

/* Convert an event to this build's format. Returns data itself, or a pointer into u->room with *len set. */
const void *mb_upgrade_event(struct mb_upgrade *u, const void *data, size_t *len);

#endif
