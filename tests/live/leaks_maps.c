// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Compares the account of regions with /proc/PID/maps. A program maps and unmaps at random and stops at
 * checkpoints. There, the output of leaks --maps must match the kernel's list to the byte.
 */
#include "live.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPERATIONS  (live_emulated() ? 5000 : 100000)
#define CHECKPOINTS (live_emulated() ? 5 : 10)
#define WAIT_MS	    90000
#define STEP_MS	    10

/* --- intervals --- */

struct interval {
	unsigned long long start, end;
};

/* Sorted and merged, so that no two intervals touch. */
struct intervals {
	struct interval *at;
	size_t n, room;
};

static void add_interval(struct intervals *set, unsigned long long start, unsigned long long end)
{
	if (set->n && set->at[set->n - 1].end == start) {
		set->at[set->n - 1].end = end;
		return;
	}
	if (set->n == set->room) {
		set->room = set->room ? 2 * set->room : 256;
		set->at = realloc(set->at, set->room * sizeof(*set->at));
		assert_non_null(set->at);
	}
	set->at[set->n++] = (struct interval){ start, end };
}

static struct intervals read_maps(const char *path)
{
	struct intervals set = { 0 };
	unsigned long long start, end;
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;

	if (!file)
		live_fail("%s is not there", path);
	while (getline(&line, &size, file) > 0) {
		if (sscanf(line, "%llx-%llx", &start, &end) != 2)
			live_fail("%s: %s", path, line);
		if (!strstr(line, "[vsyscall]")) /* the kernel's, the same in all processes */
			add_interval(&set, start, end);
	}
	free(line);
	fclose(file);
	return set;
}

/* Reads the intervals unchanged. The comparison checks that they are sorted, merged and not empty. */
static struct intervals tracked_maps(const json_t *process)
{
	struct intervals set = { 0 };
	const json_t *one;
	size_t i;

	set.n = set.room = json_array_size(live_get(process, "maps"));
	set.at = calloc(set.n + 1, sizeof(*set.at));
	json_array_foreach(live_get(process, "maps"), i, one) {
		set.at[i].start = (unsigned long long)json_integer_value(json_array_get(one, 0));
		set.at[i].end = (unsigned long long)json_integer_value(json_array_get(one, 1));
	}
	return set;
}

static long long bytes_of(const struct intervals *set)
{
	long long bytes = 0;

	for (size_t i = 0; i < set->n; i++)
		bytes += (long long)(set->at[i].end - set->at[i].start);
	return bytes;
}

static void show_some(const char *whose, const struct intervals *set, size_t from)
{
	print_error("%s: %zu intervals, %lld bytes; from #%zu on\n", whose, set->n, bytes_of(set), from);
	for (size_t i = from; i < set->n && i < from + 4; i++)
		print_error("  %llx-%llx\n", set->at[i].start, set->at[i].end);
}

/* Compares, and on failure shows where the lists begin to differ. */
static void check_intervals(const char *when, const struct intervals *got, const struct intervals *want)
{
	size_t i = 0;

	while (i < got->n && i < want->n && got->at[i].start == want->at[i].start &&
	       got->at[i].end == want->at[i].end)
		i++;
	if (i == got->n && i == want->n)
		return;
	show_some("memblame", got, i);
	show_some("the kernel", want, i);
	live_fail("%s: not the same", when);
}

/* --- the program --- */

struct fuzz {
	bool plain;
	struct live_bg *bg, *memblame;
	const char *dir;
	unsigned int seed;
	int go; /* the pipe that the program reads from */
};

static bool says(const struct live_bg *bg, const char *text)
{
	char *have = live_slurp(bg->out_path, NULL);
	bool found = strstr(have, text) != NULL;

	free(have);
	return found;
}

/* Waits for the checkpoint; false if the program has finished instead. */
static bool reaches(const struct fuzz *fuzz, unsigned int number)
{
	char text[64];

	snprintf(text, sizeof(text), "checkpoint %u ", number);
	for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
		if (says(fuzz->bg, text))
			return true;
		if (says(fuzz->bg, "\"workload\"") || !live_proc_alive(fuzz->bg->pid))
			return false;
		usleep(STEP_MS * 1000);
	}
	live_fail("mapfuzz %u: no checkpoint %u", fuzz->seed, number);
	return false;
}

/*
 * Without the tracepoint for mmap_lock, memblame sees only the system calls (doctor says so), and everything
 * else at the next tick.
 */
static bool sees_calls_only(void)
{
	return access("/sys/kernel/tracing/events/mmap_lock", F_OK) != 0;
}

