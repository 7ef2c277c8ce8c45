// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* report: report on any period of a recording. Needs neither privileges nor kernel support. */
#include "cli/tables.h"
#include "record/report.h"
#include "record/selection.h"

static int write_csv(struct mb_reader *r, const struct mb_window *w, const char *path,
		     struct mb_err *e)
{
	struct mb_out out = { 0 };
	int err = mb_out_open(&out, path, e);

	if (!err)
		err = mb_report_csv(r, w, &out, e);
	return mb_out_close(&out, e) ? -1 : err;
}

static int write_window(struct mb_reader *r, const struct mb_options *o, struct mb_out *out,
			struct mb_err *e)
{
	struct mb_window w;
	int err = mb_report_window(r, o->from, o->to, &w, e);

	if (!err && o->csv_path)
		err = write_csv(r, &w, o->csv_path, e);
	if (!err)
		err = mb_report_summary(r, &w, o->sink, out, e);
	if (!err && o->timeline)
		err = mb_report_timeline(r, &w, o->sink->json, out, e);
	return err;
}

/* Write the report. other is the recording to compare with, or NULL. */
static int report(const char *path, const char *other, const struct mb_options *o, struct mb_err *e)
{
	const struct mb_selection selection = { .pids = o->pids, .n_pids = o->n_pids, .cgroups = o->cgroups,
						.n_cgroups = o->n_cgroups, .families = o->families };
	struct mb_reader *r = NULL, *after = NULL;
	struct mb_out out = { 0 };
	int err;

	err = mb_reader_open(&r, path, e);
	if (!err && other)
		err = mb_reader_open(&after, other, e);
	if (!err)
		err = mb_selection_apply(&selection, r, e);
	if (!err && other)
		err = mb_selection_apply(&selection, after, e);
	if (!err)
		err = mb_out_open(&out, o->out_path, e);
	if (!err)
		err = other ? mb_report_diff(r, after, o->sink->json, &out, e) :
			      write_window(r, o, &out, e);
	if (mb_out_close(&out, e))
		err = -1;
	mb_reader_close(after);
	mb_reader_close(r);
	return err ? (int)e->exit : MB_EXIT_OK;
}

int mb_cmd_report(const struct mb_options *o, struct mb_err *e)
{
	static const int of_one[] = { MB_OPT_FROM, MB_OPT_TO, MB_OPT_CSV, MB_OPT_TIMELINE };
	const char *other;
	struct mb_options all;

	if (!o->argv[0]) {
		mb_err_set(e, MB_EXIT_USAGE, 0,
			   "report needs a recording: memblame report [--from T] [--to T] FILE [FILE]");
		return MB_EXIT_USAGE;
	}
	if (mb_options_rest(o, &all, "report", o->argv + 1, e))
		return (int)e->exit;
	other = all.argv[0];
	if (other) { /* options may follow the second recording, too */
		const struct mb_options before = all;

		if (mb_options_rest(&before, &all, "report", before.argv + 1, e))
			return (int)e->exit;
	}
	if (other && all.argv[0]) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "'%s' is one word too many", all.argv[0]);
		return MB_EXIT_USAGE;
	}
	for (size_t i = 0; other && i < MB_ARRAY_SIZE(of_one); i++) {
		if (!mb_options_has(&all, of_one[i]))
			continue;
		mb_err_set(e, MB_EXIT_USAGE, 0, "--%s is for one recording; two are compared as a whole",
			   mb_cli_option(of_one[i])->name);
		return MB_EXIT_USAGE;
	}
	return report(o->argv[0], other, &all, e);
}
