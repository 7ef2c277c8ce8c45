/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The kernel's own trace of reclaim, as the truth to compare with. */
#ifndef FTRACE_H
#define FTRACE_H

#include "sandbox.h"

/* What it says of one thread's reclaims of one kind, and of its slab shrinkers. */
struct ftrace_reclaim {
	long long count, ns, pages;
	long long shrinks; /* where the trace has mm_shrink_slab_end, too */
};

/* kind: "memcg" or "direct", whose begin and end events t was opened with. Ends the recording. */
struct ftrace_reclaim ftrace_reclaim(struct sandbox_trace *t, const char *kind, pid_t tid);

#endif
