/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Growth of memory by kind and of processes in a time window before a kill, for culprit.c. */
#ifndef MB_OOM_GROWTH_H
#define MB_OOM_GROWTH_H

#include "model/model.h"
#include "oom/oom.h"

/* The growth of all processes together, in pages. */
struct mb_oom_growth {
	int64_t grown; /* sum over the processes that grew */
	/*
	 * by how much grown exceeds the kernel's own figure: memory that is counted for several
	 * processes
	 */
	int64_t over;
	uint64_t tables; /* pages of page tables at the kill */
};

/*
 * Computes the growth of each kind of memory since c->before, which is c->window_ns before the
 * kill, and the sum over the kinds that grew. Anonymous memory that processes freed in the window
 * does not offset what other processes allocated. Where the kernel does not report page tables
 * separately from other kernel memory, this function separates them: the amount at the kill is what
 * the processes have, and the growth is only what cannot be anything else. Changes c->at.
 */
void mb_oom_kinds_growth(const struct mb_model *m, const struct mb_oom_kill *k,
			 struct mb_oom_culprit *c);

/*
 * Measures the growth of processes in c->window_ns. Fills c->growers, the names in struct
 * mb_oom_scratch, and g. For kills of the whole machine it may raise the growth of anonymous memory
 * in c, but never lowers it.
 */
void mb_oom_processes_growth(const struct mb_model *m, const struct mb_oom_kill *k,
			     struct mb_oom_culprit *c, struct mb_oom_growth *g);

/* Anonymous memory of a split, including what is swapped out; what is unknown counts as 0. */
int64_t mb_oom_anon_pages(const struct mb_memcg_split *s);

/* Anonymous memory of a process at the kill, including what is swapped out. */
uint64_t mb_oom_own_pages(const struct mb_oom_task_event *t);

/* Pages by which one process grew in c->window_ns, counted as in mb_oom_processes_growth(). */
int64_t mb_oom_own_growth(const struct mb_model *m, const struct mb_oom_kill *k,
			  const struct mb_oom_culprit *c, const struct mb_oom_task_event *t);

#endif
