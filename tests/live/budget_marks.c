// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Sums are marked with the time for which their source was not traced: in a report of a recording, in a
 * report of a part of it, and in /metrics.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serving.h"

#define ITERATOR 3
#define NS_PER_S 1000000000ll
#define SLACK_NS 500000000ll /* the last tick */

static struct serving serving;

/*
 * Time at level iterator, according to the recorded steps. *first_ns: when it begins, relative to the start
 * of the recording.
 */
static long long iterator_ns(const json_t *summary, long long *first_ns)
{
	long long end = live_int(summary, "system.t_ns"), since = 0, sum = 0, first = 0;
	size_t i;
	json_t *e;

	json_array_foreach(live_get(summary, "events"), i, e)
	{
		if (strcmp(live_str(e, "event"), "level"))
			continue;
		if (since)
			sum += live_int(e, "t_ns") - since;
		since = live_int(e, "to") >= ITERATOR ? live_int(e, "t_ns") : 0;
		first = first ? first : since;
	}
	assert_true(first > 0);
	*first_ns = first - (end - live_int(summary, "duration_ns"));
	return since ? sum + end - since : sum;
}

static json_t *report(const char *path, const char *from)
{
	struct live_result *r =
		live_memblame(from ? LIVE_ARGV("report", "--json", "--from", from, path) :
				     LIVE_ARGV("report", "--json", path));
	json_t *summary = live_json(r->out);

	live_equal("status", r->status, 0);
	live_result_free(r);
	return summary;
}

static bool text_is_marked(const char *path)
{
	struct live_result *r = live_memblame(LIVE_ARGV("report", path));
	bool marked = strstr(r->out, "Not traced: ") &&
		      strstr(r->out, "sums lack what happened then");

	live_equal("status", r->status, 0);
	live_result_free(r);
	return marked;
}

/* The report of a whole recording says the same as the summary that the session printed at its end. */
static void check_same(const char *out, const json_t *whole)
{
	static const char *const parts[] = { "processes", "overhead.levels", "overhead.untraced",
					     "overhead.partial_since_t_ns" };
	json_t *summary = live_last_json(out);

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!json_equal(live_get(summary, parts[i]), live_get(whole, parts[i])))
			live_fail("%s of the report differs from the session's", parts[i]);
	}
	json_decref(summary);
}

/* At level iterator nothing was counted, which is not the same as 0; faults are counted at each level. */
static void check_uncounted(const json_t *late)
{
	const json_t *p = json_array_get(live_get(late, "processes"), 0);

	assert_true(live_int(p, "faults.minor") > 0);
	assert_true(live_int(p, "faults.other") > 0);
	assert_true(live_int(p, "stalls.fsync.count") == 0);
	assert_true(live_null(p, "faults.kernel"));
	assert_true(live_null(p, "vma.mmap_calls"));
	assert_true(live_null(p, "writeback.dirtied_pages"));
	assert_true(live_null(p, "stalls.file_io"));
	assert_true(live_null(p, "stalls.swap_in"));
}

static void check_timeline(const char *path, const char *from)
{
	struct live_result *r = live_memblame(LIVE_ARGV("report", "--timeline", "--json", "--from", from, path));
	json_t *line = live_last_json(r->out), *step;
	long long unknown_ns = 0;
	size_t i;

	json_array_foreach(live_get(line, "steps"), i, step)
		unknown_ns += live_int(step, "stalled_unknown_ns");
	assert_true(unknown_ns > NS_PER_S);
	json_decref(line);
	live_result_free(r);
}

