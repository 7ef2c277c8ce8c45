// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The model: records become accounts, even if they are repeated, late, out of order, too many, or malformed. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "memblame/family.h"
#include "memblame/sink.h"
#include "model/model.h"
#include "unit.h"

static struct mb_task_record record(uint32_t tgid, uint32_t tid, uint64_t born_ns)
{
	struct mb_task_record r;

	memset(&r, 0, sizeof(r));
	r.info.h.family = MB_FAM_task;
	r.info.h.type = MB_TASK_EVENT_HARVEST;
	r.info.h.size = sizeof(r);
	r.info.h.tgid = tgid;
	r.info.h.tid = tid;
	r.info.start_ns = 1000 + tgid;
	r.ledger.task.born_ns = born_ns;
	r.ledger.task.born_tid = tid;
	r.ledger.task.born = 1;
	strcpy(r.info.comm, "proc");
	return r;
}

static uint64_t value(struct mb_model *m, uint32_t tgid, const char *group, const char *name)
{
	struct mb_process *p = mb_model_find(m, tgid);
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];

			if (f->group && !strcmp(f->group, group) && !strcmp(f->name, name))
				return mb_process_value(p, mb_slot(f));
		}
	}
	fail_msg("no field %s.%s", group, name);
	return 0;
}

static void take(struct mb_model *m, const struct mb_task_record *r)
{
	mb_model_event(m, r, sizeof(*r));
}

static void a_record_twice_counts_once(void **state)
{
	struct mb_model m;
	struct mb_task_record r = record(10, 10, 5);

	(void)state;
	mb_model_init(&m);
	r.info.min_flt = 100;
	r.ledger.vma.mmap_calls = 7;
	take(&m, &r);
	take(&m, &r);
	r.info.min_flt = 130;
	r.ledger.vma.mmap_calls = 9;
	take(&m, &r);
	mb_model_tick(&m, 1000, true);
	assert_int_equal(value(&m, 10, "faults", "minor"), 130);
	assert_int_equal(value(&m, 10, "vma", "mmap_calls"), 9);
	mb_model_free(&m);
}

static void threads_add_up_and_stay_after_exit(void **state)
{
	struct mb_model m;

	(void)state;
	mb_model_init(&m);
	for (uint32_t tid = 20; tid < 84; tid++) {
		struct mb_task_record r = record(20, tid, tid);

		r.info.min_flt = 50;
		take(&m, &r);
		r.info.min_flt = 60;
		r.ledger.reclaim.memcg_reclaim = (struct mb_stall){ 1, 1000, tid };
		r.info.h.type = MB_TASK_EVENT_EXIT;
		r.info.group_dead = tid == 83;
		take(&m, &r);
	}
	mb_model_tick(&m, 1000, true);
	assert_int_equal(value(&m, 20, "faults", "minor"), 64 * 60);
	assert_int_equal(value(&m, 20, "stalls", "memcg_reclaim"), 64);
	assert_true(mb_model_find(&m, 20)->exited);
	assert_int_equal(HASH_COUNT(m.threads), 0);
	mb_model_free(&m);
}

/* Counting begins when the thread already has faults: only later faults belong to the trace. */
static void counts_start_at_the_base(void **state)
{
	struct mb_model m;
	struct mb_task_record r = record(30, 30, 5);

	(void)state;
	mb_model_init(&m);
	r.ledger.task.born = 0;
	r.ledger.task.min_base = 1000;
	r.ledger.task.maj_base = 10;
	r.info.min_flt = 1005;
	r.info.maj_flt = 12;
	take(&m, &r);
	mb_model_tick(&m, 1000, true);
	assert_int_equal(value(&m, 30, "faults", "minor"), 5);
	assert_int_equal(value(&m, 30, "faults", "major"), 2);
	mb_model_free(&m);
}

