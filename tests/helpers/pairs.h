/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * How long a thread was between two tracepoints, bounded from both sides by the kernel's own trace.
 *
 * A clock read by us and one read by the kernel differ by whatever comes between the two: in an
 * emulator, milliseconds. So the kernel records twice: once before memblame attached, whose record
 * is written before memblame's program runs, and once after. The truth is between the two.
 */
#ifndef PAIRS_H
#define PAIRS_H

#include <jansson.h>

#include "sandbox.h"

struct pairs {
	struct sandbox_trace first, last;
	const char *event; /* "mm_compaction" for mm_compaction_begin and mm_compaction_end */
};

/* What both traces say of one thread. */
struct pairs_truth {
	long long count, min_ns, max_ns;
	long long reclaimed; /* sum of nr_reclaimed */
};

/* system: "compaction"; returns as sandbox_trace_open. The event stays the caller's. */
const char *pairs_open(struct pairs *p, const char *system, const char *event);
/* Shell commands for memblame to run, which start the second trace and then do what is given. */
char *pairs_script(struct pairs *p, const char *system, const char *commands);
struct pairs_truth pairs_read(struct pairs *p, pid_t tid);
void pairs_close(struct pairs *p);
/* Fails unless this process waited so long in the stall, with the stalls that may nest in it. */
void pairs_check(json_t *process, const char *stall, const struct pairs_truth *truth);

#endif
