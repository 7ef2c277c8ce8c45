// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A retained recording: it stays within its limits and exact, over several sessions and while others read it. */
#include "retention_world.h"

static void killed_writer(uint64_t serial, const struct mb_retention *keep)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct world w;

		begin(&w, serial, keep);
		moments(&w, 60, PROCESSES);
		sample_meta(&w, PROCESSES); /* kill the session in the middle of this sample, or before or after it */
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* The recording is filled several times over, by sessions that end normally and one that is killed. */
static void by_size(void **state)
{
	struct mb_retention keep = { .max_bytes = 4 << 20 };
	struct mb_recorder_state st;
	uint64_t serial = 0;
	struct world w;

	(void)state;
	for (int session = 0; session < 4; session++) {
		if (session == 2) {
			killed_writer(serial, &keep);
			serial += 61;
			check_sums();
			continue;
		}
		begin(&w, serial, &keep);
		moments(&w, 160, PROCESSES);
		serial = w.serial;
		wait_for(&w, is_shorter, (uint64_t)(4.2 * MIB));
		assert_true(on_disk() <= 4.2 * MIB);
		mb_recorder_state(w.r, &st);
		assert_int_equal(st.lost, 0);
		wait_for(&w, has_ticks, 0);
		assert_int_equal(st.oldest[0], '2');
		end(&w);
		check_sums();
	}
	assert_true(ask("SELECT min(tick) FROM tick") > 0);
	assert_true((double)ask("SELECT (SELECT page_count FROM pragma_page_count) -"
				" (SELECT freelist_count FROM pragma_freelist_count)") * 4096 >= 3.8 * MIB);
	/* processes that live all along have one row each */
	assert_int_equal(ask("SELECT count(*) FROM process WHERE pid < 100000"), PROCESSES);
	assert_int_equal(size_of("") % 4096, 0);
	/* a lower limit, set while the recorder runs: the file gets shorter */
	begin(&w, serial, &keep);
	moments(&w, 1, PROCESSES);
	mb_recorder_retain(w.r, &(struct mb_retention){ .max_bytes = 2 << 20 });
	wait_for(&w, is_shorter, (uint64_t)(2.1 * MIB));
	moments(&w, 5, PROCESSES);
	wait_for(&w, is_shorter, (uint64_t)(2.1 * MIB));
	end(&w);
	check_sums();
	assert_true((double)ask("SELECT page_count FROM pragma_page_count") * 4096 >= 1.85 * MIB);
}

static void by_age(void **state)
{
	struct mb_retention keep = { .max_age_ns = 100 * STEP_NS };
	struct world w;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 150, 5);
	wait_for(&w, has_ticks, 101);
	end(&w);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 101);
	/* after half an hour without a recorder */
	begin(&w, 330, &keep);
	moments(&w, 250, 5);
	wait_for(&w, has_ticks, 101);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 101);
	assert_int_equal(ask("SELECT count(*) FROM session"), 1);
	/* the last moment: there are 25 in all */
	mb_recorder_retain(w.r, &(struct mb_retention){ .max_age_ns = 24 * STEP_NS });
	moments(&w, 1, 5);
	wait_for(&w, has_ticks, 25);
	end(&w);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 25);
	check_sums();
}

/* Two sessions with a gap, and one after a reboot: sums, windows and durations are those of what was traced. */
static void over_sessions(void **state)
{
	struct mb_retention keep = { 0 };
	struct world w;
	json_t *doc;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 30, 5);
	end(&w);
	begin(&w, 90, &keep); /* ten minutes later */
	moments(&w, 30, 5);
	end(&w);
	doc = report(NULL, NULL);
	assert_int_equal(minor_of(doc, 1001), sum_of(0, 30, 1) + sum_of(90, 120, 1));
	assert_int_equal(json_integer_value(json_object_get(doc, "duration_ns")), 60 * STEP_NS);
	assert_int_equal(json_array_size(json_object_get(doc, "processes")), 5 + 60);
	assert_int_equal(json_integer_value(json_object_get(
		json_object_get(json_object_get(process_of(doc, 1001), "faults"), "latency"), "count")), 60);
	json_decref(doc);
	begin_at(&w, path, 200, &keep, "boot-b");
	w.boot_ns = 199 * STEP_NS; /* the clock of events starts again at boot */
	moments(&w, 10, 5);
	end(&w);
	assert_int_equal(ask("SELECT count(*) FROM process WHERE pid = 1001"), 2);
	/* 00:15:00 is moment 90; the window holds a gap, and begins after the moment at which moment 24 ended */
	doc = report("2026-01-01T00:04:00Z", "00:16:05");
	assert_int_equal(minor_of(doc, 1001), sum_of(25, 30, 1) + sum_of(90, 97, 1));
	assert_int_equal(json_integer_value(json_object_get(doc, "duration_ns")), 12 * STEP_NS);
	assert_string_equal(json_string_value(json_object_get(doc, "kernel")), "boot-a");
	assert_string_equal(json_string_value(json_object_get(doc, "version")), "a");
	assert_null(process_of(doc, 100001));
	json_decref(doc);
	doc = report("+310", "+610"); /* seconds of tracing: from the second session into the third */
	assert_string_equal(json_string_value(json_object_get(doc, "kernel")), "boot-b");
	assert_int_equal(json_integer_value(json_object_get(doc, "duration_ns")), 30 * STEP_NS);
	json_decref(doc);
	check_sums();
}

