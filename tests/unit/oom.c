// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reports of OOM kills: what belongs together, whose growth it was, and what is said of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "model/oom.h"
#include "unit.h"

#define S MB_NS_PER_S
#define LIMIT 10000u /* pages */

static struct mb_model m;

static int setup(void **state)
{
	(void)state;
	mb_model_init(&m);
	m.history = mb_history_new(&mb_history_default);
	m.oom = mb_oom_new();
	assert_non_null(m.history);
	assert_non_null(m.oom);
	return 0;
}

static int teardown(void **state)
{
	struct mb_history *h = m.history;
	struct mb_oom *o = m.oom;

	(void)state;
	mb_model_free(&m);
	mb_oom_free(o);
	mb_history_free(h);
	return 0;
}

static struct mb_process *process(uint32_t tgid, const char *comm, uint64_t start_ns)
{
	struct mb_process *p = mb_model_process(&m, tgid, start_ns);

	assert_non_null(p);
	snprintf(p->comm, sizeof(p->comm), "%s", comm);
	p->has_memory = true;
	return p;
}

static void tick(uint64_t t_ns)
{
	for (struct mb_process *p = m.all; p; p = p->next)
		p->seen_tick = m.tick;
	mb_model_tick(&m, t_ns, false);
}

static struct mb_oom_event kill_event(uint64_t t_ns, uint32_t trigger, uint32_t victim)
{
	struct mb_oom_event e;

	memset(&e, 0, sizeof(e));
	e.h = (struct mb_event){ t_ns, trigger, trigger, MB_FAM_oom, MB_OOM_EVENT_KILL, sizeof(e) };
	e.victim_tgid = e.chosen_tgid = victim;
	e.victim_start_ns = victim;
	e.total_pages = LIMIT;
	e.memcg = 77;
	e.memcg_limit_pages = e.memcg_usage_pages = LIMIT;
	e.constraint = MB_OOM_MEMCG;
	strcpy(e.victim_comm, "victim");
	strcpy(e.trigger_comm, "trigger");
	return e;
}

static void take(const void *e)
{
	mb_model_event(&m, e, ((const struct mb_event *)e)->size);
}

static void tell_task(const struct mb_oom_event *kill, uint32_t tgid, const char *comm, uint64_t start_ns,
		      uint64_t anon_pages)
{
	struct mb_oom_task_event t;

	memset(&t, 0, sizeof(t));
	t.h = kill->h;
	t.h.type = MB_OOM_EVENT_TASK;
	t.h.size = sizeof(t);
	t.kill_t_ns = kill->h.t_ns;
	t.tgid = tgid;
	t.start_ns = start_ns;
	t.rss_pages[1] = anon_pages;
	snprintf(t.comm, sizeof(t.comm), "%s", comm);
	take(&t);
}

static void tell_all(const struct mb_oom_event *kill)
{
	struct mb_oom_told_event t;

	memset(&t, 0, sizeof(t));
	t.h = kill->h;
	t.h.type = MB_OOM_EVENT_TOLD;
	t.h.size = sizeof(t);
	t.kill_t_ns = kill->h.t_ns;
	take(&t);
}

static void log_line(const char *text)
{
	mb_oom_log_line(m.oom, 0, text, strlen(text));
}

static struct mb_oom_kill *ready(uint64_t now_ns)
{
	struct mb_oom_kill *k = mb_oom_ready(&m, now_ns);

	if (k) {
		k->shown = true;
		k->changed = false;
	}
	return k;
}

static bool says(const struct mb_oom_kill *k, const char *what)
{
	struct mb_oom_culprit c;
	char text[768];

	mb_oom_find_culprit(&m, k, &c);
	mb_oom_sentence(&m, k, &c, text, sizeof(text));
	if (!strstr(text, what))
		print_message("no \"%s\" in: %s\n", what, text);
	return strstr(text, what);
}

/* ---- whose growth it was ---- */

