/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Output of leak detection: sorts groups, resolves stacks, reads limits. */
#ifndef MB_LEAKS_SHOW_H
#define MB_LEAKS_SHOW_H

#include "leaks/leaks.h"
#include "leaks/view.h"

/*
 * Build the view of the current state for sinks. It borrows from l until it is freed with
 * mb_leaks_view_free(). Returns 0 or -ENOMEM.
 */
int mb_leaks_view_make(struct mb_leaks_session *l, struct mb_leaks_view *v);
void mb_leaks_view_free(struct mb_leaks_view *v);

/*
 * Show the current state. At the end of a session (snap covers the whole time), also write the
 * requested files. Returns 0, or -errno with *e set.
 */
int mb_leaks_show(struct mb_leaks_session *l, const struct mb_sink *sink, struct mb_out *out,
		  const struct mb_snapshot *snap, struct mb_err *e);

/* Write the requested files (--folded, --svg), readable by their owner only. Returns 0, or -errno with *e set. */
int mb_leaks_write_files(const struct mb_leaks_session *l, const struct mb_leaks_view *v, struct mb_err *e);

#endif
