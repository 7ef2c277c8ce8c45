// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Blame: the formulas of docs/families/writeback.md and reclaim.md, worked by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blame/blame.h"
#include "model/model.h"

#define S 1000000000ull

static struct mb_process_ref ref(uint32_t tgid)
{
	struct mb_process_ref w = { .start_ns = tgid * 10, .tgid = tgid };

	snprintf(w.comm, sizeof(w.comm), "p%u", tgid);
	return w;
}

static void dirtied(struct mb_blame *b, uint32_t tgid, uint64_t bdi, uint64_t ino, uint64_t pages)
{
	struct mb_dirtied_event e = { .key = { tgid * 10, bdi, ino, 5, tgid }, .dirtied_pages = pages };
	struct mb_process_ref w = ref(tgid);

	mb_blame_dirtied(b, &w, &e);
}

/* A pause of process tgid that began at t_ns. */
static void stall(struct mb_blame *b, uint32_t tgid, uint64_t bdi, uint64_t t_ns, uint64_t ns, uint64_t dirty)
{
	struct mb_writeback_event e = { .h = { .t_ns = t_ns, .type = MB_WRITEBACK_EVENT_PAUSE },
					.ns = ns,
					.total_ns = ns,
					.on = { .bdi = bdi, .bdi_dirty_pages = dirty } };
	struct mb_process_ref w = ref(tgid);

	mb_blame_stall(b, &w, &e);
}

static const struct mb_victim *victim(const struct mb_blame_table *m, uint32_t tgid)
{
	for (const struct mb_victim *v = m->victims; v; v = v->hh.next) {
		if (v->ref.tgid == tgid)
			return v;
	}
	fail_msg("%u is no victim", tgid);
	return NULL;
}

static const struct mb_culprit *culprit(const struct mb_victim *v, uint32_t tgid)
{
	for (uint32_t i = 0; i < v->n_culprits; i++) {
		if (v->culprits[i].ref.tgid == tgid)
			return &v->culprits[i];
	}
	return NULL;
}

/* The share of a culprit in thousandths. */
static long share(const struct mb_victim *v, uint32_t tgid)
{
	const struct mb_culprit *c = culprit(v, tgid);

	return c ? (long)(c->ns * 1000 / (double)mb_victim_ns(v) + 0.5) : 0;
}

static void shares_are_those_of_the_dirty_pages(void **state)
{
	struct mb_blame b = { 0 };
	const struct mb_victim *v;

	(void)state;
	mb_blame_tick(&b, 1 * S);
	dirtied(&b, 1, 7, 11, 900);
	dirtied(&b, 2, 7, 12, 100);
	mb_blame_tick(&b, 2 * S);
	stall(&b, 2, 7, 2 * S + S / 10, S / 2, 500);
	mb_blame_tick(&b, 3 * S);
	v = victim(&b.total, 2);
	assert_int_equal(mb_victim_ns(v), S / 2);
	assert_int_equal(v->count[MB_BLAME_PAUSE], 1);
	assert_int_equal(share(v, 1), 900);
	assert_int_equal(share(v, 2), 100);
	/* 450 of the 500 pages, all in one file */
	assert_int_equal((long)(culprit(v, 1)->pages_ns / (double)mb_victim_ns(v) + 0.5), 450);
	assert_int_equal(culprit(v, 1)->n_files, 1);
	assert_int_equal(culprit(v, 1)->files[0].file.ino, 11);
	mb_blame_clear(&b);
}

/* The kernel counts more dirty pages than were seen being dirtied: what they delayed is nobody's. */
static void pages_from_before_tracing_are_unknown(void **state)
{
	struct mb_program programs[MB_BLAME_PROGRAMS];
	struct mb_blame b = { 0 };
	const struct mb_victim *v;

	(void)state;
	mb_blame_tick(&b, 1 * S);
	dirtied(&b, 1, 7, 11, 250);
	mb_blame_tick(&b, 2 * S);
	stall(&b, 2, 7, 2 * S + S / 10, S / 2, 1000);
	stall(&b, 3, 7, 2 * S + S / 10, S / 2, 270); /* within the error of the kernel's counter */
	mb_blame_tick(&b, 3 * S);
	v = victim(&b.total, 2);
	assert_int_equal(share(v, 1), 250);
	assert_int_equal(mb_victim_programs(v, programs), 2);
	assert_string_equal(programs[1].sum.ref.comm, "(unknown)");
	assert_int_equal((long)(programs[1].sum.ns * 1000 / (double)mb_victim_ns(v) + 0.5), 750);
	assert_int_equal(share(victim(&b.total, 3), 1), 1000);
	mb_blame_clear(&b);
}

