/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What is shown of leaks: groups put in order, stacks resolved, limits read. */
#ifndef MB_LEAKS_SHOW_H
#define MB_LEAKS_SHOW_H

#include "leaks/leaks.h"
#include "leaks/view.h"

/* The view of this moment, for sinks. Free with mb_leaks_view_free; it borrows from l until then. Returns 0 or -ENOMEM. */
int mb_leaks_view_make(struct mb_leaks_session *l, struct mb_leaks_view *v);
void mb_leaks_view_free(struct mb_leaks_view *v);

/* Show the view of this moment; at the end (snap is of all the time) the files asked for, too. Returns 0 or -errno, *e set. */
int mb_leaks_show(struct mb_leaks_session *l, const struct mb_sink *sink, struct mb_out *out,
		  const struct mb_snapshot *snap, struct mb_err *e);

/* Write the files asked for (--folded, --svg), readable by their owner only. Returns 0 or -errno with *e set. */
int mb_leaks_write_files(const struct mb_leaks_session *l, const struct mb_leaks_view *v, struct mb_err *e);

#endif