/* The one with most is not the one that grew. */
static void the_one_that_grew_is_the_culprit(void **state)
{
	struct mb_process *large = process(1, "large", 1), *grower = process(2, "grower", 2);
	struct mb_oom_event e = kill_event(100 * S, 2, 1);
	struct mb_oom_culprit c;
	struct mb_oom_kill *k;

	(void)state;
	large->rss_pages[1] = 5000;
	for (uint64_t s = 1; s <= 99; s++) {
		grower->rss_pages[1] = s < 60 ? 100 : 100 + (s - 59) * 100;
		tick(s * S);
	}
	take(&e);
	tell_task(&e, 1, "large", 1, 5000);
	tell_task(&e, 2, "grower", 2, 4600);
	tell_all(&e);
	k = ready(e.h.t_ns + MB_OOM_WAIT_NS);
	assert_non_null(k);
	mb_oom_find_culprit(&m, k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.task->tgid, 2);
	assert_int_equal(c.processes, 1);
	/* half of the 9,600 there are grew by no window shorter than all that is known */
	assert_int_equal(c.growth_pages, 4500);
	assert_int_equal(c.window_ns, 99 * S);
	assert_true(says(k, "victim (pid 1) was killed because cgroup ? reached its limit of 39.1 MiB; the growth "
			    "came from grower (pid 2, +17.6 MiB in 99.0 s), not from the victim."));
}

static void many_of_one_name_are_one(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 5, 5);
	struct mb_oom_culprit c;
	struct mb_oom_kill *k;
	char comm[16];

	(void)state;
	tick(9 * S);
	take(&e);
	for (uint32_t i = 0; i < 20; i++)
		tell_task(&e, 100 + i, "worker", 9 * S + i, 400);
	for (uint32_t i = 0; i < 10; i++) {
		snprintf(comm, sizeof(comm), "other%u", i);
		tell_task(&e, 200 + i, comm, 9 * S + i, 100);
	}
	tell_all(&e);
	k = ready(UINT64_MAX);
	mb_oom_find_culprit(&m, k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.processes, 20);
	assert_int_equal(c.growth_pages, 8000);
	assert_true(says(k, "the growth came from 20 processes named worker (together +31.2 MiB in"));
}

static void it_says_when_it_is_not_clear(void **state)
{
	struct mb_oom_event several = kill_event(10 * S, 5, 5), old = kill_event(11 * S, 6, 6),
			    files = kill_event(12 * S, 7, 7);
	char comm[16];

	(void)state;
	process(50, "old", 1)->rss_pages[1] = 9000;
	tick(8 * S);
	tick(9 * S);
	take(&several);
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(comm, sizeof(comm), "p%u", i);
		tell_task(&several, 100 + i, comm, 9 * S + i, 1200);
	}
	tell_all(&several);
	assert_true(says(ready(UINT64_MAX), "not clear whose growth it was: many grew, most of all p0"));
	take(&old);
	tell_task(&old, 50, "old", 1, 9000);
	tell_all(&old);
	assert_true(says(ready(UINT64_MAX), "no process grew much since memblame looks"));
	take(&files);
	tell_task(&files, 60, "small", 11 * S, 300);
	tell_all(&files);
	assert_true(says(ready(UINT64_MAX), "processes have only 1.2 MiB of it, the rest is files"));
}

/* ---- what belongs together ---- */

static void a_report_waits_for_what_belongs_to_it(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 1, 2);
	struct mb_process *victim = process(2, "victim", 2);
	struct mb_oom_stack_event stack = { .h = { 10 * S, 2, 2, MB_FAM_oom, MB_OOM_EVENT_STACK, sizeof(stack) },
					    .kill_t_ns = 10 * S };

	(void)state;
	log_line("booted");
	take(&e);
	tell_all(&e);
	assert_null(ready(10 * S + MB_OOM_WAIT_NS - 1));
	take(&stack);
	victim->exited = true;
	assert_null(ready(10 * S + MB_OOM_WAIT_NS - 1));
	log_line("Memory cgroup out of memory: Killed process 2 (victim) total-vm:1kB");
	/* complete, but others of its group may follow at once */
	assert_null(ready(10 * S + 1000));
	assert_non_null(ready(10 * S + MB_OOM_WAIT_NS / 2));
	assert_null(ready(UINT64_MAX));
}