/* Of the pages dirtied, only the last D are still dirty: older ones have been written back by now. */
static void the_last_pages_are_the_dirty_ones(void **state)
{
	struct mb_blame b = { 0 };

	(void)state;
	mb_blame_tick(&b, 1 * S);
	dirtied(&b, 1, 7, 11, 1000);
	mb_blame_tick(&b, 2 * S);
	dirtied(&b, 2, 7, 12, 100);
	mb_blame_tick(&b, 3 * S);
	stall(&b, 8, 7, 3 * S + 1, 10, 100);
	stall(&b, 9, 7, 3 * S + 1, 10, 200);
	mb_blame_tick(&b, 4 * S);
	assert_int_equal(share(victim(&b.total, 8), 2), 1000);
	assert_int_equal(share(victim(&b.total, 9), 2), 500);
	assert_int_equal(share(victim(&b.total, 9), 1), 500);
	mb_blame_clear(&b);
}

/* A stall from 2.25 to 2.75 s: of the pages dirtied from 2 to 3 s, half came during the stall, a quarter before it. */
static void pages_of_the_time_of_the_stall_count(void **state)
{
	struct mb_blame b = { 0 };
	const struct mb_victim *v;

	(void)state;
	mb_blame_tick(&b, 1 * S);
	dirtied(&b, 1, 7, 11, 1000);
	mb_blame_tick(&b, 2 * S);
	dirtied(&b, 2, 7, 12, 400);
	stall(&b, 9, 7, 2 * S + S / 4, S / 2, 200);
	mb_blame_tick(&b, 3 * S);
	v = victim(&b.total, 9);
	/* before the stall: 100 pages of process 2, then 100 of process 1; during the stall: 200 of process 2 */
	assert_int_equal(share(v, 2), 750);
	assert_int_equal(share(v, 1), 250);
	mb_blame_clear(&b);
}

static void devices_are_apart_and_intervals_end(void **state)
{
	struct mb_blame b = { 0 };

	(void)state;
	mb_blame_tick(&b, 1 * S);
	dirtied(&b, 1, 7, 11, 10);
	dirtied(&b, 2, 8, 11, 5000);
	mb_blame_tick(&b, 2 * S);
	stall(&b, 9, 7, 2 * S + 1, 100, 10);
	mb_blame_tick(&b, 3 * S);
	assert_null(culprit(victim(&b.total, 9), 2));
	assert_int_equal(share(victim(&b.interval, 9), 1), 1000);
	mb_blame_interval(&b);
	assert_null(b.interval.victims);
	assert_int_equal(share(victim(&b.total, 9), 1), 1000);
	/* nothing was dirtied on this device: no process is to blame */
	stall(&b, 5, 99, 3 * S + 1, 100, 10);
	mb_blame_tick(&b, 4 * S);
	assert_int_equal(victim(&b.interval, 5)->n_culprits, 0);
	assert_int_equal(mb_victim_ns(victim(&b.interval, 5)), 100);
	mb_blame_clear(&b);
}

static void many_culprits_are_bounded(void **state)
{
	struct mb_blame b = { 0 };
	const struct mb_victim *v;
	double sum = 0;

	(void)state;
	mb_blame_tick(&b, 1 * S);
	for (uint32_t i = 1; i <= 100; i++) {
		dirtied(&b, i, 7, i, 10);
		dirtied(&b, 1, 7, 1000 + i, 10);
	}
	mb_blame_tick(&b, 2 * S);
	stall(&b, 900, 7, 2 * S + 1, 1000, 2000);
	mb_blame_tick(&b, 3 * S);
	mb_blame_sort(&b.total);
	v = victim(&b.total, 900);
	assert_int_equal(v->n_culprits, MB_BLAME_CULPRITS);
	assert_int_equal(v->culprits[MB_BLAME_CULPRITS - 1].ref.tgid, 0);
	for (uint32_t i = 0; i < v->n_culprits; i++)
		sum += v->culprits[i].ns;
	assert_int_equal((long)(sum + 0.5), 1000);
	assert_int_equal(culprit(v, 1)->n_files, MB_BLAME_CULPRIT_FILES);
	assert_int_equal(v->culprits[0].ref.tgid, 1);
	/* more than a device's history holds: the oldest entry is dropped, the newest is there */
	for (uint32_t i = 0; i < 3; i++) {
		for (uint32_t j = 0; j < MB_BLAME_HISTORY; j++)
			dirtied(&b, 5 + i, 7, j, 1);
		mb_blame_tick(&b, (4 + i) * S);
	}
	stall(&b, 901, 7, 6 * S + 1, 1000, 100);
	mb_blame_tick(&b, 7 * S);
	assert_int_equal(share(victim(&b.total, 901), 7), 1000);
	assert_int_equal(b.evicted, 0);
	mb_blame_clear(&b);
}

