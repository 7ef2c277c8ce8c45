/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What verdicts of single groups are worth beside what their process as a whole has. */
#ifndef MB_LEAKS_VERDICT_H
#define MB_LEAKS_VERDICT_H

#include "leaks/leaks.h"
#include "leaks/view.h"

/* All rows have what their own history says: take back, process by process, what the whole does not bear out. */
void mb_leak_verdicts(const struct mb_leaks_session *l, struct mb_leaks_view *v);

/* Each row has its owner, if it is a view of another one: the surest view speaks, and what is of nobody beside it does not. */
void mb_leak_verdicts_of_views(struct mb_leaks_view *v);

#endif
