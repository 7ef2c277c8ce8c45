// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reports of OOM kills: which events belong together, which process grew, and the words of the report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/ingest.h"
#include "model/model.h"
#include "oom/oom.h"
#include "unit.h"

#define S MB_NS_PER_S
#define LIMIT 10000u /* pages */

static struct mb_model m;

static int setup(void **state)
{
	(void)state;
	mb_model_init(&m);
	m.history = mb_history_new(&mb_history_default);
	assert_non_null(m.history);
	assert_non_null(mb_oom_new(&m));
	return 0;
}

static int teardown(void **state)
{
	struct mb_history *h = m.history;

	(void)state;
	mb_model_free(&m);
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
	struct mb_oom_complete_event t;

	memset(&t, 0, sizeof(t));
	t.h = kill->h;
	t.h.type = MB_OOM_EVENT_CANDIDATES_COMPLETE;
	t.h.size = sizeof(t);
	t.kill_t_ns = kill->h.t_ns;
	take(&t);
}

static void log_line(const char *text)
{
	mb_oom_log_line(mb_oom_of(&m), 0, text, strlen(text));
}

/* As charged() below, plus anonymous memory in swap. */
static void charged_in(uint64_t cgroup, uint64_t t_ns, uint64_t anon, uint64_t swap, uint64_t kernel)
{
	struct mb_memcg_record f = { .cgroup = cgroup };

	mb_memcg_init(&f.split);
	f.split.t_ns = t_ns;
	f.split.swap_pages = swap;
	f.split.usage_pages = anon + kernel;
	f.split.pages[MB_MEMCG_ANON] = anon;
	f.split.pages[MB_MEMCG_SHMEM] = f.split.pages[MB_MEMCG_FILE] = 0;
	f.split.pages[MB_MEMCG_KERNEL] = kernel;
	mb_memcg_add_up(&f.split);
	assert_int_equal(mb_ingest_apply(&m, MB_INGEST_MEMCG, &f, sizeof(f)), 0);
}

/* What a cgroup was charged at that time, by kind, as the session reads it at each tick. */
static void charged(uint64_t cgroup, uint64_t t_ns, uint64_t anon, uint64_t shmem, uint64_t file, uint64_t kernel)
{
	struct mb_memcg_record f = { .cgroup = cgroup };

	mb_memcg_init(&f.split);
	f.split.t_ns = t_ns;
	f.split.swap_pages = 0;
	f.split.usage_pages = anon + shmem + file + kernel;
	f.split.pages[MB_MEMCG_ANON] = anon;
	f.split.pages[MB_MEMCG_SHMEM] = shmem;
	f.split.pages[MB_MEMCG_FILE] = file;
	f.split.pages[MB_MEMCG_KERNEL] = kernel;
	mb_memcg_add_up(&f.split);
	assert_int_equal(mb_ingest_apply(&m, MB_INGEST_MEMCG, &f, sizeof(f)), 0);
}

/* Finds the culprit, and checks that the numbers add up. */
static void find_culprit(const struct mb_oom_kill *k, struct mb_oom_culprit *c)
{
	const char *wrong;

	mb_oom_find_culprit(&m, k, c);
	wrong = mb_oom_check(k, c);
	if (wrong)
		fail_msg("it does not add up: %s", wrong);
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

	find_culprit(k, &c);
	mb_oom_sentence(&m, k, &c, text, sizeof(text));
	if (!strstr(text, what))
		print_message("no \"%s\" in: %s\n", what, text);
	return strstr(text, what);
}

/* ---- which process grew ---- */

/* The process with most memory is not the one that grew. */
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
		charged(77, s * S, 5000 + grower->rss_pages[1], 0, 0, 400);
		tick(s * S);
	}
	take(&e);
	tell_task(&e, 1, "large", 1, 5000);
	tell_task(&e, 2, "grower", 2, 4600);
	tell_all(&e);
	k = ready(e.h.t_ns + MB_OOM_WAIT_NS);
	assert_non_null(k);
	find_culprit(k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.task->tgid, 2);
	assert_int_equal(c.processes, 1);
	/* a third of the 10,000 pages in use grew in 34 s; the window reaches back to where that growth began */
	assert_int_equal(c.growth_pages, 4500);
	assert_int_equal(c.window_ns, 41 * S);
	assert_int_equal(c.kind, MB_MEMCG_ANON);
	assert_true(says(k, "victim (pid 1) was killed because cgroup ? reached its limit of 39.1 MiB; the growth "
			    "came from grower (pid 2, +17.6 MiB in 41.0 s), not from the victim."));
}

