/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Growth in a window of time before a kill: of the memory by kind, and of processes. For culprit.c. */
#ifndef MB_OOM_GROWTH_H
#define MB_OOM_GROWTH_H

#include "model/model.h"
#include "oom/oom.h"

/* What processes have grown by, all together. */
struct mb_oom_growth {
	int64_t grown; /* of those that grew */
	int64_t over; /* by how much that is more than the kernel's own figure: memory that counts with several */
	uint64_t tables; /* pages of page tables at the kill */
};

/*
 * The growth of each kind since c->before, c->window_ns ago, and the sum over those that grew. What processes gave back
 * meanwhile does not make up for what others took of anonymous memory. Where the kernel does not tell page tables
 * from other memory of its own, they are told apart here: at the kill by what processes have, and of the growth as much
 * as cannot be anything else's. Changes c->at.
 */
void mb_oom_kinds_growth(const struct mb_model *m, const struct mb_oom_kill *k,
			 struct mb_oom_culprit *c);

/*
 * The growth of processes in c->window_ns, into growers and the names of the scratch. Of the machine, that of anonymous memory in
 * c becomes no less.
 */
void mb_oom_processes_growth(const struct mb_model *m, const struct mb_oom_kill *k,
			     struct mb_oom_culprit *c, struct mb_oom_growth *g);

/* By how much one process grew in c->window_ns, counted as above. */
int64_t mb_oom_own_growth(const struct mb_model *m, const struct mb_oom_kill *k,
			  const struct mb_oom_culprit *c, const struct mb_oom_task_event *t);

#endif
