/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * OOM kill reports within a session: makes, shows and stores each report when it is ready. oom/oom.h defines what a
 * report is, oom_watch.h collects what it needs from the running system, oom_store.h stores it.
 */
#ifndef MB_SESSION_OOM_REPORTER_H
#define MB_SESSION_OOM_REPORTER_H

#include "session/session.h"

/*
 * Allocate memory; open the kernel log, the kernel's symbols and the state directory. Returns 0 or -errno with *e
 * set.
 */
int mb_oom_reporter_open(struct mb_session *s, struct mb_err *e);
void mb_oom_reporter_close(struct mb_session *s);

/* A descriptor that is readable when the kernel has logged something; -1 if there is none. */
int mb_oom_reporter_fd(const struct mb_session *s);

/*
 * Ingest the kernel log together with the contents of the rings, and make each report that is ready; if last, also
 * all unfinished ones. Returns 0 or -errno with *e set.
 */
int mb_oom_reporter_make(struct mb_session *s, bool last, struct mb_err *e);

/* The session is over: make all remaining reports. Returns an error if a report was lost. */
int mb_oom_reporter_end(struct mb_session *s, struct mb_err *e);

#endif
