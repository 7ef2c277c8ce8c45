/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the tests of serve share: a service of one's own, what it answers, numbers in its metrics. */
#ifndef MB_TESTS_SERVING_H
#define MB_TESTS_SERVING_H

#include "live.h"
#include "sandbox.h"

struct serving {
	struct live_bg *bg;
	char dir[200]; /* its state folder */
	char config[256]; /* its configuration file */
	char local[256]; /* its unix socket */
	int port; /* of 127.0.0.1 */
};

extern struct sandbox_cgroup serving_group; /* the test's own */

/* Open it with this limit; skips the test where that cannot be. */
void serving_open_group(unsigned long limit_bytes);

/* The label that its metrics have, as "cgroup=\"/PATH\"". */
const char *serving_own(void);

/* Ends what a test has left behind, and closes its cgroup; for cmocka. */
int serving_tidy(void **state);

/* In a child of the test's: join a cgroup by its folder; touch so many fresh pages, and give them back. */
void serving_join(const char *dir);
void serving_touch(size_t pages);

/* Open descriptors of a process. */
int serving_descriptors(pid_t pid);

/* A state folder and a configuration file of this name, with these lines (sections and all) behind what all need. */
void serving_prepare(struct serving *s, const char *name, const char *lines);

/* Other lines in that file, all of them. */
void serving_rewrite(const struct serving *s, const char *lines);

/* memblame serve with it, and with more arguments; comes back when it says that it has attached. */
void serving_start(struct serving *s, const char *const *more);

/* SIGTERM, and its end: fails where the status is not 0. Nothing of it is left in the kernel. */
void serving_stop(struct serving *s);

/* GET by curl, over the unix socket or TCP: the body, owned by the caller; *status is the HTTP status, 0: none. */
char *serving_get(const struct serving *s, const char *path, bool local, int *status);

/* The same, of which the status must be 200. */
char *serving_get_ok(const struct serving *s, const char *path, bool local);
json_t *serving_json(const struct serving *s, const char *path);

/* Waits until so many ticks more are over. */
void serving_wait_ticks(const struct serving *s, long long ticks);

/*
 * Sum of the series of a metric (or of any whole name: "x_bucket") in the text of a scrape that have all of these
 * label pairs, as "kind=\"minor\""; *n is their number (may be NULL).
 */
double metric_sum(const char *text, const char *name, const char *const *labels, int *n);

/* That of one series: fails where there is not exactly one. */
double metric_value(const char *text, const char *name, const char *const *labels);

/*
 * BPF programs, maps and links that a process holds, as lines "prog 12" (its descriptors say so); owned by the
 * caller. serving_gone() waits until the kernel has none of them any more, and fails where it still has after 30 s.
 */
char *serving_held(pid_t pid);
void serving_gone(const char *held);

/* A TCP port of 127.0.0.1 that nobody has just now. */
int free_port(void);

#endif
