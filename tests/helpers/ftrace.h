/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The kernel's own trace of a thread: the reference that tests compare memblame's results with. */
#ifndef FTRACE_H
#define FTRACE_H

#include "sandbox.h"

struct ftrace_record {
	long long us; /* timestamp */
	const char *event, *text; /* event name; event text */
};

/* The parsed text of a trace. The test fails if the kernel overwrote any record. */
struct ftrace_records {
	size_t n;
	struct ftrace_record *list; /* in order of time */
	char *text;
};

/* Everything the thread did, and each sched_switch that gave it a CPU. Stops recording. Free with ftrace_free(). */
struct ftrace_records ftrace_read(struct sandbox_trace *t, pid_t tid);
void ftrace_free(struct ftrace_records *r);

/* What the trace shows of one thread's reclaims of one kind, and of its slab shrinkers. */
struct ftrace_reclaim {
	long long count, ns, pages;
	long long shrinks; /* only if the trace includes mm_shrink_slab_end */
};

/* kind: "memcg" or "direct". The caller must have opened t with its begin and end events. Stops recording. */
struct ftrace_reclaim ftrace_reclaim(struct sandbox_trace *t, const char *kind, pid_t tid);

#endif
