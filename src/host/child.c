// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The command that "run" traces: it waits before exec until it is released, and it never outlives
 * memblame.
 */
#include "host/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TERM_GRACE_MS 2000

struct mb_child {
	pid_t pid;
	int go_fd; /* a byte releases the process; end of file makes it exit */
	int error_fd; /* delivers errno if exec failed, end of file if it succeeded */
	int pid_fd;
	const char *name;
	bool held; /* memblame is its tracer until its release */
	bool ended;
	int status;
};

static void __attribute__((noreturn)) child_main(char **argv, pid_t parent, int go, int error)
{
	char byte;
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* also kills a command that is stopped or ignores signals */
	if (getppid() != parent || read(go, &byte, 1) != 1)
		_exit(MB_EXIT_FAILED);
	execvp(argv[0], argv);
	err = errno;
	if (write(error, &err, sizeof(err)) < 0)
		_exit(MB_EXIT_FAILED);
	_exit(err == ENOENT ? MB_EXIT_NOT_FOUND : MB_EXIT_NOT_EXECUTABLE);
}

int mb_child_start(struct mb_child **out, char **argv, bool held, struct mb_err *e)
{
	struct mb_child *c = calloc(1, sizeof(*c));
	int go[2] = { -1, -1 }, error[2] = { -1, -1 };
	pid_t parent = getpid();

	*out = NULL;
	if (!c || pipe2(go, O_CLOEXEC) || pipe2(error, O_CLOEXEC))
		goto fail;
	c->pid = fork();
	if (c->pid < 0)
		goto fail;
	if (c->pid == 0) {
		close(go[1]); /* otherwise the child would never read end of file */
		child_main(argv, parent, go[0], error[1]);
	}
	close(go[0]);
	close(error[1]);
	c->name = argv[0];
	c->go_fd = go[1];
	c->error_fd = error[0];
	c->pid_fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pid_fd < 0) {
		mb_err_set(e, MB_EXIT_FAILED, errno, "cannot watch '%s'", argv[0]);
		mb_child_free(c);
		return -EINVAL;
	}
	/*
	 * must happen before privileges are dropped; without permission the command is not held,
	 * and missed events are reported
	 */
	c->held = held && mb_hold_begin(c->pid);
	*out = c;
	return 0;
fail:
	mb_err_set(e, MB_EXIT_FAILED, errno, "cannot start '%s'", argv[0]);
	for (int i = 0; i < 2; i++) {
		if (go[i] >= 0)
			close(go[i]);
		if (error[i] >= 0)
			close(error[i]);
	}
	free(c);
	return -EINVAL;
}

pid_t mb_child_pid(const struct mb_child *c)
{
	return c->pid;
}

int mb_child_fd(const struct mb_child *c)
{
	return c->pid_fd;
}

int mb_child_release(struct mb_child *c, struct mb_err *e)
{
	return mb_child_release_held(c, NULL, e);
}

int mb_child_release_held(struct mb_child *c, const struct mb_hold *hold, struct mb_err *e)
{
	ssize_t n = 0;
	int err = 0;

	if (write(c->go_fd, "g", 1) != 1)
		return mb_err_set(e, MB_EXIT_FAILED, errno, "'%s' ended before it began", c->name);
	if (c->held)
		mb_hold_run(c->pid, hold);
	c->held = false;
	do {
		n = read(c->error_fd, &err, sizeof(err));
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(err))
		return 0;
	return mb_err_set(e, err == ENOENT ? MB_EXIT_NOT_FOUND : MB_EXIT_NOT_EXECUTABLE, err,
			  "cannot run '%s'", c->name);
}

void mb_child_signal(struct mb_child *c, int sig)
{
	if (!c->ended)
		kill(c->pid, sig); /* the command has not been reaped, so its PID cannot be reused */
}

bool mb_child_ended(struct mb_child *c, int *status)
{
	int raw;

	if (!c->ended && waitpid(c->pid, &raw, WNOHANG) == c->pid) {
		c->ended = true;
		c->status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
	}
	*status = c->status;
	return c->ended;
}

void mb_child_end(struct mb_child *c)
{
	struct pollfd p = { .fd = c->pid_fd, .events = POLLIN };
	int status;

	if (c->go_fd >= 0)
		close(c->go_fd); /* makes a process that has not been released exit */
	c->go_fd = -1;
	if (mb_child_ended(c, &status))
		return;
	kill(c->pid, SIGTERM);
	kill(c->pid, SIGCONT); /* a stopped process would not handle SIGTERM */
	if (c->pid_fd < 0 || poll(&p, 1, TERM_GRACE_MS) <= 0)
		kill(c->pid, SIGKILL);
	while (!mb_child_ended(c, &status))
		usleep(1000);
}

void mb_child_free(struct mb_child *c)
{
	if (!c)
		return;
	mb_child_end(c);
	close(c->error_fd);
	if (c->pid_fd >= 0)
		close(c->pid_fd);
	free(c);
}
