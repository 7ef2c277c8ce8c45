// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * leaks --heap: blocks that are never freed, by line and number. One run samples many programs. In another
 * run every block counts, and the result must be exact.
 */
#include "leaking.h"
#include "sandbox.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>

#define SECONDS	      24 /* a verdict needs at least ten values; a busy machine takes longer for each */
#define EXACT_SECONDS 8
#define SAMPLE	      16384
#define SAMPLE_TEXT   "16384"
#define LONG	      "60" /* until they get the signal to end */
#define RATE	      "1000000"
#define BLOCK	      "3000"
#define HEAP(at)      { at, "heap", RATE, BLOCK, LONG }
#define CHURN(at)     { at, "churn", "1000", "4" }
#define VECTOR	      { "@leaker_cpp", "vector", RATE, LONG }

enum program {
	NOISY,
	STATIC_LEAKER,
	MUSL_LEAKER,
	JEMALLOC,
	TCMALLOC,
	MIMALLOC,
	CPP_LEAKER,
	CPP_JEMALLOC,
	CPP_TCMALLOC,
	CPP_MIMALLOC,
	CALLOC,
	MEMALIGN,
	REALLOC,
	PYTHON_LIST,
	PYTHON_MALLOC,
	NODE,
	WARMUP,
	FRAGMENT,
	GC,
	CACHE,
	PROGRAMS
};

static struct leaking programs[PROGRAMS + 1] = {
	[NOISY] = { "leaker heap noisy", { "@leaker", "heap", RATE, BLOCK, LONG, "noisy" } },
	[STATIC_LEAKER] = { "a static program", HEAP("@leaker_static") },
	[MUSL_LEAKER] = { "a program with musl", HEAP("@leaker_musl") },
	[JEMALLOC] = { "leaker with jemalloc", HEAP("@leaker"), "libjemalloc.so.2" },
	[TCMALLOC] = { "leaker with tcmalloc", HEAP("@leaker"), "libtcmalloc_minimal.so.4" },
	[MIMALLOC] = { "leaker with mimalloc", HEAP("@leaker"), "libmimalloc.so.2" },
	[CPP_LEAKER] = { "leaker_cpp", VECTOR },
	[CPP_JEMALLOC] = { "leaker_cpp with jemalloc", VECTOR, "libjemalloc.so.2" },
	[CPP_TCMALLOC] = { "leaker_cpp with tcmalloc", VECTOR, "libtcmalloc_minimal.so.4" },
	[CPP_MIMALLOC] = { "leaker_cpp with mimalloc", VECTOR, "libmimalloc.so.2" },
	[CALLOC] = { "leaker calloc", { "@leaker", "calloc", LONG } },
	[MEMALIGN] = { "leaker memalign", { "@leaker", "memalign", LONG } },
	[REALLOC] = { "leaker realloc", { "@leaker", "realloc", LONG } },
	[PYTHON_LIST] = { "leak.py list", { "/usr/bin/python3", "@leak.py", "list", RATE, LONG } },
	[PYTHON_MALLOC] = { "leak.py malloc", { "/usr/bin/python3", "@leak.py", "malloc", RATE, LONG } },
	[NODE] = { "leak.js", LEAKING_NODE_JS("4000000", LONG) },
	/* it warms up in the first third of its time, so its time must match the run's */
	[WARMUP] = { "leaker warmup", { "@leaker", "warmup", "24" } },
	[FRAGMENT] = { "leaker fragment", { "@leaker", "fragment", "24" } },
	[GC] = { "leaker gc", { "@leaker", "gc", LONG } },
	[CACHE] = { "leaker cache", { "@leaker", "cache", LONG } },
};

static struct leaking churners[] = {
	{ "leaker churn", CHURN("@leaker"), NULL, true },
	{ "a static churn", CHURN("@leaker_static"), NULL, true },
	{ "churn with jemalloc", CHURN("@leaker"), "libjemalloc.so.2", true },
	{ "churn with tcmalloc", CHURN("@leaker"), "libtcmalloc_minimal.so.4", true },
	{ "churn with mimalloc", CHURN("@leaker"), "libmimalloc.so.2", true },
	{ NULL },
};

