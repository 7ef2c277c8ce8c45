// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads the kernel's files about the whole machine, and runs a trace with two such readings at each end. */
#include "moments.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB (1024L * 1024)
#define HUGE_BYTES (2 * MIB)

const char *const moment_paths[FILES] = {
	"/proc/meminfo",   "/proc/vmstat",	   "/proc/zoneinfo",
	"/proc/buddyinfo", "/proc/pressure/memory", "/proc/pressure/io",
};

char *moment_slurp(const char *path)
{
	char *text;
	size_t len;
	FILE *f = fopen(path, "r");

	if (!f)
		return NULL;
	/* if PSI is disabled, its files can be opened but not read */
	text = calloc(1, MIB);
	assert_non_null(text);
	len = fread(text, 1, MIB - 1, f);
	fclose(f);
	if (len)
		return text;
	free(text);
	return NULL;
}

static struct moment take_moment(void)
{
	struct moment m;

	for (int i = 0; i < FILES; i++)
		m.text[i] = moment_slurp(moment_paths[i]);
	m.numastat = moment_slurp("/sys/devices/system/node/node0/numastat");
	return m;
}

static void free_moment(struct moment *m)
{
	for (int i = 0; i < FILES; i++)
		free(m->text[i]);
	free(m->numastat);
}

long long moment_find(const char *text, const char *key)
{
	size_t n = strlen(key);
	bool sum = key[n - 1] == '*';
	long long v, total = -1;

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, sum ? n - 1 : n) || (!sum && !strchr(" :", line[n])))
			continue;
		if (sscanf(line + strcspn(line, ": "), "%*[: ]%lld", &v) == 1)
			total = total < 0 ? v : total + v;
	}
	return total;
}

void trace_work(void)
{
	char *area = mmap(NULL, (TRACE_HUGE_PAGES + 1) * HUGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned = (char *)(((uintptr_t)area + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));

	assert_true(area != MAP_FAILED);
	madvise(aligned, TRACE_HUGE_PAGES * HUGE_BYTES, MADV_HUGEPAGE);
	for (long i = 0; i < TRACE_HUGE_PAGES; i++)
		*(volatile char *)(aligned + i * HUGE_BYTES) = 1;
	munmap(area, (TRACE_HUGE_PAGES + 1) * HUGE_BYTES);
	area = mmap(NULL, TRACE_TOUCHED_PAGES * MOMENT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	assert_true(area != MAP_FAILED);
	madvise(area, TRACE_TOUCHED_PAGES * MOMENT_PAGE, MADV_NOHUGEPAGE);
	for (long i = 0; i < TRACE_TOUCHED_PAGES; i++)
		*(volatile char *)(area + i * MOMENT_PAGE) = 1;
	munmap(area, TRACE_TOUCHED_PAGES * MOMENT_PAGE);
}

struct trace trace_run(void)
{
	struct live_result *result;
	struct live_bg *bg;
	struct trace t;

	t.before_start = take_moment();
	bg = live_start(LIVE_ARGV("top", "--json", "-i", "60", "-f", "vma"));
	t.after_start = take_moment();
	trace_work();
	t.before_end = take_moment();
	result = live_stop(bg);
	t.after_end = take_moment();
	live_equal("status", result->status, 0);
	t.summary = live_json(result->out);
	t.system = live_get(t.summary, "system");
	live_result_free(result);
	return t;
}

void trace_free(struct trace *t)
{
	free_moment(&t->before_start);
	free_moment(&t->after_start);
	free_moment(&t->before_end);
	free_moment(&t->after_end);
	json_decref(t->summary);
}

