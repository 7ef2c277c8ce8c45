/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The overhead governor. It decides at which level to trace so that memblame stays within its budget, a share of one
 * CPU. It only computes: budget.h measures the cost once per second and applies the decisions.
 *
 * The rule:
 * - The governor has two means. The level (enum mb_level) reduces the cost of the BPF programs. The tick divisor
 *   reduces memblame's own CPU time: all threads are read every 1, 2, 4 or 8 ticks. The governor uses the means that
 *   addresses the larger part of the cost. If that means is exhausted, it uses the other one, provided that the other
 *   part is a quarter of the budget or more, or that own time is the larger part, since events cost own time, too.
 * - Step down when two consecutive measurements are over the budget, or when three of the last ten and their mean
 *   are. This is one step, then one more for each further measurement over the budget. It is two steps at once if the
 *   last two measurements are over four times the budget on average. A single spike causes no step.
 * - Step up, undoing the last step first, when all measurements during a hold time were under 60 % of the budget. The
 *   hold time is 10 s. It doubles, for this step only, each time that the step up is followed by a step down within
 *   10 s, up to 10 minutes. A minute of such measurements with no step left to undo resets it to 10 s.
 *
 * So a storm that needs all three levels gets them within four measurements of its start. A load that fits one level,
 * but not the one before it, causes two steps per hold time.
 */
#ifndef MB_SESSION_GOVERNOR_H
#define MB_SESSION_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

#include "memblame/abi.h"

#define MB_GOVERNOR_TICK_DIVISOR_MOST 8u
#define MB_GOVERNOR_SAMPLES 10u
#define MB_GOVERNOR_STEPS 6u /* three levels, three doublings */

/* One measurement: shares of one CPU since the previous measurement. */
struct mb_governor_sample {
	uint64_t now_ns;
	double bpf;
	double own;
	bool bpf_known;
};

struct mb_governor_decision {
	enum mb_level from, to;
	uint32_t tick_divisor_from, tick_divisor;
	double cost, bpf, own; /* average of the last two measurements */
	bool bpf_known;
	char reason[MB_REASON_LEN];
};

struct mb_governor {
	double budget;
	enum mb_level level;
	uint32_t tick_divisor;
	struct mb_governor_sample samples[MB_GOVERNOR_SAMPLES]; /* the newest first */
	uint32_t n_samples; /* since the last step, plus the one measurement before it */
	uint8_t steps[MB_GOVERNOR_STEPS]; /* the means used by each step down */
	uint32_t n_steps;
	uint64_t quiet_since_ns; /* 0: the last measurement was not under 60 % of the budget */
	uint64_t risen_ns; /* time of the last step if it was a step up; 0: it was not */
	uint64_t hold_ns[2][4]; /* hold time before the step up to this level, or to a tick divisor of 2^n */
	uint64_t *risen_hold; /* the element of hold_ns that belongs to the last step up */
};

/* Initialize *g. budget is a share of one CPU; 0.01 is one percent. */
void mb_governor_init(struct mb_governor *g, double budget);

/* Add a measurement. Returns true if there is something to do; *d says what and why. */
bool mb_governor_step(struct mb_governor *g, const struct mb_governor_sample *s, struct mb_governor_decision *d);

/*
 * The decision could not be applied: restore the state before it. A failed step up is not tried again for ten
 * minutes.
 */
void mb_governor_undo(struct mb_governor *g, const struct mb_governor_decision *d);

#endif
