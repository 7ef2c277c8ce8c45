// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Implements cost.h: windows of the kernel's statistics, and the child process that may enable
 * them.
 */
#include "kern/cost.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/clock.h"

#define SYSCTL "/proc/sys/kernel/bpf_stats_enabled"

/*
 * Runs of an empty program for measuring the overhead of the statistics. The result is the minimum
 * of several rounds.
 */
#define EMPTY_RUNS 1000
#define EMPTY_ROUNDS 5

/*
 * Cost of calling a program from a tracepoint, which the statistics do not include:
 * docs/overhead.md.
 */
#define CALL_NS 12.0

/* The child replies in microseconds. After this timeout there is no window in this second. */
#define ANSWER_MS 200

struct mb_cost {
	struct mb_kern *kern;
	pid_t helper; /* 0: none */
	int socket; /* connected to the child; -1: none */
	int stats; /* open during a window; -1: no window */
	bool always; /* the statistics are enabled permanently */
	bool in_window;
	double own_ns; /* overhead of the statistics, per run */
	uint64_t began_ns, began_run_ns, began_runs;
};

/* ---- child process ---- */

static int send_fd(int socket, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = fd >= 0;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(socket, &m, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/*
 * The child inherits the parent's blocked terminal signals. It ends when the parent closes the
 * socket.
 */
static void __attribute__((noreturn)) helper_main(int socket, pid_t parent)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "memblame-stats");
	capng_clear(CAPNG_SELECT_CAPS);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_ADMIN);
	if (getppid() != parent || dup2(socket, 0) < 0 || syscall(SYS_close_range, 1u, ~0u, 0) ||
	    capng_apply(CAPNG_SELECT_CAPS))
		_exit(1);
	while (read(0, &byte, 1) == 1) {
		int fd = bpf_enable_stats(BPF_STATS_RUN_TIME), err = send_fd(0, fd);

		if (fd >= 0)
			close(fd);
		if (err)
			_exit(1);
	}
	_exit(0);
}

static int start_helper(struct mb_cost *c)
{
	struct timeval patience = { .tv_usec = ANSWER_MS * 1000 };
	pid_t parent = getpid();
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	c->helper = fork();
	if (c->helper == 0)
		helper_main(sockets[1], parent);
	close(sockets[1]);
	c->socket = sockets[0];
	if (c->helper < 0 || setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		return -errno;
	return 0;
}

static void end_helper(struct mb_cost *c)
{
	if (c->socket >= 0)
		close(c->socket);
	c->socket = -1;
	if (c->helper > 0) {
		while (waitpid(c->helper, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	c->helper = 0;
}

/* Returns a file descriptor of the statistics, or -errno. */
static int open_stats(struct mb_cost *c)
{
	char control[CMSG_SPACE(sizeof(int))], byte = 0;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *head;
	int fd;

	if (c->socket < 0)
		return -EPERM;
	/* after a timeout a late reply could be mistaken for the next one, so end the child */
	if (send(c->socket, "o", 1, MSG_NOSIGNAL) != 1 || recvmsg(c->socket, &m, MSG_CMSG_CLOEXEC) != 1) {
		end_helper(c);
		return -EPIPE;
	}
	head = CMSG_FIRSTHDR(&m);
	if (!byte || !head || head->cmsg_type != SCM_RIGHTS)
		return -EPERM;
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

/* ---- windows ---- */

static void close_stats(struct mb_cost *c)
{
	if (c->stats >= 0)
		close(c->stats);
	c->stats = -1;
}

static bool enabled_always(void)
{
	FILE *f = fopen(SYSCTL, "re");
	int on = 0;

	if (f && fscanf(f, "%d", &on) != 1)
		on = 0;
	if (f)
		fclose(f);
	return on;
}

/*
 * Returns the ns per run that the statistics report for an empty program; 0: could not be measured.
 */
static double time_empty_program(void)
{
	static const struct bpf_insn insns[] = {
		{ .code = 0xb7 /* mov */, .dst_reg = 0, .imm = 0 },
		{ .code = 0x95 /* exit */ },
	};
	char packet[64] = { 0 };
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "mb_empty", "Dual BSD/GPL", insns, 2, NULL);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = EMPTY_RUNS);
	uint64_t ns = 0, runs = 0;
	double least = 0;

	for (int i = 0; fd >= 0 && i < EMPTY_ROUNDS; i++) {
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		if (bpf_prog_test_run_opts(fd, &opts) || bpf_obj_get_info_by_fd(fd, &info, &len) ||
		    info.run_cnt <= runs)
			break;
		if (!i || (double)(info.run_time_ns - ns) < least * (double)(info.run_cnt - runs))
			least = (double)(info.run_time_ns - ns) / (double)(info.run_cnt - runs);
		ns = info.run_time_ns;
		runs = info.run_cnt;
	}
	if (fd >= 0)
		close(fd);
	return least;
}

int mb_cost_open(struct mb_cost **out, struct mb_kern *k, struct mb_err *e)
{
	struct mb_cost *c = calloc(1, sizeof(*c));

	*out = c;
	if (!c)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	c->kern = k;
	c->socket = c->stats = -1;
	c->always = enabled_always();
	if (!c->always) {
		if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) || start_helper(c))
			return 0;
		c->stats = open_stats(c);
		if (c->stats < 0) { /* this kernel does not permit it at all */
			end_helper(c);
			return 0;
		}
	}
	c->own_ns = time_empty_program();
	close_stats(c);
	return 0;
}

void mb_cost_close(struct mb_cost *c)
{
	if (!c)
		return;
	close_stats(c);
	end_helper(c);
	free(c);
}

bool mb_cost_known(const struct mb_cost *c)
{
	return c->always || c->socket >= 0;
}

double mb_cost_own_ns(const struct mb_cost *c)
{
	return c->own_ns;
}

void mb_cost_begin(struct mb_cost *c)
{
	c->in_window = false;
	if (!c->always) {
		close_stats(c);
		c->stats = open_stats(c);
		if (c->stats < 0)
			return;
	}
	c->in_window = true;
	mb_kern_runs(c->kern, &c->began_run_ns, &c->began_runs);
	c->began_ns = mb_now_ns();
}

bool mb_cost_end(struct mb_cost *c, double *share)
{
	uint64_t ns, runs, now = mb_now_ns();
	double spent;

	if (!c->in_window)
		return false;
	mb_kern_runs(c->kern, &ns, &runs);
	close_stats(c);
	c->in_window = false;
	if (now <= c->began_ns)
		return false;
	spent = (double)(ns - c->began_run_ns) + (double)(runs - c->began_runs) * (CALL_NS - c->own_ns);
	*share = spent > 0 ? spent / (double)(now - c->began_ns) : 0;
	return true;
}
