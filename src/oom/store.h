/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Stores reports of OOM kills in the state folder, as DIR/oom/NUMBER.json and .txt. Only the owner
 * can read them. Each file is written completely and synced to disk before it gets its final name.
 */
#ifndef MB_OOM_STORE_H
#define MB_OOM_STORE_H

#include <stdint.h>

#include "memblame/sink.h"
#include "oom/oom.h"

#define MB_STATE_DIR "/var/lib/memblame"

/* Default number of stored reports; the oldest is deleted. A report takes about 100 KiB. */
#define MB_OOM_SAVED 1000u

struct mb_oom_store;

/*
 * Opens the folder; make: creates it if needed (mode 0700). The caller closes *out with
 * mb_oom_store_close(), also after an error. Returns 0, or -errno with *e set.
 */
int mb_oom_store_open(struct mb_oom_store **out, const char *dir, bool make, struct mb_err *e);
void mb_oom_store_close(struct mb_oom_store *s);

/*
 * Sets the maximum number of stored reports (1 or more). Takes effect at the next
 * mb_oom_store_put().
 */
void mb_oom_store_keep(struct mb_oom_store *s, uint32_t reports);

/*
 * Stores a report. If *number is 0, the report gets a new number, which is stored in *number;
 * otherwise it replaces the report of that number. Does not allocate memory. Returns 0 or -errno.
 * After an error nothing new is stored and an earlier report is unchanged.
 */
int mb_oom_store_put(struct mb_oom_store *s, uint32_t *number, const struct mb_snapshot *snap,
		     const struct mb_oom_kill *k, const struct mb_oom_culprit *c);

/*
 * mb_oom_store_list() writes the number and first line of each stored report, or its document
 * (json), oldest first. mb_oom_store_show() writes one report. Both return 0, or -errno with *e
 * set, for example if there is no such report.
 */
int mb_oom_store_list(struct mb_oom_store *s, bool json, struct mb_out *o, struct mb_err *e);
int mb_oom_store_show(struct mb_oom_store *s, uint32_t number, bool json, struct mb_out *o, struct mb_err *e);

#endif
