/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The state of the machine, as sinks show it. */
#ifndef MB_SINKS_SYSTEM_H
#define MB_SINKS_SYSTEM_H

#include "memblame/sink.h"

/* The member "system" of a summary. */
void mb_system_json(struct mb_out *o, const struct mb_snapshot *s);

/* Four lines of at most 80 columns, none where nothing is known. */
void mb_system_text(struct mb_out *o, const struct mb_snapshot *s);

#endif