/* A process that pauses in between, for the disk or for a CPU, has grown all the same. */
static void growth_may_pause(void **state)
{
	struct mb_process *grower = process(2, "grower", 2);
	struct mb_oom_event e = kill_event(100 * S, 2, 2);
	struct mb_oom_culprit c;

	(void)state;
	for (uint64_t s = 1; s <= 99; s++) {
		if ((s > 40 && s <= 60) || s > 65)
			grower->rss_pages[1] += 150;
		charged(77, s * S, 900 + grower->rss_pages[1], 0, 0, 400);
		tick(s * S);
	}
	take(&e);
	tell_task(&e, 1, "still", 1, 900);
	tell_task(&e, 2, "grower", 2, grower->rss_pages[1]);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.task->tgid, 2);
	/* but for less than the 3 % that make no longer window of use */
	assert_in_range(c.growth_pages, 53 * 150, 54 * 150);
	assert_in_range(c.window_ns, 59 * S, 70 * S);
}

static void many_of_one_name_are_one(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 5, 5);
	struct mb_oom_culprit c;
	struct mb_oom_kill *k;
	char comm[16];

	(void)state;
	charged(77, 9 * S, 0, 0, 0, 0);
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
	find_culprit(k, &c);
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
	old.memcg = 78;
	files.memcg = 79;
	charged(77, 9 * S, 0, 0, 0, 0);
	charged(78, 9 * S, 9000, 0, 0, 0);
	charged(79, 9 * S, 0, 0, 0, 0);
	charged(79, 11 * S + S / 2, 300, 0, 9000, 0);
	take(&several);
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(comm, sizeof(comm), "p%u", i);
		tell_task(&several, 100 + i, comm, 9 * S + i, 1200);
	}
	tell_all(&several);
	assert_true(says(ready(UINT64_MAX), "not clear whose growth it was: 37.5 MiB "
					  "of anonymous memory, many grew, most of all p0"));
	take(&old);
	tell_task(&old, 50, "old", 1, 9000);
	tell_all(&old);
	assert_true(says(ready(UINT64_MAX), "nothing grew much since memblame looks"));
	take(&files);
	tell_task(&files, 60, "small", 11 * S, 300);
	tell_all(&files);
	assert_true(says(ready(UINT64_MAX), "the growth was 35.2 MiB of page cache in 3.0 s, which is no process's own"));
}

static struct mb_oom_task_event task_event(const struct mb_oom_event *kill, uint32_t tgid, const char *comm,
					   uint64_t start_ns)
{
	struct mb_oom_task_event t;

	memset(&t, 0, sizeof(t));
	t.h = kill->h;
	t.h.type = MB_OOM_EVENT_TASK;
	t.h.size = sizeof(t);
	t.kill_t_ns = kill->h.t_ns;
	t.tgid = tgid;
	t.start_ns = start_ns;
	snprintf(t.comm, sizeof(t.comm), "%s", comm);
	return t;
}

/*
 * One process allocated 6,000 pages 2.6 s before the kill and nothing since; the shared memory of another process did
 * the rest. The tick between the two is the start of the window, for the cgroup and for processes alike.
 */
static void a_jump_before_the_window_is_not_in_it(void **state)
{
	struct mb_oom_event e = kill_event(20 * S, 2, 1);
	struct mb_oom_task_event t;
	struct mb_process *still, *writer;
	struct mb_oom_culprit c;

	(void)state;
	tick(16 * S + 360 * S / 1000);
	charged(77, 16 * S + 360 * S / 1000, 0, 0, 0, 0);
	still = process(1, "still", 17 * S + 380 * S / 1000);
	still->rss_pages[1] = 6000;
	writer = process(2, "writer", 18 * S + 300 * S / 1000);
	tick(17 * S + 360 * S / 1000);
	tick(18 * S + 360 * S / 1000);
	charged(77, 18 * S + 360 * S / 1000, 6000, 0, 0, 0);
	tick(19 * S + 360 * S / 1000);
	charged(77, 19 * S + 360 * S / 1000, 6000, 2500, 0, 0);
	charged(77, 20 * S - 1, 6000, 4000, 0, 0);
	take(&e);
	t = task_event(&e, 1, "still", still->start_ns);
	t.rss_pages[1] = 6000;
	take(&t);
	t = task_event(&e, 2, "writer", writer->start_ns);
	t.rss_pages[3] = 4000;
	take(&t);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.kind, MB_MEMCG_SHMEM);
	assert_int_equal(c.task->tgid, 2);
	assert_int_equal(c.growth_pages, 4000);
	assert_int_equal(c.window_ns, 1640 * S / 1000);
}

/*
 * A worker takes and frees the same memory every second, beside a process that leaks: which of them to blame is not
 * clear. Alone, the worker is the culprit, and so it is if an earlier kill has made the room since.
 */
