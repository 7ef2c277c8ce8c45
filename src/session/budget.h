/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What memblame costs within a session, held under its budget: measures once per second, asks the governor
 * (session/governor.h), has the kernel side trace at the level it says, and tells the model of each step by an event.
 */
#ifndef MB_SESSION_BUDGET_H
#define MB_SESSION_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "kern/kern.h"
#include "model/ingest.h"

struct mb_budget;

/*
 * Before privileges are given up. budget: a share of one CPU (0.01 is one percent). *out is owned by the caller,
 * also where this fails. Returns 0 or -errno with *e set.
 */
int mb_budget_open(struct mb_budget **out, double budget, struct mb_kern *k, struct mb_ingest *ingest,
		   struct mb_err *e);

/* May be NULL. */
void mb_budget_close(struct mb_budget *o);

/* Another budget from now on; 0: any cost is all right. */
void mb_budget_set_budget(struct mb_budget *o, double budget);

struct mb_budget_status {
	double budget, bpf, own; /* shares of one CPU; as last measured */
	bool bpf_known;
	uint64_t throttle_steps, ups; /* steps to less tracing, and back */
};

/* How it is now. False for NULL: there is nothing to tell. */
bool mb_budget_status(const struct mb_budget *o, struct mb_budget_status *status);

/* A descriptor that is readable when mb_budget_turn() has something to do; -1 for NULL. */
int mb_budget_fd(const struct mb_budget *o);

/* Tracing begins: the first event, and the first measurement a second from now. NULL: nothing to do. */
void mb_budget_start(struct mb_budget *o);

/* Measure, decide, do. Returns 0 or -errno with *e set. */
int mb_budget_turn(struct mb_budget *o, struct mb_err *e);

/* Threads are read each so many ticks only: is this tick one to leave out? false for NULL. */
bool mb_budget_skips_tick(struct mb_budget *o);

/*
 * Time spent in our programs, in ns: extrapolated from what was measured; without a budget (NULL), the kernel's own
 * sum where it keeps one. False: not known.
 */
bool mb_budget_bpf_ns(struct mb_budget *o, const struct mb_kern *k, uint64_t *ns);

#endif
