// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Times as people write them, and clocks that are set, for a recording with one tick every 10 s. */
#include "retention_world.h"

/* The window between two times, or the error message. */
static struct mb_window window(const char *from, const char *to, const char *says)
{
	struct mb_window win = { -1, -1, false };
	struct mb_reader *r = NULL;
	struct mb_err e = { 0 };
	int err;

	if (mb_reader_open(&r, path, &e))
		fail_msg("%s", e.text);
	err = mb_report_window(r, from, to, &win, &e);
	mb_reader_close(r);
	if (!says && err)
		fail_msg("%s to %s: %s", from, to, e.text);
	if (says && (!err || !strstr(e.text, says)))
		fail_msg("%s to %s: '%s', want '%s'", from, to, e.text, says);
	return win;
}

static void check(const char *from, const char *to, long long first, long long last)
{
	struct mb_window win = window(from, to, NULL);

	if (win.first != first || win.last != last)
		fail_msg("%s to %s: %lld to %lld, want %lld to %lld", from, to, (long long)win.first, (long long)win.last,
			 first, last);
}

/* A file as memblame record writes it: it starts at this time, and has one tick every 10 s, the first after 10 s. */
static void record_from(const char *start, unsigned int ticks)
{
	struct mb_sample_meta at = { .self_rss_bytes = MB_UNKNOWN };
	struct mb_recorder *r = NULL;
	struct mb_err e = { 0 };
	struct mb_model m;

	mb_model_init(&m);
	assert_int_equal(mb_recorder_open(&r, path, false, &e), 0);
	mb_recorder_watch(r, &m);
	for (uint64_t i = 1; i <= ticks; i++) {
		at.t_ns = i * STEP_NS;
		at.since_start_ns = i * STEP_NS;
		mb_utc_shift(start, (int64_t)(i * STEP_NS), at.time, sizeof(at.time));
		assert_int_equal(mb_recorder_tick(r, &m, &at, &e), 0);
	}
	assert_int_equal(mb_recorder_close(r, &e), 0);
	mb_model_free(&m);
}

static void zones_are_honoured(void **state)
{
	(void)state;
	record_from("2026-01-01T10:00:00.000Z", 60); /* ends of ticks: 10:00:10 to 10:10:00 */
	check("2026-01-01T10:05:00Z", NULL, 30, 59);
	check("2026-01-01T10:05:00", NULL, 30, 59); /* UTC */
	check("2026-01-01T12:05:00+02:00", NULL, 30, 59);
	check("2026-01-01T12:05+0200", NULL, 30, 59);
	check("2026-01-01T05:35:00.000-04:30", NULL, 30, 59);
	check("10:05", "10:06", 30, 35);
	check("12:05+02:00", "10:06:00Z", 30, 35);
	check("+300", "+360", 30, 35);
	check("09:00", NULL, 0, 59);
	check(NULL, "11:00", 0, 59);
	window("11:00", NULL, "the recording ends before 11:00");
	window(NULL, "09:00", "the recording begins after 09:00");
	window("10:05:01", "10:05:02", "nothing lies between");
	window("10:05+99:00", NULL, "is no time");
	window("2026-01-01T10:05:00+2", NULL, "is no time");
	window("+-5", NULL, "is no time");
	window("25:00", NULL, "is no time");
	window("2026-02-30T10:00:00Z", NULL, "is no time");
	window("2025-12-32T10:00:00Z", NULL, "is no time");
	window("2026-04-31T10:00:00Z", NULL, "is no time");
	window("2024-02-29T10:00:00Z", "2025-02-29T10:00:00Z", "'2025-02-29T10:00:00Z' is no time");
	/* a moment is the tick that ends at it */
	check("2026-01-01T10:05:00Z", "2026-01-01T10:05:00Z", 29, 29);
}

static void over_midnight(void **state)
{
	(void)state;
	record_from("2026-01-01T23:59:00.000Z", 60);
	check("00:00:05", NULL, 6, 59);
	check("23:59:30", "00:01", 3, 11);
	check("23:00", NULL, 0, 59);
	check(NULL, "01:00", 0, 59);
	window("01:00", NULL, "ends before");
}

static void of_two_days_one_is_to_be_named(void **state)
{
	(void)state;
	record_from("2026-01-01T10:00:00.000Z", 8700); /* to 10:10 of the next day */
	window("10:05", NULL, "'10:05' is more than one moment of the recording: 2026-01-01T10:05:00.000Z (+300.0) and "
			      "2026-01-02T10:05:00.000Z (+86700.0): give the day, or +SECONDS");
	check("2026-01-02T10:05:00Z", NULL, 8670, 8699);
	check("12:00", "13:00", 720, 1079);
}