static void the_same_again(uint64_t killed_ns, uint64_t leaked, enum mb_oom_verdict verdict)
{
	struct mb_oom_event e = kill_event(100 * S, 2, 2), earlier = kill_event(killed_ns, 9, 9);
	struct mb_process *worker = process(1, "worker", 1), *leaker = process(2, "leaker", 2);
	struct mb_oom_kill *k;
	struct mb_oom_culprit c;

	for (uint64_t s = 1; s <= 99; s++) {
		/* after a kill it has not taken it again yet */
		worker->rss_pages[1] = s % 2 || (killed_ns && s * S > killed_ns) ? 100 : 4000;
		leaker->rss_pages[1] = leaked * s / 100;
		charged(77, s * S, worker->rss_pages[1] + leaker->rss_pages[1], 0, 5200 - leaked, 400);
		tick(s * S);
	}
	charged(77, 100 * S - 1, 4400 + leaked, 0, 5200 - leaked, 400);
	if (killed_ns)
		take(&earlier);
	take(&e);
	tell_task(&e, 1, "worker", 1, 4400);
	tell_task(&e, 2, "leaker", 2, leaked);
	tell_all(&e);
	k = mb_oom_find(mb_oom_of(&m), e.h.t_ns);
	assert_non_null(k);
	find_culprit(k, &c);
	assert_int_equal(c.verdict, verdict);
	assert_int_equal(c.task->tgid, 1);
	if (verdict == MB_OOM_CULPRIT_SEVERAL)
		assert_true(says(k, "anonymous memory, there was nearly as much anonymous memory before, and most grew worker "
				    "(pid 1, +16.8 MiB in 1.0 s); over the longer time leaker (pid 2, +11.9 MiB in 61.0 s) grew."));
}

static void the_same_again_is_not_clear(void **state)
{
	(void)state;
	the_same_again(0, 5000, MB_OOM_CULPRIT_SEVERAL);
}

static void the_same_again_alone_is_clear(void **state)
{
	(void)state;
	the_same_again(0, 1000, MB_OOM_CULPRIT_CLEAR);
}

static void the_same_again_after_a_kill_is_clear(void **state)
{
	(void)state;
	the_same_again(95 * S, 5000, MB_OOM_CULPRIT_CLEAR);
}

/* A process allocates what an earlier one freed: its growth is part of all growth. */
static void a_successor_has_grown(void **state)
{
	struct mb_oom_event e = kill_event(20 * S, 2, 2);
	struct mb_process *before, *after;
	struct mb_oom_culprit c;

	(void)state;
	before = process(1, "program", 5 * S);
	before->rss_pages[1] = 6000;
	before->cgroup_path = strdup("/a");
	tick(18 * S);
	charged(77, 18 * S, 6000, 0, 0, 1000);
	before->exited = true;
	after = process(2, "program", 18 * S + S / 2);
	tick(19 * S);
	charged(77, 19 * S, 100, 0, 0, 1000);
	take(&e);
	mb_oom_path(mb_oom_of(&m), e.h.t_ns, 77, "/a");
	tell_task(&e, 2, "program", after->start_ns, 9000);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	/* as the kernel counts: the tick missed 100 pages */
	assert_int_equal(c.growth_pages, 8900);
	free(before->cgroup_path);
	before->cgroup_path = NULL;
}

/* The kernel's log has fewer pages on its LRU lists than one process has. */
static void of_the_machine_processes_know_better(void **state)
{
	struct mb_oom_event e = kill_event(20 * S, 2, 2);
	uint64_t *v = m.system.now.values;
	struct mb_oom_culprit c;

	(void)state;
	e.memcg = 0;
	e.constraint = MB_OOM_GLOBAL;
	m.system.known = true;
	v[MB_SYS_memory_total_bytes] = 80000 * 4096ull;
	v[MB_SYS_memory_free_bytes] = 20000 * 4096ull;
	v[MB_SYS_memory_anon_bytes] = 1000 * 4096ull;
	tick(18 * S);
	process(2, "hog", 18 * S + S / 2);
	take(&e);
	log_line("hog invoked oom-killer: gfp_mask=0xcc0");
	log_line("active_anon:1000 inactive_anon:30000 isolated_anon:0");
	log_line(" active_file:10 inactive_file:10 isolated_file:0");
	log_line(" unevictable:0 dirty:0 writeback:0");
	log_line(" slab_reclaimable:100 slab_unreclaimable:100");
	log_line(" mapped:1 shmem:0 pagetables:100");
	log_line("Out of memory: Killed process 2 (hog) total-vm:200000kB");
	tell_task(&e, 2, "hog", 18 * S + S / 2, 45000);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.from, MB_OOM_SPLIT_LOG);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.growth_pages, 45000);
	assert_true(c.all_growth_pages >= 45000);
}

/* The kill came during the tick: processes were read before it, the memory of the cgroup after it. */
static void who_was_about_to_end_has_nothing_to_give_back(void **state)
{
	struct mb_oom_event e = kill_event(20 * S, 2, 2);
	struct mb_process *base = process(1, "base", 5 * S), *before = process(3, "app", 6 * S), *after;
	struct mb_oom_culprit c;

	(void)state;
	base->rss_pages[1] = 5600;
	before->rss_pages[1] = 4300;
	before->cgroup_path = strdup("/a");
	tick(18 * S);
	charged(77, 18 * S + 1, 5700, 0, 0, 100);
	before->exited = true;
	after = process(2, "app", 18 * S + S / 2);
	take(&e);
	mb_oom_path(mb_oom_of(&m), e.h.t_ns, 77, "/a");
	tell_task(&e, 1, "base", base->start_ns, 5600);
	tell_task(&e, 2, "app", after->start_ns, 4200);
	tell_all(&e);
	charged(77, 20 * S - 1, 9800, 0, 0, 100);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.task->tgid, 2);
	assert_int_equal(c.growth_pages, 4200);
	assert_in_range(c.all_growth_pages, 4200, 4300);
	free(before->cgroup_path);
	before->cgroup_path = NULL;
}

