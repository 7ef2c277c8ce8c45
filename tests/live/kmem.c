// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * kmem: compares the memory that the kernel holds for a process with what the process made the kernel
 * allocate, and with the kernel's own counts. A sample of 1 in 16 of n objects has a standard error of
 * sqrt(15 * n) objects. The tests allow four standard errors, which is 12 % of 18,000 objects.
 */
#include "live.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_FILES 18000
#define PIPES 200
#define PIPE_PAGES 16
#define PAGE 4096L
#define TOUCHED_PAGES 20000
/*
 * Some memory is freed only after an RCU grace period, and memblame then needs its next reading of the tables
 * (one per second).
 */
#define SETTLE_US 2500000

/* Files of other processes come and go, and /proc/slabinfo counts the slab that a CPU works with as full. */
#define SLAB_SLACK(n) ((n) / 8 + 512)

struct holder {
	pid_t pid;
	int to, from;
	char text[16];
	int files; /* number of files that it can open */
};

static struct holder holder;
static int fds[MOST_FILES];

/* ---- the process ---- */

static void hold_files(int n)
{
	for (int i = 0; i < n; i++) {
		fds[i] = eventfd(0, 0);
		if (fds[i] < 0)
			_exit(91);
	}
}

static void hold_pipes(void)
{
	static char bytes[PIPE_PAGES * PAGE];

	for (int i = 0; i < PIPES; i++) {
		if (pipe(&fds[2 * i]) || write(fds[2 * i + 1], bytes, sizeof(bytes)) != sizeof(bytes))
			_exit(92);
	}
}

/* Pages of user space do not count as kernel memory. */
static void touch(void)
{
	char *area = mmap(NULL, TOUCHED_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		_exit(93);
	for (long i = 0; i < TOUCHED_PAGES; i++)
		*(volatile char *)(area + i * PAGE) = 1;
}

static void let_go(int n)
{
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

static void serve(int in, int out, int files)
{
	char letter;

	while (read(in, &letter, 1) == 1) {
		if (letter == 'f')
			hold_files(files);
		else if (letter == 'F')
			let_go(files);
		else if (letter == 'p')
			hold_pipes();
		else if (letter == 'P')
			let_go(2 * PIPES);
		else
			touch();
		if (write(out, &letter, 1) != 1)
			break;
	}
	_exit(0);
}

static int setup(void **state)
{
	struct rlimit limit;
	int to[2], from[2];

	(void)state;
	assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), 0);
	holder.files = limit.rlim_max < MOST_FILES + 100 ? (int)limit.rlim_max - 100 : MOST_FILES;
	assert_return_code(pipe(to), 0);
	assert_return_code(pipe(from), 0);
	holder.pid = fork();
	assert_return_code(holder.pid, 0);
	if (!holder.pid) {
		close(to[1]);
		close(from[0]);
		serve(to[0], from[1], holder.files);
	}
	close(to[0]);
	close(from[1]);
	holder.to = to[1];
	holder.from = from[0];
	snprintf(holder.text, sizeof(holder.text), "%d", holder.pid);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	live_kill_rest();
	kill(holder.pid, SIGKILL);
	waitpid(holder.pid, NULL, 0);
	close(holder.to);
	close(holder.from);
	return 0;
}

static void tell(char letter)
{
	char answer;

	assert_int_equal(write(holder.to, &letter, 1), 1);
	if (read(holder.from, &answer, 1) != 1)
		live_fail("the process that holds has ended");
}

/* ---- the kernel's own counts ---- */

struct cache {
	long long active, size;
};

static bool cache_of(const char *name, struct cache *c)
{
	FILE *f = fopen("/proc/slabinfo", "re");
	char line[512], is[128];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%127s %lld %*d %lld", is, &c->active, &c->size) == 3 && !strcmp(is, name);
	if (f)
		fclose(f);
	return found;
}

/* ---- memblame's output ---- */

static struct live_bg *start(void)
{
	return live_start(LIVE_ARGV("leaks", "--kernel", "-f", "kmem", "--json", "-i", "1", "-p", holder.text,
				    "-o", live_path("kmem.json")));
}

static void end(struct live_bg *bg)
{
	struct live_result *r = live_stop(bg);

	if (r->status)
		live_fail("status %d: %s", r->status, r->err);
	live_result_free(r);
}

/* Stops memblame and returns the last document, which covers the whole run. */
static json_t *stop(struct live_bg *bg)
{
	json_t *total;

	end(bg);
	total = live_last_summary(live_path("kmem.json"));
	assert_string_equal(live_str(total, "kind"), "leaks");
	return total;
}

static bool has_symbol(const json_t *group, const char *part)
{
	json_t *frame;
	size_t i;

	json_array_foreach(live_get(group, "stack"), i, frame) {
		const char *symbol = json_string_value(json_object_get(frame, "symbol"));

		if (symbol && strstr(symbol, part))
			return true;
	}
	return false;
}

