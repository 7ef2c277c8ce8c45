// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * leaks without --heap: regions and pages name the line that leaks, for any allocator and language. A program
 * that only seems to leak gets no leak verdict. All programs share one run.
 */
#include "leaking.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECONDS	 20
#define LONG	 "60" /* until they get the signal to end */
#define RATE	 "1000000"
#define BLOCK	 "3000"
#define HEAP(at) { at, "heap", RATE, BLOCK, LONG }

enum program {
	HEAP_LEAKER,
	STATIC_LEAKER,
	MUSL_LEAKER,
	JEMALLOC,
	TCMALLOC,
	MIMALLOC,
	CPP_LEAKER,
	CALLOC,
	MEMALIGN,
	REALLOC,
	REGIONS,
	PYTHON,
	NODE,
	WARMUP,
	FRAGMENT,
	GC,
	CACHE,
	PROGRAMS
};

static struct leaking programs[PROGRAMS + 1] = {
	[HEAP_LEAKER] = { "leaker heap", HEAP("@leaker") },
	[STATIC_LEAKER] = { "a static program", HEAP("@leaker_static") },
	[MUSL_LEAKER] = { "a program with musl", HEAP("@leaker_musl") },
	[JEMALLOC] = { "leaker with jemalloc", HEAP("@leaker"), "libjemalloc.so.2" },
	[TCMALLOC] = { "leaker with tcmalloc", HEAP("@leaker"), "libtcmalloc_minimal.so.4" },
	[MIMALLOC] = { "leaker with mimalloc", HEAP("@leaker"), "libmimalloc.so.2" },
	[CPP_LEAKER] = { "leaker_cpp", { "@leaker_cpp", "vector", RATE, LONG } },
	[CALLOC] = { "leaker calloc", { "@leaker", "calloc", LONG } },
	[MEMALIGN] = { "leaker memalign", { "@leaker", "memalign", LONG } },
	[REALLOC] = { "leaker realloc", { "@leaker", "realloc", LONG } },
	[REGIONS] = { "leaker regions", { "@leaker", "regions", LONG } },
	[PYTHON] = { "leak.py", { "/usr/bin/python3", "@leak.py", "list", RATE, LONG } },
	[NODE] = { "leak.js", LEAKING_NODE_JS("4000000", LONG) },
	/* they warm up in the first third of their time, so it must match the run's */
	[WARMUP] = { "leaker warmup", { "@leaker", "warmup", "20" } },
	[FRAGMENT] = { "leaker fragment", { "@leaker", "fragment", "20" } },
	[GC] = { "leaker gc", { "@leaker", "gc", LONG } },
	[CACHE] = { "leaker cache", { "@leaker", "cache", LONG } },
};

/* The same run also writes the graphs of the growth between two moments. */
static const json_t *run_all(void)
{
	static char folded[256], svg[256];

	snprintf(folded, sizeof(folded), "%s", live_path("folded"));
	snprintf(svg, sizeof(svg), "%s", live_path("svg"));
	return leaking_run(programs, LIVE_ARGV("--diff", "8,16", "--folded", folded, "--svg", svg), SECONDS);
}

static const json_t *answer(const struct leaking *program)
{
	const json_t *document = run_all();

	leaking_need(program);
	return document;
}

/* The reported size matches roughly: an allocator takes more memory than it hands out, and takes it in advance. */
static void check_size(long long bytes, const struct leaking *program)
{
	long long truth = 0;

	for (unsigned int i = 0; json_object_get(program->truth, leaking_key("bytes", i)); i++)
		truth += live_int(program->truth, leaking_key("bytes", i));
	if (bytes < truth / 3 || bytes > truth * 2 + (64 << 20))
		live_fail("%s: %lld bytes, it leaked %lld", program->name, bytes, truth);
}

static void test_leak(void **state)
{
	const struct leaking *program = *state;
	const json_t *document = answer(program), *first = leaking_first(document, program, "");

	if (leaking_has_leak(first, program) && strcmp(live_str(first, "verdict"), "stable")) {
		check_size(live_int(first, "outstanding_bytes"), program);
		return;
	}
	leaking_show(document, program);
	live_fail("%s: not the line that leaks", program->name);
}

static void test_no_leak(void **state)
{
	leaking_none(answer(*state), *state);
}

/* Stacks of 40 KiB each: nothing is estimated. */
static void test_regions_are_exact(void **state)
{
	const struct leaking *program = &programs[REGIONS];
	const json_t *document = answer(program), *first = leaking_first(document, program, "region");

	(void)state;
	assert_string_equal(live_str(first, "verdict"), "leak");
	assert_true(leaking_has_leak(first, program));
	live_equal("bytes", live_int(first, "outstanding_bytes"), live_int(program->truth, "bytes"));
	live_equal("regions", live_int(first, "outstanding_count"), live_int(program->truth, "count"));
}