static void lines_of_two_kills_do_not_mix(void **state)
{
	struct mb_oom_event a = kill_event(10 * S, 1, 2), b = kill_event(11 * S, 3, 4);
	struct mb_oom_kill *k;

	(void)state;
	take(&a);
	take(&b);
	mb_oom_log_line(m.oom, 11, "a invoked oom-killer: gfp_mask=0x1", 34);
	mb_oom_log_line(m.oom, 99, "eth0: link is up", 16);
	mb_oom_log_line(m.oom, 11, "of a\\x0aof a, too", 17);
	mb_oom_log_line(m.oom, 11, "Out of memory: Killed process 2 (victim)", 40);
	mb_oom_log_line(m.oom, 12, "b invoked oom-killer: gfp_mask=0x1", 34);
	mb_oom_log_line(m.oom, 12, "of b", 4);
	mb_oom_log_line(m.oom, 12, "Out of memory: Killed process 4 (victim)", 40);
	mb_oom_log_line(m.oom, 7, "oom_reaper: reaped process 2 (victim)", 37);
	k = ready(UINT64_MAX);
	assert_int_equal(k->first.victim_tgid, 2);
	k->log[k->log_len] = '\0';
	assert_string_equal(k->log, "a invoked oom-killer: gfp_mask=0x1\nof a\nof a, too\n"
				    "Out of memory: Killed process 2 (victim)\noom_reaper: reaped process 2 (victim)\n");
	k = ready(UINT64_MAX);
	assert_int_equal(k->first.victim_tgid, 4);
	k->log[k->log_len] = '\0';
	assert_string_equal(k->log, "b invoked oom-killer: gfp_mask=0x1\nof b\n"
				    "Out of memory: Killed process 4 (victim)\n");
}

static void a_group_is_one_report(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 1, 2), member;
	struct mb_oom_kill *k;

	(void)state;
	take(&e);
	tell_all(&e);
	for (uint32_t i = 0; i < MB_OOM_VICTIMS + 5; i++) {
		member = kill_event(10 * S + 10 + i, 1, 100 + i);
		member.chosen_tgid = 2;
		take(&member);
	}
	k = ready(UINT64_MAX);
	assert_int_equal(k->n_victims, MB_OOM_VICTIMS);
	assert_int_equal(k->victims_left_out, 6);
	assert_int_equal(k->first.victim_tgid, 2);
	assert_null(ready(UINT64_MAX));
	assert_true(says(k, "and 261 others were killed"));
}

/* Another thread of the victim runs out of memory too: one report, with the reason. */
static void a_victim_marked_twice_is_one_report(void **state)
{
	struct mb_oom_event ending = kill_event(10 * S, 1, 2), e = kill_event(10 * S + 5, 1, 2);
	struct mb_oom_kill *k;

	(void)state;
	ending.total_pages = ending.memcg = ending.chosen_tgid = 0;
	take(&ending);
	take(&e);
	tell_task(&e, 2, "victim", 2, 100);
	tell_all(&e);
	take(&ending);
	k = ready(UINT64_MAX);
	assert_int_equal(k->first.total_pages, LIMIT);
	assert_int_equal(k->n_victims, 1);
	assert_int_equal(k->n_tasks, 1);
	assert_null(ready(UINT64_MAX));
}

static void a_storm_is_bounded(void **state)
{
	uint32_t shown = 0;

	(void)state;
	for (uint32_t i = 0; i < 3 * MB_OOM_KILLS; i++) {
		struct mb_oom_event e = kill_event(10 * S + i, 1, 1000 + i);

		take(&e);
	}
	while (ready(UINT64_MAX))
		shown++;
	assert_int_equal(shown, MB_OOM_KILLS);
	assert_int_equal(m.oom->kills_left_out, 2 * MB_OOM_KILLS);
	/* those that are shown make room */
	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		struct mb_oom_event e = kill_event(20 * S + i, 1, 2000 + i);

		take(&e);
		assert_non_null(ready(UINT64_MAX));
	}
	assert_int_equal(m.oom->kills_left_out, 2 * MB_OOM_KILLS);
}

