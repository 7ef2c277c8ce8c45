// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A mapped file is read while it is in the page cache, and again after the whole page cache was
 * dropped: only then there are major faults, as many as the kernel counts.
 */
#include <stdlib.h>

#include "guest.h"

#define FILE_MIB "8"
#define FILE_PAGES 2048

/* Each reading is its own process, whose report goes to a file named by its number. */
static char *readings_script(const char *file)
{
	char *script;

	assert_true(asprintf(&script,
			     "read_it() { %s " FILE_MIB " file %s 1 >%s$1 || exit 1; }; "
			     "read_it 0; read_it 1; echo 3 >/proc/sys/vm/drop_caches || exit 1; "
			     "read_it 2",
			     live_workload("memhog"), file, live_path("reading")) > 0);
	return script;
}

static json_t *report_of(int reading)
{
	char path[128], *text;
	json_t *report;

	snprintf(path, sizeof(path), "%s%d", live_path("reading"), reading);
	text = live_slurp(path, NULL);
	report = live_json(text);
	free(text);
	return report;
}

/* Returns the major faults of that reading, and how long they took. */
static long long check_reading(const json_t *summary, int reading, long long *ns)
{
	json_t *report = report_of(reading);
	json_t *p = live_process(summary, (pid_t)live_int(report, "pid"));
	long long major = live_int(report, "majflt");

	*ns = live_int(p, "stalls.file_io.ns");
	print_message("reading %d: %lld major of %lld file pages, %lld ns\n", reading, major,
		      live_int(report, "file_pages"), *ns);
	live_equal("minor", live_int(p, "faults.minor"), live_int(report, "minflt"));
	live_equal("major", live_int(p, "faults.major"), major);
	live_equal("file_io", live_int(p, "faults.file_io"), major);
	live_equal("file_io.count", live_int(p, "stalls.file_io.count"), major);
	live_equal("swap", live_int(p, "faults.swap"), 0);
	assert_int_equal(*ns > 0, major > 0);
	assert_true(*ns <= live_int(report, "wall_ns"));
	json_decref(report);
	return major;
}

/* With read-ahead, one fault would bring in the whole file. */
static void no_read_ahead(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%s/queue/read_ahead_kb", guest_disk());
	guest_keep(path);
	guest_write(path, "0");
}

static void test_dropped(void **state)
{
	long long majors = guest_vmstat("pgmajfault"), disk_ns = guest_disk_read_ns(), major, ns;
	char *script = readings_script(live_path("file"));
	struct live_run *run;

	(void)state;
	no_read_ahead();
	run = live_run(NULL, LIVE_ARGV("sh", "-c", script));
	free(script);
	majors = guest_vmstat("pgmajfault") - majors;
	disk_ns = guest_disk_read_ns() - disk_ns;
	live_equal("status", run->result->status, 0);
	live_equal("lost", live_lost(run->summary), 0);
	/* the first reading wrote the file, so it is in memory */
	live_equal("major, just written", check_reading(run->summary, 0, &ns), 0);
	live_equal("major, in the page cache", check_reading(run->summary, 1, &ns), 0);
	major = check_reading(run->summary, 2, &ns);
	print_message("kernel: %lld major faults of all; the disk read for %lld ns\n", majors,
		      disk_ns);
	live_near("major, after dropping", major, FILE_PAGES, FILE_PAGES / 100);
	assert_true(major <= majors);
	/* the reads follow one another, each within its fault, except those that open the file */
	assert_true(ns >= disk_ns - disk_ns / 10);
	live_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_dropped),
	};

	guest_only("drops all caches");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