/* A budget that cannot be met: tracing goes down to level iterator and stays there. */
static void test_report(void **state)
{
	const char *path = live_path("governed.db");
	long long first_ns, want;
	struct live_result *r;
	json_t *whole, *late;
	char from[32];

	(void)state;
	unlink(path);
	r = live_memblame(LIVE_ARGV("record", "--json", "-i", "0.2", "--budget", "0.01", "-o", path, "--",
				    live_workload("faulter"), "storm", "2", "7"));
	live_equal("record", r->status, 0);
	whole = report(path, NULL);
	check_same(r->out, whole);
	live_result_free(r);
	want = iterator_ns(whole, &first_ns);
	live_near("dirtied_pages", live_untraced_ns(whole, "writeback.dirtied_pages"), want, SLACK_NS);
	/* the parts that were untraced before that */
	assert_true(live_untraced_ns(whole, "stalls.file_io") >=
		    live_untraced_ns(whole, "writeback.dirtied_pages"));
	live_equal("fsync, which is traced at each level", live_untraced_ns(whole, "stalls.fsync"), -1);
	assert_true(text_is_marked(path));
	/* for a part of the recording, only the time within that part: here all of it */
	snprintf(from, sizeof(from), "+%lld", first_ns / 1000000000 + 2);
	late = report(path, from);
	assert_true(live_int(late, "duration_ns") < live_int(whole, "duration_ns"));
	live_near("of the last part", live_untraced_ns(late, "writeback.dirtied_pages"),
		  live_int(late, "duration_ns"), SLACK_NS);
	check_uncounted(late);
	check_timeline(path, from);
	json_decref(late);
	json_decref(whole);
	unlink(path);
}

static void test_no_mark(void **state)
{
	const char *path = live_path("free.db");
	struct live_result *r;
	json_t *summary;

	(void)state;
	unlink(path);
	r = live_memblame(LIVE_ARGV("record", "-o", path, "--", "true"));
	live_equal("record", r->status, 0);
	live_result_free(r);
	summary = report(path, NULL);
	assert_true(live_null(summary, "overhead.untraced"));
	assert_false(text_is_marked(path));
	json_decref(summary);
	unlink(path);
}

static double untraced_s(const char *text, const char *what)
{
	char label[64];

	snprintf(label, sizeof(label), "what=\"%s\"", what);
	return metric_value(text, "memblame_untraced_seconds_total", LIVE_ARGV(label));
}

static double level(const char *text)
{
	return metric_value(text, "memblame_level", LIVE_ARGV(NULL));
}

static double uptime_s(void)
{
	json_t *summary = serving_json(&serving, "/api/v1/summary");
	double s = (double)live_int(summary, "duration_ns") / 1e9;

	json_decref(summary);
	return s;
}

/* While tracing is at level iterator, the marks grow with time. Before that, they are zero. */
static void test_metrics(void **state)
{
	double before, grown, from, to, least, most;
	struct live_bg *storm;
	char *text;

	(void)state;
	serving_prepare(&serving, "marks", "interval = 200ms\nbudget = 0.1\n");
	serving_start(&serving, LIVE_ARGV(NULL));
	/* until it is ended; ten minutes at most, should this program be killed */
	storm = live_spawn(LIVE_ARGV(live_workload("faulter"), "storm", "1", "600"));
	text = serving_get_ok(&serving, "/metrics", false);
	for (int i = 0; i < 600 && level(text) < ITERATOR; i++) {
		if (level(text) < 1)
			live_equal("seconds at level full",
				   (long long)(untraced_s(text, "fault.cause") * 1e9), 0);
		free(text);
		serving_wait_ticks(&serving, 1);
		text = serving_get_ok(&serving, "/metrics", false);
	}
	live_equal("the level", (long long)level(text), ITERATOR);
	free(text);
	from = uptime_s();
	text = serving_get_ok(&serving, "/metrics", false);
	most = uptime_s();
	before = untraced_s(text, "fault.cause");
	free(text);
	serving_wait_ticks(&serving, 10);
	least = uptime_s();
	text = serving_get_ok(&serving, "/metrics", false);
	to = uptime_s();
	live_equal("the level", (long long)level(text), ITERATOR);
	grown = untraced_s(text, "fault.cause") - before;
	if (grown < least - most - 1 || grown > to - from + 1)
		live_fail("marked %.3f s of %.3f to %.3f s", grown, least - most, to - from);
	free(text);
	kill(storm->pid, SIGKILL);
	live_result_free(live_wait(storm));
	serving_stop(&serving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_no_mark),
		cmocka_unit_test_teardown(test_metrics, serving_tidy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
