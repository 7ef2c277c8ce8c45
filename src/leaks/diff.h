/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What grew between two moments: what there was at each, though it is freed later. */
#ifndef MB_LEAKS_DIFF_H
#define MB_LEAKS_DIFF_H

#include "leaks/leaks.h"
#include "leaks/view.h"

/* A tick so long after the start: if it is the first behind one of the two moments, keep what there is. */
void mb_leak_diff_tick(struct mb_leaks_session *l, uint64_t since_start_ns);

/* Bytes of a group at the second moment; before it, and where there is none, now. */
int64_t mb_leak_diff_second(const struct mb_leaks_session *l, const struct mb_leak_group *g);

/* Is this group shown? One that has something; where moments are compared, one that had something at one of them. */
bool mb_leak_diff_shows(const struct mb_leaks_session *l, const struct mb_leak_group *g);

/*
 * Rows that stand for themselves now, but were views of another row at one of the two moments, get that as their owner
 * (row->owner). Each group that is shown has its row (group->row); others have one from v->n_rows up.
 */
void mb_leak_diff_owners(const struct mb_leaks_session *l, struct mb_leaks_view *v);

#endif
