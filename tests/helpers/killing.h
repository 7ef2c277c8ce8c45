/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the tests of reports of OOM kills share: a memory cgroup in which processes are killed, memblame oom
 * beside it, and its reports held against the kernel's log.
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
extern struct sandbox_fs killing_fs; /* closed at the end of a test that has opened it */
extern char *killing_state_dir; /* a new one for each test */
extern int killing_log; /* the kernel's, from the start of the test on */

/*
 * Other threads of a victim go on between the event and the kernel's line. Each may make page tables, and
 * before Linux 6.2 put the 64 changes that it keeps to itself where all see them.
 */
extern long long killing_threads;

/* Begin a test, skipped where the machine cannot do it; workloads join the cgroup. And its teardown. */
void killing_open(void);
int killing_close(void **state);

#define KILLING_TEST(name) cmocka_unit_test_teardown(name, killing_close)

/* memblame oom --json, with the families of LIVE_FAMILIES only, where that is set. */
struct live_bg *killing_start(void);
struct live_bg *killing_start_in(const char *state_dir);

/* A process that has taken memory in the cgroup, and offers itself by adj; its input keeps it there. */
struct killing_holder {
	struct live_bg *bg;
	char fifo[256];
	int input;
	pid_t pid;
};

struct killing_holder killing_hold(const char *mib, const char *adj);
void killing_end_holder(struct killing_holder *h, int status);

/* memhog MIB MODE in the cgroup, to its end; returns its status. */
int killing_hog(const char *mib, const char *mode, pid_t *pid);

/* Wait for n reports of kills in the cgroup, or for more, and stop memblame; owned by the caller. */
json_t *killing_reports(struct live_bg *oom, size_t n);
json_t *killing_some_reports(struct live_bg *oom, size_t n);

/* No sum and no growth in a report is more than there is; called for each one that is read here. */
void killing_assert_adds_up(json_t *doc);

/* The report has what the kernel's log says, and lines of the log that are its own only. */
void killing_assert_logged(json_t *doc, const struct kmsg_kill *k);
void killing_assert_lines(json_t *doc, const struct kmsg_kill *k);

#endif
