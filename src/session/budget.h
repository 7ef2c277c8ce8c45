/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Keeps the cost of memblame in a session within its budget. Once per second it measures the cost, asks the governor
 * (session/governor.h), sets the tracing level of the kernel side, and reports each step to the model as an event.
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
 * Open the budget; call this before privileges are dropped. budget is a share of one CPU (0.01 is one percent). The
 * caller owns *out, even on failure. Returns 0 or -errno with *e set.
 */
int mb_budget_open(struct mb_budget **out, double budget, struct mb_kern *k, struct mb_ingest *ingest,
		   struct mb_err *e);

/* Free the budget. o may be NULL. */
void mb_budget_close(struct mb_budget *o);

/* Change the budget. 0 means no limit. */
void mb_budget_set_budget(struct mb_budget *o, double budget);

struct mb_budget_status {
	double budget, bpf, own; /* shares of one CPU, as last measured */
	bool bpf_known;
	uint64_t throttle_steps, ups; /* steps to less tracing, and back */
};

/* Fill *status with the current state. Returns false if o is NULL. */
bool mb_budget_status(const struct mb_budget *o, struct mb_budget_status *status);

/* A descriptor that is readable when mb_budget_turn() has something to do; -1 for NULL. */
int mb_budget_fd(const struct mb_budget *o);

/* Tracing starts: emit the first event and schedule the first measurement in one second. o may be NULL. */
void mb_budget_start(struct mb_budget *o);

/* Measure the cost, ask the governor and apply its decision. Returns 0 or -errno with *e set. */
int mb_budget_turn(struct mb_budget *o, struct mb_err *e);

/* Whether this tick skips reading all threads, because the tick divisor is above 1. Returns false if o is NULL. */
bool mb_budget_skips_tick(struct mb_budget *o);

/*
 * Time spent in memblame's BPF programs, in ns, extrapolated from measurements. Without a budget (o is NULL) it is
 * the kernel's own sum, if the kernel collects one. Returns false if the time is not known.
 */
bool mb_budget_bpf_ns(struct mb_budget *o, const struct mb_kern *k, uint64_t *ns);

#endif