static void start(struct fuzz *fuzz, unsigned int seed, unsigned int threads, bool plain)
{
	const char *fifo = live_path("go");
	char script[1024], pid[16];

	fuzz->seed = seed;
	fuzz->dir = live_tmp();
	unlink(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	fuzz->go = open(fifo, O_RDWR | O_CLOEXEC); /* opened for reading and writing, so that neither side blocks */
	assert_true(fuzz->go >= 0);
	snprintf(script, sizeof(script), "%s %s exec %s %u %d %s %d %u <%s", plain ? "MAPFUZZ_PLAIN=1" : "",
		 plain && sees_calls_only() ? "MAPFUZZ_CALLS=1" : "", live_workload("mapfuzz"), seed, OPERATIONS,
		 fuzz->dir, CHECKPOINTS, threads, fifo);
	fuzz->plain = plain;
	fuzz->bg = live_spawn(LIVE_ARGV("/bin/sh", "-c", script));
	if (!reaches(fuzz, 0))
		live_fail("mapfuzz: %s", live_wait(fuzz->bg)->err);
	snprintf(pid, sizeof(pid), "%d", (int)fuzz->bg->pid);
	fuzz->memblame = live_start(
		LIVE_ARGV("leaks", "--json", "--maps", "-i", "0.2", "-d", "300", "-p", pid));
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* The last whole line, once there are that many. */
static json_t *document_after(const struct fuzz *fuzz, size_t lines)
{
	for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
		char *text = live_slurp(fuzz->memblame->out_path, NULL), *end;
		json_t *document = NULL;

		if (count_lines(text) >= lines) {
			*strrchr(text, '\n') = '\0';
			end = strrchr(text, '\n');
			document = live_json(end ? end + 1 : text);
		}
		free(text);
		if (document)
			return document;
		usleep(STEP_MS * 1000);
	}
	live_fail("memblame says no more");
	return NULL;
}

/* The next document may already be under way, so use the one after it. */
static json_t *next_document(const struct fuzz *fuzz)
{
	char *text = live_slurp(fuzz->memblame->out_path, NULL);
	size_t lines = count_lines(text);

	free(text);
	return document_after(fuzz, lines + 2);
}

static void check(const struct fuzz *fuzz, unsigned int number)
{
	json_t *document = next_document(fuzz);
	const json_t *process = live_process(document, fuzz->bg->pid);
	struct intervals got = tracked_maps(process), want;
	char path[512], when[64];

	snprintf(path, sizeof(path), "%s/maps.%u", fuzz->dir, number);
	snprintf(when, sizeof(when), "seed %u, checkpoint %u", fuzz->seed, number);
	want = read_maps(path);
	check_intervals(when, &got, &want);
	live_equal(when, live_int(process, "tracked_bytes"), bytes_of(&want));
	if (fuzz->plain)
		live_equal("corrections", live_int(process, "corrections"), 0);
	free(got.at);
	free(want.at);
	unlink(path);
	json_decref(document);
}

static void fuzz(unsigned int seed, unsigned int threads, bool plain)
{
	struct fuzz fuzz = { 0 };
	struct live_result *result;
	unsigned int number = 0;
	json_t *truth;

	print_message("seed %u, %u threads\n", seed, threads);
	start(&fuzz, seed, threads, plain);
	do {
		check(&fuzz, number);
		assert_int_equal(write(fuzz.go, "g", 1), 1);
	} while (reaches(&fuzz, ++number));
	assert_true(number > CHECKPOINTS / 3);
	result = live_wait(fuzz.bg);
	assert_int_equal(result->status, 0);
	truth = live_json(strchr(result->out, '{'));
	/* the program has done what it is meant to do */
	assert_true(live_int(truth, "mmap_ok") > OPERATIONS / 20);
	assert_true(live_int(truth, "mremap_ok") > OPERATIONS / 100);
	assert_true(live_int(truth, "brk_ok") > OPERATIONS / 100);
	json_decref(truth);
	live_result_free(result);
	result = live_stop(fuzz.memblame);
	if (result->status)
		live_fail("memblame: %d, %s", result->status, result->err);
	live_result_free(result);
	close(fuzz.go);
}

/* LIVE_SEED: repeats the run of a failed seed */
static unsigned int some_seed(void)
{
	const char *text = getenv("LIVE_SEED");

	return text ? (unsigned int)atoi(text) : (unsigned int)time(NULL) % 1000000;
}

/* The effect of each call follows from what memblame sees of it. It reads the list only once, at the start. */
static void test_one_thread(void **state)
{
	(void)state;
	fuzz(1, 1, true);
}

static void test_two_threads(void **state)
{
	(void)state;
	/*
	 * with tracepoints, a call seems to have done what another thread did meanwhile, so memblame reads
	 * the list again
	 */
	fuzz(2, 2, !sees_calls_only());
}

/* A move to a fixed address may look the same whether or not it succeeded. Then memblame reads the list again. */
static void test_random(void **state)
{
	(void)state;
	fuzz(some_seed(), 2, false);
}

/* Tests the comparison itself. */
static void test_intervals(void **state)
{
	struct intervals set = { 0 };

	(void)state;
	add_interval(&set, 0x1000, 0x2000);
	add_interval(&set, 0x2000, 0x5000);
	add_interval(&set, 0x6000, 0x7000);
	live_equal("merged", (long long)set.n, 2);
	live_equal("bytes", bytes_of(&set), 0x5000);
	check_intervals("the same", &set, &set);
	free(set.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
