// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Metrics: which processes are reported singly, from when on, and for how long. */
#include "metrics_world.h"

static bool is_reported(const struct world *w, const char *metric, uint32_t pid, long double *value)
{
	struct exposition x;
	char with[32];
	unsigned int n;

	sprintf(with, "pid=\"%u\"", pid);
	read_exposition(&x, w->text.text, w->text.len, false);
	*value = sum_of(&x, metric, with, &n);
	free_exposition(&x);
	return n == 1;
}

/* For n seconds, the processes 1..3 take a, b and c faults a second. */
static void seconds(struct world *w, int n, uint64_t a, uint64_t b, uint64_t c)
{
	while (n--) {
		mb_model_find(&w->model, 1)->minor += a;
		mb_model_find(&w->model, 2)->minor += b;
		if (mb_model_find(&w->model, 3))
			mb_model_find(&w->model, 3)->minor += c;
		tick(w, S);
	}
	assert_int_equal(mb_metrics_write(w->metrics, &w->text, &w->snapshot, &w->self, false), 0);
}

#define MINOR "memblame_process_minor_faults_total"

static void seats_change_hands_slowly(void **state)
{
	struct world w;
	long double v;

	(void)state;
	world_begin(&w, 1, 10);
	born(&w, 1, 1, "/a");
	born(&w, 2, 2, "/a");
	seconds(&w, 4, 100, 10, 0);
	assert_false(is_reported(&w, MINOR, 1, &v)); /* not on top for long enough yet */
	seconds(&w, 6, 100, 10, 0);
	assert_true(is_reported(&w, MINOR, 1, &v));
	assert_true(v >= 500 && v < 1000); /* counted from that moment on */
	seconds(&w, 280, 100, 1000, 0);
	assert_true(is_reported(&w, MINOR, 1, &v)); /* it stays for five minutes */
	seconds(&w, 40, 100, 1000, 0);
	assert_true(is_reported(&w, MINOR, 2, &v));
	assert_false(is_reported(&w, MINOR, 1, &v));
	seconds(&w, 600, 1250, 1000, 0);
	assert_true(is_reported(&w, MINOR, 2, &v)); /* 1.25 times is not enough */
	seconds(&w, 600, 1400, 1000, 0);
	assert_true(is_reported(&w, MINOR, 1, &v));
	/* a process that has ended is reported for a minute more, and then its slot is free */
	mb_model_find(&w.model, 1)->exited = true;
	mb_model_forget_ended(&w.model, 0);
	born(&w, 1, 99, "/b"); /* its pid is used again, by a process that does nothing */
	seconds(&w, 50, 0, 1000, 0);
	assert_true(is_reported(&w, MINOR, 1, &v));
	seconds(&w, 20, 0, 1000, 0);
	assert_false(is_reported(&w, MINOR, 1, &v));
	assert_true(is_reported(&w, MINOR, 2, &v));
	world_end(&w);
}

/* The next process with the same pid and name continues the series, as a series must not appear twice. */
static void a_number_used_again_is_one_series(void **state)
{
	struct world w;
	long double v;

	(void)state;
	world_begin(&w, 2, 10);
	born(&w, 1, 1, "/a");
	born(&w, 2, 2, "/a");
	seconds(&w, 20, 100, 0, 0);
	assert_true(is_reported(&w, MINOR, 1, &v));
	mb_model_find(&w.model, 1)->exited = true;
	born(&w, 1, 5, "/a");
	seconds(&w, 10, 200, 0, 0);
	assert_true(is_reported(&w, MINOR, 1, &v)); /* read_exposition() fails if the series appears twice */
	assert_int_equal(w.metrics->quantities[MB_Q_MINOR].topk_slots, 1);
	assert_true(v > 1400);
	world_end(&w);
}

static void no_processes_if_not_wanted(void **state)
{
	struct exposition x;
	struct world w;
	unsigned int n;

	(void)state;
	world_begin(&w, 2, 10);
	born(&w, 1, 1, "/a");
	born(&w, 2, 2, "/a");
	seconds(&w, 20, 100, 5, 0);
	mb_metrics_configure(w.metrics, &(struct mb_metrics_config){ .top = 0, .cgroups = 10, .processes = true });
	scrape(&w, &x, false);
	expect(&x, MINOR, "pid=\"(other)\"", 2100);
	sum_of(&x, MINOR, "", &n);
	assert_int_equal(n, 1);
	free_exposition(&x);
	mb_metrics_configure(w.metrics, &(struct mb_metrics_config){ .top = 5, .cgroups = 10, .processes = false });
	seconds(&w, 20, 100, 5, 0);
	scrape(&w, &x, false);
	assert_false(said(&w, "memblame_process_"));
	free_exposition(&x);
	world_end(&w);
}

/* A process that changes its cgroup or its program becomes another series, which has all of its counts. */
static void labels_follow_the_process(void **state)
{
	struct exposition x;
	struct mb_process *p;
	struct world w;
	unsigned int n;
	long double reported;

	(void)state;
	world_begin(&w, 2, 10);
	p = born(&w, 1, 1, "/a");
	born(&w, 2, 2, "/a");
	seconds(&w, 20, 100, 0, 0);
	assert_true(is_reported(&w, MINOR, 1, &reported));
	move_to(p, "/b");
	strcpy(p->comm, "other");
	seconds(&w, 1, 100, 0, 0);
	scrape(&w, &x, false);
	expect(&x, MINOR, "pid=\"1\",comm=\"other\",cgroup=\"/b\"", reported + 100);
	sum_of(&x, MINOR, "pid=\"1\"", &n);
	assert_int_equal(n, 1);
	free_exposition(&x);
	world_end(&w);
}

/* A process that has ended reports no memory at all, which is not the same as 0 bytes. */
static void the_ended_have_no_memory(void **state)
{
	struct exposition x;
	struct mb_process *p;
	struct world w;
	unsigned int n;

	(void)state;
	world_begin(&w, 2, 10);
	p = born(&w, 1, 1, "/a");
	p->rss_pages[0] = 10;
	p->rss_pages[1] = 100;
	p->rss_pages[2] = 1000; /* swapped out */
	born(&w, 2, 2, "/a");
	seconds(&w, 20, 100, 0, 0);
	scrape(&w, &x, false);
	expect(&x, "memblame_process_resident_bytes", "pid=\"1\"", 110 * 4096);
	expect(&x, "memblame_process_resident_bytes", "pid=\"(other)\"", 0);
	free_exposition(&x);
	p->exited = true;
	seconds(&w, 1, 0, 0, 0);
	scrape(&w, &x, false);
	sum_of(&x, "memblame_process_resident_bytes", "pid=\"1\"", &n);
	assert_int_equal(n, 0);
	sum_of(&x, MINOR, "pid=\"1\"", &n);
	assert_int_equal(n, 1);
	free_exposition(&x);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seats_change_hands_slowly),
		cmocka_unit_test(a_number_used_again_is_one_series),
		cmocka_unit_test(no_processes_if_not_wanted),
		cmocka_unit_test(labels_follow_the_process),
		cmocka_unit_test(the_ended_have_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
