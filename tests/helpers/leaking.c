// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Runs leaking programs under one `memblame leaks`, and finds the results for each program in its output. */
#include "leaking.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define READY_MS     60000
#define STEP_MS	     5
#define MAX_PROGRAMS 28
#define MAX_OPTS     16
#define MAX_RUNS     4

/* --- running --- */

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static bool has_text(const char *path, const char *text)
{
	char *have = live_slurp(path, NULL);
	bool found = strstr(have, text) != NULL;

	free(have);
	return found;
}

/* The machine may lack something that the program needs. Then the program exits, or the loader prints an error. */
static const char *wait_until_ready(const struct leaking *program)
{
	for (int waited = 0; waited < READY_MS; waited += STEP_MS) {
		if (has_text(program->bg->err_path, "cannot be preloaded"))
			return "its library is not here";
		if (has_text(program->bg->err_path, ": ready\n"))
			return NULL;
		if (!live_proc_alive(program->pid))
			return "it cannot be run here";
		usleep(STEP_MS * 1000);
	}
	return "it was not ready in time";
}

static const char *argument(const char *text)
{
	char *path;

	if (text[0] != '@')
		return text;
	/* a workload of the build, if the build was able to make it */
	if (asprintf(&path, "%s/workloads/%s", live_bin("."), text + 1) < 0)
		abort();
	return path;
}

static void start_program(struct leaking *program)
{
	const char *argv[LEAKING_MAX_ARGS + 5] = { "env", "WORKLOAD_WAIT=1" };
	char preload[256];
	int n = 2;

	if (program->stay)
		argv[n++] = "WORKLOAD_STAY=1";
	if (program->preload) {
		snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", program->preload);
		argv[n++] = preload;
	}
	for (int i = 0; i < LEAKING_MAX_ARGS && program->argv[i]; i++)
		argv[n++] = argument(program->argv[i]);
	program->bg = live_spawn(argv);
	program->pid = program->bg->pid;
	program->why = wait_until_ready(program);
	if (!program->why)
		return;
	kill(program->pid, SIGKILL);
	live_result_free(live_wait(program->bg));
	program->bg = NULL;
}

static void signal_all(const struct leaking *programs, int signo)
{
	for (; programs->name; programs++)
		if (!programs->why && !kill(programs->pid, 0))
			kill(programs->pid, signo);
}

/*
 * Starts the work of each program. A program that works in a burst runs alone, because five bursts at once
 * exceed the capacity of the rings. It runs at the lowest priority, so that memblame can empty the rings as
 * fast as the program fills them, even on a busy machine.
 */
static void let_go(const struct leaking *programs)
{
	for (; programs->name; programs++) {
		if (programs->why)
			continue;
		if (programs->stay)
			assert_int_equal(setpriority(PRIO_PROCESS, (id_t)programs->pid, 19), 0);
		kill(programs->pid, SIGUSR2);
		if (programs->stay && !live_wait_text(programs->bg->err_path, ": idle\n"))
			live_fail("%s does not come to its end", programs->name);
	}
}

static void take_truth(struct leaking *program)
{
	struct live_result *result;

	if (program->why)
		return;
	result = live_wait(program->bg);
	program->bg = NULL;
	if (result->status)
		live_fail("%s: status %d, %s", program->name, result->status, result->err);
	program->truth = live_json(result->out);
	live_result_free(result);
}

static struct live_bg *start_memblame(const struct leaking *programs, const char *const *opts)
{
	static char pids[MAX_PROGRAMS][16];
	const char *argv[2 * MAX_PROGRAMS + MAX_OPTS] = { "leaks", "--json" };
	int n = 2, k = 0;

	for (; opts && *opts; opts++)
		argv[n++] = *opts;
	for (; programs->name; programs++) {
		if (programs->why)
			continue;
		snprintf(pids[k], sizeof(pids[k]), "%d", (int)programs->pid);
		argv[n++] = "-p";
		argv[n++] = pids[k++];
	}
	return live_start(argv);
}

static json_t *run_all(struct leaking *programs, const char *const *opts, unsigned int seconds)
{
	struct live_result *result;
	struct live_bg *memblame;
	json_t *document;
	long long left;

	for (struct leaking *p = programs; p->name; p++)
		start_program(p);
	memblame = start_memblame(programs, opts);
	left = now_ms() + seconds * 1000LL;
	let_go(programs);
	left -= now_ms();
	if (left > 0)
		usleep((useconds_t)left * 1000);
	/* stop the programs, so that memblame's last reading matches what they hold */
	signal_all(programs, SIGSTOP);
	result = live_stop(memblame);
	signal_all(programs, SIGTERM);
	signal_all(programs, SIGCONT);
	for (struct leaking *p = programs; p->name; p++)
		take_truth(p);
	if (result->status)
		live_fail("status %d: %s", result->status, result->err);
	document = live_last_json(result->out);
	assert_string_equal(live_str(document, "kind"), "leaks");
	live_result_free(result);
	return document;
}

