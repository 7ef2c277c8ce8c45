/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Holds a command before it executes code that it has just mapped, so that uprobes can be attached
 * first. Uses ptrace while the command is young. The command stops at exec. A dynamically linked
 * program also stops whenever its loader has mapped code, until its entry point is reached (found
 * with a hardware breakpoint, which does not modify its memory). Each exec begins this again. The
 * command stops once more before it ends. Only the tracer sees these stops. Children that the
 * command forks while it is young are held in the same way. Code that a running program maps later
 * (dlopen) is not held.
 */
#ifndef MB_HOST_HOLD_H
#define MB_HOST_HOLD_H

#include <stdbool.h>
#include <sys/types.h>

/* Callbacks, called with arg. */
struct mb_hold {
	void (*mapped)(void *arg, pid_t pid); /* the process has mapped code and is stopped */
	void (*idle)(void *arg); /* the process is running; called about every 2 ms */
	void (*ends)(void *arg); /* the process is about to end, and its address space still exists */
	void *arg;
};

/*
 * Attaches as tracer to a child that has not been released. Returns false if that is not permitted.
 */
bool mb_hold_begin(pid_t pid);

/*
 * Follows the process from its release until a second after its last exec, or until its end, and
 * detaches. hold NULL: detaches at once. Does not reap the process.
 */
void mb_hold_run(pid_t pid, const struct mb_hold *hold);

#endif
