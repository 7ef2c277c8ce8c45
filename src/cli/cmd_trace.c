// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* trace: print single events as they happen. */
#include "cli/traced.h"

/* The last faults of an idle thread are shown at the next tick, so keep that delay short for a user who is watching. */
#define TRACE_TICK_NS (100 * 1000 * 1000ull)

int mb_cmd_trace(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;

	if (o->argv[0] && (o->n_pids || o->n_cgroups)) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "trace CMD follows it: -p and -c do not apply");
		return MB_EXIT_USAGE;
	}
	if (mb_options_session(o, &cfg, e))
		return (int)e->exit;
	cfg.show.events = true;
	cfg.show.own_events = o->own_events;
	cfg.kern.stream = cfg.kern.families;
	cfg.kern.requests = o->families; /* families named with -f also show who is to blame */
	cfg.tick_ns = TRACE_TICK_NS;
	return mb_traced(o, &cfg, e);
}
