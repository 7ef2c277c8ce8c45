// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* leaks: which processes grow, how fast, and from which code. */
#include "cli/tables.h"
#include "cli/traced.h"

int mb_leaks_options_fit(const struct mb_options *o, struct mb_err *e)
{
	if (mb_options_has(o, MB_OPT_SAMPLE) && !o->leaks.heap)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "--sample goes with --heap");
	if ((o->leaks.maps || o->leaks.series) && !o->sink->json)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "--%s goes with --json", o->leaks.maps ? "maps" : "series");
	return 0;
}

int mb_cmd_leaks(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;

	if (mb_leaks_options_fit(o, e) || mb_options_session(o, &cfg, e))
		return (int)e->exit;
	if (o->families && !(o->families & (1u << MB_FAM_vma | 1u << MB_FAM_fault)) && !o->leaks.heap && !o->leaks.kernel) {
		mb_err_set(e, MB_EXIT_USAGE, 0,
			   "leaks needs the family vma or fault, --heap or --kernel: leave -f away, or add one of them");
		return MB_EXIT_USAGE;
	}
	if (!o->families)
		cfg.kern.families = 1u << MB_FAM_vma | 1u << MB_FAM_fault;
	mb_traced_leaks(o, &cfg);
	cfg.show.show_leaks = true;
	cfg.kern.requests = cfg.kern.families;
	/* with a known end and no interval, the output is a single document */
	cfg.interval_ns = o->interval_s || !(o->duration_s || o->argv[0]) ? cfg.tick_ns : 0;
	return mb_traced(o, &cfg, e);
}