static void tasks_are_sorted_by_badness(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 1, 2);
	struct mb_oom_kill *k;
	int64_t last = INT64_MAX;
	uint32_t n;

	(void)state;
	take(&e);
	srand(1);
	for (uint32_t i = 0; i < 1000; i++)
		tell_task(&e, 10 + i, "t", 1, (uint64_t)rand() % 10000);
	m.oom->tasks[500].oom_score_adj = -1000;
	m.oom->tasks[501].oom_score_adj = 1000;
	k = ready(UINT64_MAX);
	n = mb_oom_sort(m.oom, k);
	assert_int_equal(n, 1000);
	assert_int_equal(m.oom->order[999], 500);
	for (uint32_t i = 0; i < 999; i++) {
		int64_t badness;

		assert_true(mb_oom_badness(mb_oom_task(m.oom, k, m.oom->order[i]), LIMIT, &badness));
		assert_true(badness <= last);
		last = badness;
	}
	/* 1000 of 1000 thousandths of all memory */
	assert_true(mb_oom_badness(&m.oom->tasks[501], LIMIT, &last));
	assert_int_equal(last, (int64_t)m.oom->tasks[501].rss_pages[1] + LIMIT);
	assert_int_equal(mb_oom_score(&m.oom->tasks[500], LIMIT), 0);
}

/* ---- a kill by a process ---- */

static void a_sigkill_counts_when_memory_is_short(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 1, 2);

	(void)state;
	e.h.type = MB_OOM_EVENT_SIGKILL;
	e.total_pages = e.chosen_tgid = 0;
	e.memcg_usage_pages = LIMIT / 2;
	take(&e);
	assert_null(ready(UINT64_MAX));
	e.memcg_usage_pages = LIMIT - LIMIT / 20;
	take(&e);
	e.h.t_ns += 1000;
	e.victim_tgid = 3;
	take(&e);
	assert_true(says(ready(UINT64_MAX), "victim (pid 2) and 1 other were killed by trigger (pid 1) with SIGKILL "
					    "while memory was short (cgroup ? used 37.1 MiB of 39.1 MiB), not by "
					    "the kernel."));
	assert_null(ready(UINT64_MAX));
	e.memcg = 0;
	e.h.t_ns += 10 * S;
	m.system.known = true;
	m.system.now.values[MB_SYS_memory_total_bytes] = 1000000;
	m.system.now.values[MB_SYS_memory_available_bytes] = 500000;
	m.system.now.values[MB_SYS_psi_memory_some_avg10_bp] = MB_UNKNOWN;
	take(&e);
	assert_null(ready(UINT64_MAX));
	m.system.now.values[MB_SYS_memory_available_bytes] = 90000;
	take(&e);
	assert_non_null(ready(UINT64_MAX));
}

/* ---- words ---- */

static void flags_have_the_kernels_names(void **state)
{
	char text[256];

	(void)state;
	/* as kernels 6.12 and 6.18 logged them */
	assert_string_equal(mb_oom_gfp_names(0xcc0, text, sizeof(text)), "GFP_KERNEL");
	assert_string_equal(mb_oom_gfp_names(0x140cca, text, sizeof(text)), "GFP_HIGHUSER_MOVABLE|__GFP_COMP");
	assert_string_equal(mb_oom_gfp_names(0x440dc0, text, sizeof(text)),
			    "GFP_KERNEL_ACCOUNT|__GFP_COMP|__GFP_ZERO");
	assert_string_equal(mb_oom_gfp_names(0, text, sizeof(text)), "");
	assert_string_equal(mb_oom_gfp_names(0x80000000, text, sizeof(text)), "0x80000000");
	assert_int_equal(strlen(mb_oom_gfp_names(0xffffffff, text, 16)), 15);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_one_that_grew_is_the_culprit),
		TEST(many_of_one_name_are_one),
		TEST(it_says_when_it_is_not_clear),
		TEST(a_report_waits_for_what_belongs_to_it),
		TEST(lines_of_two_kills_do_not_mix),
		TEST(a_group_is_one_report),
		TEST(a_victim_marked_twice_is_one_report),
		TEST(a_storm_is_bounded),
		TEST(tasks_are_sorted_by_badness),
		TEST(a_sigkill_counts_when_memory_is_short),
		TEST(flags_have_the_kernels_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