/* With a clock set back some times occur twice; with a clock set ahead some times never occur. */
static void a_clock_that_was_set(void **state)
{
	struct mb_retention keep = { 0 };
	struct world w;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 30, 2); /* 00:00:00 to 00:04:50 */
	w.utc_off_ns = -(int64_t)(20 * STEP_NS);
	moments(&w, 30, 2); /* 00:01:40 to 00:06:30 */
	w.utc_off_ns = 340 * (int64_t)STEP_NS;
	moments(&w, 30, 2); /* 01:06:40 to 01:11:30 */
	end(&w);
	window("2026-01-01T00:03:00Z", NULL, "more than one moment of the recording: 2026-01-01T00:03:00.000Z (+190.0) and "
					     "2026-01-01T00:03:00.000Z (+390.0): give +SECONDS");
	/* without the day, too: which of the two it is remains unknown */
	window("00:03:00", NULL, "more than one moment of the recording: 2026-01-01T00:03:00.000Z (+190.0) and "
				 "2026-01-01T00:03:00.000Z (+390.0): give +SECONDS");
	window("00:01:00", "00:03:00", "more than one moment of the recording");
	check("00:01:00", "00:05:30", 7, 53);
	check("2026-01-01T00:01:00Z", "2026-01-01T00:05:30Z", 7, 53);
	check("2026-01-01T00:30:00Z", NULL, 60, 89); /* skipped */
	check("2026-01-01T01:07:00Z", NULL, 63, 89);
	check("+600", NULL, 60, 89);
}

/* In a retained recording too, a window without the end of a tick is refused; it does not become another one. */
static void windows_without_ticks(void **state)
{
	struct mb_retention keep = { 0 };
	struct world w;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 30, 2); /* 00:00:00 to 00:04:50 */
	end(&w);
	begin(&w, 90, &keep);
	moments(&w, 30, 2); /* 00:15:00 to 00:19:50 */
	end(&w);
	window("00:02:01", "00:02:05", "nothing lies between 00:02:01 and 00:02:05: one tick of 10.0 s covers it");
	window("2026-01-01T00:02:01Z", "2026-01-01T00:02:05Z", "one tick of 10.0 s covers it");
	window("+121", "+125", "one tick of 10.0 s covers it");
	window("00:10:00", "00:10:30", "nothing lies between 00:10:00 and 00:10:30: memblame was not running then");
	window("2026-01-01T00:10:00Z", "00:10:30", "memblame was not running then");
	window("00:16", "00:02", "nothing lies between 00:16 and 00:02");
	window("00:16", "00:15:59.900", "nothing lies between");
	check("00:16", "00:30", 37, 59);
	check("00:16", "23:59", 37, 59);
	check("00:04:30", "00:15", 28, 30);
	check(NULL, "00:02", 0, 12);
}

/* The end of a window can lie on the day after its start, whether the recording reaches it or not. */
static void retained_over_midnight(void **state)
{
	struct mb_retention keep = { 0 };
	struct world w;

	(void)state;
	begin(&w, 8600, &keep);
	moments(&w, 60, 2); /* 23:53:20 to 00:03:10 */
	end(&w);
	check("23:59", "00:01", 35, 46);
	check("23:59", "00:10", 35, 59);
	check("00:01", NULL, 47, 59);
	window("23:59", "23:58", "nothing lies between");
	window("00:01", "23:58", NULL);
}

/* Retention by age uses the real age, although the clock showed tomorrow for one tick. */
static void tomorrow_for_a_tick(void **state)
{
	struct mb_retention keep = { .max_age_ns = 100 * STEP_NS };
	struct world w;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 50, 5);
	w.utc_off_ns = (int64_t)(86400 * MB_NS_PER_S);
	moments(&w, 1, 5);
	w.utc_off_ns = 0;
	moments(&w, 40, 5);
	end(&w);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 91);
	check("2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z", 31, 60);
	begin(&w, 91, &keep);
	moments(&w, 59, 5);
	wait_for(&w, has_ticks, 101);
	end(&w);
	assert_int_equal(ask("SELECT min(tick) FROM tick"), 49);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(zones_are_honoured),
		TEST(over_midnight),
		TEST(of_two_days_one_is_to_be_named),
		TEST(a_clock_that_was_set),
		TEST(windows_without_ticks),
		TEST(retained_over_midnight),
		TEST(tomorrow_for_a_tick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