/* There is no kernel log to split the usage by kind. */
static void what_came_since_the_last_tick_may_be_anything(void **state)
{
	struct mb_oom_event e = kill_event(20 * S, 2, 1);
	struct mb_oom_culprit c;

	(void)state;
	tick(19 * S);
	charged(77, 19 * S, 1000, 200, 0, 300);
	take(&e);
	tell_task(&e, 1, "small", 2 * S, 1000);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_UNKNOWN);
	assert_non_null(strstr(c.missing, "since the last tick"));
}

/* ---- each byte once ---- */

/* Eight processes map the same shared memory, which came in the window; one process grew by more. */
static void shared_memory_counts_once(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 5, 5);
	struct mb_oom_task_event t;
	struct mb_oom_culprit c;

	(void)state;
	charged(77, 5 * S, 500, 0, 0, 0);
	charged(77, 10 * S - 1, 5900, 4000, 0, 100);
	tick(5 * S);
	take(&e);
	for (uint32_t i = 0; i < 8; i++) {
		t = task_event(&e, 100 + i, "worker", 6 * S + i);
		t.rss_pages[3] = 4000;
		take(&t);
	}
	t = task_event(&e, 200, "leaker", 6 * S);
	t.rss_pages[1] = 5400;
	take(&t);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.task->tgid, 200);
	assert_int_equal(c.growth_pages, 5400);
	assert_int_equal(c.kind_growth_pages[MB_MEMCG_SHMEM], 4000);
}

/* Eight processes map it; one of them faulted in its pages before the window. */
static void shared_memory_that_grew_is_named(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 5, 5), files = kill_event(20 * S, 5, 5);
	struct mb_process *still = process(100, "worker", 1 * S);
	struct mb_oom_task_event t;
	struct mb_oom_kill *k;
	struct mb_oom_culprit c;

	(void)state;
	files.memcg = 78;
	charged(77, 5 * S, 500, 0, 0, 0);
	charged(77, 10 * S - 1, 500, 9000, 0, 100);
	charged(78, 5 * S, 500, 0, 0, 0);
	charged(78, 20 * S - 1, 500, 9000, 0, 100);
	still->rss_pages[3] = 9000;
	tick(5 * S);
	take(&e);
	for (uint32_t i = 0; i < 8; i++) {
		t = task_event(&e, 100 + i, "worker", i ? 6 * S + i : 1 * S);
		t.rss_pages[3] = 9000;
		take(&t);
	}
	tell_all(&e);
	k = ready(UINT64_MAX);
	find_culprit(k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.kind, MB_MEMCG_SHMEM);
	assert_int_equal(c.how, MB_OOM_MAPS);
	assert_int_equal(c.growth_pages, 9000);
	assert_int_equal(c.processes, 8);
	assert_true(says(k, "the growth was 35.2 MiB of shared memory in 5.0 s, mapped by 8 processes named worker."));
	/* and one that nobody maps */
	take(&files);
	t = task_event(&files, 300, "writer", 6 * S);
	t.rss_pages[1] = 50;
	take(&t);
	tell_all(&files);
	k = ready(UINT64_MAX);
	find_culprit(k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_NOT_PROCESSES);
	assert_null(c.task);
	assert_true(says(k, "35.2 MiB of shared memory in 15.0 s, files on tmpfs or memory that no process maps."));
}

/* One process maps as much as was charged, and another one was writing: what is mapped can be charged elsewhere. */
static void a_writer_beside_a_mapper_is_not_clear(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 5, 5);
	struct mb_oom_task_event t;
	struct mb_oom_kill *k;
	struct mb_oom_culprit c;

	(void)state;
	charged(77, 5 * S, 500, 0, 0, 0);
	charged(77, 10 * S - 1, 500, 9000, 0, 100);
	tick(5 * S);
	take(&e);
	t = task_event(&e, 100, "mapper", 6 * S);
	t.rss_pages[3] = 6000;
	take(&t);
	t = task_event(&e, 5, "writer", 6 * S);
	take(&t);
	tell_all(&e);
	k = ready(UINT64_MAX);
	find_culprit(k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.task->tgid, 100);
	snprintf(k->symbols[MB_OOM_OF_TRIGGER_KERNEL][0], sizeof(k->symbols[0][0]), "shmem_file_write_iter+0x40");
	find_culprit(k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_SEVERAL);
	assert_null(c.task);
	assert_true(says(k, "it is not clear whose growth it was: 35.2 MiB of shared memory, of which no process is known to "
			    "have most"));
}