static const json_t *answer(const struct leaking *program)
{
	const json_t *document =
		leaking_run(programs, LIVE_ARGV("--heap", "--sample", SAMPLE_TEXT), SECONDS);

	leaking_need(program);
	return document;
}

/* One in so many bytes is sampled: four standard errors of the estimate. */
static long long error_of(long long bytes)
{
	return (long long)(4 * sqrt((double)bytes * SAMPLE)) + SAMPLE;
}

static void check_site(const json_t *document, const struct leaking *program, unsigned int i)
{
	long long truth = live_int(program->truth, leaking_key("bytes", i));
	long long line = live_int(program->truth, leaking_key("line", i));
	const char *file = live_str(program->truth, leaking_key("file", i));
	struct leaking_sum sum = leaking_sum(document, program, "alloc", file, line);
	long long count = live_int(program->truth, leaking_key("count", i));

	if (!sum.leaks)
		live_fail("%s: %s:%lld is not called a leak", program->name, file, line);
	live_near(program->name, sum.bytes, truth, error_of(truth));
	/* as precise as the bytes, because all blocks have the same size */
	live_near(program->name, sum.count, count, error_of(truth) / (truth / count) + 1);
}

static void test_leak(void **state)
{
	const struct leaking *program = *state;
	const json_t *document = answer(program), *first = leaking_first(document, program, "alloc");

	if (strcmp(live_str(first, "verdict"), "leak") || !leaking_has_leak(first, program)) {
		leaking_show(document, program);
		live_fail("%s: not the line that leaks", program->name);
	}
	for (unsigned int i = 0; json_object_get(program->truth, leaking_key("line", i)); i++)
		check_site(document, program, i);
}

/*
 * Memory that the allocator mapped for its blocks, even in small steps as a block grows, is evidence and has
 * no row of its own.
 */
static void test_one_leak_is_one_row(void **state)
{
	const struct leaking *program = *state;
	const json_t *document = answer(program);
	unsigned int rows = 0;
	json_t *group;
	size_t i;

	json_array_foreach(live_get(document, "groups"), i, group) {
		const char *verdict = live_str(group, "verdict");

		rows += live_int(group, "pid") == program->pid &&
			(!strcmp(verdict, "leak") || !strcmp(verdict, "growing"));
	}
	if (rows != 1)
		leaking_show(document, program);
	live_equal("rows that grow", rows, 1);
}

static void test_no_leak(void **state)
{
	leaking_none(answer(*state), *state);
}

/* A cache beside the leak: it has most of the memory and all of the noise. */
static void test_cache_beside_the_leak(void **state)
{
	const struct leaking *program = &programs[NOISY];
	const json_t *document = answer(program);
	struct leaking_sum sum = leaking_sum(document, program, "alloc", "leaker_steady.c",
					     live_int(program->truth, "noise_line"));
	long long truth = live_int(program->truth, "noise_bytes");

	(void)state;
	live_equal("leaks", sum.leaks, 0);
	live_near("the cache", sum.bytes, truth, error_of(truth));
}

