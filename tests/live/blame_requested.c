// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A write to a cgroup's file can request reclaim. The kernel then reclaims the memory of that cgroup,
 * whichever cgroup the writer is in. memblame must not report this as a stall at the limit of the writer's
 * own cgroup.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live.h"
#include "sandbox.h"

#define MIB (1ll << 20)
#define OWN_LIMIT (16 * MIB)

static struct sandbox_fs fs;
static struct sandbox_cgroup full, own;

static int teardown(void **state)
{
	(void)state;
	if (fs.dir[0])
		sandbox_fs_close(&fs);
	if (full.dir[0])
		sandbox_cgroup_close(&full);
	if (own.dir[0])
		sandbox_cgroup_close(&own);
	fs.dir[0] = full.dir[0] = own.dir[0] = '\0';
	unsetenv("WORKLOAD_CGROUP");
	return 0;
}

static void read_file(const char *mib, const char *path)
{
	struct live_result *r = live_exec(LIVE_ARGV(live_workload("memhog"), mib, "file", path, "1"), NULL);

	if (r->status)
		live_fail("memhog: status %d: %s", r->status, r->err);
	live_result_free(r);
}

/*
 * The page cache of a file is charged to the cgroup that reads the file. A process outside of the cgroup
 * writes the file first: a cgroup full of dirty pages would run out of memory on a slow disk.
 */
static void fill(const struct sandbox_cgroup *cg, const char *mib, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", fs.dir, name);
	read_file(mib, path);
	sandbox_fs_sync(&fs);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
	setenv("WORKLOAD_CGROUP", cg->dir, 1);
	read_file(mib, path);
	unsetenv("WORKLOAD_CGROUP");
}

static void set_up(void)
{
	const char *reason = sandbox_fs_open(&fs, 400, 0);

	if (!reason)
		reason = sandbox_cgroup_open(&full, 300 * MIB);
	if (!reason)
		reason = sandbox_cgroup_open(&own, OWN_LIMIT);
	if (reason)
		live_skip("%s", reason);
	fill(&full, "100", "full");
	/* the writer's own cgroup is also at its limit, which is unrelated */
	fill(&own, "32", "own");
}

static bool has_file(const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", full.dir, name);
	return !access(path, W_OK);
}

static json_t *reclaim_of(const json_t *doc, pid_t pid)
{
	json_t *row, *found = NULL;
	size_t i;

	json_array_foreach(live_get(doc, "reclaim"), i, row)
	{
		if (live_int(row, "victim.pid") != pid ||
		    strcmp(live_str(row, "what"), "memcg_reclaim"))
			continue;
		if (found)
			live_fail("two rows of %d", pid);
		found = row;
	}
	return found;
}

static void assert_asked(const json_t *doc, pid_t pid)
{
	json_t *row = reclaim_of(doc, pid), *culprits;

	if (!row)
		live_fail("%d has reclaimed nothing", pid);
	assert_true(live_int(row, "stalls") > 0);
	assert_true(live_null(row, "limit"));
	assert_non_null(strstr(live_str(row, "limit_missing"), "asked for"));
	culprits = live_get(row, "culprits");
	live_equal("culprits", (long long)json_array_size(culprits), 1);
	live_equal("culprit", live_int(json_array_get(culprits, 0), "pid"), pid);
	assert_non_null(strstr(live_str(json_array_get(culprits, 0), "reason"), "wrote"));
}

/* A shell in that cgroup waits for a line, and then writes the value to the file. */
static struct live_bg *start_writer(const struct sandbox_cgroup *in, const char *file,
				    const char *value, int *go)
{
	const char *fifo = live_path("go"), *ready = live_path("ready");
	struct live_bg *writer;
	char script[1024];

	unlink(fifo);
	unlink(ready);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	snprintf(script, sizeof(script),
		 "echo $$ > %s/cgroup.procs; echo ready > %s; read line < %s; echo %s > %s/%s",
		 in->dir, ready, fifo, value, full.dir, file);
	writer = live_spawn(LIVE_ARGV("sh", "-c", script));
	assert_true(live_wait_text(ready, "ready"));
	*go = open(fifo, O_RDWR | O_CLOEXEC);
	assert_true(*go >= 0);
	return writer;
}

static void check_write(const struct sandbox_cgroup *in, const char *file, const char *value)
{
	const char *path = live_path("blame.json");
	struct live_bg *blame, *writer;
	struct live_result *r;
	json_t *doc;
	pid_t pid;
	int go;

	if (!has_file(file))
		live_skip("no %s on this kernel", file);
	writer = start_writer(in, file, value, &go);
	pid = writer->pid;
	blame = live_start(LIVE_ARGV("blame", "--json", "-o", path));
	assert_int_equal(write(go, "go\n", 3), 3);
	r = live_wait(writer);
	close(go);
	live_equal("the writer's status", r->status, 0);
	live_result_free(r);
	live_result_free(live_stop(blame));
	doc = live_last_summary(path);
	assert_asked(doc, pid);
	json_decref(doc);
}

static void test_limit_of_another(void **state)
{
	(void)state;
	set_up();
	check_write(&own, full.v2 ? "memory.max" : "memory.limit_in_bytes", "20M");
}

static void test_limit_of_its_own(void **state)
{
	(void)state;
	set_up();
	check_write(&full, full.v2 ? "memory.max" : "memory.limit_in_bytes", "20M");
}

static void test_high(void **state)
{
	(void)state;
	set_up();
	check_write(&own, "memory.high", "20M");
}

static void test_reclaim(void **state)
{
	(void)state;
	set_up();
	check_write(&own, "memory.reclaim", "40M");
}

static void test_force_empty(void **state)
{
	(void)state;
	set_up();
	check_write(&own, "memory.force_empty", "0");
}

/*
 * Writes 64 MiB to a file, in a cgroup with room for half of it. Returns what the workload said; NULL: the kernel has
 * killed it, as a file system must not reclaim while it allocates for itself, and the cgroup was full of its pages.
 */
static json_t *write_more(void)
{
	struct live_result *r;
	char file[128];
	json_t *said;

	snprintf(file, sizeof(file), "%s/more", fs.dir);
	setenv("WORKLOAD_CGROUP", own.dir, 1);
	r = live_exec(LIVE_ARGV(live_workload("memhog"), "64", "file", file,
				live_emulated() ? "3" : "100"),
		      NULL);
	unsetenv("WORKLOAD_CGROUP");
	said = r->status == 128 + SIGKILL ? NULL : live_json(r->out);
	live_result_free(r);
	return said;
}

/* A write to an ordinary file stalls at the limit of the writer's own cgroup. */
static void test_own_limit(void **state)
{
	const char *path = live_path("blame.json");
	struct live_bg *blame;
	json_t *doc, *row, *said = NULL;

	(void)state;
	set_up();
	blame = live_start(LIVE_ARGV("blame", "--json", "-o", path));
	for (int tries = 0; tries < 3 && !said; tries++)
		said = write_more();
	if (!said)
		live_fail("the kernel has killed the writer three times");
	live_result_free(live_stop(blame));
	doc = live_last_summary(path);
	row = reclaim_of(doc, (pid_t)live_int(said, "pid"));
	assert_non_null(row);
	assert_string_equal(live_str(row, "limit.path"), own.path);
	live_equal("limit", live_int(row, "limit.bytes"), OWN_LIMIT);
	assert_true(live_null(row, "limit_missing"));
	json_decref(said);
	json_decref(doc);
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_limit_of_another), TEST(test_limit_of_its_own), TEST(test_high),
		TEST(test_reclaim),	     TEST(test_force_empty),	  TEST(test_own_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
