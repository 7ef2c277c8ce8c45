// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Code is identified by its file, not by its address: libraries that are loaded and unloaded in turn at the
 * same address, a library that is deleted, and one that another file replaces under the same path
 * (tools/workloads/plugins.c).
 */
#include "leaking.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS 20
#define SECONDS \
	"10" /* mappings are known from a tick on: not those of a program that ends before */

/* The functions of each file, and the files' paths. The last two have the same path. */
static const struct {
	const char *file, *function, *module;
	unsigned int build;
} libraries[] = {
	{ "a.so", "leak_1", "a.so", 1 }, { "b.so", "leak_2", "b.so", 2 },
	{ "c.so", "leak_3", "c.so", 3 }, { "d.so", "leak_1", "d.so", 1 },
	{ "e.so", "leak_2", "d.so", 2 },
};

#define LIBRARIES (sizeof(libraries) / sizeof(libraries[0]))

static void copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	struct stat st;

	assert_true(in >= 0 && out >= 0);
	assert_int_equal(fstat(in, &st), 0);
	assert_int_equal(sendfile(out, in, NULL, (size_t)st.st_size), st.st_size);
	close(in);
	close(out);
}

static const char *lay_out(const char *name)
{
	const char *folder = strdup(live_path(name));
	char from[64], to[512];

	assert_non_null(folder);
	assert_int_equal(mkdir(folder, 0755), 0);
	for (size_t i = 0; i < LIBRARIES; i++) {
		snprintf(from, sizeof(from), "libplugin_%u.so", libraries[i].build);
		snprintf(to, sizeof(to), "%s/%s", folder, libraries[i].file);
		copy(live_workload(from), to);
	}
	return folder;
}

/* Is the innermost frame in that folder the function of the library? */
static bool is_of(const json_t *group, const char *folder, size_t i)
{
	const json_t *frame;
	char module[512];
	size_t k;

	snprintf(module, sizeof(module), "%s/%s", folder, libraries[i].module);
	json_array_foreach(live_get((json_t *)group, "stack"), k, frame)
	{
		const char *in = json_string_value(json_object_get(frame, "module"));
		const char *symbol = json_string_value(json_object_get(frame, "symbol"));

		if (in && !strncmp(in, folder, strlen(folder)) && !strstr(in, "plugins"))
			return !strcmp(in, module) && symbol &&
			       !strcmp(symbol, libraries[i].function);
	}
	return false;
}

static void check(const json_t *document, const char *folder, const char *level, long long bytes)
{
	json_t *group;
	size_t k;

	for (size_t i = 0; i < LIBRARIES; i++) {
		unsigned int groups = 0;
		long long count = 0, sum = 0;

		json_array_foreach(leaking_views(document), k, group)
		{
			if (strcmp(live_str(group, "level"), level) || !is_of(group, folder, i))
				continue;
			groups++;
			count += live_int(group, "outstanding_count");
			sum += live_int(group, "outstanding_bytes");
		}
		live_equal(libraries[i].file, groups, 1);
		live_equal(libraries[i].file, count, ROUNDS);
		live_equal(libraries[i].file, sum, ROUNDS * bytes);
	}
}

static void run(const char *name, const char *const *opts, const char *bytes, const char *level,
		long long held, const char *stay)
{
	const char *folder = lay_out(name), *args[24];
	struct live_result *result;
	json_t *truth, *document;
	size_t n = 0;
	char *line;

	args[n++] = "leaks";
	args[n++] = "--json";
	while (*opts)
		args[n++] = *opts++;
	args[n++] = "--";
	args[n++] = live_workload("plugins");
	args[n++] = folder;
	args[n++] = "20";
	args[n++] = bytes;
	args[n++] = "0";
	args[n++] = stay;
	args[n] = NULL;
	result = live_memblame(args);
	live_equal("status", result->status, 0);
	line = strstr(result->out, "{\"schema\"");
	assert_non_null(line);
	document = live_json(line);
	*line = '\0';
	truth = live_json(strchr(result->out, '{'));
	live_equal("loads", live_int(truth, "loads"), 5 * ROUNDS);
	live_equal("loads at one address", live_int(truth, "same"), 5 * ROUNDS);
	live_equal("files open", live_int(truth, "opened"), 2);
	live_equal("lost", live_lost(document), 0);
	check(document, folder, level, held);
	json_decref(document);
	json_decref(truth);
	live_result_free(result);
	free((char *)folder);
}

static void test_regions(void **state)
{
	(void)state;
	run("code_regions", LIVE_ARGV("-d", SECONDS), "102400", "region", 102400, "stay");
}

static void test_heap(void **state)
{
	(void)state;
	run("code_heap", LIVE_ARGV("--heap", "--sample", "1"), "4000", "alloc", 4000, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
