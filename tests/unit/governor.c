// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The governor with simulated loads: how soon and how rarely it steps, and what it does without the kernel's times. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "session/governor.h"
#include "unit.h"

#define BUDGET 0.01

/* The cost of a load at each level, and memblame's own time, which stretched ticks divide. */
struct load {
	double bpf[MB_LEVELS];
	double own;
	bool bpf_unknown;
};

static const struct load quiet = { { 0.0005, 0.0005, 0.0005, 0.0001 }, 0.001, false };
static const struct load storm = { { 0.03, 0.028, 0.025, 0.0001 }, 0.001, false };
static const struct load big_storm = { { 0.09, 0.08, 0.07, 0.0001 }, 0.001, false };
/* a load within budget at level "sampled" */
static const struct load traffic = { { 0.02, 0.004, 0.004, 0.0001 }, 0.001, false };

#define STEPS 4096

struct sim {
	struct mb_governor g;
	uint64_t now_ns;
	struct mb_governor_decision last;
	uint64_t down_ns[STEPS], up_ns[STEPS];
	unsigned int downs, ups;
};

static void begin(struct sim *s)
{
	memset(s, 0, sizeof(*s));
	s->now_ns = 1000 * MB_NS_PER_S;
	mb_governor_init(&s->g, BUDGET);
}

/* One second of a load. Checks the rules that hold for every step. */
static bool second(struct sim *s, const struct load *l)
{
	struct mb_governor_decision d;
	struct mb_governor_sample m = { 0 };

	s->now_ns += MB_NS_PER_S;
	m.now_ns = s->now_ns;
	m.bpf_known = !l->bpf_unknown;
	m.bpf = m.bpf_known ? l->bpf[s->g.level] : 0;
	m.own = l->own / s->g.tick_divisor;
	if (!mb_governor_step(&s->g, &m, &d))
		return false;
	assert_int_equal(d.to, s->g.level);
	assert_int_equal(d.tick_divisor, s->g.tick_divisor);
	assert_true(d.to < MB_LEVELS && d.tick_divisor >= 1 && d.tick_divisor <= MB_GOVERNOR_TICK_DIVISOR_MOST);
	assert_true((d.to != d.from) != (d.tick_divisor != d.tick_divisor_from)); /* never both */
	assert_true(d.reason[0] != '\0');
	s->last = d;
	if (d.to > d.from || d.tick_divisor > d.tick_divisor_from)
		s->down_ns[s->downs++] = s->now_ns;
	else
		s->up_ns[s->ups++] = s->now_ns;
	return true;
}

static void seconds(struct sim *s, const struct load *l, unsigned int n)
{
	while (n--)
		second(s, l);
}

static void a_quiet_machine_stays_at_full(void **state)
{
	struct sim s;

	(void)state;
	begin(&s);
	seconds(&s, &quiet, 3600);
	assert_int_equal(s.downs + s.ups, 0);
	assert_int_equal(s.g.level, MB_LEVEL_FULL);
}

static void a_storm_has_its_level_in_time(void **state)
{
	struct sim s;

	(void)state;
	begin(&s);
	seconds(&s, &quiet, 30);
	seconds(&s, &storm, 4);
	assert_int_equal(s.g.level, MB_LEVEL_ITERATOR);
	assert_int_equal(s.downs, 3); /* not far over budget: one level at a time */
	begin(&s);
	seconds(&s, &big_storm, 3);
	assert_int_equal(s.g.level, MB_LEVEL_ITERATOR);
	assert_int_equal(s.downs, 2);
	assert_true(s.last.bpf_known && s.last.bpf > s.last.own);
	assert_true(s.last.cost > BUDGET);
}

static void one_spike_is_no_step(void **state)
{
	struct sim s;

	(void)state;
	begin(&s);
	for (int i = 0; i < 100; i++) {
		seconds(&s, &quiet, 11);
		seconds(&s, &big_storm, 1);
	}
	assert_int_equal(s.downs, 0);
}

/* A spike every other second: no two measurements in a row are over budget, but the average cost is. */
static void spikes_that_do_not_end_are_one(void **state)
{
	struct sim s;

	(void)state;
	begin(&s);
	for (int i = 0; i < 5 && !s.downs; i++) {
		seconds(&s, &big_storm, 1);
		seconds(&s, &quiet, 1);
	}
	assert_true(s.downs > 0);
}

static void quiet_brings_it_back(void **state)
{
	struct sim s;

	(void)state;
	begin(&s);
	seconds(&s, &big_storm, 8);
	assert_int_equal(s.g.level, MB_LEVEL_ITERATOR);
	seconds(&s, &quiet, 40);
	assert_int_equal(s.g.level, MB_LEVEL_FULL);
	assert_int_equal(s.ups, 3);
	for (unsigned int i = 1; i < s.ups; i++)
		assert_true(s.up_ns[i] - s.up_ns[i - 1] >= 10 * MB_NS_PER_S);
}

static void the_level_that_bears_a_load_is_kept(void **state)
{
	struct sim s;

	(void)state;
	begin(&s);
	seconds(&s, &traffic, 10);
	assert_int_equal(s.g.level, MB_LEVEL_SAMPLED);
	assert_int_equal(s.downs, 1);
}

