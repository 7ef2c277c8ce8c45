/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The state of the machine in a recording: tables system, zone and node (docs/recording.md). */
#ifndef MB_RECORD_SYSTEM_H
#define MB_RECORD_SYSTEM_H

#include "model/system.h"
#include "record/reader.h"
#include "record/report.h"

/* SQL that creates the tables. The string is static. Returns NULL if there is no memory. */
const char *mb_system_schema(void);

/* Number of columns of each table. */
#define MB_SYSTEM_COLUMNS (2 + MB_SYS_NUMBERS + 2)
#define MB_ZONE_COLUMNS (3 + 5 + MB_SYSTEM_ORDERS)
#define MB_NODE_COLUMNS (2 + MB_NUMA_COUNTS)

/* Add the rows of one sample. */
void mb_system_rows(struct mb_rows *r, uint64_t tick, const struct mb_system *s);

/*
 * Set the state of the machine at the start and the end of a window, for a model. If the recording has no such
 * tables, or the window is before the first sample, the state stays unknown. Returns 0 or -errno with *e set.
 */
int mb_system_report(struct mb_reader *r, const struct mb_window *w, struct mb_system_state *s,
		     struct mb_err *e);

#endif
