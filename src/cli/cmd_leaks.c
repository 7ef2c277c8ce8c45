// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* leaks: which processes grow, how fast, and from which code. */
#include "cli/traced.h"

int mb_cmd_leaks(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;

	if (mb_options_session(o, &cfg, e))
		return (int)e->exit;
	if (!o->families)
		cfg.kern.families = 1u << MB_FAM_vma | 1u << MB_FAM_fault;
	mb_traced_leaks(o, &cfg);
	cfg.show.show_leaks = true;
	cfg.kern.requests = cfg.kern.families;
	/* with a known end and no interval, the output is a single document */
	cfg.interval_ns = o->interval_s || !(o->duration_s || o->argv[0]) ? cfg.tick_ns : 0;
	return mb_traced(o, &cfg, e);
}
