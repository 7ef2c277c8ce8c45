/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Measures what memblame's BPF programs cost. The kernel's run-time statistics of BPF programs slow
 * down every program of the machine by about 20 ns per run. So they are enabled only for a window
 * of 50 ms each second, and the result stands for the whole second. The overhead that the
 * statistics themselves add to the times they report is measured at the start and subtracted. The
 * cost of calling a program, 12 ns, is not part of the reported times and is added.
 *
 * Enabling the statistics needs CAP_SYS_ADMIN each time, but memblame drops this capability after
 * its start. A child process retains this one capability and nothing else: no files, and no memory
 * that it shares with memblame. On request, the child has the kernel open the statistics and passes
 * on the file descriptor; closing it disables the statistics. The child ends with its parent.
 *
 * Where the statistics are enabled permanently (kernel.bpf_stats_enabled), they are only read.
 * Without CAP_SYS_ADMIN at the start the cost is not known.
 */
#ifndef MB_KERN_COST_H
#define MB_KERN_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "kern/kern.h"

#define MB_COST_WINDOW_NS (50 * 1000 * 1000ull)

struct mb_cost;

/*
 * Starts the child process; call before privileges are dropped. It is not an error if the cost
 * cannot be measured: mb_cost_known() then returns false. Returns 0, or -errno with *e set. *out is
 * owned by the caller (mb_cost_close()).
 */
int mb_cost_open(struct mb_cost **out, struct mb_kern *k, struct mb_err *e);

/* Ends the child process, waits for it and frees c. c may be NULL. */
void mb_cost_close(struct mb_cost *c);

/* Can the cost be measured? False also after the child has ended. */
bool mb_cost_known(const struct mb_cost *c);

/*
 * Begins a window. The caller ends it MB_COST_WINDOW_NS later, or as soon as possible after that.
 */
void mb_cost_begin(struct mb_cost *c);

/*
 * Ends the window. On true, *share is the time spent in memblame's programs during the window, as a
 * share of one CPU (1.0: a whole CPU). Returns false if there is no result.
 */
bool mb_cost_end(struct mb_cost *c, double *share);

/* Measured overhead of the statistics in ns per run; 0: could not be measured. */
double mb_cost_own_ns(const struct mb_cost *c);

#endif