/* cgroup v1 reports kernel memory as one number: the share of page tables in it is known from processes. */
static void page_tables_are_those_of_their_process(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 1, 1);
	struct mb_oom_task_event t;
	struct mb_oom_kill *k;
	struct mb_oom_culprit c;

	(void)state;
	process(1, "mapper", 1);
	process(2, "innocent", 2);
	charged(77, 5 * S, 500, 0, 0, 100);
	charged(77, 10 * S - 1, 2500, 0, 0, 7400);
	tick(5 * S);
	take(&e);
	t = task_event(&e, 1, "mapper", 1);
	t.rss_pages[1] = 10;
	t.pgtables_bytes = 7000 * 4096ull;
	take(&t);
	t = task_event(&e, 2, "innocent", 2);
	t.rss_pages[1] = 2490;
	t.pgtables_bytes = 50 * 4096ull;
	take(&t);
	tell_all(&e);
	k = ready(UINT64_MAX);
	find_culprit(k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.kind, MB_MEMCG_PAGE_TABLES);
	assert_int_equal(c.task->tgid, 1);
	/* kernel memory grew by 7,300 pages: 350 of these may not be page tables, and 50 belong to "innocent" */
	assert_int_equal(c.at.pages[MB_MEMCG_PAGE_TABLES], 7050);
	assert_int_equal(c.kind_growth_pages[MB_MEMCG_PAGE_TABLES], 6950);
	assert_int_equal(c.growth_pages, 6900);
	assert_true(says(k, "of page tables in"));
	assert_true(says(k, ", of mapper (pid 1)."));
}

static void one_address_space_counts_once(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 5, 5);
	struct mb_oom_task_event t;
	struct mb_oom_culprit c;

	(void)state;
	charged(77, 5 * S, 0, 0, 0, 0);
	charged(77, 10 * S - 1, 9900, 0, 0, 50);
	tick(5 * S);
	take(&e);
	/* the oldest process stands for all, wherever it is in the list */
	for (uint32_t i = 0; i < 6; i++) {
		t = task_event(&e, 100 + i, i == 3 ? "first" : "other", 8 * S - (i == 3));
		t.rss_pages[1] = 5900;
		t.mm_id = 4711;
		take(&t);
	}
	t = task_event(&e, 200, "else", 8 * S);
	t.rss_pages[1] = 3900;
	t.mm_id = 4712;
	take(&t);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_string_equal(c.task->comm, "first");
	assert_int_equal(c.processes, 1);
	assert_int_equal(c.growth_pages, 5900);
	assert_int_equal(c.n_growers, 2);
}

/* Children of a large server share its memory until they write to it, so that memory is not growth. */
static void what_a_child_has_from_its_parent_is_not_growth(void **state)
{
	struct mb_process *server = process(1, "server", 1);
	struct mb_oom_event e = kill_event(10 * S, 5, 5);
	struct mb_oom_task_event t;
	struct mb_oom_culprit c;

	(void)state;
	server->rss_pages[1] = 4000;
	charged(77, 5 * S, 4000, 0, 0, 0);
	charged(77, 10 * S - 1, 9900, 0, 0, 50);
	tick(5 * S);
	take(&e);
	t = task_event(&e, 1, "server", 1);
	t.rss_pages[1] = 4000;
	take(&t);
	for (uint32_t i = 0; i < 5; i++) {
		struct mb_process *child = process(100 + i, "server", 8 * S + i);

		/* after a first kill its parent is another process */
		child->ppid = 7;
		child->born_of = 1;
		child->born = true;
		t = task_event(&e, 100 + i, "server", 8 * S + i);
		t.rss_pages[1] = 4100;
		take(&t);
	}
	t = task_event(&e, 200, "hog", 8 * S);
	t.rss_pages[1] = 5400;
	take(&t);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_string_equal(c.task->comm, "hog");
	assert_int_equal(c.growth_pages, 5400);
}

/* Processes without a history add up to more than was charged: the excess is not attributed to any process. */
static void sums_above_the_charge_are_not_believed(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 5, 5);
	struct mb_oom_task_event t;
	struct mb_oom_culprit c;

	(void)state;
	charged(77, 5 * S, 500, 0, 0, 0);
	charged(77, 10 * S - 1, 9900, 0, 0, 50);
	tick(5 * S);
	take(&e);
	for (uint32_t i = 0; i < 4; i++) {
		t = task_event(&e, 100 + i, "forked", 8 * S + i);
		t.rss_pages[1] = 4000;
		take(&t);
	}
	t = task_event(&e, 200, "other", 8 * S);
	t.rss_pages[1] = 5000;
	take(&t);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	/* the sums are 16,000 and 5,000, but only 9,450 were charged: at least 4,450 belong to the four */
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_SEVERAL);
	assert_int_equal(c.growth_pages, 4450);
}

/* Page cache is reclaimed for what a process allocates: the usage stays the same, and yet the process grew. */
static void growth_at_the_expense_of_the_cache(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 5, 5);
	struct mb_oom_culprit c;

	(void)state;
	charged(77, 5 * S, 1000, 0, 9000, 0);
	charged(77, 10 * S - 1, 9900, 0, 50, 50);
	process(200, "hog", 2)->rss_pages[1] = 1000;
	tick(5 * S);
	take(&e);
	tell_task(&e, 200, "hog", 2, 9900);
	tell_all(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_CLEAR);
	assert_int_equal(c.growth_pages, 8900);
}

