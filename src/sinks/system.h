/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Output of the state of the machine, for the sinks. */
#ifndef MB_SINKS_SYSTEM_H
#define MB_SINKS_SYSTEM_H

#include "memblame/sink.h"

/* Write the member "system" of a summary. */
void mb_system_json(struct mb_out *o, const struct mb_snapshot *s);

/* Write four lines of at most 80 columns, or nothing if nothing is known. */
void mb_system_text(struct mb_out *o, const struct mb_snapshot *s);

#endif
