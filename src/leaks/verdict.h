/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Checks the verdicts of single groups against the memory of the whole process. */
#ifndef MB_LEAKS_VERDICT_H
#define MB_LEAKS_VERDICT_H

#include "leaks/leaks.h"
#include "leaks/view.h"

/* The leaks of a process on one level: the sum of their growth, and when it began. */
struct mb_leak_sum {
	double growth;
	uint64_t from_ns, to_ns;
	int64_t fastest;
	unsigned int sites;
};

/*
 * Does the total show the growth of its parts? A series without enough points, or one that ended
 * before most of that growth, proves nothing, so the answer is yes.
 */
bool mb_leak_is_borne_out(const struct mb_trend_series *whole, const struct mb_leak_sum *t);

/*
 * All rows must have the verdict of their own history. Downgrade, process by process, verdicts that
 * the whole process does not support.
 */
void mb_leak_verdicts(const struct mb_leaks_session *l, struct mb_leaks_view *v);

/*
 * Each row that is a view of another must have its owner set. The most certain view decides the
 * verdict; memory without a known stack beside it is downgraded.
 */
void mb_leak_verdicts_of_views(struct mb_leaks_view *v);

#endif