static void a_number_used_again_is_another_process(void **state)
{
	struct mb_model m;
	struct mb_task_record r = record(40, 40, 5);

	(void)state;
	mb_model_init(&m);
	r.info.min_flt = 100;
	r.info.h.type = MB_TASK_EVENT_EXIT;
	r.info.group_dead = 1;
	take(&m, &r);
	r = record(40, 40, 99);
	r.info.start_ns = 777777;
	r.info.min_flt = 3;
	take(&m, &r);
	mb_model_tick(&m, 1000, true);
	assert_int_equal(m.n_processes, 2);
	assert_int_equal(value(&m, 40, "faults", "minor"), 3);
	mb_model_free(&m);
}

/* exec by a thread that is not the leader: the thread keeps its ledger and gets the leader's tid */
static void exec_by_another_thread_counts_once(void **state)
{
	struct mb_model m;
	struct mb_task_record leader = record(50, 50, 1), thread = record(50, 51, 2);

	(void)state;
	mb_model_init(&m);
	leader.info.min_flt = 10;
	thread.info.min_flt = 20;
	take(&m, &leader);
	take(&m, &thread);
	leader.info.h.type = MB_TASK_EVENT_EXIT;
	take(&m, &leader);
	thread.info.h.tid = 50; /* born_tid stays 51 */
	thread.info.min_flt = 25;
	take(&m, &thread);
	mb_model_tick(&m, 1000, true);
	assert_int_equal(value(&m, 50, "faults", "minor"), 35);
	mb_model_free(&m);
}

static void late_faults_are_added(void **state)
{
	struct mb_model m;
	struct mb_task_record r = record(60, 60, 1);
	struct mb_late_event late = { .h = { 9, 60, 61, MB_FAM_task, MB_TASK_EVENT_LATE,
					     sizeof(late) }, .start_ns = 1060, .min_flt = 2 };

	(void)state;
	mb_model_init(&m);
	r.info.min_flt = 10;
	take(&m, &r);
	mb_model_event(&m, &late, sizeof(late));
	late.start_ns = 1; /* of an earlier process with this pid */
	mb_model_event(&m, &late, sizeof(late));
	mb_model_tick(&m, 1000, true);
	assert_int_equal(value(&m, 60, "faults", "minor"), 12);
	mb_model_free(&m);
}

static void add_minor(void *arg, struct mb_model *m, struct mb_process *p)
{
	(void)m;
	*(uint64_t *)arg += p->minor;
}

static void whoever_adds_up_gets_what_is_forgotten(void **state)
{
	uint64_t forgotten = 0;
	struct mb_model m;

	(void)state;
	mb_model_init(&m);
	m.on_forget = add_minor;
	m.on_forget_arg = &forgotten;
	m.forgets = true;
	for (uint32_t i = 1; i <= MB_MODEL_PROCESSES + 100; i++) {
		struct mb_task_record r = record(i, i, i);

		r.info.h.type = i % 2 ? MB_TASK_EVENT_EXIT : MB_TASK_EVENT_HARVEST;
		r.info.group_dead = i % 2;
		r.info.min_flt = 3;
		take(&m, &r);
	}
	assert_int_equal(m.n_processes, MB_MODEL_PROCESSES);
	assert_int_equal(mb_lost_total(&m.lost), 0);
	assert_int_equal(forgotten, 300);
	mb_model_forget_ended(&m, 10);
	assert_int_equal(m.n_processes, MB_MODEL_PROCESSES / 2 + 50 + 10); /* the live processes, and ten more */
	assert_int_equal(forgotten, 3 * (MB_MODEL_PROCESSES / 2 + 50 - 10));
	assert_non_null(mb_model_find(&m, 2));
	assert_null(mb_model_find(&m, 101));
	assert_non_null(mb_model_find(&m, MB_MODEL_PROCESSES + 99)); /* the one that ended last */
	mb_model_free(&m);
}

