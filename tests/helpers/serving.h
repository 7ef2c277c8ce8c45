/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Shared code for the tests of memblame serve: starting an instance, querying it, and reading values from its
 * metrics.
 */
#ifndef MB_TESTS_SERVING_H
#define MB_TESTS_SERVING_H

#include "live.h"
#include "sandbox.h"

struct serving {
	struct live_bg *bg;
	char dir[200]; /* state folder */
	char config[256]; /* configuration file */
	char local[256]; /* path of the unix socket */
	int port; /* TCP port on 127.0.0.1 */
};

extern struct sandbox_cgroup serving_group; /* the test program's own cgroup */

/* Opens serving_group with this limit; skips the test if that is not possible. */
void serving_open_group(unsigned long limit_bytes);

/* The label of serving_group in the metrics, as "cgroup=\"/PATH\"". */
const char *serving_own(void);

/* Stops whatever a test has left running and closes its cgroup; a cmocka teardown. */
int serving_tidy(void **state);

/*
 * For use in a forked child of the test: join a cgroup, given its folder; touch that many fresh pages and
 * free them.
 */
void serving_join(const char *dir);
void serving_touch(size_t pages);

/* Replaces the whole configuration file with these lines. */
int serving_descriptors(pid_t pid);

/*
 * Creates a state folder and a configuration file of this name. The lines (with section headers) follow the
 * common part.
 */
void serving_prepare(struct serving *s, const char *name, const char *lines);

/* Replaces the lines that follow the common part of the configuration file. */
void serving_rewrite(const struct serving *s, const char *lines);

/* Starts memblame serve with this configuration and more arguments; returns when it reports that it has attached. */
void serving_start(struct serving *s, const char *const *more);

/* Sends SIGTERM and waits for the end; fails if the status is not 0 or if any BPF object remains in the kernel. */
void serving_stop(struct serving *s);

/* GET by curl, over the unix socket or TCP. The caller owns the body. *status is the HTTP status; 0: no response. */
char *serving_get(const struct serving *s, const char *path, bool local, int *status);

/* The same; fails unless the status is 200. */
char *serving_get_ok(const struct serving *s, const char *path, bool local);
json_t *serving_json(const struct serving *s, const char *path);

/* Waits until that many more ticks are complete. */
void serving_wait_ticks(const struct serving *s, long long ticks);

/*
 * The sum of the series of a metric (or of a full series name, such as "x_bucket") in the text of a scrape.
 * It includes the series that have all of these label pairs, such as "kind=\"minor\"". *n receives the number
 * of series; n may be NULL.
 */
double metric_sum(const char *text, const char *name, const char *const *labels, int *n);

/* The value of a single series; fails unless exactly one matches. */
double metric_value(const char *text, const char *name, const char *const *labels);

/*
 * serving_held() lists the BPF programs, maps and links that a process holds, as lines like "prog 12", from
 * the process's descriptors. The caller owns the text. serving_gone() waits until the kernel has freed all of
 * them, and fails if any remains after 30 s.
 */
char *serving_held(pid_t pid);
void serving_gone(const char *held);

/* A TCP port of 127.0.0.1 that is not in use. */
int free_port(void);

#endif
