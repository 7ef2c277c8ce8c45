// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * report of two recordings. If a program freed what it had mapped before, its rate is negative. What one of
 * the recordings did not trace is unknown.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live.h"
#include "scripted_workload.h"

#define HELD_BYTES (SCRIPTED_HELD_PAGES * 4096ll)

/*
 * Makes a recording that begins when the scripted workload has its memory, and ends after the letters: the
 * workload then has freed its memory, or has as much again.
 */
static void record(const char *path, const char *families, const char *letters)
{
	struct scripted *p = scripted_new();
	struct live_bg *bg;

	unlink(path);
	scripted_do(p, "m");
	bg = live_start(LIVE_ARGV("record", "-i", "0.2", "-o", path, "-f", families, "-p", p->text));
	scripted_do(p, letters);
	live_result_free(live_stop(bg));
	scripted_free(p);
}

/* The rate in bytes per second if that many bytes were mapped during the recording. */
static long long rate(const char *path, long long bytes)
{
	struct live_result *r = live_memblame(LIVE_ARGV("report", "--json", path));
	json_t *summary = live_json(r->out);
	double seconds = (double)live_int(summary, "duration_ns") / 1e9;

	live_result_free(r);
	json_decref(summary);
	return (long long)((double)bytes / seconds);
}

static void check_rate(const char *what, long long got, long long want)
{
	live_near(what, got, want,
		  llabs(want) / 50); /* besides thread start-up and the like */
}

static json_t *mapped(const json_t *diff)
{
	json_t *change;
	size_t i;

	json_array_foreach(live_get(diff, "changes"), i, change)
	{
		if (!strcmp(live_str(change, "program"), "compare") &&
		    !strcmp(live_str(change, "quantity"), "mapped_bytes"))
			return change;
	}
	live_fail("no mapped_bytes of this program");
	return NULL;
}

static void test_below_zero(void **state)
{
	const char *less = live_path("less.db"), *more = live_path("more.db");
	struct live_result *r;
	json_t *diff;

	(void)state;
	record(less, "vma,fault,writeback", "u");
	record(more, "vma,fault,writeback", "m");
	r = live_memblame(LIVE_ARGV("report", "--json", less, more));
	assert_int_equal(r->status, 0);
	diff = live_json(r->out);
	check_rate("before", live_int(mapped(diff), "before"), rate(less, -HELD_BYTES));
	check_rate("after", live_int(mapped(diff), "after"), rate(more, HELD_BYTES));
	assert_string_equal(live_str(mapped(diff), "change"), "changed");
	json_decref(diff);
	live_result_free(r);
	/* in reverse order, and as text: no value has wrapped around */
	r = live_memblame(LIVE_ARGV("report", more, less));
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, " -"));
	assert_null(strstr(r->out, "PiB"));
	assert_null(strstr(r->out, "EiB"));
	assert_null(strstr(r->out, "new"));
	live_result_free(r);
}

static void test_not_traced(void **state)
{
	const char *faults = live_path("faults.db"), *all = live_path("all.db");
	struct live_result *r;
	json_t *doc, *process;

	(void)state;
	record(faults, "fault", "m");
	record(all, "vma,fault,writeback", "m");
	r = live_memblame(LIVE_ARGV("report", "--json", faults));
	doc = live_json(r->out);
	process = json_array_get(live_get(doc, "processes"), 0);
	assert_true(live_int(process, "faults.minor") >= 0);
	assert_true(live_null(process, "vma.mapped_bytes"));
	assert_true(live_null(process, "stalls.fsync"));
	assert_true(live_null(process, "writeback.dirtied_pages"));
	assert_true(live_null(process, "writeback.pauses"));
	json_decref(doc);
	live_result_free(r);
	r = live_memblame(LIVE_ARGV("report", "--json", faults, all));
	doc = live_json(r->out);
	assert_true(live_null(mapped(doc), "before"));
	check_rate("after", live_int(mapped(doc), "after"), rate(all, HELD_BYTES));
	json_decref(doc);
	live_result_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_below_zero),
		cmocka_unit_test(test_not_traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
