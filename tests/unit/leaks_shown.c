// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* How sinks show a view of leaks, including hostile names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "leaks/view.h"

static const struct mb_source_frame sources[] = {
	{ .ip = 0x7f0000000010, .symbol = "malloc", .module = "/usr/lib/libc.so.6", .module_offset = 0x10 },
	{ .ip = 0x401000, .symbol = "leak", .module = "/bin/a\x1b[31m", .file = "/src/a.c", .line = 42, .inlined = true },
	{ .ip = 0x401000, .symbol = "main", .module = "/bin/a\x1b[31m", .file = "/src/a.c", .line = 50 },
};

static struct mb_leak_row rows[2];
static struct mb_leak_process process = { .pid = 12, .comm = "a\"b\n", .tracked_bytes = 3 << 20,
					  .before_bytes = 1 << 20, .total_vm_bytes = 3 << 20, .corrections = 1,
					  .blocks = 5 };

static struct mb_leak_cgroup cgroup = { .path = "/x", .outlook = { .growth = { true, 0 } } };

static struct mb_leaks_view view_of(void)
{
	memset(rows, 0, sizeof(rows));
	rows[0].sum = (struct mb_leak_group){ .key = { .tgid = 12, .stack = 1, .level = MB_LEAK_ALLOC },
					      .comm = "a\"b\n", .sampled_1_in = 16384, .bytes = 2 << 20, .count = 77,
					      .total_bytes = 3 << 20 };
	rows[0].trend = (struct mb_trend){ .slope_bytes_per_s = 1536, .confidence = 0.9876, .verdict = MB_VERDICT_LEAK };
	rows[0].error_bytes = 1000;
	rows[0].growth_bytes = -5;
	process.outlook = (struct mb_outlook){
		.growth = { true, 1536 },
		.limited = true,
		.limit = { .kind = "cgroup", .path = "/x", .bytes = 500 << 20, .usage_bytes = 180 << 20 },
		.limit_slope_bytes_per_s = 3000,
		.eta_known = true,
		.eta_ns = 7200ull * 1000000000,
	};
	rows[0].outlook = &process.outlook;
	rows[0].sources = sources;
	rows[0].n_sources = 3;
	rows[0].whole = true;
	rows[1].sum = (struct mb_leak_group){ .key = { .tgid = 12, .level = MB_LEAK_REGION }, .comm = "a\"b\n",
					      .sampled_1_in = 1, .bytes = 4096, .count = 1 };
	rows[1].what = "anon";
	rows[0].group = &rows[0].sum;
	rows[1].group = &rows[1].sum;
	return (struct mb_leaks_view){ .rows = rows, .n_rows = 2, .processes = &process, .n_processes = 1,
				       .cgroups = &cgroup, .n_cgroups = 1, .cgroups_left_out = 4,
				       .page_sample_1_in = 64, .heap_sample_bytes = 16384, .from_ns = 1, .to_ns = 9,
				       .stacks_whole = 3, .stacks_cut = 1, .left_out = 2 };
}

/* The output of a sink; the caller frees it. */
static char *shown_by(void (*sink)(struct mb_out *, const struct mb_snapshot *, const struct mb_leaks_view *))
{
	struct mb_leaks_view view = view_of();
	struct mb_setup setup = { .kernel = "6.18" };
	struct mb_snapshot snap = { .setup = &setup, .time = "2026-01-01T00:00:00Z", .duration_ns = 30000000000 };
	struct mb_model model;
	struct mb_out out = { 0 };
	char *text = calloc(1, 65536);
	FILE *file = tmpfile();

	mb_model_init(&model);
	snap.model = &model;
	assert_non_null(file);
	assert_int_equal(mb_out_to(&out, fileno(file), "test"), 0);
	sink(&out, &snap, &view);
	assert_int_equal(mb_out_flush(&out), 0);
	rewind(file);
	assert_true(fread(text, 1, 65535, file) > 0);
	fclose(file);
	mb_out_close(&out, NULL);
	mb_model_free(&model);
	return text;
}

