/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Measures how long a thread spent between two tracepoints. The kernel's own trace gives a lower and an upper
 * bound.
 *
 * A timestamp that memblame reads and one that the kernel's trace reads differ by the time between the two
 * readings: milliseconds in an emulator. So the kernel records each event twice. The first trace is opened
 * before memblame attaches, so its record is written before memblame's program runs. The second trace is
 * started afterwards, so its record is written after. The true value lies between the two.
 */
#ifndef PAIRS_H
#define PAIRS_H

#include <jansson.h>

#include "sandbox.h"

struct pairs {
	struct sandbox_trace first, last;
	const char *event; /* "mm_compaction" for mm_compaction_begin and mm_compaction_end */
};

/* What both traces show about one thread. */
struct pairs_truth {
	long long count, min_ns, max_ns;
	long long reclaimed; /* sum of nr_reclaimed */
};

/* system: "compaction". Returns the same as sandbox_trace_open(). The caller retains ownership of event. */
const char *pairs_open(struct pairs *p, const char *system, const char *event);
/* Shell commands for memblame to run: they start the second trace and then run the given commands. */
char *pairs_script(struct pairs *p, const char *system, const char *commands);
struct pairs_truth pairs_read(struct pairs *p, pid_t tid);
void pairs_close(struct pairs *p);
/* Fails unless this process spent the expected time in the stall, including stalls that may nest in it. */
void pairs_check(json_t *process, const char *stall, const struct pairs_truth *truth);

#endif
