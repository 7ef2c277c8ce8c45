/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the parts of a session (reports.c, setup.c, serve.c) use of session.c and of each other. */
#ifndef MB_SESSION_INTERNAL_H
#define MB_SESSION_INTERNAL_H

#include "session/session.h"

/* Take in what is in the rings. */
int mb_session_drain(struct mb_session *s, struct mb_err *e);

/* A tick, now. */
int mb_session_collect(struct mb_session *s, struct mb_err *e);

/* Ticks come each cfg.tick_ns from now on. Returns 0 or -errno. */
int mb_session_start_timer(struct mb_session *s);

/* How the machine is now, into the model. */
void mb_session_read_system(struct mb_session *s);

/* What goes with all numbers so far. */
void mb_session_summary(struct mb_session *s, struct mb_summary *sum);

/* setup.c: tell the model what numbers mean on this kernel. */
void mb_session_set_up(struct mb_session *s);

/* setup.c: say what was asked for and cannot be answered here. */
void mb_session_warn_of_unanswered(const struct mb_session *s);

/* setup.c: what is known once, for a recording: the machine, and how each question was answered. */
void mb_session_describe(const struct mb_session *s, struct mb_recorder *r);

bool mb_session_wants_color(const struct mb_session *s);

/* Write out what has been printed. */
int mb_session_flush(struct mb_session *s, struct mb_err *e);

#endif