const json_t *leaking_run(struct leaking *programs, const char *const *opts, unsigned int seconds)
{
	static struct {
		const struct leaking *programs;
		json_t *document;
	} runs[MAX_RUNS];
	int i = 0;

	while (i < MAX_RUNS && runs[i].programs && runs[i].programs != programs)
		i++;
	assert_in_range(i, 0, MAX_RUNS - 1);
	if (!runs[i].programs) {
		runs[i].programs = programs;
		runs[i].document = run_all(programs, opts, seconds);
	}
	if (!runs[i].document)
		live_fail("the run of all programs failed");
	return runs[i].document;
}

void leaking_clean_up(const struct leaking *programs)
{
	char path[64];

	for (; programs->name; programs++) {
		snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)programs->pid);
		if (programs->pid)
			unlink(path);
	}
}

void leaking_need(const struct leaking *program)
{
	if (program->why)
		live_skip("%s: %s", program->name, program->why);
	if (!program->truth)
		live_fail("%s has not run", program->name);
}

/* ---- memblame's output ---- */

static bool is_about(const json_t *group, const struct leaking *program, const char *level)
{
	const char *of = live_str(group, "level");

	if (!strcmp(of, "kernel") || (*level && strcmp(of, level)))
		return false;
	return live_int(group, "pid") == program->pid;
}

/* Computed once per document: the array of all groups, followed by the groups that are evidence for others. */
const json_t *leaking_views(const json_t *document)
{
	json_t *all = json_object_get(document, "views"), *group, *other;
	size_t i, k;

	if (all)
		return all;
	all = json_copy(json_object_get(document, "groups"));
	json_array_foreach(live_get(document, "groups"), i, group)
		json_array_foreach(live_get(group, "evidence"), k, other)
			json_array_append(all, other);
	json_object_set_new((json_t *)document, "views", all);
	return all;
}

const json_t *leaking_first(const json_t *document, const struct leaking *program, const char *level)
{
	const json_t *groups = leaking_views(document), *group;
	size_t i;

	json_array_foreach(groups, i, group)
		if (is_about(group, program, level))
			return group;
	live_fail("%s: no group %s of pid %d", program->name, level, (int)program->pid);
	return NULL;
}

static const char *text_of(const json_t *frame, const char *key)
{
	const char *text = json_string_value(json_object_get(frame, key));

	return text ? text : "-";
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool leaking_has_line(const json_t *group, const char *file, long long line)
{
	const json_t *frame;
	size_t i;

	json_array_foreach(live_get(group, "stack"), i, frame)
		if (json_integer_value(json_object_get(frame, "line")) == line &&
		    !strcmp(base_name(text_of(frame, "file")), file))
			return true;
	return false;
}

struct leaking_sum leaking_sum(const json_t *document, const struct leaking *program, const char *level,
			       const char *file, long long line)
{
	struct leaking_sum sum = { 0 };
	const json_t *group;
	size_t i;

	json_array_foreach(leaking_views(document), i, group) {
		if (!is_about(group, program, level) || !leaking_has_line(group, file, line))
			continue;
		sum.bytes += live_int(group, "outstanding_bytes");
		sum.count += live_int(group, "outstanding_count");
		sum.groups++;
		sum.leaks += !strcmp(live_str(group, "verdict"), "leak");
	}
	return sum;
}

const char *leaking_key(const char *key, unsigned int i)
{
	static char text[32];

	snprintf(text, sizeof(text), i ? "%s_%u" : "%s", key, i + 1);
	return text;
}

bool leaking_has_leak(const json_t *group, const struct leaking *program)
{
	for (unsigned int i = 0; json_object_get(program->truth, leaking_key("line", i)); i++) {
		long long line = live_int(program->truth, leaking_key("line", i));

		if (leaking_has_line(group, live_str(program->truth, leaking_key("file", i)), line))
			return true;
	}
	return false;
}

void leaking_none(const json_t *document, const struct leaking *program)
{
	const json_t *group;
	size_t i;

	json_array_foreach(live_get(document, "groups"), i, group)
		if (is_about(group, program, "") && !strcmp(live_str(group, "verdict"), "leak")) {
			leaking_show(document, program);
			live_fail("%s leaks nothing", program->name);
		}
}

static void show_group(const json_t *group)
{
	const json_t *frame;
	size_t i;

	print_error("  %s %s: %lld bytes in %lld\n", live_str(group, "level"), live_str(group, "verdict"),
		    live_int(group, "outstanding_bytes"), live_int(group, "outstanding_count"));
	json_array_foreach(live_get(group, "stack"), i, frame)
		print_error("      %s %s:%lld %s\n", text_of(frame, "symbol"), text_of(frame, "file"),
			    (long long)json_integer_value(json_object_get(frame, "line")),
			    text_of(frame, "module"));
}

void leaking_show(const json_t *document, const struct leaking *program)
{
	char *truth = json_dumps(program->truth, JSON_COMPACT);
	const json_t *group;
	size_t i;

	print_error("%s: %s\n", program->name, truth);
	free(truth);
	json_array_foreach(live_get(document, "groups"), i, group)
		if (is_about(group, program, ""))
			show_group(group);
}