static void without_the_cgroups_figures_it_is_unknown(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 5, 5), log = kill_event(20 * S, 6, 6);
	struct mb_oom_kill *k;
	struct mb_oom_culprit c;

	(void)state;
	tick(5 * S);
	take(&e);
	tell_task(&e, 200, "hog", 8 * S, 9900);
	tell_all(&e);
	k = ready(UINT64_MAX);
	find_culprit(k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_UNKNOWN);
	assert_true(says(k, "whose growth it was is not known: how the cgroup's memory was split before the kill was "
			    "not seen."));
	/* the split by kind is known at the kill, but not before it */
	take(&log);
	tell_task(&log, 6, "hog", 8 * S, 9000);
	tell_all(&log);
	log_line("hog invoked oom-killer: gfp_mask=0xcc0");
	log_line("memory: usage 40000kB, limit 40000kB, failcnt 1");
	log_line("kmem: usage 400kB, limit 9007199254740988kB, failcnt 0");
	log_line("total_cache 409600");
	log_line("total_rss 36864000");
	log_line("total_shmem 204800");
	log_line("Memory cgroup out of memory: Killed process 6 (victim) total-vm:1kB");
	k = ready(UINT64_MAX);
	find_culprit(k, &c);
	assert_int_equal(c.verdict, MB_OOM_CULPRIT_UNKNOWN);
	assert_int_equal(c.from, MB_OOM_SPLIT_LOG);
	assert_int_equal(c.at.pages[MB_MEMCG_ANON], 9000);
	assert_int_equal(c.at.pages[MB_MEMCG_FILE], 50);
	assert_int_equal(c.at.pages[MB_MEMCG_SHMEM], 50);
	assert_int_equal(c.at.pages[MB_MEMCG_KERNEL], 100);
	assert_int_equal(c.at.pages[MB_MEMCG_UNACCOUNTED], LIMIT - 9200);
}

/* ---- which events belong together ---- */

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
	/* complete, but other kills of its group may follow at once */
	assert_null(ready(10 * S + 1000));
	assert_non_null(ready(10 * S + MB_OOM_WAIT_NS / 2));
	assert_null(ready(UINT64_MAX));
}

/* On a busy machine the BPF program is preempted while it walks the processes. */
static void a_report_waits_for_its_processes(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 1, 2);

	(void)state;
	process(2, "victim", 2);
	take(&e);
	assert_null(ready(10 * S + MB_OOM_LOG_WAIT_NS));
	tell_task(&e, 2, "victim", 2, 4600);
	assert_null(ready(10 * S + MB_OOM_TASKS_WAIT_NS - 1));
	tell_all(&e);
	assert_non_null(ready(10 * S + MB_OOM_LOG_WAIT_NS));
	assert_null(ready(UINT64_MAX));
}

static void lines_of_two_kills_do_not_mix(void **state)
{
	struct mb_oom_event a = kill_event(10 * S, 1, 2), b = kill_event(11 * S, 3, 4);
	struct mb_oom_kill *k;

	(void)state;
	take(&a);
	take(&b);
	mb_oom_log_line(mb_oom_of(&m), 11, "a invoked oom-killer: gfp_mask=0x1", 34);
	mb_oom_log_line(mb_oom_of(&m), 99, "eth0: link is up", 16);
	mb_oom_log_line(mb_oom_of(&m), 11, "of a\\x0aof a, too", 17);
	mb_oom_log_line(mb_oom_of(&m), 11, "Out of memory: Killed process 2 (victim)", 40);
	mb_oom_log_line(mb_oom_of(&m), 12, "b invoked oom-killer: gfp_mask=0x1", 34);
	mb_oom_log_line(mb_oom_of(&m), 12, "of b", 4);
	mb_oom_log_line(mb_oom_of(&m), 12, "Out of memory: Killed process 4 (victim)", 40);
	mb_oom_log_line(mb_oom_of(&m), 7, "oom_reaper: reaped process 2 (victim)", 37);
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

/* The thread group leader has exited: the kernel names a thread that still runs. */
static void a_line_of_a_thread_is_its_process(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 1, 20), other = kill_event(11 * S, 3, 30);
	struct mb_oom_kill *k;

	(void)state;
	take(&e);
	take(&other);
	log_line("hog invoked oom-killer: gfp_mask=0xcc0");
	log_line("total_rss 4096");
	log_line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=hog,pid=20,uid=0");
	log_line("Memory cgroup out of memory: Killed process 21 (hog) total-vm:1kB");
	k = mb_oom_find(mb_oom_of(&m), 10 * S);
	assert_non_null(strstr(k->log, "total_rss 4096\n"));
	assert_non_null(strstr(k->log, "Killed process 21"));
	log_line("Memory cgroup out of memory: Killed process 31 (x) total-vm:1kB");
	assert_int_equal(mb_oom_find(mb_oom_of(&m), 11 * S)->log_len, 0);
}

