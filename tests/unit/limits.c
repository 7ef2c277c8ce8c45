// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Times until limits, for processes and cgroups that come and go. The cgroups are folders with the files that
 * the kernel would have, so no privileges are needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/cgroup_limits.h"
#include "leaks/limits.h"
#include "memblame/abi.h"

#define MIB (1ull << 20)
#define SECOND 1000000000ull
#define LIMIT (1000 * MIB)
#define MACHINE (16000 * MIB)

static char root[] = "/tmp/memblame-limits-XXXXXX";
static struct mb_leak_limits *limits;
static struct mb_model model;
static uint64_t now;

/* A cgroup; usage is what its processes and those below it have. */
static struct place {
	const char *path;
	int above; /* -1: top level */
	bool limited;
	uint64_t usage;
} places[] = {
	{ "/old", -1, true, 0 },
	{ "/old/app", 0, false, 0 },
	{ "/old/app/job", 1, true, 0 },
	{ "/old/other", 0, true, 0 },
	{ "/free", -1, false, 0 },
};

enum { OLD, APP, JOB, OTHER, FREE, PLACES };

static void put(const char *dir, const char *name, uint64_t v)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s/%s", root, dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	if (v == MB_NO_LIMIT)
		fprintf(f, "max\n");
	else
		fprintf(f, !strcmp(name, "memory.stat") ? "inactive_file %llu\n" : "%llu\n", (unsigned long long)v);
	fclose(f);
}

static int open_all(void **state)
{
	char path[256];

	(void)state;
	assert_non_null(mkdtemp(root));
	for (int i = 0; i < PLACES; i++) {
		snprintf(path, sizeof(path), "%s%s", root, places[i].path);
		assert_int_equal(mkdir(path, 0700), 0);
		put(places[i].path, "memory.max", places[i].limited ? LIMIT : MB_NO_LIMIT);
		put(places[i].path, "memory.stat", 0);
	}
	return 0;
}

static int close_all(void **state)
{
	static const char *const names[] = { "memory.max", "memory.stat", "memory.current" };
	char path[256];

	(void)state;
	for (int i = PLACES; i-- > 0;) {
		for (int k = 0; k < 3; k++) {
			snprintf(path, sizeof(path), "%s%s/%s", root, places[i].path, names[k]);
			unlink(path);
		}
		snprintf(path, sizeof(path), "%s%s", root, places[i].path);
		rmdir(path);
	}
	return rmdir(root);
}

static struct mb_leak_source source; /* nothing is recorded */

static int open_limits(void **state)
{
	(void)state;
	now = 1000 * SECOND;
	memset(&model, 0, sizeof(model));
	model.system.known = true;
	limits = mb_leak_limits_open(root, &source, false);
	return limits ? 0 : -1;
}

static int close_limits(void **state)
{
	(void)state;
	mb_leak_limits_close(limits);
	return 0;
}

/* A process whose memory is a number of MiB, in a cgroup. */
struct runner {
	uint32_t tgid;
	int place;
	double mib;
	double per_s; /* MiB by which it grows per second */
	bool runs;
	bool elsewhere; /* its memory is charged elsewhere, like shared memory that another process has filled */
};

/* One second: each process grows, and all is read. */
static void tick(struct runner *runners, size_t n)
{
	uint64_t *system = model.system.now.values, all = 0;

	now += SECOND;
	for (int i = 0; i < PLACES; i++)
		places[i].usage = 0;
	for (size_t i = 0; i < n; i++) {
		runners[i].mib += runners[i].runs ? runners[i].per_s : 0;
		if (!runners[i].runs || runners[i].elsewhere)
			continue;
		for (int at = runners[i].place; at >= 0; at = places[at].above)
			places[at].usage += (uint64_t)(runners[i].mib * MIB);
		all += (uint64_t)(runners[i].mib * MIB);
	}
	for (int i = 0; i < PLACES; i++)
		put(places[i].path, "memory.current", places[i].usage);
	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		system[i] = MB_UNKNOWN;
	system[MB_SYS_memory_total_bytes] = MACHINE;
	system[MB_SYS_memory_available_bytes] = MACHINE - all;
	mb_leak_limits_begin(limits, now);
	for (size_t i = 0; i < n; i++) {
		/* no process of this machine has such an id, so no limit of its own is found */
		struct mb_process p = { .tgid = runners[i].tgid, .start_ns = runners[i].tgid, .has_memory = true };

		p.cgroup_path = (char *)places[runners[i].place].path;
		p.rss_pages[1] = (uint64_t)(runners[i].mib * MIB) / MB_PAGE_SIZE;
		if (runners[i].runs)
			mb_leak_limits_process(limits, &p);
	}
	mb_leak_limits_end(limits, &model);
}

