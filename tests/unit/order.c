// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Events arrive ring by ring, and are shown in order of time once no earlier event can arrive. */
#include <stdio.h>
#include <string.h>

#include "model/model.h"
#include "model/order.h"
#include "unit.h"

static struct {
	uint64_t last_ns, number;
	char comm[MB_COMM_LEN];
} shown;

static void show(void *arg, const char *comm, const struct mb_event *e)
{
	(void)arg;
	assert_true(e->t_ns >= shown.last_ns);
	shown.last_ns = e->t_ns;
	shown.number++;
	snprintf(shown.comm, sizeof(shown.comm), "%s", comm);
}

static void add(struct mb_order *o, struct mb_model *m, uint64_t t_ns)
{
	struct mb_event e = { .t_ns = t_ns, .tgid = 1, .size = sizeof(e) };

	mb_order_add(o, m, &e);
}

static struct mb_order *new_order(struct mb_model *m)
{
	struct mb_order *o = mb_order_new(show, NULL);

	assert_non_null(o);
	memset(&shown, 0, sizeof(shown));
	mb_model_init(m);
	strcpy(mb_model_process(m, 1, 1)->comm, "before");
	return o;
}

static void two_rings_become_one_order(void **state)
{
	struct mb_model m;
	struct mb_order *o = new_order(&m);

	(void)state;
	for (uint64_t ring = 0; ring < 2; ring++) {
		for (uint64_t i = 0; i < 1000; i++)
			add(o, &m, 2 * i + 1 - ring);
	}
	mb_order_show(o, 1000);
	assert_int_equal(shown.number, 1000);
	assert_int_equal(shown.last_ns, 999);
	/* an event shows the name that the process had when the event was read */
	strcpy(mb_model_find(&m, 1)->comm, "after");
	mb_order_show(o, UINT64_MAX);
	assert_int_equal(shown.number, 2000);
	assert_string_equal(shown.comm, "before");
	assert_int_equal(mb_order_late(o), 0);
	mb_order_free(o);
	mb_model_free(&m);
}

static void what_comes_too_late_is_counted(void **state)
{
	struct mb_model m;
	struct mb_order *o = new_order(&m);

	(void)state;
	add(o, &m, 100);
	mb_order_show(o, 101);
	add(o, &m, 50);
	shown.last_ns = 0;
	mb_order_show(o, 101);
	assert_int_equal(shown.number, 2);
	assert_int_equal(mb_order_late(o), 1);
	mb_order_free(o);
	mb_model_free(&m);
}

/* The number of waiting events is bounded: when it is reached, the older half is shown. */
static void a_flood_is_shown(void **state)
{
	struct mb_model m;
	struct mb_order *o = new_order(&m);
	const uint64_t many = MB_ORDER_BYTES / sizeof(struct mb_event);

	(void)state;
	for (uint64_t i = 0; i < many; i++)
		add(o, &m, i);
	assert_true(shown.number > 0);
	mb_order_show(o, UINT64_MAX);
	assert_int_equal(shown.number, many);
	mb_order_free(o);
	mb_model_free(&m);
}

/* A thread with faults not yet sent, or in a stall, holds up all later events. */
static void what_is_unsent_is_known(void **state)
{
	struct mb_task_record r;
	struct mb_model m;

	(void)state;
	mb_model_init(&m);
	assert_true(m.unsent_ns == UINT64_MAX);
	m.stream = 1u << MB_FAM_fault;
	memset(&r, 0, sizeof(r));
	r.info.h.family = MB_FAM_task;
	r.info.h.type = MB_TASK_EVENT_HARVEST;
	r.info.h.size = sizeof(r);
	r.info.h.tgid = r.info.h.tid = 1;
	r.ledger.fault.pending.seq = 3;
	r.ledger.fault.pending.start_ns = 700;
	r.ledger.fault.n_batch = 2;
	r.ledger.fault.batch[0] = (struct mb_fault_record){ .t_ns = 500, .seq = 1 };
	r.ledger.fault.batch[1] = (struct mb_fault_record){ .t_ns = 600, .seq = 2 };
	mb_model_event(&m, &r, sizeof(r));
	assert_int_equal(m.unsent_ns, 500);
	r.ledger.task.depth = 1;
	r.ledger.task.stack[0].start_ns = 400;
	mb_model_event(&m, &r, sizeof(r));
	assert_int_equal(m.unsent_ns, 400);
	mb_model_tick(&m, 1000, true);
	assert_true(m.unsent_ns == UINT64_MAX);
	mb_model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_rings_become_one_order),
		cmocka_unit_test(what_comes_too_late_is_counted),
		cmocka_unit_test(a_flood_is_shown),
		cmocka_unit_test(what_is_unsent_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
