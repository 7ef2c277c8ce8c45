/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Merge the views of one leak into one row: page and region views of the same memory become
 * evidence of another row.
 */
#ifndef MB_LEAKS_EVIDENCE_H
#define MB_LEAKS_EVIDENCE_H

#include "leaks/leaks.h"
#include "leaks/view.h"

struct mb_leak_common;

/*
 * Find out which memory the rows have in common, by the addresses of blocks, pages and regions.
 * Sets row->allocators of each row. Each group of the session must have its row (group->row).
 * Returns NULL if out of memory. Free with mb_leak_common_free(); v must live as long.
 */
struct mb_leak_common *mb_leak_common_new(const struct mb_leaks_session *l, struct mb_leaks_view *v);
void mb_leak_common_free(struct mb_leak_common *k);

/*
 * Among rows about the same memory, choose the best one to represent them. The others get it as
 * row->owner; mb_leak_evidence_move() then moves them. All rows must have their verdicts. Returns 0
 * or -ENOMEM.
 */
int mb_leak_evidence(struct mb_leak_common *k);

/* Move all rows that have an owner from v->rows to v->evidence. Returns 0 or -ENOMEM. */
int mb_leak_evidence_move(struct mb_leaks_view *v);

#endif