static void ticks(struct runner *runners, size_t n, int times)
{
	for (int i = 0; i < times; i++)
		tick(runners, n);
}

static struct mb_outlook of_process(const struct runner *r)
{
	struct mb_outlook o;

	mb_leak_limits_of(limits, r->tgid, r->tgid, &o);
	return o;
}

static bool of_cgroup(const char *path, struct mb_outlook *o)
{
	const char *found;

	for (size_t i = 0; mb_leak_limits_cgroup(limits, i, &found, o); i++) {
		if (!strcmp(found, path))
			return true;
	}
	return false;
}

/* The cgroup whose limit is reached, and each cgroup between it and the one that is shown, has no later time. */
static void check_above(const struct mb_outlook *part, int at)
{
	for (; at >= 0 && part->eta_known; at = places[at].above) {
		struct mb_outlook whole;

		assert_true(of_cgroup(places[at].path, &whole));
		if (whole.eta_known && whole.eta_ns > part->eta_ns)
			fail_msg("%s in %.1f s, a part of it in %.1f s", places[at].path, (double)whole.eta_ns / 1e9,
				 (double)part->eta_ns / 1e9);
		if (part->limit.path && !strcmp(part->limit.path, places[at].path)) {
			assert_true(whole.eta_known);
			break;
		}
	}
}

static void check_all(const struct runner *runners, size_t n)
{
	struct mb_outlook o;

	for (size_t i = 0; i < n; i++) {
		o = of_process(&runners[i]);
		check_above(&o, runners[i].runs ? runners[i].place : -1);
	}
	for (int i = 0; i < PLACES; i++) {
		if (of_cgroup(places[i].path, &o))
			check_above(&o, i);
	}
}

/* A job that grows fast for a few seconds does not reach a limit that is minutes away. */
static void test_young_and_far(void **state)
{
	struct runner r[] = { { 1u << 30, OLD, 100, 0.125, true, false }, { (1u << 30) + 1, JOB, 10, 5, false, false } };
	struct mb_outlook o;

	(void)state;
	ticks(r, 2, 100);
	r[1].runs = true;
	ticks(r, 2, 6);
	/* its own cgroup is as young as the job */
	o = of_process(&r[1]);
	assert_true(o.eta_known);
	assert_string_equal(o.limit.path, "/old/app/job");
	assert_int_equal(o.limit_slope_bytes_per_s, 5 * MIB);
	check_all(r, 2);
	/* the same job in a cgroup without a limit, on a machine with 15 GiB */
	r[1].runs = false;
	ticks(r, 2, 100);
	r[1] = (struct runner){ (1u << 30) + 2, FREE, 10, 5, true, false };
	ticks(r, 2, 6);
	o = of_process(&r[1]);
	assert_int_equal(o.growth.slope_bytes_per_s, 5 * MIB);
	assert_false(o.eta_known);
}

/* A new process that will fill an old cgroup soon has a time at once, and so has the cgroup. */
static void test_young_and_near(void **state)
{
	struct runner r[] = { { 1u << 30, OLD, 100, 0, true, false }, { (1u << 30) + 1, OLD, 10, 50, false, false } };
	struct mb_outlook o;

	(void)state;
	ticks(r, 2, 100);
	r[1].runs = true;
	ticks(r, 2, 6);
	o = of_process(&r[1]);
	assert_true(o.eta_known);
	assert_int_equal(o.eta_ns / SECOND, (1000 - 100 - 310) / 50);
	assert_true(of_cgroup("/old", &o));
	assert_true(o.eta_known);
	assert_int_equal(o.eta_ns / SECOND, (1000 - 100 - 310) / 50);
}

/* What a process touches, and another one was charged for, fills no cgroup. */
static void test_charged_elsewhere(void **state)
{
	struct runner r[] = { { 1u << 30, OTHER, 100, 0, true, false }, { (1u << 30) + 1, OTHER, 10, 4, true, true } };
	struct mb_outlook o;

	(void)state;
	for (int i = 0; i < 60; i++) {
		tick(r, 2);
		o = of_process(&r[1]);
		assert_false(o.eta_known);
		assert_true(of_cgroup("/old/other", &o));
		assert_int_equal(o.growth.slope_bytes_per_s, 0);
		assert_false(o.eta_known);
	}
	o = of_process(&r[1]);
	assert_int_equal(o.growth.slope_bytes_per_s, 4 * MIB);
}

