// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* top: one table per interval, and the full summary at the end. */
#include "cli/traced.h"

int mb_cmd_top(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;

	if (mb_options_session(o, &cfg, e))
		return (int)e->exit;
	cfg.interval_ns = cfg.tick_ns;
	return mb_traced(o, &cfg, e);
}
