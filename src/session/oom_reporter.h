/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * OOM kill reports within a session: makes, shows and stores each report when it is ready. oom/oom.h defines what a
 * report is, oom/collect.h collects what it needs from the running system, oom/store.h stores it. It takes part in a
 * session as mb_feature_oom.
 */
#ifndef MB_SESSION_OOM_REPORTER_H
#define MB_SESSION_OOM_REPORTER_H

#include "session/session.h"

/* Where the session stores its reports; NULL: nowhere. Owned by the session. */
struct mb_oom_store *mb_oom_reporter_store(const struct mb_session *s);

#endif
