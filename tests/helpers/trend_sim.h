/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Simulated programs for the tests of trends: the memory of each program, tick by tick. */
#ifndef MB_TESTS_TREND_SIM_H
#define MB_TESTS_TREND_SIM_H

#include "chance.h"

/* Returns the memory after the i-th tick. */
typedef double (*source_fn)(struct sim *s, int i);

/* ---- sources: leaks ---- */

static double steady(struct sim *s, int i)
{
	return s->rate * (i + 1);
}

static double jittery(struct sim *s, int i)
{
	(void)i;
	return s->v += s->rate * between(s, 0.2, 1.8);
}

static double lumps(struct sim *s, int i)
{
	(void)s;
	return 132 * KIB * (1 + i / 5);
}

/* Every second tick on average, a few allocations of exponentially distributed size. */
static double arrivals(struct sim *s, int i)
{
	(void)i;
	for (int n = poisson(s, 0.5); n > 0; n--)
		s->v -= 2 * s->rate * log(uniform(s));
	return s->v;
}

/* Allocations of a few bytes each; about one byte in s->period is sampled. */
static double sampled(struct sim *s, int i)
{
	(void)i;
	return s->v += s->period * poisson(s, s->rate / s->period);
}

/* A leak plus 5 to 20 MiB of garbage, which is collected every 5 to 15 s. */
static double collected_leak(struct sim *s, int i)
{
	if (s->left < 1) {
		s->left = floor(between(s, 5, 15));
		s->base = between(s, 5, 20) * MIB / s->left;
		s->v = 0;
	}
	s->left--;
	s->v += s->base;
	return s->rate * (i + 1) + s->v;
}

static double leak_after_warm_up(struct sim *s, int i)
{
	return (i < 10 ? (i + 1) * 10 * MIB : 100 * MIB) + jittery(s, i);
}

static double late_leak(struct sim *s, int i)
{
	return 50 * MIB + between(s, 0, 1) * MIB + (i < 300 ? 0 : jittery(s, i));
}

/* ---- sources: no leaks ---- */

static double one_step(struct sim *s, int i)
{
	if (i == 0)
		s->left = floor(between(s, 0, 60));
	return 10 * MIB + (i < s->left ? 0 : s->rate);
}

/* Two to five steps of any size, at any time within the first minute. */
static double few_steps(struct sim *s, int i)
{
	if (i == 0)
		s->left = floor(between(s, 2, 6));
	if (s->left > 0 && i < 60 && uniform(s) < s->left / (60 - i)) {
		s->left--;
		s->v += s->rate * between(s, 0.1, 1);
	}
	return s->v;
}

/* Fills for a third to half of five minutes, then stays constant. */
static double filling(struct sim *s, int i)
{
	if (i == 0)
		s->left = floor(between(s, 100, 150));
	if (i < s->left)
		s->v += s->rate * between(s, 0.5, 1.5);
	return s->v;
}

/* Approaches s->rate bytes with a time constant of 60 s. */
static double flattening(struct sim *s, int i)
{
	return s->rate * (1 - exp(-(i + 1) / 60.0));
}

static double flattening_noisy(struct sim *s, int i)
{
	double more = flattening(s, i) - flattening(s, i - 1);

	return s->v += more * between(s, 0, 2);
}

static double flattening_sampled(struct sim *s, int i)
{
	return s->v += s->period * poisson(s, (flattening(s, i) - flattening(s, i - 1)) / s->period);
}

/* A random walk that is drawn back to a constant. */
static double walk(struct sim *s, int i)
{
	if (i == 0)
		s->left = between(s, 0.02, 0.5);
	s->v += s->rate * normal(s) - s->left * s->v;
	return 100 * MIB + s->v;
}

/* 100 MiB plus up to s->rate on top, which is freed every 5 to 40 s. */
static double saw_tooth(struct sim *s, int i)
{
	(void)i;
	if (s->left < 1) {
		s->left = ceil(between(s, 5, 40) / s->tick);
		s->base = s->rate * between(s, 0.2, 1) / s->left;
		s->v = normal(s) * MIB;
	}
	s->left--;
	s->v += s->base;
	return 100 * MIB + s->v;
}

/* Objects of a cache that come and go; one byte in s->period is sampled. */
static double sampled_churn(struct sim *s, int i)
{
	double objects = 100 * MIB / s->period;
	int n;

	if (i == 0)
		s->v = objects;
	n = poisson(s, objects * s->rate);
	for (int gone = poisson(s, s->v * s->rate); gone > 0 && s->v > 0; gone--)
		s->v--;
	s->v += n;
	return s->v * s->period;
}

static double given_back(struct sim *s, int i)
{
	return i < 50 ? jittery(s, i) : i < 60 ? s->v : s->rate * between(s, 0.5, 1.5);
}

#endif
