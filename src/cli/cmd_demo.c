// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * demo: starts programs with three well-known problems, records them for a while, and replays the recording through the
 * views that explain each problem.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/demo_programs.h"
#include "cli/traced.h"
#include "record/recorder.h"

#define SECONDS 20

/* A session of `record --raw`: of the demo's programs only. */
static int record(const struct mb_options *o, struct mb_demo *demo, const char *path, int *signal, struct mb_err *e)
{
	struct mb_session_config cfg;
	struct mb_session s = { 0 };
	struct mb_recorder *r = NULL;
	int err = mb_options_session(o, &cfg, e);

	if (err)
		return err;
	cfg.kern.select = MB_SELECT_PIDS;
	for (size_t i = 0; i < MB_DEMO_N; i++) {
		if (demo->pids[i] > 0)
			cfg.kern.pids[cfg.kern.n_pids++] = (unsigned int)demo->pids[i];
	}
	mb_traced_raw(o, &cfg);
	cfg.duration_ns = SECONDS * MB_NS_PER_S;
	cfg.out_path = "/dev/null"; /* the views are shown from the recording */
	err = mb_recorder_open(&r, path, true, e);
	cfg.recorder = r;
	if (!err)
		err = mb_session_open(&s, &cfg, NULL, e);
	if (!err) {
		mb_demo_go(demo);
		err = mb_session_run(&s, e);
	}
	if (!err)
		err = mb_session_finish(&s, e);
	*signal = s.signal;
	if (mb_session_close(&s, e) && !err)
		err = -1;
	if (mb_recorder_close(r, e) && !err)
		err = -1;
	return err;
}

/* ---- what is shown of it ---- */

#define HEADINGS 4

/*
 * One problem. Of the view, only the sentence it begins with is shown and the parts with these headings: a line that
 * begins with the text, and the indented lines below it.
 */
struct part {
	const char *problem, *command, *view;
	const char *headings[HEADINGS];
	const char *missing; /* why there is nothing to show; "" if there is */
};

static bool is_heading(const struct part *p, const char *line, size_t len)
{
	for (size_t i = 0; i < HEADINGS && p->headings[i]; i++) {
		size_t n = strlen(p->headings[i]);

		if (n <= len && !strncmp(line, p->headings[i], n))
			return true;
	}
	return false;
}

static void put_excerpt(struct mb_out *out, const struct part *p, const char *text, size_t len)
{
	const char *end = text + len;
	bool shown = true, blank = false, first = true;
	size_t left_out = 0;

	for (const char *line = text, *next; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next ? next + 1 : end;
		if (*line == '\n') {
			blank = true;
			continue;
		}
		if (*line != ' ')
			shown = first || is_heading(p, line, (size_t)(next - line));
		left_out += !shown;
		if (shown) {
			mb_out_printf(out, "%s", blank && !first ? "\n" : "");
			mb_out_text(out, line, (size_t)(next - line));
			first = false;
		}
		blank = false;
	}
	if (left_out)
		mb_out_printf(out, "(and %zu lines more)\n", left_out);
}

static int show(const struct mb_options *o, const char *path, const struct part *p, struct mb_out *out, struct mb_err *e)
{
	struct mb_options as = *o;
	struct mb_out view = { 0 };
	char *text = NULL;
	size_t len;
	int status, err;

	if (mb_out_to_memory(&view))
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	as.command = p->view;
	err = mb_replay_view(path, &as, &view, &status, e);
	text = mb_out_take(&view, &len, e);
	if (!text)
		return -EIO;
	if (!err)
		put_excerpt(out, p, text, len);
	free(text);
	return err;
}

static int show_all(const struct mb_options *o, const struct mb_demo *demo, const char *path, struct mb_err *e)
{
	const struct part parts[] = {
		{ "demo-leak takes a buffer for each request, and frees every second one. Who leaks, and where?",
		  "memblame leaks -d 60", "leaks", { "demo-leak ", "VERDICT", "leak " }, "" },
		{ "demo-fsync needs its log on the disk, where demo-writer writes as well. Who waits, and for whom?",
		  "memblame blame -d 60", "blame", { "Held up by writeback" }, demo->no_disk },
		{ "demo-growing fills a cgroup, until the kernel kills demo-cache, which did not grow. Whose fault is it?",
		  "memblame oom -d 60", "oom", { "Processes' own growth", "Who could have been chosen" }, demo->no_cgroup },
	};
	struct mb_out out;
	int err = mb_out_open(&out, o->out_path, e);

	for (size_t i = 0; !err && i < MB_ARRAY_SIZE(parts); i++) {
		mb_out_printf(&out, "%s%zu. %s\n   Of your programs: %s\n\n", i ? "\n" : "", i + 1, parts[i].problem, parts[i].command);
		if (parts[i].missing[0])
			mb_out_printf(&out, "Not shown: %s.\n", parts[i].missing);
		else
			err = show(o, path, &parts[i], &out, e);
	}
	if (mb_out_close(&out, e))
		err = -1;
	return err;
}

/* Before 20 s are spent. */
static int check_output(const char *path, struct mb_err *e)
{
	struct mb_out out;

	return mb_out_open(&out, path, e) ? -1 : mb_out_close(&out, e);
}

static void block_signals(void)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
}

int mb_cmd_demo(const struct mb_options *o, struct mb_err *e)
{
	struct mb_demo demo;
	char path[128];
	int err, ended_by = 0;

	if (mb_kern_check(e) || (o->out_path && check_output(o->out_path, e)))
		return (int)e->exit;
	block_signals();
	err = mb_demo_start(&demo, e);
	if (!err) {
		snprintf(path, sizeof(path), "%s/recording", demo.dir);
		if (!o->quiet)
			fprintf(stderr, "Watching a few small programs for %d s.\n\n", SECONDS);
		if (!o->verbose) /* what this kernel does not show is not needed here */
			mb_log_set_level(MB_LOG_QUIET);
		err = record(o, &demo, path, &ended_by, e);
	}
	if (!err && !ended_by)
		err = show_all(o, &demo, path, e);
	mb_demo_end(&demo);
	if (ended_by)
		return 128 + ended_by;
	return err ? (int)e->exit : MB_EXIT_OK;
}
