// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The flight history: what is in it, for how long, and which series is dropped when it is full. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "unit.h"

#define S MB_NS_PER_S

static struct mb_process *process(struct mb_model *m, uint32_t tgid, const char *cgroup)
{
	struct mb_process *p = mb_model_process(m, tgid, tgid * 10);

	assert_non_null(p);
	p->has_memory = true;
	free(p->cgroup_path);
	p->cgroup_path = cgroup ? strdup(cgroup) : NULL;
	return p;
}

static void open_model(struct mb_model *m, uint32_t fine, uint32_t coarse, size_t bytes)
{
	struct mb_history_config c = { S, 10 * S, fine, coarse, bytes };

	mb_model_init(m);
	m->history = mb_history_new(&c);
	assert_non_null(m->history);
}

static void close_model(struct mb_model *m)
{
	struct mb_history *h = m->history;

	mb_model_free(m);
	mb_history_free(h);
}

/* One second later. Live processes must be seen again, or the model ends them. */
static void tick(struct mb_model *m, uint64_t s)
{
	for (struct mb_process *p = m->all; p; p = p->next)
		p->seen_tick = m->tick;
	mb_model_tick(m, s * S, false);
}

static void points_are_what_was(void **state)
{
	struct mb_model m;
	struct mb_process *p;

	(void)state;
	open_model(&m, 8, 4, 1 << 20);
	p = process(&m, 1, NULL);
	for (uint64_t s = 1; s <= 5; s++) {
		p->rss_pages[1] = s * 100;
		p->rss_pages[2] = s;
		p->minor = s * 7;
		tick(&m, s);
	}
	assert_int_equal(mb_series_points(p->series), 5);
	for (uint32_t i = 0; i < 5; i++) {
		const struct mb_point *at = mb_series_point(p->series, i);

		assert_int_equal(at->t_ns, (i + 1) * S);
		assert_int_equal(mb_point_pages(at), (i + 1) * 101);
		assert_int_equal(at->peak_pages, (i + 1) * 100);
		/* faults from before the process was first seen do not count in that step */
		assert_int_equal(at->faults, i ? 7 : 0);
	}
	assert_null(mb_series_at(p->series, S - 1));
	assert_ptr_equal(mb_series_at(p->series, 3 * S), mb_series_point(p->series, 2));
	assert_ptr_equal(mb_series_at(p->series, 4 * S - 1), mb_series_point(p->series, 2));
	assert_ptr_equal(mb_series_at(p->series, 99 * S), mb_series_point(p->series, 4));
	close_model(&m);
}

static void what_does_not_change_takes_no_room(void **state)
{
	struct mb_model m;
	struct mb_process *p;

	(void)state;
	open_model(&m, 8, 4, 1 << 20);
	p = process(&m, 1, NULL);
	p->rss_pages[0] = 5;
	for (uint64_t s = 1; s <= 100; s++)
		tick(&m, s);
	assert_int_equal(mb_series_points(p->series), 1);
	p->rss_pages[0] = 6;
	tick(&m, 101);
	assert_int_equal(mb_series_points(p->series), 2);
	assert_int_equal(mb_series_at(p->series, 100 * S)->rss_pages[0], 5);
	close_model(&m);
}

/* The high-water mark shows growth that came and went between two ticks. */
static void peaks_between_ticks_are_kept(void **state)
{
	struct mb_model m;
	struct mb_process *p;

	(void)state;
	open_model(&m, 8, 4, 1 << 20);
	p = process(&m, 1, NULL);
	p->rss_pages[1] = p->peak_pages = 10;
	tick(&m, 1);
	p->peak_pages = 5000;
	p->rss_pages[1] = 11;
	tick(&m, 2);
	p->rss_pages[1] = 12;
	tick(&m, 3);
	assert_int_equal(mb_series_point(p->series, 1)->peak_pages, 5000);
	assert_int_equal(mb_series_point(p->series, 2)->peak_pages, 12);
	close_model(&m);
}