/* The kernel writes ten dumps in 5 s. With -p, the dump before a victim's line may belong to another kill. */
static void a_dump_of_another_kill_is_not_its_own(void **state)
{
	struct mb_oom_event a = kill_event(10 * S, 1, 2), b = kill_event(11 * S, 3, 4), c = kill_event(12 * S, 5, 6);

	(void)state;
	take(&a);
	take(&b);
	take(&c);
	log_line("other invoked oom-killer: gfp_mask=0x1");
	log_line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=other,pid=77,uid=0");
	log_line("Memory cgroup out of memory: Killed process 77 (other) total-vm:1kB");
	log_line("Memory cgroup out of memory: Killed process 2 (victim) total-vm:1kB");
	assert_null(strstr(mb_oom_find(mb_oom_of(&m), 10 * S)->log, "other"));
	/* the line of this kill has been overwritten */
	log_line("other invoked oom-killer: gfp_mask=0x1");
	log_line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=other,pid=77,uid=0");
	log_line("Memory cgroup out of memory: Killed process 4 (victim) total-vm:1kB");
	assert_null(strstr(mb_oom_find(mb_oom_of(&m), 11 * S)->log, "other"));
	assert_non_null(strstr(mb_oom_find(mb_oom_of(&m), 11 * S)->log, "Killed process 4"));
	log_line("trigger invoked oom-killer: gfp_mask=0x1");
	log_line("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=victim,pid=6,uid=0");
	log_line("Memory cgroup out of memory: Killed process 6 (victim) total-vm:1kB");
	assert_non_null(strstr(mb_oom_find(mb_oom_of(&m), 12 * S)->log, "trigger invoked"));
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
	assert_int_equal(mb_oom_of(&m)->kills_left_out, 2 * MB_OOM_KILLS);
	/* reports already shown make room for new ones */
	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		struct mb_oom_event e = kill_event(20 * S + i, 1, 2000 + i);

		take(&e);
		assert_non_null(ready(UINT64_MAX));
	}
	assert_int_equal(mb_oom_of(&m)->kills_left_out, 2 * MB_OOM_KILLS);
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
	mb_oom_of(&m)->tasks[500].oom_score_adj = -1000;
	mb_oom_of(&m)->tasks[501].oom_score_adj = 1000;
	k = ready(UINT64_MAX);
	n = mb_oom_sort(mb_oom_of(&m), k);
	assert_int_equal(n, 1000);
	assert_int_equal(mb_oom_of(&m)->order[999], 500);
	for (uint32_t i = 0; i < 999; i++) {
		int64_t badness;

		assert_true(mb_oom_badness(mb_oom_task(mb_oom_of(&m), k, mb_oom_of(&m)->order[i]), LIMIT, &badness));
		assert_true(badness <= last);
		last = badness;
	}
	/* oom_score_adj 1000 adds all of the memory to the score */
	assert_true(mb_oom_badness(&mb_oom_of(&m)->tasks[501], LIMIT, &last));
	assert_int_equal(last, (int64_t)mb_oom_of(&m)->tasks[501].rss_pages[1] + LIMIT);
	assert_int_equal(mb_oom_score(&mb_oom_of(&m)->tasks[500], LIMIT), 0);
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
	/* the cgroup is full of page cache */
	charged(77, 9 * S, 100, 0, LIMIT - LIMIT / 20 - 100, 0);
	take(&e);
	assert_null(ready(UINT64_MAX));
	charged(77, 9 * S + S / 2, LIMIT - LIMIT / 20, 0, 0, 0);
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
	/* the machine's pressure includes stalls of unrelated cgroups */
	m.system.now.values[MB_SYS_psi_memory_some_avg10_bp] = 5000;
	e.memcg = 77;
	e.memcg_usage_pages = LIMIT / 2;
	take(&e);
	assert_null(ready(UINT64_MAX));
	m.system.now.values[MB_SYS_memory_available_bytes] = 200000;
	take(&e);
	assert_true(says(ready(UINT64_MAX), "while memory was short (processes waited for it 50 % of 10 s, and the machine had "
					    "192 KiB available), not by the kernel."));
	m.system.now.values[MB_SYS_psi_memory_some_avg10_bp] = MB_UNKNOWN;
	m.system.now.values[MB_SYS_memory_available_bytes] = 90000;
	e.h.t_ns += 10 * S;
	take(&e);
	assert_true(says(ready(UINT64_MAX), "while memory was short (the machine had 84.0 KiB available), not by"));
}

/* The percentage that counts as "short" is the same for any limit, from 1 MiB to 1 TiB. */
static void a_limit_of_any_size_is_short_alike(void **state)
{
	uint64_t t = 10;

	(void)state;
	for (uint64_t limit = 256; limit <= 1ull << 28; limit += limit / 2) {
		for (uint64_t percent = 0; percent <= 100; percent += 5) {
			struct mb_oom_event e = kill_event(t * 100 * S, 1, (uint32_t)t);

			e.h.type = MB_OOM_EVENT_SIGKILL;
			e.total_pages = e.chosen_tgid = 0;
			e.memcg = 78;
			t++;
			e.memcg_limit_pages = limit;
			e.memcg_usage_pages = (limit * percent + 99) / 100;
			take(&e);
			if ((ready(UINT64_MAX) != NULL) != (percent >= 90))
				fail_msg("%llu %% of %llu pages", (unsigned long long)percent, (unsigned long long)limit);
		}
	}
}

