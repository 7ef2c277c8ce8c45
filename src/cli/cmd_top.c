// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* top: one table per interval, and the full summary at the end. */
#include "cli/cli.h"

int mb_cmd_top(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;
	struct mb_session s = { 0 };
	int err = mb_options_session(o, &cfg, e);

	cfg.interval_ns = cfg.tick_ns;
	if (!err)
		err = mb_session_open(&s, &cfg, NULL, e);
	if (!err)
		err = mb_session_run(&s, e);
	if (!err)
		err = mb_session_finish(&s, e);
	if (mb_session_close(&s, e))
		err = -1;
	return err ? (int)e->exit : MB_EXIT_OK;
}