static void names_become_paths(void **state)
{
	static const char names[] = "file\0dir\0top";
	struct mb_file_event e = { .bdi = 7, .ino = 11, .dev = 5, .names_len = sizeof(names) };
	struct mb_file_key key = { .bdi = 7, .ino = 11, .dev = 5 };
	struct mb_model m;
	struct mb_blame b = { .model = &m };
	char path[MB_PATH_LEN];

	(void)state;
	mb_model_init(&m);
	memcpy(e.names, names, sizeof(names));
	memcpy(e.bdi_name, "7:0", 4);
	mb_blame_file(&b, &e);
	assert_string_equal(mb_blame_path(&b, &key, path), "/top/dir/file");
	mb_mount_found(&m.mounts, 5, "/mnt");
	assert_string_equal(mb_blame_path(&b, &key, path), "/mnt/top/dir/file");
	mb_mount_found(&m.mounts, 5, "/");
	assert_string_equal(mb_blame_path(&b, &key, path), "/top/dir/file");
	key.ino = 12;
	assert_string_equal(mb_blame_path(&b, &key, path), "");
	/* a length that the kernel side never sends must not cause reads beyond the buffer */
	e.names_len = 0xffffffff;
	memset(e.names, 'x', sizeof(e.names));
	mb_blame_file(&b, &e);
	mb_blame_clear(&b);
	mb_model_free(&m);
}

/* ---- reclaim ---- */

/* This test stores the values of the reclaim family in the first slots. */
static const struct mb_reclaim_slots slots = {
	.stall = { [MB_BLAME_DIRECT] = 0,
		   [MB_BLAME_MEMCG] = 2,
		   [MB_BLAME_COMPACTION] = 4,
		   [MB_BLAME_THROTTLE] = 6,
		   [MB_BLAME_HIGH] = 8 },
	.allocated_pages = 10,
	.kswapd_wakeups = 11,
	.limit_up = 12,
};

static struct mb_process *processes[8]; /* by tgid */

static void allocates(uint32_t tgid, uint64_t pages)
{
	processes[tgid]->values[slots.allocated_pages] += pages;
}

static void tick(struct mb_model *m)
{
	mb_blame_reclaim(mb_blame_of(m));
	m->tick++;
}

static void stalls(uint32_t tgid, enum mb_stall_cause cause, uint64_t ns)
{
	processes[tgid]->values[slots.stall[cause]]++;
	processes[tgid]->values[slots.stall[cause] + 1] += ns;
}

static void open_model(struct mb_model *m, const char *const *cgroups)
{
	mb_model_init(m);
	assert_non_null(mb_blame_new(m));
	mb_blame_of(m)->slots = slots;
	for (uint32_t i = 0; cgroups[i]; i++) {
		struct mb_process *p = mb_model_process(m, i + 1, (i + 1) * 10);

		assert_non_null(p);
		p->cgroup_path = strdup(cgroups[i]);
		processes[i + 1] = p;
	}
}

static void who_took_the_memory_since_there_was_enough(void **state)
{
	static const char *const cgroups[] = { "/a", "/b", NULL };
	const struct mb_victim *v;
	struct mb_model m;

	(void)state;
	open_model(&m, cgroups);
	allocates(2, 5000); /* while there was enough memory */
	tick(&m);
	tick(&m);
	allocates(1, 300);
	allocates(2, 100);
	stalls(2, MB_BLAME_DIRECT, 40);
	tick(&m);
	v = victim(&mb_blame_of(&m)->total, 2);
	assert_int_equal(v->key.cause, MB_BLAME_DIRECT);
	assert_int_equal(share(v, 1), 750);
	assert_int_equal(share(v, 2), 250);
	/* the shortage goes on: earlier allocations still count */
	allocates(1, 400);
	stalls(2, MB_BLAME_DIRECT, 40);
	tick(&m);
	assert_int_equal((long)culprit(v, 1)->ns, 30 + 35);
	/* for one tick there was enough memory, so a new shortage begins */
	tick(&m);
	allocates(2, 10);
	stalls(2, MB_BLAME_DIRECT, 40);
	tick(&m);
	assert_int_equal((long)culprit(v, 1)->ns, 30 + 35);
	assert_int_equal(mb_victim_ns(v), 120);
	mb_model_free(&m);
}