/* The lines of a script are not machine code, so no stack contains them. The leak must be visible nevertheless. */
static void test_script(void **state)
{
	const struct leaking *program = *state;
	const json_t *document = answer(program), *first = leaking_first(document, program, "");
	long long bytes = 0;
	json_t *group;
	size_t i;

	if (!strcmp(live_str(first, "verdict"), "stable")) {
		leaking_show(document, program);
		live_fail("%s is stable", program->name);
	}
	assert_true(json_array_size(live_get(first, "stack")) > 2);
	/* a single script line reaches the allocator by many paths through the interpreter */
	json_array_foreach(leaking_views(document), i, group)
	{
		if (live_int(group, "pid") == program->pid && !strcmp(live_str(group, "level"), "page"))
			bytes += live_int(group, "outstanding_bytes");
	}
	check_size(bytes, program);
}

/* 40 KiB every 50 ms, between two ticks some 8 s apart. */
static void test_growth_between_moments(void **state)
{
	const struct leaking *program = &programs[REGIONS];
	const json_t *document = answer(program), *first = leaking_first(document, program, "region");
	long long ns = live_int(document, "compared.to_ns") - live_int(document, "compared.from_ns");
	long long expected = ns / 50000000 * 40960;

	(void)state;
	assert_true(live_int(document, "compared.from_ns") >= 8000000000);
	assert_true(live_int(document, "compared.to_ns") >= 16000000000);
	/* the leaker's pauses are slightly longer than requested */
	live_near("growth", live_int(first, "growth_bytes"), expected, expected / 8);
}

/* If one line maps and touches regions, their pages are evidence of that leak, not a separate leak. */
static void test_one_leak_is_one_row(void **state)
{
	const struct leaking *program = &programs[REGIONS];
	const json_t *document = answer(program), *group, *evidence, *view;
	unsigned int leaks = 0;
	size_t i, k;

	(void)state;
	json_array_foreach(live_get(document, "groups"), i, group)
	{
		if (live_int(group, "pid") != program->pid || strcmp(live_str(group, "verdict"), "leak"))
			continue;
		leaks++;
		assert_string_equal(live_str(group, "level"), "region");
		evidence = live_get(group, "evidence");
		assert_true(json_array_size(evidence) > 0);
		json_array_foreach(evidence, k, view) assert_string_equal(live_str(view, "level"), "page");
	}
	live_equal("rows that leak", leaks, 1);
}

/* The first page of a block is touched by malloc, and others by memset: for one line, this is one row. */
static void test_one_line_is_one_row(void **state)
{
	const struct leaking *program = &programs[HEAP_LEAKER];
	const json_t *document = answer(program);
	struct leaking_sum pages = leaking_sum(document, program, "page", live_str(program->truth, "file"),
					       live_int(program->truth, "line"));

	(void)state;
	live_equal("rows of pages", pages.groups, 1);
}

/* Each line is "outermost;...;innermost BYTES", sorted by growth. */
static void test_folded(void **state)
{
	const struct leaking *program = &programs[REGIONS];
	const json_t *document = answer(program), *first = leaking_first(document, program, "region");
	char *text = live_slurp(live_path("folded"), NULL), *line, *end, begin[64];
	long long bytes = 0;

	(void)state;
	snprintf(begin, sizeof(begin), "leaker (%d);region anon;_start;", (int)program->pid);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		end = strrchr(line, ' ');
		assert_non_null(end);
		if (!strncmp(line, begin, strlen(begin)) && strstr(line, live_str(program->truth, "function")))
			bytes += atoll(end + 1);
	}
	live_equal("bytes", bytes, live_int(first, "growth_bytes"));
	free(text);
}

static void test_graph(void **state)
{
	char *text;

	(void)state;
	answer(&programs[REGIONS]);
	text = live_slurp(live_path("svg"), NULL);
	assert_non_null(strstr(text, "<svg"));
	assert_non_null(strstr(text, "</svg>"));
	assert_non_null(strstr(text, live_str(programs[REGIONS].truth, "function")));
	free(text);
}

