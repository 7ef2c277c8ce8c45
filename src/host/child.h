/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The command that "run" traces. It waits before exec until tracing is on, and it never outlives
 * memblame.
 */
#ifndef MB_HOST_CHILD_H
#define MB_HOST_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "host/hold.h"

struct mb_child;

/*
 * Forks a process that waits and then becomes argv. It ends with memblame: before its release it
 * exits by itself, afterwards it is killed. Call this function before signals are blocked or
 * redirected, so that the command inherits the original state. held: the process will be released
 * by mb_child_release_held(). Returns 0, or -errno with *e set. The caller frees *out with
 * mb_child_free().
 */
int mb_child_start(struct mb_child **out, char **argv, bool held, struct mb_err *e);

/* The PID of the command. */
pid_t mb_child_pid(const struct mb_child *c);

/*
 * Releases the process. Returns 0 once it has become the command, or -errno with *e set (exit
 * status 126 or 127).
 */
int mb_child_release(struct mb_child *c, struct mb_err *e);

/*
 * The same, but holds the process whenever it has mapped code that it has not executed yet: see
 * hold.h. Returns after the command has run for a moment, or has ended.
 */
int mb_child_release_held(struct mb_child *c, const struct mb_hold *hold, struct mb_err *e);

/* A pidfd that is readable when the command has ended. Owned by c. */
int mb_child_fd(const struct mb_child *c);

/* Sends a signal to the command unless it has ended. */
void mb_child_signal(struct mb_child *c, int sig);

/* Has the command ended? Then *status is its exit status, or 128 + signal if a signal killed it. */
bool mb_child_ended(struct mb_child *c, int *status);

/* Ends the command if it is still running, with SIGTERM and after 2 s with SIGKILL; reaps it. */
void mb_child_end(struct mb_child *c);

/* Ends the command like mb_child_end() and frees c. c may be NULL. */
void mb_child_free(struct mb_child *c);

#endif
