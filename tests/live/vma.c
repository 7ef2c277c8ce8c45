// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* vma: mmap, munmap, mremap and brk, compared with calls of known number and size. */
#include "live.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS "7"

static long long vma(const json_t *process, const char *name)
{
	return live_int(live_get(process, "vma"), name);
}

static struct live_run *run_mapper(const char *mode)
{
	struct live_run *run = live_run(NULL, LIVE_ARGV(live_workload("mapper"), mode));

	if (run->result->status || !run->workload)
		live_fail("mapper: status %d, %s", run->result->status, run->result->err);
	return run;
}

static const json_t *own_process(const struct live_run *run)
{
	return live_process(run->summary, (pid_t)live_int(run->workload, "pid"));
}

/*
 * The loader and libc also map memory. "mapper base" does everything except the work, so the test subtracts
 * its counts. The result is exact, since both runs have arguments of the same length and load the same
 * libraries.
 */
static void test_calls_and_bytes(void **state)
{
	static const char *const exact[] = { "mmap_calls", "mmap_bytes",   "munmap_calls",
					     "munmap_bytes", "brk_calls",  "brk_bytes",
					     NULL };
	struct live_run *base = run_mapper("base"), *work = run_mapper(ROUNDS);

	(void)state;
	live_equal("the workload's idea of its size and the kernel's",
		   live_int(work->workload, "vm_change_bytes"),
		   live_int(work->workload, "net_bytes"));
	for (int i = 0; exact[i]; i++)
		live_equal(exact[i], vma(own_process(work), exact[i]) -
					     vma(own_process(base), exact[i]),
			   live_int(work->workload, exact[i]));
	live_equal("net bytes", vma(own_process(work), "mapped_bytes") -
					vma(own_process(base), "mapped_bytes"),
		   live_int(work->workload, "net_bytes"));
	live_run_free(base);
	live_run_free(work);
}

/*
 * Failed calls. The kernel refuses most of them before they touch the address space, where memblame does not
 * see them. Those that memblame does see must not count as calls that mapped memory.
 */
static void test_failed_calls(void **state)
{
	struct live_run *base = run_mapper("base"), *work = run_mapper(ROUNDS);
	long long seen = vma(own_process(work), "mmap_failed") -
			 vma(own_process(base), "mmap_failed");
	long long mremap = vma(own_process(work), "mremap_calls") -
			   vma(own_process(base), "mremap_calls");
	long long done = live_int(work->workload, "mremap_calls");

	(void)state;
	assert_in_range(seen, 0, live_int(work->workload, "mmap_failed"));
	/* mremap of nothing fails after it has taken the lock: memblame sees the call and may or may not count it */
	assert_in_range(mremap, done, done + live_int(work->workload, "mremap_failed"));
	live_run_free(base);
	live_run_free(work);
}

/* Each program of a chain has the same start-up. The shell itself maps memory, so only the children count. */
static void test_exec_children(void **state)
{
	char script[512];
	struct live_run *run, *base = run_mapper("base");
	char *save, *line, *text;
	int children = 0;

	(void)state;
	snprintf(script, sizeof(script), "%s 1; %s 2; true | exec %s 3; exit 0",
		 live_workload("mapper"), live_workload("mapper"), live_workload("mapper"));
	run = live_run(NULL, LIVE_ARGV("/bin/sh", "-c", script));
	assert_int_equal(run->result->status, 0);
	text = strdup(run->result->out);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *workload = live_json(line);
		const json_t *process =
			live_process(run->summary, (pid_t)live_int(workload, "pid"));
		long long rounds = live_int(workload, "rounds");

		children++;
		live_equal("rounds", rounds, children);
		assert_string_equal(live_str(process, "comm"), "mapper");
		/* a forked shell may call brk before its exec, in the same process */
		live_equal("mmap_calls", vma(process, "mmap_calls"),
			   vma(own_process(base), "mmap_calls") +
				   live_int(workload, "mmap_calls"));
		live_equal("munmap_bytes", vma(process, "munmap_bytes"),
			   vma(own_process(base), "munmap_bytes") +
				   live_int(workload, "munmap_bytes"));
		json_decref(workload);
	}
	free(text);
	assert_int_equal(children, 3);
	live_run_free(run);
	live_run_free(base);
}

