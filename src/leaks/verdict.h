/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Checks the verdicts of single groups against the memory of the whole process. */
#ifndef MB_LEAKS_VERDICT_H
#define MB_LEAKS_VERDICT_H

#include "leaks/leaks.h"
#include "leaks/view.h"

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