/* The level changes between the last moment and the next one. */
static void step_level(struct world *w, enum mb_level to)
{
	struct mb_level_event e = { .h = { .t_ns = w->serial * STEP_NS - w->boot_ns + STEP_NS / 2, .family = MB_FAM_task,
					   .type = MB_TASK_EVENT_LEVEL, .size = sizeof(e) },
				    .from = (uint16_t)w->m.levels.now, .to = (uint16_t)to, .tick_divisor_from = 1,
				    .tick_divisor = 1 };

	mb_model_level(&w->m, &e);
	mb_recorder_keep(w->r, MB_INGEST_EVENT, &e, sizeof(e));
}

static long long level_ns(const json_t *doc, enum mb_level level)
{
	const json_t *levels = json_object_get(json_object_get(doc, "overhead"), "levels");

	return json_integer_value(json_object_get(json_array_get(levels, level), "ns"));
}

/* Whether the process has no count of a number that the level leaves out. */
static bool lacks_count(json_t *doc)
{
	const json_t *of = json_object_get(process_of(doc, 1001), "faults");

	return json_is_null(json_object_get(of, "userfault"));
}

/* Each session has its own levels, and the time between sessions is at none, also where a boot begins anew. */
static void levels_over_sessions(void **state)
{
	struct mb_retention keep = { 0 };
	struct world w;
	json_t *doc;

	(void)state;
	for (uint64_t session = 0; session < 3; session++) {
		begin_at(&w, path, session * 90, &keep, session < 2 ? "boot-a" : "boot-b");
		w.boot_ns = session < 2 ? 0 : 180 * STEP_NS;
		moments(&w, 1, 2);
		step_level(&w, MB_LEVEL_FULL);
		moments(&w, 9, 2);
		if (session < 2)
			step_level(&w, MB_LEVEL_ITERATOR);
		moments(&w, 10, 2);
		end(&w);
	}
	doc = report(NULL, NULL);
	assert_int_equal(json_integer_value(json_object_get(doc, "duration_ns")), 60 * STEP_NS);
	/* before the first step nothing is known of a budget: 15 s of each session */
	assert_int_equal(level_ns(doc, MB_LEVEL_FULL), 2 * 9 * STEP_NS + 185 * (STEP_NS / 10));
	assert_int_equal(level_ns(doc, MB_LEVEL_ITERATOR), 2 * 95 * (STEP_NS / 10));
	assert_string_equal(json_string_value(json_object_get(json_object_get(doc, "overhead"), "level")), "full");
	assert_false(lacks_count(doc));
	json_decref(doc);
	doc = report("+350", "+400"); /* the end of the second session: nothing of it was counted */
	assert_int_equal(level_ns(doc, MB_LEVEL_FULL), 0);
	assert_int_equal(level_ns(doc, MB_LEVEL_ITERATOR), 5 * STEP_NS);
	assert_true(lacks_count(doc));
	json_decref(doc);
	doc = report("+350", "+450"); /* and five moments of the third one */
	assert_int_equal(level_ns(doc, MB_LEVEL_FULL), 35 * (STEP_NS / 10));
	assert_int_equal(level_ns(doc, MB_LEVEL_ITERATOR), 5 * STEP_NS);
	assert_false(lacks_count(doc));
	json_decref(doc);
}

/* The step to the level is older than all ticks that remain, but the level is still in force. */
static void level_outlives_its_step(void **state)
{
	struct mb_retention keep = { .max_age_ns = 20 * STEP_NS };
	struct world w;
	json_t *doc;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 2, 2);
	step_level(&w, MB_LEVEL_FULL);
	moments(&w, 2, 2);
	step_level(&w, MB_LEVEL_ITERATOR);
	moments(&w, 60, 2);
	wait_for(&w, has_ticks, 21);
	end(&w);
	assert_int_equal(ask("SELECT count(*) FROM event WHERE name = 'level'"), 1);
	assert_int_equal(ask("SELECT count(*) FROM event WHERE tick NOT IN (SELECT tick FROM tick)"), 0);
	doc = report(NULL, NULL);
	assert_int_equal(level_ns(doc, MB_LEVEL_FULL), 0);
	assert_int_equal(level_ns(doc, MB_LEVEL_ITERATOR), 21 * STEP_NS);
	assert_string_equal(json_string_value(json_object_get(json_object_get(doc, "overhead"), "level")), "iterator");
	json_decref(doc);
}

