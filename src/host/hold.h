/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Holding a command before it runs code that was just mapped, so that probes can be put there first: by ptrace, as its
 * tracer, while it is young. It stops at exec; a dynamic program also whenever its loader has mapped code, until its
 * entry point is reached (a hardware breakpoint: its memory is not touched). Each exec begins that again. It stops once more before it ends. Nobody but
 * its tracer sees these stops. Children that it has while it is young are held alike. What a running program maps later
 * (dlopen) is not held.
 */
#ifndef MB_HOST_HOLD_H
#define MB_HOST_HOLD_H

#include <stdbool.h>
#include <sys/types.h>

/* What is called meanwhile, with arg. */
struct mb_hold {
	void (*mapped)(void *arg, pid_t pid); /* it has mapped code and stands still */
	void (*idle)(void *arg); /* it runs: every 2 ms or so */
	void (*ends)(void *arg); /* it is about to end, and still has all its memory */
	void *arg;
};

/* Become the tracer of a child that has not been let go. False: not allowed. */
bool mb_hold_begin(pid_t pid);

/*
 * Follow it from when it is let go until a second after its last exec, or its end, and let it loose. hold NULL: at once.
 * Its end is not reaped.
 */
void mb_hold_run(pid_t pid, const struct mb_hold *hold);

#endif