static void test_json(void **state)
{
	char *text = shown_by(mb_json_leaks);
	json_t *doc = json_loads(text, 0, NULL), *group, *frame, *p;

	(void)state;
	assert_non_null(doc);
	assert_string_equal(json_string_value(json_object_get(doc, "kind")), "leaks");
	assert_int_equal(json_integer_value(json_object_get(doc, "left_out")), 2);
	group = json_array_get(json_object_get(doc, "groups"), 0);
	assert_string_equal(json_string_value(json_object_get(group, "level")), "alloc");
	assert_string_equal(json_string_value(json_object_get(group, "comm")), "a\"b\n");
	assert_int_equal(json_integer_value(json_object_get(group, "outstanding_bytes")), 2 << 20);
	assert_int_equal(json_integer_value(json_object_get(group, "outstanding_count")), 77);
	assert_int_equal(json_integer_value(json_object_get(group, "error_bytes")), 1000);
	assert_int_equal(json_integer_value(json_object_get(group, "growth_bytes")), -5);
	assert_int_equal(json_integer_value(json_object_get(group, "slope_bytes_per_s")), 1536);
	assert_true(json_real_value(json_object_get(group, "confidence")) > 0.987);
	assert_true(json_real_value(json_object_get(group, "confidence")) < 0.989);
	assert_string_equal(json_string_value(json_object_get(group, "verdict")), "leak");
	assert_int_equal(json_integer_value(json_object_get(group, "eta_to_limit_ns")), 7200ull * 1000000000);
	assert_int_equal(json_array_size(json_object_get(group, "stack")), 3);
	frame = json_array_get(json_object_get(group, "stack"), 1);
	assert_string_equal(json_string_value(json_object_get(frame, "symbol")), "leak");
	assert_int_equal(json_integer_value(json_object_get(frame, "line")), 42);
	assert_true(json_is_true(json_object_get(frame, "inlined")));
	frame = json_array_get(json_object_get(group, "stack"), 0);
	assert_true(json_is_null(json_object_get(frame, "file")));
	group = json_array_get(json_object_get(doc, "groups"), 1);
	assert_true(json_is_true(json_object_get(group, "before")));
	assert_string_equal(json_string_value(json_object_get(group, "what")), "anon");
	assert_true(json_is_null(json_object_get(group, "eta_to_limit_ns")));
	p = json_array_get(json_object_get(doc, "processes"), 0);
	assert_int_equal(json_integer_value(json_object_get(p, "before_bytes")), 1 << 20);
	assert_null(json_object_get(p, "maps"));
	assert_int_equal(json_integer_value(json_object_get(p, "slope_bytes_per_s")), 1536);
	assert_int_equal(json_integer_value(json_object_get(p, "eta_to_limit_ns")), 7200ull * 1000000000);
	p = json_object_get(p, "limit");
	assert_string_equal(json_string_value(json_object_get(p, "kind")), "cgroup");
	assert_string_equal(json_string_value(json_object_get(p, "path")), "/x");
	assert_int_equal(json_integer_value(json_object_get(p, "bytes")), 500 << 20);
	assert_int_equal(json_integer_value(json_object_get(p, "usage_bytes")), 180 << 20);
	assert_int_equal(json_integer_value(json_object_get(p, "slope_bytes_per_s")), 3000);
	p = json_array_get(json_object_get(doc, "cgroups"), 0);
	assert_string_equal(json_string_value(json_object_get(p, "path")), "/x");
	assert_int_equal(json_integer_value(json_object_get(p, "slope_bytes_per_s")), 0);
	assert_true(json_is_null(json_object_get(p, "eta_to_limit_ns")));
	assert_true(json_is_null(json_object_get(p, "limit")));
	assert_int_equal(json_integer_value(json_object_get(doc, "cgroups_left_out")), 4);
	json_decref(doc);
	free(text);
}

static void test_text(void **state)
{
	char *text = shown_by(mb_text_leaks);

	(void)state;
	assert_non_null(strstr(text, "leak          12 a\"b"));
	assert_non_null(strstr(text, "2.0 MiB        77    1.5 KiB/s    99 %  (+-1000 B)"));
	assert_non_null(strstr(text, "(pid 12) grows 1.5 KiB/s; reaches the limit of cgroup /x (500 MiB, 180 MiB used) in "
				     "120 min, as all that grows there together takes 2.9 KiB/s\n"));
	/* the allocator's own frames are skipped */
	assert_non_null(strstr(text, "in leak at a.c:42\n"));
	assert_non_null(strstr(text, "called by main at a.c:50\n"));
	assert_null(strstr(text, "malloc"));
	/* memory that was there before and does not grow is left out */
	assert_null(strstr(text, "region"));
	assert_non_null(strstr(text, "3.0 MiB mapped, 1.0 MiB of it mapped before tracing"));
	for (const char *c = text; *c; c++)
		assert_true(*c == '\n' || (unsigned char)*c >= ' ');
	free(text);
}

/* The call site of a stack, given as letters: each is a function. */
static uint64_t site_of(const char *stack)
{
	static struct mb_source_frame frames[64];
	static char names[64][2];
	struct mb_leak_row r = { .sum = { .key = { .tgid = 12, .stack = 1, .level = MB_LEAK_ALLOC } }, .sources = frames };

	for (; *stack; stack++) {
		names[r.n_sources][0] = *stack;
		frames[r.n_sources] = (struct mb_source_frame){ .ip = 0x1000 + r.n_sources, .symbol = names[r.n_sources],
								.module = "/bin/a" };
		r.n_sources++;
	}
	r.group = &r.sum;
	return mb_leak_call_site(&r);
}

/* A recursion is one call site, however deep. */
static void test_recursion(void **state)
{
	(void)state;
	assert_true(site_of("mfffa") == site_of("mfffffffffffffffffffffffffffffa"));
	assert_true(site_of("mfa") == site_of("mffa"));
	assert_true(site_of("mfgfgfgfga") == site_of("mfga"));
	assert_true(site_of("mabcdefghabcdefghabcdefghx") == site_of("mabcdefghx"));
	assert_true(site_of("mfga") != site_of("mgfa"));
	assert_true(site_of("mfga") != site_of("mfha"));
	assert_true(site_of("mfa") != site_of("ma"));
	assert_true(site_of("mfaf") != site_of("mfa"));
	assert_true(site_of("") != site_of("m"));
	assert_true(site_of("abcdefghijklmnopqrstuvwxyz") != site_of("bbcdefghijklmnopqrstuvwxyz"));
}

static void test_place_names(void **state)
{
	struct mb_source_frame p = { .ip = 0x1234, .module_offset = 0x99 };
	char buf[64];

	(void)state;
	assert_string_equal(mb_leak_source_name(&p, buf, sizeof(buf)), "0x1234");
	p.module = "/usr/lib/libx.so";
	assert_string_equal(mb_leak_source_name(&p, buf, sizeof(buf)), "libx.so+0x99");
	p.symbol = "f";
	assert_string_equal(mb_leak_source_name(&p, buf, sizeof(buf)), "f in libx.so");
	p.file = "/a/b/c.rs";
	p.line = 3;
	assert_string_equal(mb_leak_source_name(&p, buf, sizeof(buf)), "f at c.rs:3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_place_names),
		cmocka_unit_test(test_recursion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
