/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The state of processes as last written, so that only changes are written. */
#ifndef MB_RECORD_WRITTEN_STATE_H
#define MB_RECORD_WRITTEN_STATE_H

#include "model/model.h"
#include "record/db.h"

struct mb_written_process;
struct mb_written_prev;

struct mb_written_state {
	struct mb_written_process *processes;
	struct mb_written_prev *prev; /* processes of the previous session, which retain their numbers */
	int64_t last_id;
	unsigned int slots; /* 0: not known yet */
	uint64_t tick_t_ns; /* time of the last tick that was written; 0: none */
};

/* Add a process of the previous session that was not seen to end. It retains its number if the model finds it. */
void mb_written_prev(struct mb_written_state *t, int64_t id, uint32_t pid, uint64_t start_ns, int64_t first_tick);

/*
 * The remaining processes of the previous session have ended between the sessions: write them as ended, detected at
 * this tick. If o is NULL, nothing is written.
 */
void mb_written_prev_ended(struct mb_written_state *t, struct mb_rows *o, uint64_t tick);

/* Write the changes of a process for this tick. Returns false if there is no memory for it. */
bool mb_written_process(struct mb_written_state *t, struct mb_rows *o, const struct mb_model *m,
			const struct mb_process *p, uint64_t tick);

/* The process leaves the model, so nothing follows. */
void mb_written_forget(struct mb_written_state *t, struct mb_rows *o, const struct mb_process *p);

/* Processes that the model did not have at this tick have left it: write their end. */
void mb_written_forget_unseen(struct mb_written_state *t, struct mb_rows *o, uint64_t tick);

/* A new file is being written, which has none of the processes: write them completely again. */
void mb_written_reset(struct mb_written_state *t);

/* Free everything in *t. */
void mb_written_free(struct mb_written_state *t);

#endif
