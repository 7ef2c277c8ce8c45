/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Shared code for the tests of OOM kill reports: a memory cgroup in which processes are killed, a memblame
 * oom that runs alongside, and checks of its reports against the kernel's log.
 */
#ifndef KILLING_H
#define KILLING_H

#include "kmsg.h"
#include "live.h"
#include "sandbox.h"

#define MIB (1ll << 20)
#define KILLING_LIMIT (64 * MIB)
#define KILLED 137 /* 128 + SIGKILL */

extern struct sandbox_cgroup killing_cgroup;
extern struct sandbox_fs killing_fs; /* closed at the end of a test that opens it */
extern char *killing_state_dir; /* a new directory for each test */
extern int killing_log; /* the kernel's log since the start of the test */

/*
 * Number of the victim's threads. They continue to run between the event and the kernel's log line. Each
 * thread may still allocate page tables. Before Linux 6.2, each thread may also flush up to 64 counter
 * changes, which it had cached privately.
 */
extern long long killing_threads;

/*
 * Begins a test, or skips it if the machine cannot run it. Workloads join the cgroup. killing_close() is the
 * teardown.
 */
void killing_open(void);
int killing_close(void **state);

#define KILLING_TEST(name) cmocka_unit_test_teardown(name, killing_close)

/* Starts memblame oom --json. If LIVE_FAMILIES is set, memblame traces only these families. */
struct live_bg *killing_start(void);
struct live_bg *killing_start_in(const char *state_dir);

/* A process that holds memory in the cgroup. Its adj makes it a likely victim. It runs until its input closes. */
struct killing_holder {
	struct live_bg *bg;
	char fifo[256];
	int input;
	pid_t pid;
};

struct killing_holder killing_hold(const char *mib, const char *adj);
void killing_end_holder(struct killing_holder *h, int status);

/* Runs memhog MIB MODE in the cgroup to completion; returns its exit status. */
int killing_hog(const char *mib, const char *mode, pid_t *pid);

/*
 * Waits for exactly n reports (killing_some_reports: at least n) of kills in the cgroup, then stops memblame.
 * The caller owns the result.
 */
json_t *killing_reports(struct live_bg *oom, size_t n);
json_t *killing_some_reports(struct live_bg *oom, size_t n);

/* Checks that no sum and no growth in a report exceeds its total. Every report that is read here is checked. */
void killing_assert_adds_up(json_t *doc);

/* Checks that the report agrees with the kernel's log, and that its log lines all belong to this kill. */
void killing_assert_logged(json_t *doc, const struct kmsg_kill *k);
void killing_assert_lines(json_t *doc, const struct kmsg_kill *k);

#endif
