/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Who is to blame, in an interval or since the start, as the sinks' formats have it. */
#ifndef MB_BLAME_VIEW_H
#define MB_BLAME_VIEW_H

#include "blame/blame.h"
#include "memblame/sink.h"

/* In the format of a sink: one of the two below. */
void mb_blame_show(const struct mb_sink *sink, struct mb_out *o, const struct mb_snapshot *s);

void mb_json_blame(struct mb_out *o, const struct mb_snapshot *s);
void mb_text_blame(struct mb_out *o, const struct mb_snapshot *s);

/* Is this victim one to show? */
bool mb_snapshot_shows(const struct mb_snapshot *s, const struct mb_process_ref *victim);

/* The process of a name, if the model still has it; or NULL. */
const struct mb_process *mb_snapshot_process(const struct mb_snapshot *s, const struct mb_process_ref *ref);

/* What would have avoided the stalls on a device; buf of MB_ADVICE_LEN. "": nothing was in the way. */
#define MB_ADVICE_LEN 320
const char *mb_device_advice(const struct mb_device *d, const struct mb_dirty_sysctls *sysctls, char *buf);

#endif
