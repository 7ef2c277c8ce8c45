/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The overhead governor: at which level to trace so that memblame costs no more than its budget, a share of one
 * CPU. Arithmetic only; somebody else measures (once per second) and does what is decided (budget.h).
 *
 * The rule:
 * - There are two means: the level (enum mb_level), against the cost of the programs in the kernel, and the stretch,
 *   by which all threads are read each 1, 2, 4 or 8 ticks, against memblame's own CPU time. The one against the
 *   larger part of the cost is used; when there is no more of it, the other one, if its part is a quarter of the
 *   budget or more, or if own time is the larger part, as events cost that, too.
 * - Down, when two measurements running are over the budget, or three of the last ten and their mean: one step, then
 *   one more with each further measurement that is over. Two steps at once where the last two are over four
 *   times the budget on average. One spike is no step.
 * - Up, the last step first, when all measurements for a while were under 60 % of the budget. The while is 10 s. It
 *   doubles, for this very step, each time that the step was followed by one down within 10 s, up to 10 minutes;
 *   a minute of such measurements with nothing to step up any more makes it 10 s again.
 * So a storm that needs all three levels has them within four measurements of its begin, and a load that one level
 * bears and the one before it does not makes two steps per while.
 */
#ifndef MB_SESSION_GOVERNOR_H
#define MB_SESSION_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

#include "memblame/abi.h"

#define MB_GOVERNOR_TICK_DIVISOR_MOST 8u
#define MB_GOVERNOR_SAMPLES 10u
#define MB_GOVERNOR_STEPS 6u /* three levels, three doublings */

/* One measurement: shares of one CPU since the one before. */
struct mb_governor_sample {
	uint64_t now_ns;
	double bpf;
	double own;
	bool bpf_known;
};

struct mb_governor_decision {
	enum mb_level from, to;
	uint32_t tick_divisor_from, tick_divisor;
	double cost, bpf, own; /* on average of the last two measurements */
	bool bpf_known;
	char reason[MB_REASON_LEN];
};

struct mb_governor {
	double budget;
	enum mb_level level;
	uint32_t tick_divisor;
	struct mb_governor_sample samples[MB_GOVERNOR_SAMPLES]; /* the last one first */
	uint32_t n_samples; /* since the last step but one that is older */
	uint8_t steps[MB_GOVERNOR_STEPS]; /* the means by which each step down was made */
	uint32_t n_steps;
	uint64_t quiet_since_ns; /* 0: the last measurement was not quiet */
	uint64_t risen_ns; /* the last step was one up, then; 0: it was not */
	uint64_t hold_ns[2][4]; /* the while before the step up to this level, or to a stretch of 2^n */
	uint64_t *risen_hold; /* of that step */
};

/* budget: a share of one CPU, 0.01 is one percent. */
void mb_governor_init(struct mb_governor *g, double budget);

/* Take in a measurement. True: there is something to do, *d says what and why. */
bool mb_governor_step(struct mb_governor *g, const struct mb_governor_sample *s, struct mb_governor_decision *d);

/* It could not be done: all is as before it, and if it was a step up it is not tried again for ten minutes. */
void mb_governor_undo(struct mb_governor *g, const struct mb_governor_decision *d);

#endif
