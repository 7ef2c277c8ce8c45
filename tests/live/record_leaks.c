// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * record --raw keeps what leaks needs: a session is shown and recorded at once, and the replay of the recording must
 * show the same, letter by letter, from the events and from what the session had read of /proc, the kernel side and
 * the files of code.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/child.h"
#include "live.h"
#include "record/recorder.h"
#include "sandbox.h"
#include "session/session.h"

#define MIB (1ll << 20)

static struct sandbox_cgroup cgroup;

static int close_cgroup(void **state)
{
	(void)state;
	live_kill_rest();
	sandbox_cgroup_close(&cgroup);
	return 0;
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!f || getdelim(&text, &size, '\0', f) < 0)
		live_fail("cannot read %s", path);
	fclose(f);
	return text;
}

/* In the process that traces. */
static void must(int err, const struct mb_err *e)
{
	if (!err)
		return;
	fprintf(stderr, "%s\n", e->text);
	_exit(1);
}

/* Runs a command, shows its growth as JSON in out and records it in db. cgroup_id: trace this cgroup instead; or 0. */
static void trace_here(const char *const *argv, const struct mb_leaks_config *leaks, uint64_t cgroup_id,
		       const char *out, const char *db)
{
	struct mb_session_config cfg = {
		.show = { .sink = &mb_sink_json, .leaks = leaks, .show_leaks = true },
		.tick_ns = 500000000,
		.out_path = out,
		.history = &mb_history_default,
		.kern = { .families = 1u << MB_FAM_vma | 1u << MB_FAM_fault,
			  .leaks = true,
			  .stacks = MB_STACK_COPY,
			  .page_sample_1_in = (uint32_t)leaks->page_sample_1_in,
			  .heap_sample_bytes = leaks->heap_sample_bytes },
	};
	struct mb_child *child = NULL;
	struct mb_session s = { 0 };
	struct mb_err e = { 0 };

	cfg.kern.families |= leaks->heap ? 1u << MB_FAM_heap : 0;
	cfg.kern.families |= leaks->kernel ? 1u << MB_FAM_kmem : 0;
	cfg.kern.requests = cfg.kern.families;
	must(mb_recorder_open(&cfg.recorder, db, true, &e), &e);
	must(mb_child_start(&child, (char **)argv, leaks->heap, &e), &e);
	cfg.kern.select = cgroup_id ? MB_SELECT_CGROUPS : MB_SELECT_TREE;
	cfg.kern.pids[0] = (uint32_t)mb_child_pid(child);
	cfg.kern.n_pids = !cgroup_id;
	cfg.kern.cgroups[0] = cgroup_id;
	cfg.kern.n_cgroups = cgroup_id != 0;
	must(mb_session_open(&s, &cfg, child, &e), &e);
	must(mb_session_release_child(&s, &e), &e);
	must(mb_session_run(&s, &e), &e);
	must(mb_session_finish(&s, &e), &e);
	must(mb_session_close(&s, &e), &e);
	must(mb_recorder_close(cfg.recorder, &e), &e);
	mb_child_free(child);
}