/* Counters since boot: only growth during tracing counts, and a later boot with smaller counters does not hide it. */
static void system_over_sessions(void **state)
{
	enum mb_system_number n = MB_SYS_paging_faults;
	struct mb_system_state got = { 0 };
	struct mb_retention keep = { 0 };
	struct mb_reader *r = NULL;
	struct mb_err e = { 0 };
	struct world w;

	(void)state;
	for (uint64_t session = 0; session < 3; session++) {
		begin_at(&w, path, session * 50, &keep, session < 2 ? "boot-a" : "boot-b");
		w.boot_ns = session < 2 ? 0 : 100 * STEP_NS;
		moments(&w, 20, 2);
		end(&w);
	}
	assert_int_equal(mb_reader_open(&r, path, &e), 0);
	assert_int_equal(mb_system_report(r, &(struct mb_window){ 0, 59, true }, &got, &e), 0);
	assert_int_equal(mb_system_growth(got.first.values[n], got.now.values[n]), 3 * 19 * 100);
	assert_int_equal(got.scope_ns, 3 * 19 * STEP_NS);
	assert_int_equal(got.now.t_ns, 20 * STEP_NS);
	assert_int_equal(mb_system_growth(got.first.nodes[0].counts[0], got.now.nodes[0].counts[0]), 3 * 19 * 10);
	assert_int_equal(mb_system_report(r, &(struct mb_window){ 10, 24, false }, &got, &e), 0);
	assert_int_equal(mb_system_growth(got.first.values[n], got.now.values[n]), (10 + 4) * 100);
	assert_int_equal(mb_system_report(r, &(struct mb_window){ 22, 24, false }, &got, &e), 0);
	assert_int_equal(mb_system_growth(got.first.values[n], got.now.values[n]), 3 * 100);
	mb_reader_close(r);
}

/* A reader sees one state of the recording, whatever is written and removed meanwhile. */
static void read_meanwhile(void **state)
{
	struct mb_retention keep = { .max_age_ns = 20 * STEP_NS };
	struct mb_reader *r = NULL;
	struct mb_window before, after;
	struct mb_err e = { 0 };
	struct world w;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 30, 5);
	assert_int_equal(mb_reader_open(&r, path, &e), 0);
	assert_int_equal(mb_report_window(r, NULL, NULL, &before, &e), 0);
	moments(&w, 30, 5);
	assert_int_equal(mb_report_window(r, NULL, NULL, &after, &e), 0);
	assert_int_equal(before.first, after.first);
	assert_int_equal(after.last, 29);
	mb_reader_close(r);
	end(&w);
	assert_int_equal(ask("SELECT max(tick) FROM tick"), 59);
	check_sums();
}

/* A reader that never stops: the files stay within their limit, and the recorder writes the delayed data later. */
static void read_for_ever(void **state)
{
	struct mb_retention keep = { .max_bytes = 4 << 20 };
	struct mb_reader *r = NULL;
	struct mb_window all;
	struct mb_recorder_state st;
	struct mb_err e = { 0 };
	struct world w;

	(void)state;
	begin(&w, 0, &keep);
	moments(&w, 160, PROCESSES);
	assert_int_equal(mb_reader_open(&r, path, &e), 0);
	assert_int_equal(mb_report_window(r, NULL, NULL, &all, &e), 0);
	do {
		sample_meta(&w, PROCESSES);
		wait_for(&w, is_settled, 0);
		mb_recorder_state(w.r, &st);
	} while (!st.failed);
	assert_true(on_disk() <= 4.2 * MIB);
	sample_meta(&w, PROCESSES);
	assert_true(on_disk() <= 4.2 * MIB);
	mb_reader_close(r);
	mb_recorder_retain(w.r, &keep); /* tries at once */
	moments(&w, 3, PROCESSES);
	wait_for(&w, is_shorter, (uint64_t)(4.2 * MIB));
	mb_recorder_state(w.r, &st);
	assert_false(st.failed);
	assert_int_equal(st.lost, 0);
	end(&w);
	check_sums();
	assert_true(on_disk() <= 4.2 * MIB);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(by_size),
		TEST(by_age),
		TEST(over_sessions),
		TEST(levels_over_sessions),
		TEST(level_outlives_its_step),
		TEST(system_over_sessions),
		TEST(read_meanwhile),
		TEST(read_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
