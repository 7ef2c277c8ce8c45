/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What our programs in the kernel cost, found out by having the kernel time them for a moment. Its statistics of
 * programs' run times slow every program of the machine by some 20 ns per run, so they are on for a window of 50 ms
 * each second, and what they show is taken for the whole second. Their own part in the times they show is measured
 * at the start and taken off; what it takes to call a program, 12 ns, they do not show, and is added.
 *
 * To switch them on takes CAP_SYS_ADMIN each time, which memblame gives up after its start. A child process keeps that
 * one privilege and nothing else, no file, no memory that is written to: on request it has the kernel open the
 * statistics and passes on the descriptor, whose end switches them off. It ends with its parent.
 *
 * Where the statistics are on for good (kernel.bpf_stats_enabled) they are only read. Without CAP_SYS_ADMIN at the
 * start the cost is not known.
 */
#ifndef MB_KERN_COST_H
#define MB_KERN_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "kern/kern.h"

#define MB_COST_WINDOW_NS (50 * 1000 * 1000ull)

struct mb_cost;

/*
 * Before privileges are given up. Where the cost cannot be known, that is no error: mb_cost_known() says so. Returns
 * 0, or -errno with *e set; *out is owned by the caller.
 */
int mb_cost_open(struct mb_cost **out, struct mb_kern *k, struct mb_err *e);

/* Ends the child process and waits for that. */
void mb_cost_close(struct mb_cost *c);

/* Can the cost be known? False also once the child is gone. */
bool mb_cost_known(const struct mb_cost *c);

/* A window begins; to be ended MB_COST_WINDOW_NS later, or when there is time. */
void mb_cost_begin(struct mb_cost *c);

/* It ends. True: *share is the time spent in our programs within it, as a share of one CPU. */
bool mb_cost_end(struct mb_cost *c, double *share);

/* What the statistics' own part in one run is, in ns, as it was measured; 0: it could not be. */
double mb_cost_own_ns(const struct mb_cost *c);

#endif
