/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Output of blame tables, of an interval or since the start, in the formats of the sinks. */
#ifndef MB_BLAME_VIEW_H
#define MB_BLAME_VIEW_H

#include "blame/blame.h"
#include "memblame/sink.h"

/* Writes the blame tables in the format of a sink: calls one of the two functions below. */
void mb_blame_show(const struct mb_sink *sink, struct mb_out *o, const struct mb_snapshot *s);

void mb_json_blame(struct mb_out *o, const struct mb_snapshot *s);
void mb_text_blame(struct mb_out *o, const struct mb_snapshot *s);

/* Does the snapshot show this victim? (It may be limited to certain processes or cgroups.) */
bool mb_snapshot_shows(const struct mb_snapshot *s, const struct mb_process_ref *victim);

/* The process of a reference if it is still in the model; otherwise NULL. */
const struct mb_process *mb_snapshot_process(const struct mb_snapshot *s, const struct mb_process_ref *ref);

/*
 * Writes what would have avoided the stalls on a device to buf of MB_ADVICE_LEN bytes and returns
 * buf. "": there were no stalls.
 */
#define MB_ADVICE_LEN 320
const char *mb_device_advice(const struct mb_device *d, const struct mb_dirty_sysctls *sysctls, char *buf);

#endif
