// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Holds a young command at code that it has just mapped. */
#include "host/hold.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/*
 * A process is young for this time after an exec: programs that exec another one (env, sh -c) do it
 * soon.
 */
#define YOUNG_NS (1000 * 1000 * 1000ull)

#define IDLE_US 2000
#define LOADING_US 50

/* Processes held at a time; further ones are not held. */
#define HELD_MAX 64u

/*
 * Limit for a program that never reaches its entry point: its system calls are no longer stopped
 * after this time.
 */
#define LOADING_NS (2 * YOUNG_NS)

/*
 * Limit for the whole command including descendants, because signals and the end of the requested
 * duration must wait in the meantime.
 */
#define ALL_NS (3 * YOUNG_NS)

#define DEBUG_REGISTER(n) (offsetof(struct user, u_debugreg) + (n) * sizeof(((struct user *)NULL)->u_debugreg[0]))

#define OPTIONS \
	(PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACESYSGOOD)

struct held {
	pid_t pid;
	const struct mb_hold *hold;
	uint64_t since_ns; /* time of the last exec or of the fork */
	bool loading; /* its loader is running: the process stops at each system call */
	bool ended;
};

/* The command and its young descendants. */
struct holding {
	pid_t command;
	const struct mb_hold *hold;
	struct held list[HELD_MAX];
	size_t n;
};

bool mb_hold_begin(pid_t pid)
{
	if (!ptrace(PTRACE_SEIZE, pid, 0, OPTIONS))
		return true;
	mb_verbose("the command cannot be held while probes are put: error %d", errno);
	return false;
}

/*
 * Reads the auxiliary vector: address of the program's entry point, and base address of its loader
 * (0: it has none).
 */
static void read_auxv(pid_t pid, uint64_t *entry, uint64_t *loader)
{
	char path[64];
	Elf64_auxv_t a;
	int fd;

	*entry = *loader = 0;
	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, &a, sizeof(a)) == sizeof(a)) {
		if (a.a_type == AT_ENTRY)
			*entry = a.a_un.a_val;
		if (a.a_type == AT_BASE)
			*loader = a.a_un.a_val;
	}
	if (fd >= 0)
		close(fd);
}

/* Makes the process stop before it executes this address; 0: removes the breakpoint. */
static bool set_breakpoint(pid_t pid, uint64_t address)
{
	return !ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(7), 0) &&
	       (!address || (!ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(0), address) &&
			     !ptrace(PTRACE_POKEUSER, pid, DEBUG_REGISTER(7), 1)));
}

/*
 * After an exec: reports the new mappings, and follows the loader to the entry point if there is
 * one.
 */
static void on_exec(struct held *h)
{
	uint64_t entry, loader;

	h->since_ns = mb_now_ns();
	h->hold->mapped(h->hold->arg, h->pid);
	read_auxv(h->pid, &entry, &loader);
	h->loading = loader && set_breakpoint(h->pid, entry);
}

static void on_entry(struct held *h)
{
	set_breakpoint(h->pid, 0);
	h->loading = false;
}

/*
 * Called at a system call stop. Holds the process if the loader has just mapped code of a file,
 * before that code is executed.
 */
static void on_call(struct held *h)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, h->pid, 0, &r) || r.cs == 0x23) /* 32-bit code is not probed */
		return;
	if (r.orig_rax == SYS_mmap && (int64_t)r.rax != -ENOSYS && r.rax < (uint64_t)-4095 && (r.rdx & PROT_EXEC) &&
	    !(r.r10 & MAP_ANONYMOUS))
		h->hold->mapped(h->hold->arg, h->pid);
}

/* Handles a stop. Returns the signal with which the process continues. */
static int on_stop(struct held *h, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;
	siginfo_t info;

	if (event == PTRACE_EVENT_EXEC) {
		on_exec(h);
		return 0;
	}
	if (event == PTRACE_EVENT_EXIT)
		h->hold->ends(h->hold->arg);
	if (event)
		return 0;
	if (sig == (SIGTRAP | 0x80)) {
		on_call(h);
		return 0;
	}
	if (sig == SIGTRAP && h->loading && !ptrace(PTRACE_GETSIGINFO, h->pid, 0, &info) && info.si_code == TRAP_HWBKPT) {
		on_entry(h);
		return 0;
	}
	return sig;
}

