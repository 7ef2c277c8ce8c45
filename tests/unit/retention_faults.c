// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A retained recording, and what can go wrong: other writers, damage, and disks that accept no data. */
#include "retention_world.h"

/* A second writer is refused, and so is writing to a file of memblame record, and replaying a retained recording. */
static void refused(void **state)
{
	struct mb_retention keep = { 0 };
	struct mb_recorder *other = NULL;
	struct mb_reader *reader = NULL;
	struct mb_err e = { 0 };
	struct mb_out out = { 0 };
	int status = 0;
	struct world w;
	struct stat st;

	(void)state;
	begin(&w, 0, &keep);
	assert_true(mb_recorder_open_retained(&other, path, &keep, &e) < 0);
	assert_non_null(strstr(e.text, "another memblame"));
	assert_true(mb_recorder_close(other, &e) || e.text[0]);
	moments(&w, 2, 5);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	end(&w);
	memset(&e, 0, sizeof(e));
	assert_int_equal(mb_reader_open(&reader, path, &e), 0);
	assert_true(mb_replay(reader, &(struct mb_replay_config){ .show.sink = &mb_sink_json }, &out, &status, &e) < 0);
	assert_non_null(strstr(e.text, "report works"));
	mb_reader_close(reader);
	unlink(path);
	memset(&e, 0, sizeof(e));
	assert_int_equal(mb_recorder_open(&other, path, false, &e), 0);
	mb_recorder_close(other, &e);
	assert_true(mb_recorder_open_retained(&other, path, &keep, &e) < 0);
	assert_non_null(strstr(e.text, "memblame record"));
	mb_recorder_close(other, &e);
}

static size_t set_aside(void)
{
	char pattern[128];
	size_t n = 0;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s.corrupt-*Z*", path);
	if (glob(pattern, 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		n += !strstr(found.gl_pathv[i], "-wal") && !strstr(found.gl_pathv[i], "-shm");
	globfree(&found);
	return n;
}

static void overwrite(off_t at, size_t len)
{
	int fd = open(path, O_RDWR | O_CREAT, 0644);
	char rubbish[4096];

	memset(rubbish, 0xa5, sizeof(rubbish));
	for (; len; len -= sizeof(rubbish), at += (off_t)sizeof(rubbish))
		assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), at), sizeof(rubbish));
	close(fd);
}

/* A file that is no database; one with a damaged middle; one that is damaged while a session writes to it. */
static void damaged(void **state)
{
	struct mb_retention keep = { .max_bytes = 64 << 20 };
	struct world w;

	(void)state;
	mb_log_set_level(MB_LOG_QUIET);
	overwrite(0, 8192);
	begin(&w, 0, &keep);
	moments(&w, 20, PROCESSES);
	end(&w);
	assert_int_equal(set_aside(), 1);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 20);
	overwrite(65536, 65536);
	begin(&w, 40, &keep);
	moments(&w, 20, PROCESSES);
	assert_int_equal(set_aside(), 2);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 20);
	assert_int_equal(ask("SELECT count(*) FROM session"), 1);
	end(&w);
	check_sums();
	/* half of the file is missing */
	assert_int_equal(truncate(path, 40960), 0);
	begin(&w, 80, &keep);
	moments(&w, 3, PROCESSES);
	end(&w);
	assert_int_equal(set_aside(), 3);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 3);
	check_sums();
	mb_log_set_level(MB_LOG_NORMAL);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Files cannot grow: old data stays, new data waits. When more comes than can wait, only moments are missing. */
static void write_error(void **state)
{
	struct mb_retention keep = { .max_bytes = 64 << 20 };
	uint64_t sum = 0, lost = 0;
	struct mb_recorder_state st;
	struct world w;
	json_t *doc;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	begin(&w, 0, &keep);
	moments(&w, 10, PROCESSES);
	limit_files(8192);
	while (!lost) {
		sample_meta(&w, PROCESSES);
		mb_recorder_state(w.r, &st);
		lost = st.lost;
	}
	wait_for(&w, has_failed, 0);
	assert_int_equal(ask("SELECT count(*) FROM tick"), 10);
	for (int i = 0; i < 5; i++)
		sample_meta(&w, PROCESSES);
	limit_files(RLIM_INFINITY);
	mb_recorder_retain(w.r, &keep); /* tries at once */
	wait_for(&w, waits_less, 0);
	moments(&w, 2, PROCESSES);
	mb_recorder_state(w.r, &st);
	assert_false(st.failed);
	assert_int_equal(st.lost, 6);
	for (uint64_t i = 0; i < PROCESSES; i++)
		sum += sum_of(0, w.serial, i);
	assert_int_equal(ask("SELECT sum(minor) FROM accounts WHERE pid < 100000"), sum);
	assert_int_equal(ask("SELECT sum(minor) FROM accounts WHERE pid >= 100000"), sum_of(0, w.serial, PROCESSES));
	assert_int_equal(ask("SELECT sum(interval_ns) FROM tick"), w.serial * STEP_NS);
	assert_int_equal(ask("SELECT sum(count) FROM lost WHERE family = 'record'"), 6);
	end(&w);
	doc = report(NULL, NULL);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(doc, "lost"), "total")), 6);
	json_decref(doc);
}

/* The same on a full file system, if this test may mount one. */
static void full_disk(void)
{
	struct mb_retention keep = { .max_bytes = 64 << 20 };
	char mnt[80], filler[100];
	struct mb_recorder_state st;
	static char zeros[65536];
	struct world w;
	long long ticks;
	int fd;

	snprintf(mnt, sizeof(mnt), "%s/mnt", dir);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mkdir(mnt, 0700) ||
	    mount("none", mnt, "tmpfs", 0, "size=2m"))
		return;
	snprintf(path, sizeof(path), "%s/kept.db", mnt);
	snprintf(filler, sizeof(filler), "%s/filler", mnt);
	begin(&w, 0, &keep);
	moments(&w, 5, PROCESSES);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close(fd);
	do {
		sample_meta(&w, PROCESSES);
		mb_recorder_state(w.r, &st);
		usleep(1000);
	} while (!st.failed);
	assert_string_equal(st.message, "no space left on device");
	ticks = ask("SELECT count(*) FROM tick");
	assert_true(ticks >= 5);
	assert_int_equal(unlink(filler), 0);
	mb_recorder_retain(w.r, &keep);
	moments(&w, 1, PROCESSES);
	assert_int_equal(ask("SELECT count(*) FROM tick"), w.serial);
	mb_recorder_state(w.r, &st);
	assert_int_equal(st.lost, 0);
	end(&w);
	check_sums();
	umount(mnt);
}

static void disk_is_full(void **state)
{
	pid_t pid = fork(); /* with its own mount namespace */
	char mnt[80];
	int status;

	(void)state;
	if (!pid) {
		full_disk();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(mnt, sizeof(mnt), "%s/mnt", dir);
	rmdir(mnt);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(refused),
		TEST(damaged),
		TEST(write_error),
		TEST(disk_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
