// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* replay: replay a recording through a live view. Needs neither privileges nor kernel support. */
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "session/replay.h"

static const char views[] = "run, top, trace, blame, oom or leaks";

static bool is_view(const char *name)
{
	static const char *const names[] = { "run", "top", "trace", "blame", "oom", "leaks" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

int mb_replay_view(const char *path, const struct mb_options *view, struct mb_out *out, int *status, struct mb_err *e)
{
	bool top = !strcmp(view->command, "top"), trace = !strcmp(view->command, "trace");
	bool blame = !strcmp(view->command, "blame"), leaks = !strcmp(view->command, "leaks");
	bool has_intervals = top || ((blame || leaks) && view->interval_s);
	struct mb_replay_config cfg = {
		.show = {
			.sink = view->sink,
			.families = view->families ? view->families : ~0u,
			.events = trace,
			.own_events = view->own_events,
			.blame = blame,
			.oom = !strcmp(view->command, "oom"),
			.leaks = leaks ? &view->leaks : NULL,
			.show_leaks = leaks,
		},
		.interval_ns = !has_intervals ? 0 :
				      (uint64_t)((view->interval_s ? view->interval_s : 1.0) *
						 (double)MB_NS_PER_S),
		.own_pace = view->pace,
	};
	struct mb_reader *r = NULL;
	int err = mb_reader_open(&r, path, e);

	if (!err && !out->buf)
		err = mb_out_open(out, view->out_path, e);
	if (!err)
		err = mb_replay(r, &cfg, out, status, e);
	mb_reader_close(r);
	return err;
}

static int play(const char *path, const struct mb_options *view, struct mb_err *e)
{
	struct mb_out out = { 0 };
	int status = 0, err = mb_replay_view(path, view, &out, &status, e);

	if (mb_out_close(&out, e))
		err = -1;
	return err ? (int)e->exit : status;
}

int mb_cmd_replay(const struct mb_options *o, struct mb_err *e)
{
	struct mb_options view;

	if (!o->argv[0] || !o->argv[1]) {
		mb_err_set(e, MB_EXIT_USAGE, 0,
			   "replay needs a recording and a view (%s): memblame replay FILE run", views);
		return MB_EXIT_USAGE;
	}
	if (*o->argv[1] != '-' && !is_view(o->argv[1])) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "no view '%s' to replay with: %s", o->argv[1], views);
		return MB_EXIT_USAGE;
	}
	if (mb_options_rest(o, &view, NULL, o->argv + 1, e) || mb_leaks_options_fit(&view, e))
		return (int)e->exit;
	if (view.argv[0]) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "'%s' is one word too many", view.argv[0]);
		return MB_EXIT_USAGE;
	}
	if (!is_view(view.command)) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "no view '%s' to replay with: %s", view.command, views);
		return MB_EXIT_USAGE;
	}
	if (view.families && !strcmp(view.command, "leaks")) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "-f does not apply to replay of leaks, which needs the families vma and fault");
		return MB_EXIT_USAGE;
	}
	return play(o->argv[0], &view, e);
}
