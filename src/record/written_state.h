/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Processes as they have been written, so that only what has changed is written again. */
#ifndef MB_RECORD_WRITTEN_STATE_H
#define MB_RECORD_WRITTEN_STATE_H

#include "model/model.h"
#include "record/db.h"

struct mb_written_process;
struct mb_written_prev;

struct mb_written_state {
	struct mb_written_process *processes;
	struct mb_written_prev *prev; /* of the session before: they keep their numbers */
	int64_t last_id;
	unsigned int slots; /* 0: not known yet */
};

/* A process of the session before, not seen to end: it keeps its number when the model comes to have it. */
void mb_written_prev(struct mb_written_state *t, int64_t id, uint32_t pid, uint64_t start_ns, int64_t first_tick);

/*
 * The others of the session before have ended while nobody looked: written as such, found out at this tick. o may be
 * NULL: nothing is written.
 */
void mb_written_prev_ended(struct mb_written_state *t, struct mb_rows *o, uint64_t tick);

/* Write what has changed of a process, for this tick. False: no memory for it. */
bool mb_written_process(struct mb_written_state *t, struct mb_rows *o, const struct mb_model *m,
			const struct mb_process *p, uint64_t tick);

/* The process leaves the model: nothing comes after this. */
void mb_written_forget(struct mb_written_state *t, struct mb_rows *o, const struct mb_process *p);

/* Those that the model did not have at this tick have left it. */
void mb_written_forget_unseen(struct mb_written_state *t, struct mb_rows *o, uint64_t tick);

/* Another file is written now, which does not know who they are. */
void mb_written_reset(struct mb_written_state *t);

void mb_written_free(struct mb_written_state *t);

#endif
