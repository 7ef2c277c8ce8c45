/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Reports of OOM kills within a session: when one is ready it is made, shown and kept. What a report is, is
 * oom/oom.h; what it needs of the running system oom_watch.h; where it is kept oom_store.h.
 */
#ifndef MB_SESSION_OOM_REPORTER_H
#define MB_SESSION_OOM_REPORTER_H

#include "session/session.h"

/* Take the memory, open the log, the kernel's symbols and the state folder. 0 or -errno with *e set. */
int mb_oom_reporter_open(struct mb_session *s, struct mb_err *e);
void mb_oom_reporter_close(struct mb_session *s);

/* A descriptor that is readable when the kernel has logged something; -1: none. */
int mb_oom_reporter_fd(const struct mb_session *s);

/*
 * Take in the kernel's log with what is in the rings, and make each report that is ready; last: all that are
 * under way. Returns 0 or -errno with *e set.
 */
int mb_oom_reporter_make(struct mb_session *s, bool last, struct mb_err *e);

/* The session is over: all that are left. Fails where a report was lost. */
int mb_oom_reporter_end(struct mb_session *s, struct mb_err *e);

#endif
