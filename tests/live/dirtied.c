// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * writeback.dirtied_pages for each way to dirty pages, compared with what the program did and with the
 * kernel's own trace of the file's pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "live.h"
#include "sandbox.h"

static struct sandbox_fs fs;
static struct sandbox_trace trace;
static bool tracing;

static int teardown(void **state)
{
	(void)state;
	if (tracing)
		sandbox_trace_close(&trace);
	tracing = false;
	if (fs.dir[0])
		sandbox_fs_close(&fs);
	fs.dir[0] = '\0';
	return 0;
}

/* The tracepoint, by its name now or until 5.17. Blocks of a page make folios of one, so that each record is a page. */
static void need_trace(void)
{
	const char *const now[] = { "writeback/writeback_dirty_folio", NULL };
	const char *const before[] = { "writeback/writeback_dirty_page", NULL };
	const char *reason = sandbox_fs_open(&fs, 200, 0);

	if (reason)
		live_skip("%s", reason);
	reason = sandbox_trace_open(&trace, now);
	if (reason)
		reason = sandbox_trace_open(&trace, before);
	if (reason)
		live_skip("%s", reason);
	tracing = true;
}

/* The thread of a record: "  comm-TID  [001] ...", where the name may be "<...>". */
static pid_t thread_of(const char *line)
{
	const char *at = strstr(line, " [");

	while (at && at > line && at[-1] == ' ')
		at--;
	while (at && at > line && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return at ? atoi(at) : 0;
}

/*
 * Records of the file, and others that the process may have made: of this device (the file system's own blocks), and
 * of its first thread, which when a program is started can dirty the block that has the time of its last use.
 */
static void count_records(unsigned long long file, pid_t pid, long long *of_file, long long *rest)
{
	char *text = sandbox_trace_read(&trace), *save = NULL, bdi[24];

	snprintf(bdi, sizeof(bdi), "bdi %s: ", fs.bdi);
	*of_file = *rest = 0;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *at = strstr(line, bdi), *ino = at ? strstr(at, "ino=") : NULL;
		unsigned long retained, written;

		if (sscanf(line, "# entries-in-buffer/entries-written: %lu/%lu", &retained, &written) ==
		    2)
			live_equal("records in the trace", (long long)retained, (long long)written);
		if (ino && strtoull(ino + 4, NULL, 10) == file)
			++*of_file;
		else if (ino || (strstr(line, "writeback_dirty_") && thread_of(line) == pid))
			++*rest;
	}
	free(text);
}

static void test_way(const char *mode)
{
	long long truth, of_file, rest, seen;
	struct live_run *run;
	pid_t pid;
	char path[96], *script;
	struct stat st;

	need_trace();
	snprintf(path, sizeof(path), "%s/file", fs.dir);
	/* through a pipe: otherwise the program's report would dirty a page of the stdout file */
	assert_true(asprintf(&script, "%s %s 1000 %s | cat", live_workload("dirtyways"), path,
			     mode) > 0);
	run = live_run(NULL, LIVE_ARGV("sh", "-c", script));
	free(script);
	if (run->result->status || !run->workload)
		live_fail("dirtyways %s: status %d: %s", mode, run->result->status,
			  run->result->err);
	if (json_object_get(run->workload, "unsupported"))
		live_skip("no io_uring here: errno %lld", live_int(run->workload, "unsupported"));
	assert_int_equal(stat(path, &st), 0);
	pid = (pid_t)live_int(run->workload, "pid");
	count_records(st.st_ino, pid, &of_file, &rest);
	truth = live_int(run->workload, "dirtied_pages");
	seen = live_int(live_process(run->summary, pid), "writeback.dirtied_pages");
	live_equal("pages of the file in the kernel's trace", of_file, truth);
	/*
	 * besides the data, the process may have dirtied blocks of the file system, but no more than the
	 * whole machine did there
	 */
	if (seen < of_file || seen > of_file + rest)
		live_fail("%s: dirtied_pages: got %lld, want %lld to %lld", mode, seen, of_file,
			  of_file + rest);
	live_equal("lost", live_lost(run->summary), 0);
	live_run_free(run);
}

#define WAY(mode)                             \
	static void test_##mode(void **state) \
	{                                     \
		(void)state;                  \
		test_way(#mode);              \
	}

WAY(write)
WAY(again)
WAY(truncated)
WAY(direct)
WAY(fallocate)
WAY(mmap)
WAY(aio)
WAY(uring)
WAY(workers)
WAY(polled)

#define TEST(mode) cmocka_unit_test_teardown(test_##mode, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write), TEST(again), TEST(truncated), TEST(direct),  TEST(fallocate),
		TEST(mmap),  TEST(aio),	  TEST(uring),	   TEST(workers), TEST(polled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
