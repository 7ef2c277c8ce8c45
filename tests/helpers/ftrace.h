/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The kernel's own trace of a thread, as the truth to compare with. */
#ifndef FTRACE_H
#define FTRACE_H

#include "sandbox.h"

struct ftrace_record {
	long long us; /* when */
	const char *event, *text; /* its name; what it says */
};

/* The text of a trace, taken apart; none of it was overwritten, or the test fails. */
struct ftrace_records {
	size_t n;
	struct ftrace_record *list; /* in order of time */
	char *text;
};

/* What one thread did, and each sched_switch that gave it a CPU. Ends the recording. To be freed. */
struct ftrace_records ftrace_read(struct sandbox_trace *t, pid_t tid);
void ftrace_free(struct ftrace_records *r);

/* What it says of one thread's reclaims of one kind, and of its slab shrinkers. */
struct ftrace_reclaim {
	long long count, ns, pages;
	long long shrinks; /* where the trace has mm_shrink_slab_end, too */
};

/* kind: "memcg" or "direct", whose begin and end events t was opened with. Ends the recording. */
struct ftrace_reclaim ftrace_reclaim(struct sandbox_trace *t, const char *kind, pid_t tid);

#endif
