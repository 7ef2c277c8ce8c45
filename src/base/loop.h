/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The event loop: descriptors that are watched, and what is called when one is readable. */
#ifndef MB_BASE_LOOP_H
#define MB_BASE_LOOP_H

#include "base/err.h"

struct mb_loop {
	int fd; /* the epoll descriptor; -1: none */
};

/*
 * A descriptor and who looks after it; owned by the caller, at the same place as long as it is watched. ready
 * returns 0, 1 to end the loop, or -errno with *e set.
 */
struct mb_watch {
	int fd;
	int (*ready)(void *arg, struct mb_err *e);
	void *arg;
};

/* Returns 0 or -errno; mb_loop_close() in either case. */
int mb_loop_open(struct mb_loop *l);
void mb_loop_close(struct mb_loop *l);

/* Watch a descriptor, or no longer; one below 0 is not watched. Returns 0 or -errno. */
int mb_loop_add(struct mb_loop *l, struct mb_watch *w);
void mb_loop_remove(struct mb_loop *l, struct mb_watch *w);

/*
 * Wait at most timeout_ms (-1: for ever), call who is ready. Returns 0, 1 or -errno as the first of them that
 * did not return 0. Nobody may remove a watch but his own from within.
 */
int mb_loop_turn(struct mb_loop *l, int timeout_ms, struct mb_err *e);

#endif