/* --- trace --- */

struct calls {
	long long mmap, munmap, mremap, brk, failed;
	long long mmap_bytes, delta_bytes;
};

static void take_call(const json_t *event, struct calls *calls)
{
	const char *name = live_str(event, "event");

	assert_string_equal(live_str(event, "family"), "vma");
	calls->delta_bytes += live_int(event, "delta_bytes");
	if (!strcmp(name, "brk")) {
		calls->brk++;
		return;
	}
	if (live_int(event, "failed")) {
		calls->failed++;
		return;
	}
	if (!strcmp(name, "mmap")) {
		calls->mmap++;
		calls->mmap_bytes += (live_int(event, "len_bytes") + 4095) / 4096 * 4096;
	} else if (!strcmp(name, "munmap")) {
		calls->munmap++;
	} else if (!strcmp(name, "mremap")) {
		calls->mremap++;
	} else {
		live_fail("an event named %s", name);
	}
}

static json_t *trace_mapper(const char *mode, struct calls *calls)
{
	const char *path = live_path("calls.json");
	struct live_result *result;
	struct live_stream *stream;
	json_t *workload, *event;
	bool ended = false;

	memset(calls, 0, sizeof(*calls));
	result = live_memblame(LIVE_ARGV("trace", "-f", "vma", "--json", "-o", path, "--",
					 live_workload("mapper"), mode));
	if (result->status)
		live_fail("status %d: %s", result->status, result->err);
	workload = live_json(result->out);
	stream = live_stream_open(path);
	while ((event = live_stream_next(stream))) {
		if (!strcmp(live_str(event, "kind"), "end")) {
			live_equal("lost", live_lost(event), 0);
			ended = true;
		} else if (live_int(event, "pid") == live_int(workload, "pid")) {
			take_call(event, calls);
		}
		json_decref(event);
	}
	live_stream_close(stream);
	live_result_free(result);
	unlink(path);
	assert_true(ended);
	return workload;
}

static void test_trace_shows_each_call(void **state)
{
	struct calls base, work;
	json_t *idle = trace_mapper("base", &base), *did = trace_mapper(ROUNDS, &work);

	(void)state;
	live_equal("mmap", work.mmap - base.mmap, live_int(did, "mmap_calls"));
	live_equal("mmap bytes", work.mmap_bytes - base.mmap_bytes, live_int(did, "mmap_bytes"));
	live_equal("munmap", work.munmap - base.munmap, live_int(did, "munmap_calls"));
	live_equal("brk", work.brk - base.brk, live_int(did, "brk_calls"));
	assert_in_range(work.mremap - base.mremap, live_int(did, "mremap_calls"),
			live_int(did, "mremap_calls") + live_int(did, "mremap_failed"));
	live_equal("net bytes", work.delta_bytes - base.delta_bytes, live_int(did, "net_bytes"));
	json_decref(idle);
	json_decref(did);
}

/* munmap, mremap and brk have no MAP_ flags, so memblame must not show that register's value as flags. */
static void test_flags_are_flags(void **state)
{
	const char *path = live_path("calls.json");
	struct live_result *result;
	struct live_stream *stream;
	json_t *event, *flags;
	long long munmaps = 0;

	(void)state;
	result = live_memblame(LIVE_ARGV("trace", "-f", "vma", "--json", "-o", path, "--",
					 live_workload("mapper"), "1"));
	assert_int_equal(result->status, 0);
	live_result_free(result);
	stream = live_stream_open(path);
	while ((event = live_stream_next(stream))) {
		if (!strcmp(live_str(event, "kind"), "event") &&
		    !strcmp(live_str(event, "event"), "munmap")) {
			munmaps++;
			flags = json_object_get(event, "flags");
			if (flags && !json_is_null(flags) && json_integer_value(flags))
				live_fail("munmap with flags %lld",
					  (long long)json_integer_value(flags));
		}
		json_decref(event);
	}
	live_stream_close(stream);
	unlink(path);
	assert_true(munmaps > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_and_bytes),
		cmocka_unit_test(test_failed_calls),
		cmocka_unit_test(test_exec_children),
		cmocka_unit_test(test_trace_shows_each_call),
		cmocka_unit_test(test_flags_are_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