/* Workers that grow and are replaced in turn: the cgroup's memory is a saw-tooth, which reaches no limit. */
static void test_recycled(void **state)
{
	struct runner r[4];
	uint32_t tgid = 1u << 30;
	struct mb_outlook o;

	(void)state;
	for (int i = 0; i < 4; i++)
		r[i] = (struct runner){ tgid++, OTHER, 5 * i, 1, true, false };
	for (int t = 0; t < 200; t++) {
		for (int i = 0; i < 4; i++) {
			if (r[i].mib >= 20)
				r[i] = (struct runner){ tgid++, OTHER, 0, 1, true, false };
		}
		tick(r, 4);
		if (t < 20)
			continue;
		assert_true(of_cgroup("/old/other", &o));
		assert_false(o.eta_known);
		for (int i = 0; i < 4; i++)
			assert_false(of_process(&r[i]).eta_known);
	}
}

/* Memory that another process has given back once makes no lasting room. */
static void test_given_back(void **state)
{
	struct runner r[] = { { 1u << 30, OTHER, 150, 0, true, false }, { (1u << 30) + 1, OTHER, 10, 4, true, false } };
	struct mb_outlook o;

	(void)state;
	for (int i = 0; i < 20; i++) {
		r[0].runs = i < 10;
		tick(r, 2);
	}
	o = of_process(&r[1]);
	assert_true(o.eta_known);
	assert_int_equal(o.limit_slope_bytes_per_s, 4 * MIB);
	assert_true(of_cgroup("/old/other", &o));
	assert_int_equal(o.growth.slope_bytes_per_s, 4 * MIB);
}

/* What a process has freed long ago does not hide what it has grown by since. */
static void test_freed_before(void **state)
{
	struct runner r[] = { { 1u << 30, OTHER, 100, 0, true, false }, { (1u << 30) + 1, OTHER, 400, 0, true, false } };
	struct mb_outlook o;

	(void)state;
	for (int i = 0; i < 145; i++) {
		if (i == 5)
			r[1].mib = 50;
		if (i == 105)
			r[1].per_s = 4;
		tick(r, 2);
	}
	o = of_process(&r[1]);
	assert_int_equal(o.growth.slope_bytes_per_s, 4 * MIB);
	assert_true(o.eta_known);
	assert_string_equal(o.limit.path, "/old/other");
}

/* Processes that start, grow, pause, shrink and end at random: no part has a sooner time than the whole. */
static void test_parts_and_wholes(void **state)
{
	struct runner r[8];
	unsigned int seed = 1;
	uint32_t tgid = 1u << 30;
	int known = 0;

	(void)state;
	memset(r, 0, sizeof(r));
	for (int t = 0; t < 3000; t++) {
		for (size_t i = 0; i < 8; i++) {
			if (rand_r(&seed) % 40)
				continue;
			if (!r[i].runs)
				r[i] = (struct runner){ tgid++, (int)((unsigned int)rand_r(&seed) % PLACES),
							rand_r(&seed) % 50, 0, true, rand_r(&seed) % 8 == 0 };
			else if (rand_r(&seed) % 3 == 0 || r[i].mib > 800)
				r[i].runs = false;
			r[i].per_s = rand_r(&seed) % 2 ? 0 : (double)(1 << rand_r(&seed) % 9) / 16;
		}
		tick(r, 8);
		check_all(r, 8);
		for (size_t i = 0; i < 8; i++)
			known += of_process(&r[i]).eta_known;
	}
	assert_true(known > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_young_and_far, open_limits, close_limits),
		cmocka_unit_test_setup_teardown(test_young_and_near, open_limits, close_limits),
		cmocka_unit_test_setup_teardown(test_charged_elsewhere, open_limits, close_limits),
		cmocka_unit_test_setup_teardown(test_recycled, open_limits, close_limits),
		cmocka_unit_test_setup_teardown(test_given_back, open_limits, close_limits),
		cmocka_unit_test_setup_teardown(test_freed_before, open_limits, close_limits),
		cmocka_unit_test_setup_teardown(test_parts_and_wholes, open_limits, close_limits),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