static void a_limit_is_its_cgroups_own(void **state)
{
	static const char *const cgroups[] = { "/a/x", "/a/y", "/b", "/a", "/ab", NULL };
	const struct mb_victim *v;
	struct mb_model m;

	(void)state;
	open_model(&m, cgroups);
	tick(&m);
	for (uint32_t i = 1; i <= 5; i++)
		allocates(i, 100);
	stalls(1, MB_BLAME_MEMCG, 60); /* at the limit of /a/x */
	stalls(2, MB_BLAME_MEMCG, 60); /* at the limit of /a */
	processes[2]->values[slots.limit_up] = 1;
	tick(&m);
	v = victim(&mb_blame_of(&m)->total, 1);
	assert_int_equal(v->n_culprits, 1);
	assert_int_equal(share(v, 1), 1000);
	assert_string_equal(v->limit_path, "/a/x");
	assert_true(mb_victim_limit_bytes(v) == MB_UNKNOWN);
	assert_string_equal(mb_blame_limited(mb_blame_of(&m), 0), "/a/x");
	assert_string_equal(mb_blame_limited(mb_blame_of(&m), 1), "/a");
	assert_null(mb_blame_limited(mb_blame_of(&m), 2));
	mb_blame_limits(mb_blame_of(&m), "/a/x", &(struct mb_cgroup_limits){ 1000, 900, 990 });
	mb_blame_limits(mb_blame_of(&m), "/a/x", &(struct mb_cgroup_limits){ 1000, 900, 10 }); /* after the stall */
	assert_int_equal(mb_victim_limit_bytes(v), 1000);
	assert_int_equal(v->limits.usage_bytes, 990);
	assert_false(v->marks.known);
	v = victim(&mb_blame_of(&m)->total, 2);
	assert_string_equal(v->limit_path, "/a");
	assert_int_equal(v->n_culprits, 3);
	assert_int_equal(share(v, 1), 333);
	assert_int_equal(share(v, 2), 333);
	assert_int_equal(share(v, 4), 333);
	mb_model_free(&m);
}

/* Reclaim requested through a cgroup's file is not due to a limit; if the limit is unknown, no process is blamed. */
static void reclaim_asked_for_is_at_no_limit(void **state)
{
	static const char *const cgroups[] = { "/a", "/b", NULL };
	const struct mb_victim *v;
	struct mb_model m;
	struct mb_process_ref ref;
	double share;

	(void)state;
	open_model(&m, cgroups);
	tick(&m);
	tick(&m);
	allocates(1, 100);
	allocates(2, 100);
	stalls(1, MB_BLAME_MEMCG, 60);
	processes[1]->values[slots.limit_up] = MB_LIMIT_ASKED;
	stalls(2, MB_BLAME_MEMCG, 60);
	processes[2]->values[slots.limit_up] = MB_LIMIT_UNKNOWN;
	tick(&m);
	v = victim(&mb_blame_of(&m)->total, 1);
	assert_int_equal(v->key.cause, MB_BLAME_ASKED);
	assert_int_equal(v->count[MB_BLAME_ASKED], 1);
	assert_int_equal(mb_victim_ns(v), 60);
	assert_null(v->limit_path);
	assert_int_equal(v->n_culprits, 1);
	assert_int_equal(culprit(v, 1)->ref.tgid, 1);
	v = victim(&mb_blame_of(&m)->total, 2);
	assert_int_equal(v->key.cause, MB_BLAME_MEMCG);
	assert_null(v->limit_path);
	assert_int_equal(v->n_culprits, 0);
	assert_null(mb_blame_limited(mb_blame_of(&m), 0));
	/* single events say the same */
	assert_true(mb_blame_reclaim_first(mb_blame_of(&m), 1, MB_BLAME_MEMCG, MB_LIMIT_ASKED, &ref, &share));
	assert_int_equal(ref.tgid, 1);
	assert_int_equal((int)(share * 1000), 1000);
	assert_false(mb_blame_reclaim_first(mb_blame_of(&m), 2, MB_BLAME_MEMCG, MB_LIMIT_UNKNOWN, &ref, &share));
	/* the row's known limit stays, even if a later stall in the same row has an unknown limit */
	allocates(2, 10);
	stalls(2, MB_BLAME_MEMCG, 40);
	processes[2]->values[slots.limit_up] = 0;
	tick(&m);
	assert_string_equal(v->limit_path, "/b");
	stalls(2, MB_BLAME_MEMCG, 40);
	processes[2]->values[slots.limit_up] = MB_LIMIT_UNKNOWN;
	tick(&m);
	assert_string_equal(v->limit_path, "/b");
	assert_int_equal(mb_victim_ns(v), 140);
	assert_int_equal((int)culprit(v, 2)->ns, 40);
	mb_model_free(&m);
}

