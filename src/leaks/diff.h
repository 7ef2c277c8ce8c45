/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What grew between two points in time, including memory that was freed later. */
#ifndef MB_LEAKS_DIFF_H
#define MB_LEAKS_DIFF_H

#include "leaks/leaks.h"
#include "leaks/view.h"

/*
 * A tick at this time after the start. If it is the first tick after one of the two points in time,
 * save the current amounts.
 */
void mb_leak_diff_tick(struct mb_leaks_session *l, uint64_t since_start_ns);

/*
 * Bytes of a group at the second point in time. Returns the current bytes if that has not been
 * reached, or if none is set.
 */
int64_t mb_leak_diff_second(const struct mb_leaks_session *l, const struct mb_leak_group *g);

/*
 * Is this group shown? Without a comparison: if it has memory now. With one: if it had memory at
 * one of the two points in time.
 */
bool mb_leak_diff_shows(const struct mb_leaks_session *l, const struct mb_leak_group *g);

/*
 * Set the owner (row->owner) of rows that stand for themselves now but were views of another row at
 * one of the two points in time. Each group that is shown must have its row (group->row); the other
 * groups have a row number from v->n_rows up.
 */
void mb_leak_diff_owners(const struct mb_leaks_session *l, struct mb_leaks_view *v);

#endif
