// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Cgroups at any depth and with paths of any length. A process far below the selected cgroup, whether it is
 * there from the start or moves there later, must be seen, have its path, and be reported when it is killed.
 * The test made the path and so knows it.
 */
#include "live.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT "16777216"
#define HELD (4 << 20) /* less than the limit; held by each waiting process */

static struct sandbox_cgroup group;

/* Nested cgroups below the group: each name repeats one letter, with the given depth and length. */
struct deep {
	int fd; /* directory of the innermost cgroup */
	char *path; /* the path that memblame must print */
	pid_t before, moved; /* the processes in it */
	int go; /* write end: moved grows until it is killed */
};

static struct deep deep = { .fd = -1, .go = -1 };

static void put(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		live_fail("%s: %s", name, strerror(errno));
	close(fd);
}

static void make(struct deep *d, int levels, int len)
{
	const char *reason = sandbox_cgroup_open(&group, 256ul << 20);
	char name[256];
	size_t at;

	if (reason)
		live_skip("%s", reason);
	d->path = malloc(strlen(group.path) + (size_t)levels * ((size_t)len + 1) + 1);
	assert_non_null(d->path);
	at = (size_t)sprintf(d->path, "%s", group.path);
	d->fd = open(group.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < levels; i++) {
		int fd;

		if (group.v2)
			put(d->fd, "cgroup.subtree_control", "+memory");
		memset(name, 'a' + i % 26, (size_t)len);
		name[len] = '\0';
		if (mkdirat(d->fd, name, 0755))
			live_fail("level %d: %s", i, strerror(errno));
		fd = openat(d->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(fd >= 0);
		close(d->fd);
		d->fd = fd;
		at += (size_t)sprintf(d->path + at, "/%s", name);
	}
	put(d->fd, group.v2 ? "memory.max" : "memory.limit_in_bytes", LIMIT);
}

static int tidy(void **state)
{
	pid_t pids[] = { deep.before, deep.moved };

	(void)state;
	live_kill_rest();
	for (size_t i = 0; i < 2; i++) {
		if (pids[i] <= 0)
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	if (deep.fd >= 0)
		close(deep.fd);
	if (deep.go >= 0)
		close(deep.go);
	free(deep.path);
	deep = (struct deep){ .fd = -1, .go = -1 };
	sandbox_cgroup_close(&group);
	return 0;
}

static void touch(size_t bytes)
{
	volatile char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
}

/*
 * Starts a process in the innermost cgroup, which holds some memory. If go is not NULL, *go is where the
 * caller writes a byte; from then on, the process takes more and more memory.
 */
static pid_t start(const struct deep *d, int *go)
{
	int begun[2], more[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(begun) | pipe(more), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(more[1]);
		put(d->fd, "cgroup.procs", "0");
		touch(HELD);
		if (write(begun[1], "b", 1) != 1 || read(more[0], &byte, 1) != 1)
			pause();
		for (;;) {
			touch(1 << 20);
			usleep(20000);
		}
	}
	close(begun[1]);
	close(more[0]);
	assert_int_equal(read(begun[0], &byte, 1), 1);
	close(begun[0]);
	if (go)
		*go = more[1];
	else
		close(more[1]);
	return pid;
}

/* The path is complete, or a mark replaces the middle part. */
static void check_path(const char *got, const char *want, size_t whole)
{
	const char *mark = strstr(got, "...(id ");

	if (strlen(want) < whole) {
		assert_string_equal(got, want);
		return;
	}
	if (!mark || strncmp(got, want, (size_t)(mark - got)) != 0 || strlen(got) >= whole)
		live_fail("a path of %zu is shown as %s", strlen(want), got);
}

static void check_process(const json_t *sum, pid_t pid)
{
	const json_t *p = live_process(sum, pid);

	check_path(live_str(p, "cgroup"), deep.path, 16385);
	/* older kernels give no memory figures for an ended process */
	assert_true(live_bool(p, "exited") || live_int(p, "memory.rss_bytes") >= HELD);
}

/*
 * Waits for the one report of the kill. It must have the right process, the right path, and the figures of
 * memory.stat.
 */
static void check_report(const char *path)
{
	struct live_stream *stream = live_stream_open(path);
	json_t *report = live_stream_next(stream);

	assert_non_null(report);
	assert_null(live_stream_next(stream));
	live_stream_close(stream);
	live_equal("victim", live_int(report, "victim.pid"), deep.moved);
	check_path(live_str(report, "memcg.path"), deep.path, 4096);
	live_equal("limit", live_int(report, "memcg.limit_bytes"), atoll(LIMIT));
	assert_true(json_object_size(live_get(report, "memcg.stat")) > 10);
	json_decref(report);
}

static void look(int levels, int len)
{
	const char *top_path = live_path("top"), *oom_path = live_path("oom");
	struct live_bg *top, *oom;
	json_t *sum;

	make(&deep, levels, len);
	deep.before = start(&deep, NULL);
	top = live_start(LIVE_ARGV("top", "--json", "-i", "1", "-f", "fault", "-o", top_path, "-c", group.path));
	oom = live_start(LIVE_ARGV("oom", "--json", "-f", "fault,oom", "-o", oom_path, "-c", group.path, "--state-dir",
				   live_path("state")));
	deep.moved = start(&deep, &deep.go);
	/* stop the waiting process, so that the kernel does not choose it */
	kill(deep.before, SIGSTOP);
	assert_int_equal(write(deep.go, "g", 1), 1);
	assert_true(live_wait_text(oom_path, "\"kind\":\"oom\""));
	live_result_free(live_stop(oom));
	live_result_free(live_stop(top));
	check_report(oom_path);
	unlink(oom_path);
	sum = live_last_summary(top_path);
	check_process(sum, deep.before);
	check_process(sum, deep.moved);
	json_decref(sum);
}

static void test_deep(void **state)
{
	(void)state;
	look(18, 5);
}

/* Longer than the path that the kernel reports for a new cgroup. */
static void test_long(void **state)
{
	(void)state;
	look(13, 100);
}

/* Longer than the kernel accepts as a path. */
static void test_longer(void **state)
{
	(void)state;
	look(40, 255);
}

/* Longer than memblame saves, and deeper than memblame walks in one go. */
static void test_longest(void **state)
{
	(void)state;
	look(70, 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_deep, tidy),
		cmocka_unit_test_teardown(test_long, tidy),
		cmocka_unit_test_teardown(test_longer, tidy),
		cmocka_unit_test_teardown(test_longest, tidy),
	};

	return cmocka_run_group_tests_name("cgroups", tests, NULL, NULL);
}
