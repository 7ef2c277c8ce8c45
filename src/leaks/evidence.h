/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* One leak is one row: the page's and the region's view of the same memory become evidence of another row. */
#ifndef MB_LEAKS_EVIDENCE_H
#define MB_LEAKS_EVIDENCE_H

#include "leaks/leaks.h"
#include "leaks/view.h"

struct mb_leak_common;

/*
 * What the rows have in common, by the addresses of blocks, pages and regions; row->allocators of each is told. Each
 * group of the session has its row (group->row). NULL: no memory. Free with mb_leak_common_free(); v stays as long.
 */
struct mb_leak_common *mb_leak_common_new(const struct mb_leaks_session *l, struct mb_leaks_view *v);
void mb_leak_common_free(struct mb_leak_common *k);

/*
 * Of rows that are about the same memory, let the best one stand for them (row->owner of the others;
 * mb_leak_evidence_move() takes them out). All have their verdicts. Returns 0 or -ENOMEM.
 */
int mb_leak_evidence(struct mb_leak_common *k);

/* Take rows that stand for nothing of their own out of v->rows, into v->evidence. Returns 0 or -ENOMEM. */
int mb_leak_evidence_move(struct mb_leaks_view *v);

#endif