/* Fine points become coarse ones. Sums and peaks are preserved; the oldest point is dropped at last. */
static void old_points_become_coarse(void **state)
{
	struct mb_model m;
	struct mb_process *p;
	uint64_t faults = 0;
	uint32_t n;

	(void)state;
	open_model(&m, 8, 4, 1 << 20);
	p = process(&m, 1, NULL);
	p->born = true;
	for (uint64_t s = 1; s <= 38; s++) {
		p->rss_pages[1] = s;
		p->minor += s;
		tick(&m, s);
	}
	/* seconds 31..38 are fine points; 1..30 are coarse ones */
	n = mb_series_points(p->series);
	assert_int_equal(n, 8 + 4);
	for (uint32_t i = 0; i < n; i++)
		faults += mb_series_point(p->series, i)->faults;
	assert_int_equal(faults, 38 * 39 / 2);
	assert_int_equal(mb_series_point(p->series, 0)->t_ns, 9 * S);
	assert_int_equal(mb_series_point(p->series, 1)->t_ns, 19 * S);
	assert_int_equal(mb_series_at(p->series, 15 * S)->rss_pages[1], 9);
	for (uint32_t i = 1; i < n; i++)
		assert_true(mb_series_point(p->series, i)->t_ns > mb_series_point(p->series, i - 1)->t_ns);
	for (uint64_t s = 39; s <= 200; s++) {
		p->rss_pages[1] = s;
		tick(&m, s);
	}
	assert_int_equal(mb_series_points(p->series), 8 + 4 + 1);
	assert_true(mb_series_point(p->series, 0)->t_ns >= 140 * S);
	close_model(&m);
}

static void who_ended_first_gives_way(void **state)
{
	struct mb_model m;
	struct mb_process *p[3];
	size_t three = 3 * (sizeof(struct mb_point) * 12 + 256);

	(void)state;
	open_model(&m, 8, 4, three);
	assert_in_range(m.history->n_series, 3, 4);
	/* one series belongs to the machine */
	for (uint32_t i = 0; i + 1 < m.history->n_series; i++)
		p[i] = process(&m, i + 1, NULL);
	tick(&m, 1);
	process(&m, 50, NULL);
	tick(&m, 2);
	assert_null(mb_model_find(&m, 50)->series);
	assert_true(m.history->left_out > 0);
	p[0]->exited = true;
	tick(&m, 3);
	tick(&m, 4);
	assert_null(p[0]->series);
	assert_non_null(mb_model_find(&m, 50)->series);
	assert_int_equal(m.history->evicted, 1);
	close_model(&m);
}

static void cgroups_are_sums(void **state)
{
	struct mb_model m;
	const struct mb_series *s;

	(void)state;
	open_model(&m, 8, 4, 1 << 20);
	process(&m, 1, "/a/x")->rss_pages[1] = 1;
	process(&m, 2, "/a/y")->rss_pages[1] = 20;
	process(&m, 3, "/ab")->rss_pages[1] = 300;
	process(&m, 4, "/")->rss_pages[1] = 4000;
	tick(&m, 1);
	assert_int_equal(mb_series_point(mb_history_cgroup(m.history, "/a/x"), 0)->rss_pages[1], 1);
	assert_int_equal(mb_series_point(mb_history_cgroup(m.history, "/a"), 0)->rss_pages[1], 21);
	assert_int_equal(mb_series_point(mb_history_cgroup(m.history, "/ab"), 0)->rss_pages[1], 300);
	assert_int_equal(mb_series_point(mb_history_cgroup(m.history, "/"), 0)->rss_pages[1], 4321);
	assert_int_equal(mb_series_point(mb_history_cgroup(m.history, ""), 0)->rss_pages[1], 4321);
	assert_null(mb_history_cgroup(m.history, "/b"));
	/* the last counts of a process matter, though it is gone at the tick */
	mb_model_find(&m, 1)->minor = 50;
	mb_model_find(&m, 1)->exited = true;
	tick(&m, 2);
	s = mb_history_cgroup(m.history, "/a");
	assert_int_equal(mb_series_point(s, 1)->rss_pages[1], 20);
	assert_int_equal(mb_series_point(s, 1)->faults, 50);
	close_model(&m);
}

static void configurations_are_checked(void **state)
{
	static const char *const bad[] = { "", "3", "3,3", "0,3,64", "61,3,64", "3,49,64", "3,3,0", "3,3,64x",
					   "3,3,5000", "a,b,c" };
	struct mb_history_config c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(mb_history_parse(bad[i], &c), 0);
	assert_int_equal(mb_history_parse("5,2,16", &c), 0);
	assert_int_equal(c.fine, 300);
	assert_int_equal(c.coarse, 120);
	assert_int_equal(c.bytes, 16 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points_are_what_was),
		cmocka_unit_test(what_does_not_change_takes_no_room),
		cmocka_unit_test(peaks_between_ticks_are_kept),
		cmocka_unit_test(old_points_become_coarse),
		cmocka_unit_test(who_ended_first_gives_way),
		cmocka_unit_test(cgroups_are_sums),
		cmocka_unit_test(configurations_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
