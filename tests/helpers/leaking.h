/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Leaking programs that one `memblame leaks` traces together. The programs start and wait until memblame is
 * attached. They are stopped shortly before memblame ends, so that memblame's last report and the programs'
 * own figures describe the same moment.
 */
#ifndef MB_TESTS_LEAKING_H
#define MB_TESTS_LEAKING_H

#include "live.h"

#define LEAKING_MAX_ARGS 8

/* Makes Node.js write the names of compiled functions, but no log file in the working directory. */
#define LEAKING_NODE_JS(rate, seconds)                                                               \
	{ "node", "--perf-basic-prof", "--no-logfile-per-isolate", "--logfile=+", "@leak.js", rate, seconds }

struct leaking {
	const char *name;
	const char *argv[LEAKING_MAX_ARGS]; /* "@NAME": one of our workloads */
	const char *preload;		    /* library to preload, or NULL */
	bool stay;			    /* stops working early and holds its memory */
	/* set once the program has run */
	struct live_bg *bg;
	pid_t pid;
	json_t *truth;	 /* the last line of the program's output */
	const char *why; /* why the program could not be started; else NULL */
};

/*
 * Runs memblame leaks --json OPTS -p PID... -d SECONDS over all programs and returns the last line of its
 * output. A NULL name ends the array. Only the first call for an array runs memblame; later calls return the
 * same result. Fails the test if memblame fails.
 */
const json_t *leaking_run(struct leaking *programs, const char *const *opts, unsigned int seconds);
/* Call after the last test: removes /tmp/perf-PID.map, which Node.js leaves behind. */
void leaking_clean_up(const struct leaking *programs);
/* Skips the test when the program could not be started. */
void leaking_need(const struct leaking *program);

/*
 * All groups of a document, followed by the groups that are evidence for others, so that the groups of every
 * level are included.
 */
const json_t *leaking_views(const json_t *document);
/* The first group of this process at this level ("": any level but the kernel's); fails the test if there is none. */
const json_t *leaking_first(const json_t *document, const struct leaking *program, const char *level);
/* Does the group's stack have a frame at that line of that file (file name without folders)? */
bool leaking_has_line(const json_t *group, const char *file, long long line);
/* Outstanding bytes and blocks of all groups of that level and process that have a frame at that line. */
struct leaking_sum {
	long long bytes, count;
	unsigned int groups, leaks; /* leaks: number of groups with verdict "leak" */
};
struct leaking_sum leaking_sum(const json_t *document, const struct leaking *program, const char *level,
			       const char *file, long long line);
/* The name of a key in the program's output for its i-th line: "line", "line_2", ... */
const char *leaking_key(const char *key, unsigned int i);
/* Does the group have a frame at one of the lines that the program reports as leaking? */
bool leaking_has_leak(const json_t *group, const struct leaking *program);
/* Fails the test if any group of the program has verdict "leak", at any level but the kernel's. */
void leaking_none(const json_t *document, const struct leaking *program);
/* Prints the groups of a program, one per line, to help to diagnose a failed test. */
void leaking_show(const json_t *document, const struct leaking *program);

#endif
