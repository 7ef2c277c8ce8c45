// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* report: what a recording says of any time in it. Needs no privilege and no kernel. */
#include "cli/cli.h"
#include "record/report.h"

static int write_csv(struct mb_reader *r, const struct mb_window *w, const char *path,
		     struct mb_err *e)
{
	struct mb_out out = { 0 };
	int err = mb_out_open(&out, path, e);

	if (!err)
		err = mb_report_csv(r, w, &out, e);
	return mb_out_close(&out, e) ? -1 : err;
}

static int report(const char *path, const struct mb_options *o, struct mb_err *e)
{
	const struct mb_sink *sink = o->json ? &mb_sink_json : &mb_sink_text;
	struct mb_reader *r = NULL;
	struct mb_out out = { 0 };
	struct mb_window w;
	int err, command_status;

	err = mb_reader_open(&r, path, e);
	if (!err)
		err = mb_report_window(r, o->from, o->to, &w, e);
	if (!err && o->csv_path)
		err = write_csv(r, &w, o->csv_path, e);
	if (!err)
		err = mb_out_open(&out, o->out_path, e);
	if (!err)
		err = mb_report_summary(r, &w, sink, &out, &command_status, e);
	if (mb_out_close(&out, e))
		err = -1;
	mb_reader_close(r);
	return err ? (int)e->exit : MB_EXIT_OK;
}

int mb_cmd_report(const struct mb_options *o, struct mb_err *e)
{
	struct mb_options all;

	if (!o->argv[0]) {
		mb_err_set(e, MB_EXIT_USAGE, 0,
			   "report needs a recording: memblame report [--from T] [--to T] FILE");
		return MB_EXIT_USAGE;
	}
	if (mb_options_rest(o, &all, "report", o->argv + 1, e))
		return (int)e->exit;
	return report(o->argv[0], &all, e);
}