/* The same in a process of its own, as a session gives up privileges. */
static void trace(const char *const *argv, const struct mb_leaks_config *leaks, uint64_t cgroup_id, const char *out,
		  const char *db)
{
	pid_t pid = fork();
	int status = -1;

	if (!pid) {
		trace_here(argv, leaks, cgroup_id, out, db);
		_exit(0);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	if (status)
		live_fail("the session failed");
}

/* Where two texts differ first, for a message. */
static void compare(const char *want, const char *got)
{
	size_t i = 0;

	while (want[i] && want[i] == got[i])
		i++;
	if (want[i] != got[i])
		live_fail("the replay differs at byte %zu:\n  session: %.160s\n  replay:  %.160s", i,
			  want + (i > 60 ? i - 60 : 0), got + (i > 60 ? i - 60 : 0));
}

/* Shows and records a command, and replays the recording. Returns the document, which the caller frees. */
static json_t *record_and_replay(const char *const *argv, struct mb_leaks_config leaks, uint64_t cgroup_id,
				 const char *name, const char *diff)
{
	char *out, *db, *shown;
	struct live_result *replay;
	json_t *document;

	assert_true(asprintf(&out, "%s/%s.json", live_tmp(), name) > 0);
	assert_true(asprintf(&db, "%s/%s.db", live_tmp(), name) > 0);
	leaks.page_sample_1_in = leaks.page_sample_1_in ? leaks.page_sample_1_in : 16;
	leaks.series = leaks.maps = true;
	trace(argv, &leaks, cgroup_id, out, db);
	replay = live_memblame(diff ? LIVE_ARGV("replay", db, "leaks", "--json", "--series", "--maps", "--diff", diff) :
				      LIVE_ARGV("replay", db, "leaks", "--json", "--series", "--maps"));
	if (replay->status || *replay->err)
		live_fail("replay: status %d, %s", replay->status, replay->err);
	shown = slurp(out);
	compare(shown, replay->out);
	live_result_free(replay);
	document = live_json(shown);
	free(shown);
	unlink(out);
	unlink(db);
	free(out);
	free(db);
	return document;
}

/* Sum of the outstanding bytes of groups of this level, and how many of them have a stack with names. */
static long long outstanding(const json_t *document, const char *level, unsigned int *named)
{
	long long sum = 0;
	json_t *group;
	size_t i;

	*named = 0;
	json_array_foreach(live_get(document, "groups"), i, group)
	{
		const json_t *stack = live_get(group, "stack");

		if (strcmp(live_str(group, "level"), level) != 0)
			continue;
		sum += live_int(group, "outstanding_bytes");
		*named += json_array_size(stack) && !live_null(json_array_get(stack, 0), "symbol");
	}
	return sum;
}

static void test_heap(void **state)
{
	struct mb_leaks_config leaks = { .heap = true, .heap_sample_bytes = 1, .judge_stacks = true };
	const char *const argv[] = { live_workload("leaker"), "heap", "4000000", "3000", "4", NULL };
	json_t *document = record_and_replay(argv, leaks, 0, "heap", NULL);
	unsigned int named;

	(void)state;
	assert_true(outstanding(document, "alloc", &named) > 8 * MIB);
	assert_true(named > 0);
	json_decref(document);
}

/* Sampled blocks, and growth between two moments. */
static void test_diff(void **state)
{
	struct mb_leaks_config leaks = {
		.heap = true, .heap_sample_bytes = 16384, .diff_from_ns = 1000000000, .diff_to_ns = 3000000000
	};
	const char *const argv[] = { live_workload("leaker"), "heap", "4000000", "3000", "4", NULL };
	json_t *document = record_and_replay(argv, leaks, 0, "diff", "1,3");

	(void)state;
	assert_true(json_array_size(live_get(document, "groups")) > 0);
	json_decref(document);
}

/* Several processes, and children that end at once. */
static void test_children(void **state)
{
	const char *const argv[] = { "sh", "-c", NULL, NULL };
	const char *with[4];
	json_t *document;
	char *script;

	(void)state;
	memcpy(with, argv, sizeof(with));
	assert_true(asprintf(&script, "%s heap 2000000 3000 4 & %s heap 1000000 5000 2 & %s short 40; wait",
			     live_workload("leaker"), live_workload("leaker"), live_workload("proctree")) > 0);
	with[2] = script;
	document = record_and_replay(with, (struct mb_leaks_config){ .judge_stacks = true }, 0, "children", NULL);
	assert_true(json_array_size(live_get(document, "processes")) >= 2);
	json_decref(document);
	free(script);
}

/* Any calls that change mappings, with the list of what is mapped in the end. */
static void test_mappings(void **state)
{
	const char *const argv[] = { live_workload("mapfuzz"), "7", "3000", live_tmp(), "3", NULL };
	json_t *document =
		record_and_replay(argv, (struct mb_leaks_config){ .judge_stacks = true }, 0, "mappings", NULL);

	(void)state;
	assert_true(json_array_size(live_get(document, "groups")) > 0);
	json_decref(document);
}

/* Code generated at run time, whose names appear while it runs. */
static void test_names(void **state)
{
	struct mb_leaks_config leaks = { .heap = true, .heap_sample_bytes = 1, .judge_stacks = true };
	const char *const argv[] = { "node",
				     "--perf-basic-prof",
				     "--no-logfile-per-isolate",
				     "--logfile=+",
				     live_workload("leak.js"),
				     "2000000",
				     "4",
				     NULL };
	struct live_result *node = live_exec(LIVE_ARGV("node", "--version"), NULL);
	bool there = !node->status;
	json_t *document, *process;
	char map[64];

	(void)state;
	live_result_free(node);
	if (!there)
		live_skip("no node");
	document = record_and_replay(argv, leaks, 0, "names", NULL);
	process = json_array_get(live_get(document, "processes"), 0);
	snprintf(map, sizeof(map), "/tmp/perf-%lld.map", live_int(process, "pid"));
	unlink(map);
	assert_true(live_int(process, "jit.frames") > 0);
	json_decref(document);
}

static void test_kernel(void **state)
{
	struct mb_leaks_config leaks = { .kernel = true };
	const char *const argv[] = { "sh", "-c",
				     "for i in 1 2 3 4 5 6 7 8; do ls -l /proc/self/fd >/dev/null; sleep 0.3; done",
				     NULL };
	json_t *document = record_and_replay(argv, leaks, 0, "kernel", NULL);
	unsigned int named;

	(void)state;
	assert_true(outstanding(document, "kernel", &named) > 0);
	assert_true(named > 0);
	json_decref(document);
}

/* A limit that is ahead, of a cgroup and its processes. */
static void test_limit(void **state)
{
	const char *reason = sandbox_cgroup_open(&cgroup, 300 * MIB);
	const char *const argv[] = { "sh", "-c", NULL, NULL };
	const char *with[4];
	json_t *document;
	struct stat st;
	char *script;

	(void)state;
	if (reason)
		live_skip("%s", reason);
	memcpy(with, argv, sizeof(with));
	assert_true(asprintf(&script, "echo $$ >%s/cgroup.procs && exec %s heap 4000000 3000 5", cgroup.dir,
			     live_workload("leaker")) > 0);
	with[2] = script;
	assert_int_equal(stat(cgroup.dir, &st), 0);
	document = record_and_replay(with, (struct mb_leaks_config){ .judge_stacks = true }, st.st_ino, "limit", NULL);
	assert_true(json_array_size(live_get(document, "processes")) > 0);
	json_decref(document);
	free(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test_teardown(test_limit, close_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
