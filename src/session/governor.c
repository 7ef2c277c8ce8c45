// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The governor: implements the rule in governor.h. */
#include "session/governor.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define QUIET 0.6 /* of the budget */
#define FAR_OVER 4.0
#define MATTERS 0.25
#define OVER_OF_LAST 3u
#define HOLD_NS (10 * MB_NS_PER_S)
#define HOLD_MOST_NS (600 * MB_NS_PER_S)
#define TRIAL_NS (10 * MB_NS_PER_S) /* a step up that was wrong shows up within this time */
#define CALM_NS (60 * MB_NS_PER_S)

enum { BY_LEVEL, BY_TICKS };

static void reset_holds(struct mb_governor *g)
{
	for (int i = 0; i < 4; i++)
		g->hold_ns[BY_LEVEL][i] = g->hold_ns[BY_TICKS][i] = HOLD_NS;
}

void mb_governor_init(struct mb_governor *g, double budget)
{
	memset(g, 0, sizeof(*g));
	g->budget = budget;
	g->tick_divisor = 1;
	reset_holds(g);
}

static double cost(const struct mb_governor_sample *s)
{
	return s->own + (s->bpf_known ? s->bpf : 0);
}

static void add_sample(struct mb_governor *g, const struct mb_governor_sample *s)
{
	memmove(g->samples + 1, g->samples, sizeof(g->samples) - sizeof(g->samples[0]));
	g->samples[0] = *s;
	if (g->n_samples < MB_GOVERNOR_SAMPLES)
		g->n_samples++;
}

/* Set the cost fields of the decision: the average of the last two measurements, or the only one. */
static void describe_cost(const struct mb_governor *g, struct mb_governor_decision *d)
{
	const struct mb_governor_sample *a = &g->samples[0], *b = &g->samples[g->n_samples > 1];

	d->bpf_known = a->bpf_known && b->bpf_known;
	d->bpf = d->bpf_known ? (a->bpf + b->bpf) / 2 : 0;
	d->own = (a->own + b->own) / 2;
	d->cost = d->bpf + d->own;
}

static bool is_over(const struct mb_governor *g)
{
	uint32_t over = 0;
	double sum = 0;

	for (uint32_t i = 0; i < g->n_samples; i++) {
		over += cost(&g->samples[i]) > g->budget;
		sum += cost(&g->samples[i]);
	}
	if (g->n_samples < 2 || cost(&g->samples[0]) <= g->budget)
		return false;
	return cost(&g->samples[1]) > g->budget ||
	       (over >= OVER_OF_LAST && sum / g->n_samples > g->budget);
}

static bool is_left(const struct mb_governor *g, int means)
{
	return means == BY_LEVEL ? g->level < MB_LEVEL_ITERATOR : g->tick_divisor < MB_GOVERNOR_TICK_DIVISOR_MOST;
}

/* Choose the means of the next step down. Returns -1 if no remaining means would help. */
static int choose_means(const struct mb_governor *g, const struct mb_governor_decision *d)
{
	bool by_bpf = d->bpf_known && d->bpf >= d->own;

	if (by_bpf && is_left(g, BY_LEVEL))
		return BY_LEVEL;
	if (by_bpf)
		return is_left(g, BY_TICKS) && d->own > g->budget * MATTERS ? BY_TICKS : -1;
	if (is_left(g, BY_TICKS))
		return BY_TICKS;
	return is_left(g, BY_LEVEL) ? BY_LEVEL : -1;
}

static bool step_down(struct mb_governor *g, struct mb_governor_decision *d)
{
	int means = choose_means(g, d), steps = d->cost > g->budget * FAR_OVER ? 2 : 1;

	if (g->risen_ns && g->samples[0].now_ns - g->risen_ns <= TRIAL_NS) {
		*g->risen_hold *= 2;
		if (*g->risen_hold > HOLD_MOST_NS)
			*g->risen_hold = HOLD_MOST_NS;
	}
	g->risen_ns = 0;
	if (means < 0)
		return false;
	for (; steps && is_left(g, means); steps--) {
		if (means == BY_LEVEL)
			g->level++;
		else
			g->tick_divisor *= 2;
		g->steps[g->n_steps++] = (uint8_t)means;
	}
	/* retain the last measurement: together with the next one it makes two consecutive ones */
	g->n_samples = 1;
	snprintf(d->reason, sizeof(d->reason), "%.2f %% of a CPU is over the budget of %.4g %%, most of it %s",
		 d->cost * 100, g->budget * 100,
		 d->bpf_known && d->bpf >= d->own ? "in the kernel's hooks" : "memblame's own time");
	return true;
}

/* The hold time before the last step is undone. */
static uint64_t *hold_of(struct mb_governor *g)
{
	uint32_t doublings = g->tick_divisor == 8 ? 3 : g->tick_divisor == 4 ? 2 : g->tick_divisor == 2;

	if (g->steps[g->n_steps - 1] == BY_LEVEL)
		return &g->hold_ns[BY_LEVEL][g->level - 1];
	return &g->hold_ns[BY_TICKS][doublings - 1];
}

static bool step_up(struct mb_governor *g, struct mb_governor_decision *d)
{
	uint64_t now = g->samples[0].now_ns, quiet_ns = now - g->quiet_since_ns;

	if (!g->n_steps) {
		if (quiet_ns >= CALM_NS)
			reset_holds(g);
		return false;
	}
	if (quiet_ns < *hold_of(g))
		return false;
	g->risen_hold = hold_of(g);
	g->risen_ns = now;
	g->quiet_since_ns = now;
	if (g->steps[--g->n_steps] == BY_LEVEL)
		g->level--;
	else
		g->tick_divisor /= 2;
	snprintf(d->reason, sizeof(d->reason), "under %.0f %% of the budget of %.4g %% for %.0f s",
		 QUIET * 100, g->budget * 100, (double)quiet_ns / (double)MB_NS_PER_S);
	return true;
}

bool mb_governor_step(struct mb_governor *g, const struct mb_governor_sample *s, struct mb_governor_decision *d)
{
	bool changed = false;

	memset(d, 0, sizeof(*d));
	d->from = g->level;
	d->tick_divisor_from = g->tick_divisor;
	add_sample(g, s);
	describe_cost(g, d);
	if (cost(s) >= g->budget * QUIET)
		g->quiet_since_ns = 0;
	else if (!g->quiet_since_ns)
		g->quiet_since_ns = s->now_ns;
	if (is_over(g))
		changed = step_down(g, d);
	else if (g->quiet_since_ns)
		changed = step_up(g, d);
	d->to = g->level;
	d->tick_divisor = g->tick_divisor;
	return changed;
}

void mb_governor_undo(struct mb_governor *g, const struct mb_governor_decision *d)
{
	bool up = d->to < d->from || d->tick_divisor < d->tick_divisor_from;

	for (enum mb_level level = d->from; level < d->to; level++)
		g->n_steps--;
	for (uint32_t tick_divisor = d->tick_divisor_from; tick_divisor < d->tick_divisor; tick_divisor *= 2)
		g->n_steps--;
	if (up)
		g->steps[g->n_steps++] = d->to < d->from ? BY_LEVEL : BY_TICKS;
	g->level = d->from;
	g->tick_divisor = d->tick_divisor_from;
	if (up)
		*hold_of(g) = HOLD_MOST_NS;
	g->risen_ns = 0;
}