/* Is it a group stop, caused by a stop signal? Then the process stays stopped until SIGCONT. */
static bool is_group_stop(int status)
{
	int sig = WSTOPSIG(status);

	return status >> 16 == PTRACE_EVENT_STOP && (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU);
}

static void follow(struct holding *all, pid_t pid)
{
	if (all->n < HELD_MAX)
		all->list[all->n++] = (struct held){ .pid = pid, .hold = all->hold, .since_ns = mb_now_ns() };
}

/* Handles one stop if there is one. Returns false if the process is running. */
static bool turn(struct holding *all, struct held *h)
{
	siginfo_t info = { 0 };
	unsigned long child;
	int status;

	if (waitid(P_PID, (id_t)h->pid, &info, WEXITED | WSTOPPED | WNOWAIT | WNOHANG | __WALL)) {
		h->ended = errno != EINTR;
		return true;
	}
	if (!info.si_pid)
		return false;
	if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
		h->ended = true;
		/*
		 * the kernel notifies the parent of a descendant only after its tracer has waited
		 * for it
		 */
		if (h->pid != all->command)
			waitpid(h->pid, &status, WNOHANG | __WALL);
		return true;
	}
	if (waitpid(h->pid, &status, WNOHANG | __WALL) != h->pid || !WIFSTOPPED(status))
		return true;
	if ((status >> 16 == PTRACE_EVENT_FORK || status >> 16 == PTRACE_EVENT_VFORK) &&
	    !ptrace(PTRACE_GETEVENTMSG, h->pid, 0, &child))
		follow(all, (pid_t)child);
	if (is_group_stop(status))
		ptrace(PTRACE_LISTEN, h->pid, 0, 0);
	else
		ptrace(h->loading ? PTRACE_SYSCALL : PTRACE_CONT, h->pid, 0, (long)on_stop(h, status));
	return true;
}

/* Detaches from a process, which must be stopped for that. */
static void detach(struct holding *all, struct held *h)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, h->pid, 0, 0))
		return;
	for (;;) {
		siginfo_t info = { 0 };
		int sig = 0;

		if (waitid(P_PID, (id_t)h->pid, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL)) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
			turn(all, h);
			return;
		}
		if (waitpid(h->pid, &status, __WALL) != h->pid)
			return;
		if (status >> 16 != PTRACE_EVENT_STOP)
			sig = on_stop(h, status);
		if (h->loading)
			on_entry(h);
		ptrace(PTRACE_DETACH, h->pid, 0, (long)sig);
		return;
	}
}

/*
 * Handles one stop of each process. Returns whether there was any; *loading: a loader is running.
 */
static bool turn_all(struct holding *all, bool *loading)
{
	bool happened = false;

	*loading = false;
	for (size_t i = 0; i < all->n; i++) {
		struct held *h = &all->list[i];

		happened |= turn(all, h);
		if (!h->ended && mb_now_ns() - h->since_ns > (h->loading ? LOADING_NS : YOUNG_NS)) {
			detach(all, h);
			h->ended = true;
		}
		*loading |= h->loading;
		if (h->ended)
			all->list[i--] = all->list[--all->n];
	}
	return happened;
}

void mb_hold_run(pid_t pid, const struct mb_hold *hold)
{
	struct holding all = { .command = pid, .hold = hold };
	uint64_t began_ns = mb_now_ns();
	bool loading;

	follow(&all, pid);
	while (hold && all.n && mb_now_ns() - began_ns < ALL_NS) {
		if (turn_all(&all, &loading))
			continue;
		if (loading) {
			usleep(LOADING_US);
			continue;
		}
		hold->idle(hold->arg);
		usleep(IDLE_US);
	}
	while (all.n)
		detach(&all, &all.list[--all.n]);
}
