/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Seeded random numbers for simulated programs. */
#ifndef MB_TESTS_CHANCE_H
#define MB_TESTS_CHANCE_H

#include <math.h>
#include <stdint.h>

#define KIB 1024.0
#define MIB (1024.0 * 1024)

struct sim {
	uint64_t rng;
	double base, v, left; /* state of the simulated sources */
	double rate;
	double period; /* bytes that one sample represents; 0: exact */
	double tick; /* seconds */
};

static double uniform(struct sim *s)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return ((double)(s->rng >> 11) + 0.5) / 9007199254740992.0;
}

static double between(struct sim *s, double low, double high)
{
	return low + (high - low) * uniform(s);
}

static inline double normal(struct sim *s)
{
	return sqrt(-2 * log(uniform(s))) * cos(2 * M_PI * uniform(s));
}

static inline int poisson(struct sim *s, double mean)
{
	double product = uniform(s);
	int n = 0;

	for (; product > exp(-mean); n++)
		product *= uniform(s);
	return n;
}

static struct sim seeded(int seed, double rate, double period)
{
	struct sim s = { .rate = rate, .period = period, .tick = 1 };

	s.rng = 0x9e3779b97f4a7c15ull * (uint64_t)(seed + 1);
	for (int i = 0; i < 8; i++)
		uniform(&s);
	return s;
}

#endif