/* The same growth gives the same report for a limit of any size, with or without pages swapped out. */
static void growth_in_a_limit_of_any_size_is_clear(void **state)
{
	uint64_t s = 100;

	(void)state;
	for (uint64_t limit = 256; limit <= 1ull << 28; limit += limit / 2) {
		for (int swaps = 0; swaps < 4; swaps++) {
			bool v1 = swaps & 1, swap = swaps & 2;
			uint64_t anon = limit - limit / 8, in_swap = swap ? limit / 2 : 0;
			struct mb_oom_event e = kill_event(s * S + S, 2, 2);
			struct mb_oom_task_event task;
			struct mb_oom_culprit c;

			e.memcg_v1 = v1;
			e.memcg_limit_pages = e.memcg_usage_pages = limit;
			e.memcg_swap_pages = in_swap;
			charged(77, (s - 1) * S, limit / 8, 0, 0, limit / 16);
			tick((s - 1) * S);
			charged_in(77, s * S, anon, in_swap, limit / 16);
			tick(s * S);
			take(&e);
			task = task_event(&e, 2, "hog", (s - 1) * S + 1);
			task.rss_pages[1] = anon;
			task.rss_pages[2] = in_swap;
			take(&task);
			tell_all(&e);
			find_culprit(ready(UINT64_MAX), &c);
			if (c.verdict != MB_OOM_CULPRIT_CLEAR || c.task->tgid != 2 ||
			    (uint64_t)c.all_growth_pages > limit + in_swap)
				fail_msg("limit %llu, %s, swap %llu: verdict %d", (unsigned long long)limit,
					 v1 ? "v1" : "v2", (unsigned long long)in_swap, c.verdict);
			s += 100;
		}
	}
}

/* The usage at such a kill differs from that of the last tick, and the kinds of the difference are not known. */
static void a_split_is_never_more_than_the_usage(void **state)
{
	struct mb_oom_event e = kill_event(10 * S, 1, 2);
	struct mb_oom_culprit c;

	(void)state;
	e.h.type = MB_OOM_EVENT_SIGKILL;
	e.total_pages = e.chosen_tgid = 0;
	e.memcg_usage_pages = LIMIT - 900;
	charged(77, 9 * S, LIMIT - 200, 0, 100, 100);
	tick(9 * S);
	take(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.at.usage_pages, MB_UNKNOWN);
	e.h.t_ns += 10 * S;
	e.memcg_usage_pages = LIMIT - 150;
	take(&e);
	find_culprit(ready(UINT64_MAX), &c);
	assert_int_equal(c.at.usage_pages, LIMIT - 150);
	assert_int_equal(c.at.pages[MB_MEMCG_FILE], 0);
	assert_int_equal(c.at.pages[MB_MEMCG_ANON], LIMIT - 250);
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
		TEST(growth_may_pause),
		TEST(many_of_one_name_are_one),
		TEST(it_says_when_it_is_not_clear),
		TEST(shared_memory_counts_once),
		TEST(shared_memory_that_grew_is_named),
		TEST(a_writer_beside_a_mapper_is_not_clear),
		TEST(page_tables_are_those_of_their_process),
		TEST(one_address_space_counts_once),
		TEST(what_a_child_has_from_its_parent_is_not_growth),
		TEST(sums_above_the_charge_are_not_believed),
		TEST(growth_at_the_expense_of_the_cache),
		TEST(without_the_cgroups_figures_it_is_unknown),
		TEST(a_report_waits_for_what_belongs_to_it),
		TEST(a_report_waits_for_its_processes),
		TEST(lines_of_two_kills_do_not_mix),
		TEST(a_line_of_a_thread_is_its_process),
		TEST(a_dump_of_another_kill_is_not_its_own),
		TEST(a_group_is_one_report),
		TEST(a_victim_marked_twice_is_one_report),
		TEST(a_storm_is_bounded),
		TEST(tasks_are_sorted_by_badness),
		TEST(a_sigkill_counts_when_memory_is_short),
		TEST(a_limit_of_any_size_is_short_alike),
		TEST(growth_in_a_limit_of_any_size_is_clear),
		TEST(a_split_is_never_more_than_the_usage),
		TEST(a_jump_before_the_window_is_not_in_it),
		TEST(a_successor_has_grown),
		TEST(the_same_again_is_not_clear),
		TEST(the_same_again_alone_is_clear),
		TEST(the_same_again_after_a_kill_is_clear),
		TEST(who_was_about_to_end_has_nothing_to_give_back),
		TEST(of_the_machine_processes_know_better),
		TEST(what_came_since_the_last_tick_may_be_anything),
		TEST(flags_have_the_kernels_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
