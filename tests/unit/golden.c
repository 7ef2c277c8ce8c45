// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Recordings of several kernels (tests/golden/NAME.db), replayed through every sink, give the same output as
 * when they were made (NAME.expected). GOLDEN_WRITE=1 writes that output instead: see tests/golden/refresh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <glob.h>

#include "model/model.h"
#include "oom/oom.h"
#include "session/replay.h"
#include "record/report.h"

static const struct view {
	const char *name;
	const struct mb_sink *sink;
	uint64_t interval_ns;
	bool events, blame, oom, leaks;
} views[] = {
	{ "run", &mb_sink_text, 0, false, false, false, false },
	{ "run --json", &mb_sink_json, 0, false, false, false, false },
	{ "top -i 0.1", &mb_sink_text, 100000000, false, false, false, false },
	{ "top -i 0.1 --json", &mb_sink_json, 100000000, false, false, false, false },
	{ "trace", &mb_sink_text, 0, true, false, false, false },
	{ "trace --json", &mb_sink_json, 0, true, false, false, false },
	{ "blame -i 0.1", &mb_sink_text, 100000000, false, true, false, false },
	{ "blame -i 0.1 --json", &mb_sink_json, 100000000, false, true, false, false },
	{ "oom", &mb_sink_text, 0, false, false, true, false },
	{ "oom --json", &mb_sink_json, 0, false, false, true, false },
	{ "leaks", &mb_sink_text, 0, false, false, false, true },
	{ "leaks -i 1 --json", &mb_sink_json, 1000000000, false, false, false, true },
};

/* The numbers in each OOM report must add up. */
static void check_oom(const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	const char *wrong = mb_oom_check(k, c);

	if (wrong)
		fail_msg("a report does not add up: %s", wrong);
}

static void must(int err, const struct mb_err *e, const char *what)
{
	if (err)
		fail_msg("%s: %s", what, e->text);
}

static void play(const char *path, const struct view *v, struct mb_out *out)
{
	const struct mb_leaks_config leaks = { .page_sample_1_in = 64 };
	struct mb_replay_config cfg = { .interval_ns = v->interval_ns,
					.show = { .sink = v->sink,
						  .families = ~0u,
						  .events = v->events,
						  .blame = v->blame,
						  .oom = v->oom,
						  .leaks = v->leaks ? &leaks : NULL,
						  .show_leaks = v->leaks,
						  .check_kill = check_oom } };
	struct mb_reader *r = NULL;
	struct mb_err e = { 0 };
	int status;

	mb_out_printf(out, "== replay %s\n", v->name);
	must(mb_reader_open(&r, path, &e), &e, path);
	/* most recordings have nothing for leaks */
	if (mb_replay(r, &cfg, out, &status, &e) && v->leaks)
		mb_out_printf(out, "%s\n", e.text);
	else
		must(e.text[0] != '\0', &e, path);
	mb_reader_close(r);
}

static void report(const char *path, struct mb_out *out)
{
	static const struct mb_sink *const sinks[] = { &mb_sink_text, &mb_sink_json };
	struct mb_reader *r = NULL;
	struct mb_err e = { 0 };
	struct mb_window w;

	must(mb_reader_open(&r, path, &e), &e, path);
	must(mb_report_window(r, NULL, NULL, &w, &e), &e, path);
	for (size_t i = 0; i < 2; i++) {
		mb_out_printf(out, "== report %s\n", sinks[i]->name);
		must(mb_report_summary(r, &w, sinks[i], out, &e), &e, path);
		must(mb_report_timeline(r, &w, i == 1, out, &e), &e, path);
		must(mb_report_diff(r, r, i == 1, out, &e), &e, path);
	}
	mb_out_printf(out, "== report --csv\n");
	must(mb_report_csv(r, &w, out, &e), &e, path);
	mb_reader_close(r);
}

/* Copies the recording first, because SQLite may write files next to the one that it reads. */
static void copy_to(const char *from, const char *to)
{
	char buf[65536];
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		assert_int_equal(fwrite(buf, 1, n, out), n);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	struct stat st;
	char *text;

	if (!f || fstat(fileno(f), &st))
		fail_msg("cannot read %s", path);
	text = malloc((size_t)st.st_size + 1);
	assert_non_null(text);
	*len = fread(text, 1, (size_t)st.st_size, f);
	text[*len] = '\0';
	fclose(f);
	return text;
}

static void compare(const char *expected, const char *got)
{
	size_t want_len, got_len, line = 1;
	char *w = slurp(expected, &want_len), *g = slurp(got, &got_len);

	for (size_t i = 0; i < want_len || i < got_len; i++) {
		if (i >= want_len || i >= got_len || w[i] != g[i])
			fail_msg("%s: line %zu is different: tests/golden/refresh shows how", expected,
				 line);
		line += w[i] == '\n';
	}
	free(w);
	free(g);
}

static void check(const char *path)
{
	char dir[] = "/tmp/golden.XXXXXX", copy[64], got[64], expected[512];
	struct mb_err e = { 0 };
	struct mb_out out;

	assert_non_null(mkdtemp(dir));
	snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	snprintf(got, sizeof(got), "%s/got", dir);
	snprintf(expected, sizeof(expected), "%.*s.expected", (int)strlen(path) - 3, path);
	copy_to(path, copy);
	must(mb_out_open(&out, getenv("GOLDEN_WRITE") ? expected : got, &e), &e, got);
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		play(copy, &views[i], &out);
	report(copy, &out);
	must(mb_out_close(&out, &e), &e, got);
	if (!getenv("GOLDEN_WRITE"))
		compare(expected, got);
	unlink(got);
	unlink(copy);
	rmdir(dir);
}

static void test_golden(void **state)
{
	glob_t found;

	(void)state;
	assert_int_equal(glob(GOLDEN_DIR "/*.db", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check(found.gl_pathv[i]);
	assert_true(found.gl_pathc >= 3);
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
