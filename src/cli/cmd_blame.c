// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* blame: which process delayed which other process, in writeback and in reclaim. */
#include <stdio.h>
#include <string.h>

#include "cli/traced.h"
#include "host/cgroups.h"

/* The tick interval limits how precisely it is known whose pages were dirty when: docs/families/writeback.md. */
#define BLAME_TICK_NS (200 * 1000 * 1000ull)

/*
 * Only stalls of the selected processes are shown, but any process may have caused them, so trace all. The selection
 * has already been checked; here it becomes the set of victims to show.
 */
static int take_selection(const struct mb_options *o, struct mb_session_config *cfg, struct mb_err *e)
{
	struct mb_victims *v = &cfg->victims;
	struct mb_cgroups *c = NULL;
	int err = 0;

	memcpy(v->pids, cfg->kern.pids, sizeof(v->pids));
	v->n_pids = cfg->kern.n_pids;
	if (o->n_cgroups)
		c = mb_cgroups_open();
	for (size_t i = 0; i < o->n_cgroups && !err; i++) {
		const char *path = mb_cgroups_path(c, cfg->kern.cgroups[i]);

		if (!path)
			err = mb_err_set(e, MB_EXIT_FAILED, 0, "no cgroup '%s' any more", o->cgroups[i]);
		else
			snprintf(v->cgroups[v->n_cgroups++], MB_PATH_LEN, "%s", path);
	}
	mb_cgroups_close(c);
	cfg->kern.n_pids = 0;
	cfg->kern.n_cgroups = 0;
	cfg->kern.select = MB_SELECT_ALL;
	return err;
}

int mb_cmd_blame(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;

	if (mb_options_session(o, &cfg, e) || take_selection(o, &cfg, e))
		return (int)e->exit;
	cfg.show.blame = true;
	cfg.kern.requests = ~0u;
	if (o->families && !(o->families & (1u << MB_FAM_reclaim | 1u << MB_FAM_writeback))) {
		mb_err_set(e, MB_EXIT_USAGE, 0,
			   "blame needs the family reclaim or writeback: leave -f away, or name one of them too");
		return MB_EXIT_USAGE;
	}
	if (!o->families)
		cfg.kern.families = 1u << MB_FAM_reclaim | 1u << MB_FAM_writeback;
	/* with a duration and no interval, the output is a single document */
	cfg.interval_ns = o->interval_s || !o->duration_s ? cfg.tick_ns : 0;
	/* divide the interval into ticks of equal length that are short enough */
	if (cfg.tick_ns > BLAME_TICK_NS)
		cfg.tick_ns /= (cfg.tick_ns + BLAME_TICK_NS - 1) / BLAME_TICK_NS;
	return mb_traced(o, &cfg, e);
}
