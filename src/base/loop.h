/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The event loop: watched descriptors, and the callback of each, which runs when the descriptor is readable. */
#ifndef MB_BASE_LOOP_H
#define MB_BASE_LOOP_H

#include "base/err.h"

struct mb_loop {
	int fd; /* the epoll descriptor; -1: none */
};

/*
 * A watched descriptor and its callback. The caller owns it and must not move it while it is watched. ready returns
 * 0, 1 to end the loop, or -errno with *e set.
 */
struct mb_watch {
	int fd;
	int (*ready)(void *arg, struct mb_err *e);
	void *arg;
};

/* Create the epoll descriptor. Returns 0 or -errno; call mb_loop_close() in either case. */
int mb_loop_open(struct mb_loop *l);
void mb_loop_close(struct mb_loop *l);

/* Start or stop watching a descriptor. A negative fd is ignored. Returns 0 or -errno. */
int mb_loop_add(struct mb_loop *l, struct mb_watch *w);
void mb_loop_remove(struct mb_loop *l, struct mb_watch *w);

/*
 * Wait at most timeout_ms (-1: without limit), then call ready of each readable descriptor. Stops at the first
 * callback that does not return 0 and returns its value (1 or -errno), else 0. A callback may remove only its own
 * watch.
 */
int mb_loop_turn(struct mb_loop *l, int timeout_ms, struct mb_err *e);

#endif
