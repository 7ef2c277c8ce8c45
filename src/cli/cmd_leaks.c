// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* leaks: which processes grow, how fast, and from which code. */
#include "cli/traced.h"

int mb_cmd_leaks(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;

	if (o->budget_percent) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "leaks must see every call and every block: --budget does not apply");
		return MB_EXIT_USAGE;
	}
	if (mb_options_session(o, &cfg, e))
		return (int)e->exit;
	cfg.show.leaks = &o->leaks;
	cfg.kern.leaks = true;
	cfg.kern.stacks = o->stacks;
	cfg.kern.page_sample_1_in = (uint32_t)o->leaks.page_sample_1_in;
	cfg.kern.heap_sample_bytes = o->leaks.heap_sample_bytes;
	if (!o->families)
		cfg.kern.families = 1u << MB_FAM_vma | 1u << MB_FAM_fault;
	if (o->leaks.heap)
		cfg.kern.families |= 1u << MB_FAM_heap;
	if (o->leaks.kernel)
		cfg.kern.families |= 1u << MB_FAM_kmem;
	cfg.kern.requests = cfg.kern.families;
	/* with a known end and no interval, the output is a single document */
	cfg.interval_ns = o->interval_s || !(o->duration_s || o->argv[0]) ? cfg.tick_ns : 0;
	return mb_traced(o, &cfg, e);
}