static void processes_are_bounded_and_evictions_counted(void **state)
{
	struct mb_model m;

	(void)state;
	mb_model_init(&m);
	for (uint32_t i = 1; i <= MB_MODEL_PROCESSES + 100; i++) {
		struct mb_task_record r = record(i, i, i);

		r.info.h.type = MB_TASK_EVENT_EXIT;
		r.info.group_dead = 1;
		take(&m, &r);
	}
	assert_int_equal(m.n_processes, MB_MODEL_PROCESSES);
	assert_int_equal(mb_lost_total(&m.lost), 0);
	assert_int_equal(m.ended.n_rows, 1);
	assert_int_equal(m.ended.rows->ended_processes, 100);
	assert_null(mb_model_find(&m, 1)); /* the one that ended first */
	assert_null(mb_model_find(&m, 0));
	assert_ptr_equal(mb_model_account(&m, 1, 1001), m.ended.rows);
	assert_non_null(mb_model_find(&m, 101));
	mb_model_free(&m);
}

static void count_nameless(void *arg, struct mb_model *m, struct mb_process *p)
{
	(void)m;
	if (!p->cgroup_path)
		++*(uint64_t *)arg;
	else
		assert_string_equal(p->cgroup_path, "/of.slice");
}

/* More processes come and go in one tick than the model has room for: none has been looked up when it is removed. */
static void who_leaves_before_its_tick_has_its_parents_cgroup(void **state)
{
	struct mb_task_record parent = record(1, 1, 1);
	uint64_t nameless = 0;
	struct mb_process known = { .tgid = 1, .start_ns = parent.info.start_ns };
	struct mb_model m;
	struct mb_ingest in = { .model = &m };

	(void)state;
	mb_model_init(&m);
	m.on_forget = count_nameless;
	m.on_forget_arg = &nameless;
	parent.info.cgroup = 77;
	take(&m, &parent);
	mb_ingest_identity(&in, &known, NULL, "/of.slice");
	for (uint32_t i = 2; i <= MB_MODEL_PROCESSES + 100; i++) {
		struct mb_task_record r = record(i, i, i);

		r.info.h.type = MB_TASK_EVENT_EXIT;
		r.info.group_dead = 1;
		r.info.ppid = i % 2 ? 1 : i - 1; /* the parent of a grandchild has no path itself */
		r.info.cgroup = i == 50 ? 78 : 77;
		take(&m, &r);
	}
	assert_int_equal(m.ended.n_rows, 2);
	assert_int_equal(m.ended.rows->ended_processes, 99);
	assert_int_equal(nameless, 1); /* only number 50: no other process of its cgroup is known */
	mb_model_free(&m);
}

static uint64_t sum_of(struct mb_process *all, uint64_t *processes)
{
	uint64_t sum = 0;

	for (struct mb_process *p = all; p; p = p->next) {
		sum += p->minor;
		*processes += p->is_sum ? p->ended_processes : 1;
	}
	return sum;
}

/* More programs than rows; some exit while all others are alive: the sums are exact. */
static void sums_of_what_was_folded_are_exact(void **state)
{
	const uint32_t many = MB_MODEL_PROCESSES + 3000;
	uint64_t want = 0, processes = 0;
	struct mb_model m;

	(void)state;
	mb_model_init(&m);
	for (int exits = 0; exits < 2; exits++) {
		for (uint32_t i = many; i > 0; i--) {
			struct mb_task_record r = record(i, i, i);

			snprintf(r.info.comm, sizeof(r.info.comm), "p%u", i % 400);
			r.info.h.type = exits ? MB_TASK_EVENT_EXIT : MB_TASK_EVENT_HARVEST;
			r.info.group_dead = (uint16_t)exits;
			r.info.min_flt = exits ? 5 + i % 7 : 5;
			r.ledger.fault.by_class[MB_FAULT_ANON] = r.info.min_flt;
			want += exits ? r.info.min_flt : 0;
			take(&m, &r);
		}
		mb_model_tick(&m, 1000, true);
		assert_int_equal(mb_lost_total(&m.lost), exits ? 0 : 3000);
	}
	assert_int_equal(m.n_processes, MB_MODEL_PROCESSES);
	assert_int_equal(m.ended.n_rows, MB_ENDED_ROWS);
	assert_int_equal(sum_of(m.all, &processes) + sum_of(m.ended.rows, &processes), want);
	assert_int_equal(processes, many);
	/* late records of a process that was folded into a row */
	m.ended.other->minor = 0;
	assert_ptr_not_equal(mb_model_account(&m, many, 1000 + many), NULL);
	assert_true(mb_model_account(&m, many, 1000 + many)->is_sum);
	assert_ptr_equal(mb_model_account(&m, 999999, 1), m.ended.other);
	mb_model_free(&m);
}