/* A steady load that seems quiet at its level: each attempt to step up comes later than the last, up to ten minutes. */
static void tries_become_rare(void **state)
{
	struct sim s;

	(void)state;
	begin(&s);
	seconds(&s, &traffic, 2 * 3600);
	/* 10, 20, ... 320, 600, 600 s: two in the first minute, 18 in two hours */
	assert_in_range(s.ups, 10, 18);
	for (unsigned int i = 2; i < s.ups; i++)
		assert_true(s.up_ns[i] - s.up_ns[i - 1] >= s.up_ns[i - 1] - s.up_ns[i - 2] - 20 * MB_NS_PER_S);
	assert_true(s.up_ns[s.ups - 1] - s.up_ns[s.ups - 2] >= 600 * MB_NS_PER_S);
	/* every attempt is followed by one step down */
	assert_in_range(s.downs, s.ups, s.ups + 1);
}

static void a_calm_minute_forgets(void **state)
{
	struct sim s;
	unsigned int before;

	(void)state;
	begin(&s);
	seconds(&s, &traffic, 600);
	seconds(&s, &quiet, 700);
	assert_int_equal(s.g.level, MB_LEVEL_FULL);
	seconds(&s, &big_storm, 8);
	before = s.ups;
	seconds(&s, &quiet, 40);
	assert_int_equal(s.ups - before, 3);
	assert_int_equal(s.g.level, MB_LEVEL_FULL);
}

/* However fast the load changes, steps up are 10 s apart. */
static void it_never_flaps_faster_than_the_rule(void **state)
{
	static const struct load *const loads[] = { &quiet, &storm, &big_storm, &traffic };
	struct sim s;
	uint32_t random = 1;

	(void)state;
	for (unsigned int pace = 1; pace < 40; pace++) {
		begin(&s);
		for (int i = 0; i < 300; i++) {
			random = random * 1664525u + 1013904223u;
			seconds(&s, loads[random >> 30], pace);
		}
		for (unsigned int i = 1; i < s.ups; i++)
			assert_true(s.up_ns[i] - s.up_ns[i - 1] >= 10 * MB_NS_PER_S);
		assert_true(s.downs <= s.ups + 3);
	}
}

/* Many threads to read: the time between ticks is stretched, and hooks stay attached. */
static void own_time_is_stretched(void **state)
{
	static const struct load threads = { { 0.001, 0.001, 0.001, 0 }, 0.025, false };
	struct sim s;

	(void)state;
	begin(&s);
	seconds(&s, &threads, 10);
	assert_int_equal(s.g.level, MB_LEVEL_FULL);
	assert_int_equal(s.g.tick_divisor, 4);
	seconds(&s, &quiet, 40);
	assert_int_equal(s.g.tick_divisor, 1);
}

static void without_the_kernels_times_own_time_counts(void **state)
{
	struct load unknown = storm;
	struct sim s;

	(void)state;
	unknown.bpf_unknown = true;
	begin(&s);
	seconds(&s, &unknown, 100);
	assert_int_equal(s.downs, 0);
	/* a flood of events: when stretching ticks does not help, the level must go down */
	unknown.own = 0.5;
	seconds(&s, &unknown, 10);
	assert_int_equal(s.g.tick_divisor, MB_GOVERNOR_TICK_DIVISOR_MOST);
	assert_int_equal(s.g.level, MB_LEVEL_ITERATOR);
	assert_false(s.last.bpf_known);
}

/* At the lowest level nothing more can help: no further steps in either direction. */
static void the_bottom_is_the_bottom(void **state)
{
	static const struct load hopeless = { { 0.05, 0.05, 0.05, 0.05 }, 0.0001, false };
	struct sim s;

	(void)state;
	begin(&s);
	seconds(&s, &hopeless, 1000);
	assert_int_equal(s.g.level, MB_LEVEL_ITERATOR);
	assert_int_equal(s.g.tick_divisor, 1);
	assert_int_equal(s.ups, 0);
}

static void a_step_that_fails_is_undone(void **state)
{
	struct mb_governor_decision d;
	struct sim s;
	unsigned int ups;

	(void)state;
	begin(&s);
	seconds(&s, &big_storm, 2);
	assert_int_equal(s.g.level, MB_LEVEL_COUNTS);
	d = s.last;
	mb_governor_undo(&s.g, &d);
	assert_int_equal(s.g.level, MB_LEVEL_FULL);
	assert_int_equal(s.g.n_steps, 0);
	seconds(&s, &big_storm, 5);
	assert_int_equal(s.g.level, MB_LEVEL_ITERATOR);
	for (ups = s.ups; s.ups == ups;)
		second(&s, &quiet);
	d = s.last;
	mb_governor_undo(&s.g, &d);
	assert_int_equal(s.g.level, MB_LEVEL_ITERATOR);
	ups = s.ups;
	seconds(&s, &quiet, 580);
	assert_int_equal(s.ups, ups);
	seconds(&s, &quiet, 60);
	assert_true(s.ups > ups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_machine_stays_at_full),
		cmocka_unit_test(a_storm_has_its_level_in_time),
		cmocka_unit_test(one_spike_is_no_step),
		cmocka_unit_test(spikes_that_do_not_end_are_one),
		cmocka_unit_test(quiet_brings_it_back),
		cmocka_unit_test(the_level_that_bears_a_load_is_kept),
		cmocka_unit_test(tries_become_rare),
		cmocka_unit_test(a_calm_minute_forgets),
		cmocka_unit_test(it_never_flaps_faster_than_the_rule),
		cmocka_unit_test(own_time_is_stretched),
		cmocka_unit_test(without_the_kernels_times_own_time_counts),
		cmocka_unit_test(the_bottom_is_the_bottom),
		cmocka_unit_test(a_step_that_fails_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
