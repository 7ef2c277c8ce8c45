/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Reports of OOM kills in the state folder: DIR/oom/NUMBER.json and .txt, readable by their owner only, each
 * written to its end and onto the disk before it gets its name.
 */
#ifndef MB_OOM_STORE_H
#define MB_OOM_STORE_H

#include <stdint.h>

#include "memblame/sink.h"
#include "oom/oom.h"

#define MB_STATE_DIR "/var/lib/memblame"

/* Reports kept where nothing else is said; the oldest goes. Some 100 KiB each. */
#define MB_OOM_KEPT 1000u

struct mb_oom_store;

/* Open the folder, and make it where asked to (mode 0700). *out: mb_oom_store_close(). 0, or -errno with *e set. */
int mb_oom_store_open(struct mb_oom_store **out, const char *dir, bool make, struct mb_err *e);
void mb_oom_store_close(struct mb_oom_store *s);

/* Keep at most so many (1 or more); for the next mb_oom_store_put(). */
void mb_oom_store_keep(struct mb_oom_store *s, uint32_t reports);

/*
 * Keep a report, under a new number (*number 0, which is then set) or in the place of an earlier one. Takes
 * no memory. Returns 0 or -errno; then nothing new is there, and an earlier one is as it was.
 */
int mb_oom_store_put(struct mb_oom_store *s, uint32_t *number, const struct mb_snapshot *snap,
		     const struct mb_oom_kill *k, const struct mb_oom_culprit *c);

/*
 * Write what is kept: of each report its number and first line, or its document (json), oldest first; or one
 * report. Returns 0 or -errno with *e set: no such report.
 */
int mb_oom_store_list(struct mb_oom_store *s, bool json, struct mb_out *o, struct mb_err *e);
int mb_oom_store_show(struct mb_oom_store *s, uint32_t number, bool json, struct mb_out *o, struct mb_err *e);

#endif