/* An interval shows what the row gained in it, not what its processes had before. */
static void a_row_has_its_interval(void **state)
{
	struct mb_model m;
	struct mb_task_record r = record(1, 1, 1);
	unsigned int slot;

	(void)state;
	mb_model_init(&m);
	slot = mb_slot(mb_family_by_name("fault")->fields); /* minor is among them */
	while (strcmp(mb_family_by_name("fault")->fields[slot - mb_slot(mb_family_by_name("fault")->fields)].name, "anon"))
		slot++;
	r.ledger.fault.by_class[MB_FAULT_ANON] = 10;
	take(&m, &r);
	mb_model_interval(&m);
	r.ledger.fault.by_class[MB_FAULT_ANON] = 13;
	r.info.h.type = MB_TASK_EVENT_EXIT;
	r.info.group_dead = 1;
	take(&m, &r);
	for (uint32_t i = 2; i <= MB_MODEL_PROCESSES + 1; i++)
		mb_model_process(&m, i, i);
	assert_non_null(m.ended.rows);
	assert_int_equal(mb_process_value(m.ended.rows, slot), 13);
	assert_int_equal(mb_process_delta(m.ended.rows, slot), 3);
	mb_model_interval(&m);
	assert_int_equal(mb_process_delta(m.ended.rows, slot), 0);
	mb_model_free(&m);
}

static void threads_that_vanish_are_retired(void **state)
{
	struct mb_model m;
	struct mb_task_record r = record(70, 70, 1);

	(void)state;
	mb_model_init(&m);
	take(&m, &r);
	for (int i = 0; i < 4; i++)
		mb_model_tick(&m, 1000, true);
	assert_true(mb_model_find(&m, 70)->exited);
	assert_false(mb_model_find(&m, 70)->exit_known);
	mb_model_tick(&m, 1001 + MB_MODEL_PENDING_EXIT_NS, true);
	assert_int_equal(HASH_COUNT(m.threads), 0);
	assert_int_equal(mb_model_find(&m, 70)->live_threads + mb_model_find(&m, 70)->pending_exits, 0);
	mb_model_free(&m);
}

/* The exit record of a thread that is no longer listed arrives late: what is already known counts once. */
static void late_words_are_counted_once(void **state)
{
	struct mb_model m;
	struct mb_task_record r = record(70, 70, 1);

	(void)state;
	mb_model_init(&m);
	r.info.min_flt = 40;
	r.ledger.vma.mmap_calls = 4;
	take(&m, &r);
	for (uint64_t i = 0; i < 9; i++) {
		mb_model_tick(&m, 1000 + i * 1000000000, true);
		mb_model_forget_ended(&m, 0); /* as serve does */
	}
	assert_true(mb_model_find(&m, 70)->exited);
	r.info.min_flt = 41;
	r.ledger.vma.mmap_calls = 5;
	r.info.h.type = MB_TASK_EVENT_EXIT;
	r.info.group_dead = 1;
	take(&m, &r);
	mb_model_tick(&m, 10000000000, true);
	assert_int_equal(value(&m, 70, "faults", "minor"), 41);
	assert_int_equal(value(&m, 70, "vma", "mmap_calls"), 5);
	assert_true(mb_model_find(&m, 70)->exit_known);
	mb_model_forget_ended(&m, 0);
	assert_null(mb_model_find(&m, 70));
	mb_model_free(&m);
}

