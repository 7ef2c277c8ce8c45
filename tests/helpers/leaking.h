/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Programs that leak, traced together by one `memblame leaks`: started, let go when it is attached, stood
 * still shortly before it ends, so that what it says last and what they say is about the same moment.
 */
#ifndef MB_TESTS_LEAKING_H
#define MB_TESTS_LEAKING_H

#include "live.h"

#define LEAKING_MAX_ARGS 8

/* With names of what it compiles, but without the log that it would leave in the working directory. */
#define LEAKING_NODE_JS(rate, seconds)                                                               \
	{ "node", "--perf-basic-prof", "--no-logfile-per-isolate", "--logfile=+", "@leak.js", rate, seconds }

struct leaking {
	const char *name;
	const char *argv[LEAKING_MAX_ARGS]; /* "@NAME": a workload */
	const char *preload;		    /* a library, or NULL */
	bool stay;			    /* ends its work early and holds what it has */
	/* when it has run */
	struct live_bg *bg;
	pid_t pid;
	json_t *truth;	 /* its own last line */
	const char *why; /* it could not be started: the reason; else NULL */
};

/*
 * memblame leaks --json OPTS -p PID... -d SECONDS over all of them; programs end with a NULL name. Only the
 * first call for these programs does it, others return what it said: its last line. Fails when it failed.
 */
const json_t *leaking_run(struct leaking *programs, const char *const *opts, unsigned int seconds);
/* When all is done: removes what Node.js leaves behind, /tmp/perf-PID.map. */
void leaking_clean_up(const struct leaking *programs);
/* Skips the test when the program could not be started. */
void leaking_need(const struct leaking *program);

/* All groups of a document, and behind them those that are the evidence of others: each level has its own there. */
const json_t *leaking_views(const json_t *document);
/* The first group of this process, of this level ("" for any, but not the kernel's); fails: there is none. */
const json_t *leaking_first(const json_t *document, const struct leaking *program, const char *level);
/* Is a frame of the group's stack in that line of that file (its name without folders)? */
bool leaking_has_line(const json_t *group, const char *file, long long line);
/* Outstanding bytes and blocks of all groups of that level and process with a frame there. */
struct leaking_sum {
	long long bytes, count;
	unsigned int groups, leaks; /* leaks: of these with verdict "leak" */
};
struct leaking_sum leaking_sum(const json_t *document, const struct leaking *program, const char *level,
			       const char *file, long long line);
/* A key of the program's truth about its i-th line: "line", "line_2", ... */
const char *leaking_key(const char *key, unsigned int i);
/* Is a frame of the group in one of the lines by which the program says that it leaks? */
bool leaking_has_leak(const json_t *group, const struct leaking *program);
/* Fails when a group of the program, of any level but the kernel's, is called a leak. */
void leaking_none(const json_t *document, const struct leaking *program);
/* Of what a failed test was about: the groups of a program, one line each. */
void leaking_show(const json_t *document, const struct leaking *program);

#endif