/* A program with frame pointers: after a while memblame no longer copies stacks, and the results do not change. */
static void test_frame_pointers(void **state)
{
	struct live_result *result = live_memblame(LIVE_ARGV("--verbose", "leaks", "--json", "--", live_workload("framed"),
							     "3"));
	char *line = strstr(result->out, "{\"schema\"");
	json_t *document, *truth, *first;
	struct leaking_sum sum;
	struct leaking program = { "framed" };

	(void)state;
	live_equal("status", result->status, 0);
	assert_non_null(strstr(result->err, "keeps frame pointers"));
	assert_non_null(line);
	document = live_json(line);
	*line = '\0';
	truth = live_json(strchr(result->out, '{'));
	first = json_array_get(live_get(document, "processes"), 0);
	program.pid = (pid_t)live_int(first, "pid");
	sum = leaking_sum(document, &program, "region", "framed.c", live_int(truth, "line"));
	live_equal("bytes", sum.bytes, live_int(truth, "bytes"));
	live_equal("regions", sum.count, live_int(truth, "count"));
	live_equal("stacks that are cut", live_int(document, "stacks.cut"), 0);
	json_decref(truth);
	json_decref(document);
	live_result_free(result);
}

/* 32-bit code: memblame knows only the calling address, and says so. */
static void test_compat(void **state)
{
	struct live_result *result;
	json_t *document, *truth, *group;
	long long bytes = 0, count = 0;
	char *line;
	size_t i;

	(void)state;
	if (access(live_workload("compat"), X_OK))
		live_skip("the compiler makes no 32-bit code");
	result = live_memblame(LIVE_ARGV("leaks", "--json", "--", live_workload("compat")));
	if (result->status == 126)
		live_skip("the kernel runs no 32-bit code");
	live_equal("status", result->status, 0);
	line = strstr(result->out, "{\"schema\"");
	assert_non_null(line);
	document = live_json(line);
	*line = '\0';
	truth = live_json(strchr(result->out, '{'));
	json_array_foreach(live_get(document, "groups"), i, group)
	{
		if (!json_array_size(live_get(group, "stack")) || !live_int(group, "pid"))
			continue;
		assert_int_equal(json_array_size(live_get(group, "stack")), 1);
		assert_true(json_is_false(live_get(group, "stack_whole")));
		if (strcmp(live_str(group, "level"), "region"))
			continue;
		bytes += live_int(group, "outstanding_bytes");
		count += live_int(group, "outstanding_count");
	}
	live_equal("bytes", bytes, live_int(truth, "bytes"));
	live_equal("count", count, live_int(truth, "count"));
	live_equal("corrections", live_int(json_array_get(live_get(document, "processes"), 0), "corrections"), 0);
	json_decref(truth);
	json_decref(document);
	live_result_free(result);
}

static void test_processes(void **state)
{
	const json_t *document = run_all(), *process;

	(void)state;
	for (const struct leaking *p = programs; p->name; p++) {
		if (p->why)
			continue;
		process = live_process(document, p->pid);
		/* the addresses known before and those added since make up all of them */
		assert_true(live_int(process, "before_bytes") >= 0);
		assert_true(live_int(process, "before_bytes") <= live_int(process, "tracked_bytes"));
		live_equal(p->name, live_int(process, "tracked_bytes"),
			   live_int(process, "total_vm_bytes"));
		if (live_int(process, "corrections"))
			print_error("%s: was mended\n", p->name);
		live_equal("corrections", live_int(process, "corrections"), 0);
	}
}

#define ABOUT(test, program) { #test "_" #program, test, NULL, NULL, &programs[program] }

int main(void)
{
	const struct CMUnitTest tests[] = {
		ABOUT(test_leak, HEAP_LEAKER),
		ABOUT(test_leak, STATIC_LEAKER),
		ABOUT(test_leak, MUSL_LEAKER),
		ABOUT(test_leak, JEMALLOC),
		ABOUT(test_leak, TCMALLOC),
		ABOUT(test_leak, MIMALLOC),
		ABOUT(test_leak, CPP_LEAKER),
		ABOUT(test_leak, CALLOC),
		ABOUT(test_leak, MEMALIGN),
		ABOUT(test_leak, REALLOC),
		ABOUT(test_leak, REGIONS),
		cmocka_unit_test(test_regions_are_exact),
		ABOUT(test_script, PYTHON),
		ABOUT(test_script, NODE),
		ABOUT(test_no_leak, WARMUP),
		ABOUT(test_no_leak, FRAGMENT),
		ABOUT(test_no_leak, GC),
		ABOUT(test_no_leak, CACHE),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_one_leak_is_one_row),
		cmocka_unit_test(test_one_line_is_one_row),
		cmocka_unit_test(test_frame_pointers),
		cmocka_unit_test(test_compat),
		cmocka_unit_test(test_growth_between_moments),
		cmocka_unit_test(test_folded),
		cmocka_unit_test(test_graph),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	leaking_clean_up(programs);
	return failed;
}
