/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What memblame costs within a session, held under its budget: measures once per second, asks the governor
 * (session/governor.h), has the kernel side trace at the level it says, and tells the model of each step by an event.
 */
#ifndef MB_SESSION_OVERHEAD_H
#define MB_SESSION_OVERHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "kern/kern.h"
#include "model/ingest.h"

struct mb_overhead;

/*
 * Before privileges are given up. budget: a share of one CPU (0.01 is one percent). *out is owned by the caller,
 * also where this fails. Returns 0 or -errno with *e set.
 */
int mb_overhead_open(struct mb_overhead **out, double budget, struct mb_kern *k, struct mb_ingest *ingest,
		     struct mb_err *e);

/* May be NULL. */
void mb_overhead_close(struct mb_overhead *o);

/* Another budget from now on; 0: any cost is all right. */
void mb_overhead_set_budget(struct mb_overhead *o, double budget);

struct mb_overhead_status {
	double budget, bpf, own; /* shares of one CPU; as last measured */
	bool bpf_known;
	uint64_t throttle_steps, ups; /* steps to less tracing, and back */
};

/* How it is now. False for NULL: there is nothing to tell. */
bool mb_overhead_status(const struct mb_overhead *o, struct mb_overhead_status *status);

/* A descriptor that is readable when mb_overhead_turn() has something to do; -1 for NULL. */
int mb_overhead_fd(const struct mb_overhead *o);

/* Tracing begins: the first event, and the first measurement a second from now. NULL: nothing to do. */
void mb_overhead_start(struct mb_overhead *o);

/* Measure, decide, do. Returns 0 or -errno with *e set. */
int mb_overhead_turn(struct mb_overhead *o, struct mb_err *e);

/* Threads are read each so many ticks only: is this tick one to leave out? false for NULL. */
bool mb_overhead_skips_tick(struct mb_overhead *o);

/*
 * Time spent in our programs, in ns: extrapolated from what was measured; without a budget (NULL), the kernel's own
 * sum where it keeps one. False: not known.
 */
bool mb_overhead_bpf_ns(struct mb_overhead *o, const struct mb_kern *k, uint64_t *ns);

#endif
