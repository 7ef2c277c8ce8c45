/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The command that "run" traces: started stopped, let go once tracing is on, never left behind. */
#ifndef MB_HOST_CHILD_H
#define MB_HOST_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "host/hold.h"

struct mb_child;

/*
 * Fork a process that will become argv, and hold it before exec. It dies with us: unreleased it
 * exits by itself, released it is killed. Call before signals are blocked or redirected, so
 * that the command inherits them as we did. held: it will be released by mb_child_release_held(). Returns 0 or -errno
 * with *e set.
 */
int mb_child_start(struct mb_child **out, char **argv, bool held, struct mb_err *e);

pid_t mb_child_pid(const struct mb_child *c);

/* Let it go. Returns 0 once it has become the command, or -errno with *e set (126, 127). */
int mb_child_release(struct mb_child *c, struct mb_err *e);

/*
 * The same, but hold it wherever it has mapped code that it has not run yet: see hold.h. Returns when it has been its
 * program for a moment, or has ended.
 */
int mb_child_release_held(struct mb_child *c, const struct mb_hold *hold, struct mb_err *e);

/* A descriptor that is readable when it has ended. */
int mb_child_fd(const struct mb_child *c);

/* Send it a signal, unless it has ended. */
void mb_child_signal(struct mb_child *c, int sig);

/* Has it ended? Then *status is its exit status, 128 + signal where one killed it. */
bool mb_child_ended(struct mb_child *c, int *status);

/* End it if it still runs: SIGTERM, after 2 s SIGKILL; and reap it. */
void mb_child_end(struct mb_child *c);

/* The same, and free c. NULL is accepted. */
void mb_child_free(struct mb_child *c);

#endif
