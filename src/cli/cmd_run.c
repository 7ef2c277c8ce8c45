// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* run: trace a command and all its descendants, then summarise. */
#include "cli/traced.h"

int mb_cmd_run(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;

	if (!o->argv[0]) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "run needs a command: memblame run -- CMD ARGS...");
		return MB_EXIT_USAGE;
	}
	if (mb_options_session(o, &cfg, e))
		return (int)e->exit;
	cfg.text_to_stderr = cfg.keeps_status = true;
	return mb_traced(o, &cfg, e);
}