/* The stack is "inner ... main", one function each: all frames are there in this order, without frame pointers. */
static void test_chain(void **state)
{
	const struct leaking *program = *state;
	const json_t *stack = live_get(leaking_first(answer(program), program, "alloc"), "stack");
	char *chain = strdup(live_str(program->truth, "chain")), *save, *name;
	bool found = false;
	size_t at = 0;

	for (name = strtok_r(chain, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		const char *symbol = NULL;

		/* frames above the first belong to the allocator */
		for (; at < json_array_size(stack); at++) {
			symbol = json_string_value(json_object_get(json_array_get(stack, at), "symbol"));
			if (found || (symbol && !strcmp(symbol, name)))
				break;
		}
		if (at++ >= json_array_size(stack) || !symbol || strcmp(symbol, name)) {
			leaking_show(answer(program), program);
			live_fail("%s: %s is missing, or not in its place", program->name, name);
		}
		found = true;
	}
	free(chain);
}

static bool has_symbol(const json_t *group, const char *part)
{
	const json_t *frame;
	size_t i;

	json_array_foreach(live_get(group, "stack"), i, frame) {
		const char *symbol = json_string_value(json_object_get(frame, "symbol"));

		if (symbol && strstr(symbol, part))
			return true;
	}
	return false;
}

/* Names are as in the source, and inlined functions are present and marked. */
static void test_names_of_cpp(void **state)
{
	const struct leaking *program = &programs[CPP_LEAKER];
	const json_t *document = answer(program), *frame;
	const json_t *first = leaking_first(document, program, "alloc");
	size_t inlined = 0, i;

	(void)state;
	if (!has_symbol(first, "shop::Registry<shop::Order>::add") ||
	    !has_symbol(first, "shop::take_orders")) {
		leaking_show(document, program);
		live_fail("no names");
	}
	json_array_foreach(live_get(first, "stack"), i, frame)
		inlined += json_is_true(json_object_get(frame, "inlined")) ? 1 : 0;
	assert_true(inlined > 0);
}

/*
 * A script line reaches the allocator by many paths through the interpreter: sums all blocks of the process,
 * with the worst verdict.
 */
static long long all_blocks(const json_t *document, const struct leaking *program, bool *grows)
{
	long long bytes = 0;
	json_t *group;
	size_t i;

	*grows = false;
	json_array_foreach(live_get(document, "groups"), i, group)
	{
		if (live_int(group, "pid") != program->pid || strcmp(live_str(group, "level"), "alloc"))
			continue;
		bytes += live_int(group, "outstanding_bytes");
		*grows |= strcmp(live_str(group, "verdict"), "stable") != 0;
	}
	return bytes;
}

/*
 * A stack of machine code does not have the lines of a script. The report only shows that the script leaks,
 * and how much.
 */
static void test_script(void **state)
{
	const struct leaking *program = *state;
	const json_t *document = answer(program);
	long long truth = live_int(program->truth, "bytes"), bytes;
	bool grows;

	bytes = all_blocks(document, program, &grows);
	if (!grows) {
		leaking_show(document, program);
		live_fail("%s does not grow", program->name);
	}
	/* the interpreter also has its own memory for each object */
	live_near(program->name, bytes, truth, error_of(truth) + truth / 5 + (4 << 20));
}

/* Code that is compiled at run time gets its name from the file that --perf-basic-prof writes. */
static void test_names_of_node(void **state)
{
	const struct leaking *program = &programs[NODE];
	const json_t *document = answer(program);
	bool named = false;
	json_t *group;
	size_t i;

	(void)state;
	json_array_foreach(live_get(document, "groups"), i, group)
	{
		/* a recompilation may inline it into its caller, leakDue */
		named |= live_int(group, "pid") == program->pid && !strcmp(live_str(group, "level"), "alloc") &&
			 (has_symbol(group, "leakSome") || has_symbol(group, "leakDue"));
	}
	if (!named) {
		leaking_show(document, program);
		live_fail("no names");
	}
}

/* Every block counts, also those that another thread frees. */
static void test_exact(void **state)
{
	const struct leaking *program = *state;
	const json_t *document =
		leaking_run(churners, LIVE_ARGV("--heap", "--sample", "1"), EXACT_SECONDS);

	leaking_need(program);
	live_equal("lost", live_lost(document), 0);
	for (unsigned int i = 0; i < 2; i++) {
		const char *file = live_str(program->truth, leaking_key("file", i));
		long long line = live_int(program->truth, leaking_key("line", i));
		struct leaking_sum sum = leaking_sum(document, program, "alloc", file, line);

		live_equal("bytes", sum.bytes, live_int(program->truth, leaking_key("bytes", i)));
		live_equal("blocks", sum.count, live_int(program->truth, leaking_key("count", i)));
	}
	/* all others have been freed */
	live_equal("blocks of pairs",
		   leaking_sum(document, program, "alloc", "leaker_churn.c",
			       live_int(program->truth, "pair_line")).count, 0);
}

/* Runs `leaks --heap --sample 1`: returns the document, and the program's own line in *truth. */
static json_t *exactly(const char *const *command, json_t **truth)
{
	struct live_result *result = live_memblame(command);
	char *line = strstr(result->out, "{\"schema\"");
	json_t *document;

	live_equal("status", result->status, 0);
	assert_non_null(line);
	document = live_json(line);
	*line = '\0';
	*truth = live_json(strchr(result->out, '{'));
	live_result_free(result);
	live_equal("lost", live_lost(document), 0);
	return document;
}

#define EXACTLY(...) LIVE_ARGV("leaks", "--json", "--heap", "--sample", "1", "--", __VA_ARGS__)

/*
 * In a sample, the block count is as exact as the byte count. If one block in two is followed, the weight is
 * 1.5, which is neither 1 nor 2. Exact figures have no stated error.
 */
static void test_counts_of_a_sample(void **state)
{
	static const char *const sizes[] = { "18000", "9000", "40000" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		json_t *truth, *group, *document;
		long long count = 0, error = 0, bytes = 0, bytes_error = 0;
		size_t j;

		document = exactly(LIVE_ARGV("leaks", "--json", "--heap", "--sample", "16384", "--", live_workload("leaker"),
					     "heap", "60000000", sizes[i], "2"), &truth);
		json_array_foreach(live_get(document, "groups"), j, group)
		{
			if (strcmp(live_str(group, "level"), "alloc") ||
			    !has_symbol(group, live_str(truth, "function")))
				continue;
			live_equal("sampled_1_in", live_int(group, "sampled_1_in"), 16384);
			count += live_int(group, "outstanding_count");
			bytes += live_int(group, "outstanding_bytes");
			error += live_int(group, "error_count");
			bytes_error += live_int(group, "error_bytes");
		}
		assert_true(count > 1000 && error > 0 && error < count / 10);
		/* all blocks, known or not, from the first one on */
		assert_true(live_int(json_array_get(live_get(document, "processes"), 0), "heap.allocated_count") >=
			    live_int(truth, "count"));
		/* five standard errors: exceeded once in two million runs */
		live_near("blocks", count, live_int(truth, "count"), 5 * error + 1);
		live_near("bytes", bytes, live_int(truth, "bytes"), 5 * bytes_error + 4096);
		json_decref(truth);
		json_decref(document);
	}
}

/* Traces a command from its first instruction to its end. The memory that it holds at the end is what it leaked. */
static void test_command(void **state)
{
	json_t *truth, *document = exactly(EXACTLY(live_workload("leaker"), "heap", "200000", "1000", "3"), &truth);
	long long bytes = 0, count = 0;
	json_t *group;
	size_t i;

	(void)state;
	json_array_foreach(live_get(document, "groups"), i, group)
	{
		if (strcmp(live_str(group, "level"), "alloc") || !has_symbol(group, live_str(truth, "function")))
			continue;
		bytes += live_int(group, "outstanding_bytes");
		count += live_int(group, "outstanding_count");
		live_equal("error_bytes of what is exact", live_int(group, "error_bytes"), 0);
		live_equal("error_count of what is exact", live_int(group, "error_count"), 0);
	}
	live_equal("bytes", bytes, live_int(truth, "bytes"));
	live_equal("blocks", count, live_int(truth, "count"));
	json_decref(truth);
	json_decref(document);
}

/* Bytes of the blocks that have the function among their first three frames. */
static long long bytes_from(const json_t *document, const char *function)
{
	long long bytes = 0;
	json_t *group;
	size_t i;

	json_array_foreach(live_get(document, "groups"), i, group)
	{
		const json_t *stack = live_get(group, "stack");
		bool from = false;

		for (size_t k = 0; k < 3 && k < json_array_size(stack); k++) {
			const char *symbol = json_string_value(json_object_get(json_array_get(stack, k), "symbol"));

			from |= symbol && !strcmp(symbol, function);
		}
		if (from && !strcmp(live_str(group, "level"), "alloc"))
			bytes += live_int(group, "outstanding_bytes");
	}
	return bytes;
}

static long long blocks_from(const json_t *document, const char *function)
{
	long long count = 0;
	json_t *group;
	size_t i;

	json_array_foreach(live_get(document, "groups"), i, group)
	{
		if (!strcmp(live_str(group, "level"), "alloc") && has_symbol(group, function))
			count += live_int(group, "outstanding_count");
	}
	return count;
}

/* How the program is linked, and which allocator is preloaded; "sh": the program is a shell's child. */
static const struct early {
	const char *program, *preload, *shell;
} earlies[] = {
	{ "early", NULL, NULL },
	{ "early_static", NULL, NULL },
	{ "early_static_pie", NULL, NULL },
	{ "early_musl", NULL, NULL },
	{ "early", "libjemalloc.so.2", NULL },
	{ "early", "libtcmalloc_minimal.so.4", NULL },
	{ "early", "libmimalloc.so.2", NULL },
	{ "early", "libmimalloc.so.2", "sh" },
};

/*
 * The probes are active before the first instruction, including constructors, and also at the end of a very
 * short run.
 */
static void check_early(const struct early *how, const char *brief)
{
	char preload[64], line[512];
	json_t *truth, *document;

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", how->preload ? how->preload : "");
	snprintf(line, sizeof(line), "%s %s %s; true", preload, live_workload(how->program), brief ? brief : "");
	document = how->shell ? exactly(EXACTLY("/bin/sh", "-c", line), &truth) :
				exactly(EXACTLY("/usr/bin/env", preload, live_workload(how->program), brief), &truth);
	live_equal("before_main", blocks_from(document, "before_main"), live_int(truth, "before_main"));
	live_equal("at_once", blocks_from(document, "at_once"), live_int(truth, "at_once"));
	live_equal("slowly", blocks_from(document, "slowly"), live_int(truth, "slowly"));
	json_decref(truth);
	json_decref(document);
}

static void test_early(void **state)
{
	const struct early *how = *state;
	char command[256];

	if (access(live_workload(how->program), X_OK))
		live_skip("%s could not be built", how->program);
	snprintf(command, sizeof(command), "LD_PRELOAD=%s true 2>&1 | grep -q .", how->preload ? how->preload : "");
	if (how->preload && !system(command))
		live_skip("%s is not here", how->preload);
	check_early(how, NULL);
	check_early(how, "at once");
}

/*
 * A reallocarray that fails because its size overflows 64 bits frees nothing; one of zero bytes does free the
 * block.
 */
static void test_overflow(void **state)
{
	json_t *truth, *document = exactly(EXACTLY(live_workload("edges"), "200"), &truth);

	(void)state;
	live_equal("held", bytes_from(document, "held"), live_int(truth, "bytes"));
	live_equal("given back", bytes_from(document, "freed"), 0);
	json_decref(truth);
	json_decref(document);
}

/* A signal handler on an alternate stack allocates in the middle of each call. */
static void test_alternate_stack(void **state)
{
	json_t *truth, *document = exactly(EXACTLY(live_workload("altstack"), "200", *state), &truth);

	live_equal("in_program", bytes_from(document, "in_program"), live_int(truth, "program_bytes"));
	live_equal("again_in_program", bytes_from(document, "again_in_program"), live_int(truth, "again_bytes"));
	live_equal("in_handler", bytes_from(document, "in_handler"), live_int(truth, "handler_bytes"));
	json_decref(truth);
	json_decref(document);
}

/* The last of several lines, each of which ends in a newline. */
static const char *last_line(char *text, size_t len)
{
	char *begin;

	text[len - 1] = '\0';
	begin = strrchr(text, '\n');
	return begin ? begin + 1 : text;
}

/* 10 MB/s below a limit of 512 MiB, with almost no usage at the start: predicts when the limit is reached. */
static void test_time_to_limit(void **state)
{
	struct sandbox_cgroup cg;
	const char *why = sandbox_cgroup_open(&cg, 512ul << 20);
	struct live_bg *leaker;
	struct live_result *result;
	json_t *document, *group = NULL;
	double slope, left;
	char pid[16];
	size_t i;

	(void)state;
	if (why)
		live_skip("%s", why);
	setenv("WORKLOAD_CGROUP", cg.dir, 1);
	leaker = live_spawn(LIVE_ARGV(live_workload("leaker"), "heap", "10000000", "10000", "30"));
	unsetenv("WORKLOAD_CGROUP");
	usleep(300000);
	snprintf(pid, sizeof(pid), "%d", (int)leaker->pid);
	result = live_memblame(LIVE_ARGV("leaks", "--json", "-p", pid, "-i", "0.5", "-d", "8"));
	kill(leaker->pid, SIGTERM);
	live_result_free(live_wait(leaker));
	sandbox_cgroup_close(&cg);
	live_equal("status", result->status, 0);
	assert_true(result->out_len > 1);
	document = live_json(last_line(result->out, result->out_len));
	/* the heap, with the allocator's pages as evidence */
	json_array_foreach(leaking_views(document), i, group)
	{
		if (!strcmp(live_str(group, "level"), "region") && strcmp(live_str(group, "verdict"), "stable"))
			break;
	}
	assert_non_null(group);
	assert_string_equal(live_str(group, "limit"), "cgroup");
	slope = (double)live_int(group, "slope_bytes_per_s");
	left = (double)(512ll << 20) - 8.3 * 10e6;
	/* the allocated memory is most of what the process uses */
	live_near("slope", (long long)slope, 10000000, 1000000);
	live_near("seconds", live_int(group, "eta_to_limit_ns") / 1000000000, (long long)(left / slope),
		  (long long)(left / slope / 5));
	json_decref(document);
	live_result_free(result);
}

#define ABOUT(test, program)   { #test "_" #program, test, NULL, NULL, &programs[program] }
#define CHURNER(name, program) { "test_exact_" name, test_exact, NULL, NULL, &churners[program] }

#define EARLY(i)	       { "test_early_" #i, test_early, NULL, NULL, (void *)&earlies[i] }

int main(void)
{
	const struct CMUnitTest tests[] = {
		ABOUT(test_leak, NOISY),
		ABOUT(test_leak, STATIC_LEAKER),
		ABOUT(test_leak, MUSL_LEAKER),
		ABOUT(test_leak, JEMALLOC),
		ABOUT(test_leak, TCMALLOC),
		ABOUT(test_leak, MIMALLOC),
		ABOUT(test_leak, CPP_LEAKER),
		ABOUT(test_leak, CPP_JEMALLOC),
		ABOUT(test_leak, CPP_TCMALLOC),
		ABOUT(test_leak, CPP_MIMALLOC),
		ABOUT(test_leak, CALLOC),
		ABOUT(test_leak, MEMALIGN),
		ABOUT(test_leak, REALLOC),
		ABOUT(test_one_leak_is_one_row, REALLOC),
		ABOUT(test_one_leak_is_one_row, CALLOC),
		ABOUT(test_script, PYTHON_LIST),
		ABOUT(test_script, PYTHON_MALLOC),
		ABOUT(test_script, NODE),
		cmocka_unit_test(test_names_of_node),
		ABOUT(test_no_leak, WARMUP),
		ABOUT(test_no_leak, FRAGMENT),
		ABOUT(test_no_leak, GC),
		ABOUT(test_no_leak, CACHE),
		cmocka_unit_test(test_cache_beside_the_leak),
		ABOUT(test_chain, NOISY),
		ABOUT(test_chain, STATIC_LEAKER),
		ABOUT(test_chain, MUSL_LEAKER),
		ABOUT(test_chain, JEMALLOC),
		ABOUT(test_chain, TCMALLOC),
		ABOUT(test_chain, MIMALLOC),
		ABOUT(test_chain, CALLOC),
		cmocka_unit_test(test_names_of_cpp),
		CHURNER("glibc", 0),
		CHURNER("static", 1),
		CHURNER("jemalloc", 2),
		CHURNER("tcmalloc", 3),
		CHURNER("mimalloc", 4),
		cmocka_unit_test(test_counts_of_a_sample),
		cmocka_unit_test(test_command),
		EARLY(0),
		EARLY(1),
		EARLY(2),
		EARLY(3),
		EARLY(4),
		EARLY(5),
		EARLY(6),
		EARLY(7),
		cmocka_unit_test(test_overflow),
		{ "test_alternate_stack_far", test_alternate_stack, NULL, NULL, (void *)"far" },
		{ "test_alternate_stack_near", test_alternate_stack, NULL, NULL, (void *)"near" },
		cmocka_unit_test(test_time_to_limit),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	leaking_clean_up(programs);
	return failed;
}