/* Sums the field over the process's groups of this name whose stack has that function. */
static long long sum(const json_t *total, const char *what, const char *function, const char *field)
{
	json_t *group;
	long long all = 0;
	size_t i;

	json_array_foreach(live_get(total, "groups"), i, group) {
		const char *is = json_string_value(json_object_get(group, "what"));

		if (live_int(group, "pid") == holder.pid && is && !strcmp(is, what) && has_symbol(group, function))
			all += live_int(group, field);
	}
	return all;
}

static const json_t *group_of(const json_t *total, const char *what)
{
	json_t *group;
	size_t i;

	json_array_foreach(live_get(total, "groups"), i, group) {
		const char *is = json_string_value(json_object_get(group, "what"));

		if (is && !strcmp(is, what) && !live_int(group, "pid"))
			return group;
	}
	return NULL;
}

static long long four_errors(long long n)
{
	return (long long)(4 * sqrt(15.0 * (double)n));
}

/* The name under which memblame reports the cache's objects: before 5.19 it reports them by size. */
static const char *name_of(const json_t *total, const char *cache, const struct cache *c)
{
	static char by_size[64];

	snprintf(by_size, sizeof(by_size), "objects of %lld bytes", c->size);
	return sum(total, by_size, "", "total_bytes") ? by_size : cache;
}

/* Outstanding files over all documents (one per second): the maximum, and the value in the last document. */
static void read_files(const struct cache *c, long long *most, long long *last)
{
	struct live_stream *stream = live_stream_open(live_path("kmem.json"));
	json_t *doc;

	*most = *last = 0;
	while ((doc = live_stream_next(stream))) {
		*last = sum(doc, name_of(doc, "filp", c), "alloc_empty_file", "outstanding_count");
		if (*last > *most)
			*most = *last;
		json_decref(doc);
	}
	live_stream_close(stream);
	unlink(live_path("kmem.json"));
}

/* ---- tests ---- */

static void test_files_held(void **state)
{
	struct cache before, after;
	struct live_bg *bg;
	json_t *total;
	const json_t *whole;
	const char *what;

	(void)state;
	if (!cache_of("filp", &before))
		live_skip("no cache filp in /proc/slabinfo");
	bg = start();
	usleep(SETTLE_US); /* until the first reading of the caches */
	assert_true(cache_of("filp", &before));
	tell('f');
	usleep(SETTLE_US);
	assert_true(cache_of("filp", &after));
	total = stop(bg);
	what = name_of(total, "filp", &after);
	live_near("files, as counted", sum(total, what, "alloc_empty_file", "outstanding_count"), holder.files,
		  four_errors(holder.files));
	live_near("their bytes", sum(total, what, "alloc_empty_file", "outstanding_bytes"),
		  holder.files * after.size, four_errors(holder.files) * after.size);
	live_near("the same by the system call", sum(total, what, "eventfd", "outstanding_count"), holder.files,
		  four_errors(holder.files));
	live_near("files, as the kernel counts", after.active - before.active, holder.files,
		  SLAB_SLACK(holder.files));
	whole = group_of(total, "slab: filp");
	assert_non_null(whole);
	live_near("the cache", live_int(whole, "outstanding_count"), after.active, SLAB_SLACK(holder.files));
	live_near("its growth", live_int(whole, "growth_bytes"), holder.files * after.size,
		  SLAB_SLACK(holder.files) * after.size);
	json_decref(total);
}

static void test_files_let_go(void **state)
{
	long long most, last;
	struct live_bg *bg;
	struct cache c;

	(void)state;
	if (!cache_of("filp", &c))
		live_skip("no cache filp in /proc/slabinfo");
	bg = start();
	tell('f');
	usleep(SETTLE_US);
	tell('F');
	usleep(SETTLE_US);
	end(bg);
	read_files(&c, &most, &last);
	live_near("files, at most", most, holder.files, four_errors(holder.files));
	live_near("files left", last, 0, holder.files / 50);
}

static void test_pages_held(void **state)
{
	const long long pages = PIPES * PIPE_PAGES;
	struct live_bg *bg = start();
	long long others;
	json_t *total;

	(void)state;
	tell('t');
	tell('p');
	usleep(SETTLE_US);
	total = stop(bg);
	live_near("pages in pipes", sum(total, "pages", "pipe_write", "outstanding_count"), pages,
		  four_errors(pages));
	live_near("their bytes", sum(total, "pages", "pipe_write", "outstanding_bytes"), pages * PAGE,
		  four_errors(pages) * PAGE);
	/* page tables for the pages that it touched: one for 512 pages */
	others = sum(total, "pages", "", "outstanding_bytes") -
		 sum(total, "pages", "pipe_write", "outstanding_bytes");
	assert_in_range(others, 0, (TOUCHED_PAGES / 512 + four_errors(TOUCHED_PAGES / 512) + 200) * PAGE);
	json_decref(total);

	bg = start();
	tell('P');
	tell('p');
	tell('P');
	usleep(SETTLE_US);
	total = stop(bg);
	live_near("pages left", sum(total, "pages", "pipe_write", "outstanding_bytes"), 0, pages * PAGE / 50);
	json_decref(total);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_let_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages_held, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