/* With usage below memory.max and above memory.high, it is memory.high that causes the reclaim. */
static void the_limit_that_is_reached(void **state)
{
	const uint64_t mib = 1 << 20;
	struct mb_victim v = { .key = { .cause = MB_BLAME_MEMCG }, .limits = { 100 * mib, 50 * mib, 52 * mib } };

	(void)state;
	assert_int_equal(mb_victim_limit_bytes(&v) / mib, 50);
	v.limits.usage_bytes = 99 * mib;
	assert_int_equal(mb_victim_limit_bytes(&v) / mib, 100);
	v.key.cause = MB_BLAME_HIGH;
	assert_int_equal(mb_victim_limit_bytes(&v) / mib, 50);
	v.key.cause = MB_BLAME_MEMCG;
	v.limits.high_bytes = MB_UNKNOWN;
	v.limits.usage_bytes = 10 * mib; /* the usage was read later */
	assert_int_equal(mb_victim_limit_bytes(&v) / mib, 100);
	v.limits.max_bytes = MB_UNKNOWN;
	assert_true(mb_victim_limit_bytes(&v) == MB_UNKNOWN);
}

static void a_program_is_one_culprit(void **state)
{
	struct mb_process_ref ref = { .start_ns = 1 };
	struct mb_program programs[MB_BLAME_PROGRAMS];
	struct mb_file_key file = { .ino = 5 };
	struct mb_victim v = { .ref = { .start_ns = 1, .tgid = 2, .comm = "writer" }, .ns = { 100 } };

	(void)state;
	strcpy(ref.comm, "writer");
	for (ref.tgid = 1; ref.tgid <= 3; ref.tgid++) {
		struct mb_culprit *c = mb_blame_charge(&v, &ref, 10 * ref.tgid, 1);

		mb_file_sum_add(c->files, &c->n_files, MB_BLAME_CULPRIT_FILES, &file, 2);
	}
	strcpy(ref.comm, "other");
	mb_blame_charge(&v, &ref, 40, 1);
	assert_int_equal(mb_victim_programs(&v, programs), 2);
	assert_string_equal(programs[0].sum.ref.comm, "writer");
	assert_int_equal(programs[0].n, 3);
	assert_int_equal((long)programs[0].sum.ns, 60);
	assert_int_equal(programs[0].sum.n_files, 1);
	assert_int_equal((long)programs[0].sum.files[0].sum, 6);
	assert_int_equal(programs[1].n, 1);
	assert_false(mb_victim_is_culprit(&v, programs, 2));
	/* the victim is the only culprit */
	v.n_culprits = 0;
	memset(v.culprits, 0, sizeof(v.culprits));
	mb_blame_charge(&v, &v.ref, 100, 1);
	assert_true(mb_victim_is_culprit(&v, programs, mb_victim_programs(&v, programs)));
	/* for half of the stall the cause is not known: that half is shown as (unknown), and all adds up */
	v.ns[0] = 200;
	assert_int_equal(mb_victim_programs(&v, programs), 2);
	assert_false(mb_victim_is_culprit(&v, programs, 2));
	assert_string_equal(programs[1].sum.ref.comm, "(unknown)");
	assert_int_equal((long)programs[1].sum.ns, 100);
	assert_int_equal(programs[1].n, 0);
	/* the cause is not known at all: no culprits */
	v.n_culprits = 0;
	assert_int_equal(mb_victim_programs(&v, programs), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_are_those_of_the_dirty_pages),
		cmocka_unit_test(pages_from_before_tracing_are_unknown),
		cmocka_unit_test(the_last_pages_are_the_dirty_ones),
		cmocka_unit_test(pages_of_the_time_of_the_stall_count),
		cmocka_unit_test(devices_are_apart_and_intervals_end),
		cmocka_unit_test(many_culprits_are_bounded),
		cmocka_unit_test(names_become_paths),
		cmocka_unit_test(who_took_the_memory_since_there_was_enough),
		cmocka_unit_test(a_limit_is_its_cgroups_own),
		cmocka_unit_test(reclaim_asked_for_is_at_no_limit),
		cmocka_unit_test(the_limit_that_is_reached),
		cmocka_unit_test(a_program_is_one_culprit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
