// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The event loop. */
#include "base/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

int mb_loop_open(struct mb_loop *l)
{
	l->fd = epoll_create1(EPOLL_CLOEXEC);
	return l->fd < 0 ? -errno : 0;
}

void mb_loop_close(struct mb_loop *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

int mb_loop_add(struct mb_loop *l, struct mb_watch *w)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

	return w->fd >= 0 && epoll_ctl(l->fd, EPOLL_CTL_ADD, w->fd, &ev) ? -errno : 0;
}

void mb_loop_remove(struct mb_loop *l, struct mb_watch *w)
{
	if (w->fd >= 0)
		epoll_ctl(l->fd, EPOLL_CTL_DEL, w->fd, NULL);
}

int mb_loop_turn(struct mb_loop *l, int timeout_ms, struct mb_err *e)
{
	struct epoll_event ev[8];
	int n = epoll_wait(l->fd, ev, 8, timeout_ms), err = 0;

	if (n < 0 && errno != EINTR)
		return mb_err_set(e, MB_EXIT_FAILED, errno, "waiting for events failed");
	for (int i = 0; i < n && !err; i++) {
		struct mb_watch *w = ev[i].data.ptr;

		err = w->ready(w->arg, e);
	}
	return err;
}
