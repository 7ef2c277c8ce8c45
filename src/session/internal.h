/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Functions that the files of a session (oom_reporter.c, setup.c, serve.c) share with session.c and with each other. */
#ifndef MB_SESSION_INTERNAL_H
#define MB_SESSION_INTERNAL_H

#include "session/session.h"

/* Drain the rings and ingest their records. Returns 0 or -errno with *e set. */
int mb_session_drain(struct mb_session *s, struct mb_err *e);

/* Do a tick now. Returns 0 or -errno with *e set. */
int mb_session_collect(struct mb_session *s, struct mb_err *e);

/* Arm the timer: from now on there is a tick every cfg.tick_ns. Returns 0 or -errno. */
int mb_session_start_timer(struct mb_session *s);

/* Read the current state of the machine into the model. */
void mb_session_read_system(struct mb_session *s);

/* Fill *sum with the metadata of all numbers so far. */
void mb_session_summary(struct mb_session *s, struct mb_summary *sum);

/* setup.c: set in the model what the numbers mean on this kernel. */
void mb_session_set_up(struct mb_session *s);

/* setup.c: warn of each requested question that this kernel cannot answer. */
void mb_session_warn_of_unanswered(const struct mb_session *s);

/* setup.c: write the static data of a recording: the machine, and how each question is answered. */
void mb_session_describe(const struct mb_session *s, struct mb_recorder *r);

/* Flush the output. Returns 0 or -errno with *e set. */
int mb_session_flush(struct mb_session *s, struct mb_err *e);

#endif