static void malformed_events_are_counted_not_used(void **state)
{
	struct mb_model m;
	struct mb_task_record r = record(80, 80, 1);

	(void)state;
	mb_model_init(&m);
	mb_model_event(&m, &r, sizeof(struct mb_event) - 1);
	mb_model_event(&m, &r, sizeof(r) - 1);
	r.info.h.size--;
	mb_model_event(&m, &r, sizeof(r));
	r.info.h.size++;
	r.info.h.family = 15;
	mb_model_event(&m, &r, sizeof(r));
	assert_int_equal(m.lost.undecodable, 4);
	assert_int_equal(m.n_processes, 0);
	mb_model_free(&m);
}

static void kept_events_are_bounded(void **state)
{
	struct mb_model m;
	struct mb_oom_event e = { .h = { 1, 2, 2, MB_FAM_oom, MB_OOM_EVENT_KILL, sizeof(e) } };
	unsigned int n = 0;

	(void)state;
	mb_model_init(&m);
	for (unsigned int i = 0; i < MB_MODEL_RETAINED_EVENTS + 5; i++) {
		e.h.t_ns = i;
		mb_model_event(&m, &e, sizeof(e));
	}
	for (struct mb_retained_event *k = m.retained; k; k = k->next)
		n++;
	assert_int_equal(n, MB_MODEL_RETAINED_EVENTS);
	assert_int_equal(m.lost.events_not_retained, 5);
	assert_int_equal(((struct mb_event *)m.retained->data)->t_ns, 5);
	mb_model_free(&m);
}

static void rows_are_bounded(void **state)
{
	struct mb_model m;
	struct mb_writeback_event e = { .h = { 1, 90, 90, MB_FAM_writeback,
					       MB_WRITEBACK_EVENT_PAUSE, sizeof(e) }, .ns = 10 };
	struct mb_task_record r = record(90, 90, 1);
	uint64_t count = 0;
	unsigned int rows = 0;

	(void)state;
	mb_model_init(&m);
	take(&m, &r);
	for (int i = 0; i < 40; i++) {
		memset(e.on.name, 0, sizeof(e.on.name));
		e.on.name[0] = (char)('A' + i);
		mb_model_event(&m, &e, sizeof(e));
	}
	for (struct mb_row *row = mb_model_find(&m, 90)->details->rows; row; row = row->next) {
		rows++;
		count += row->stall.count;
	}
	assert_int_equal(rows, MB_PROCESS_ROWS);
	assert_int_equal(count, 40);
	mb_model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_twice_counts_once),
		cmocka_unit_test(threads_add_up_and_stay_after_exit),
		cmocka_unit_test(counts_start_at_the_base),
		cmocka_unit_test(a_number_used_again_is_another_process),
		cmocka_unit_test(exec_by_another_thread_counts_once),
		cmocka_unit_test(late_faults_are_added),
		cmocka_unit_test(processes_are_bounded_and_evictions_counted),
		cmocka_unit_test(who_leaves_before_its_tick_has_its_parents_cgroup),
		cmocka_unit_test(sums_of_what_was_folded_are_exact),
		cmocka_unit_test(a_row_has_its_interval),
		cmocka_unit_test(whoever_adds_up_gets_what_is_forgotten),
		cmocka_unit_test(threads_that_vanish_are_retired),
		cmocka_unit_test(late_words_are_counted_once),
		cmocka_unit_test(malformed_events_are_counted_not_used),
		cmocka_unit_test(kept_events_are_bounded),
		cmocka_unit_test(rows_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
