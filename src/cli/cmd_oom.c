// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* oom: wait for OOM kills and report each in full; oom list and oom show N read stored reports. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/tables.h"
#include "cli/traced.h"
#include "oom/store.h"

static int show_saved(const struct mb_options *o, const char *dir, uint32_t number, struct mb_err *e)
{
	struct mb_oom_store *s = NULL;
	struct mb_out out;
	int err = mb_oom_store_open(&s, dir, false, e);

	if (!err)
		err = mb_out_open(&out, o->out_path, e);
	if (!err) {
		err = number ? mb_oom_store_show(s, number, o->sink->json, &out, e) :
			       mb_oom_store_list(s, o->sink->json, &out, e);
		if (mb_out_close(&out, e))
			err = -1;
	}
	mb_oom_store_close(s);
	return err ? (int)e->exit : MB_EXIT_OK;
}

/* "list" or "show N", optionally followed by options. Returns the exit status. */
static int read_back(const struct mb_options *o, struct mb_err *e)
{
	static const int tracing[] = { 'p', 'c', 'd', 'i', 'f', MB_OPT_BUDGET, MB_OPT_HISTORY };
	struct mb_options all;
	bool list = !strcmp(o->argv[0], "list"), show = !strcmp(o->argv[0], "show");
	char *end = NULL;
	unsigned long number = show && o->argv[1] ? strtoul(o->argv[1], &end, 10) : 0;

	if (show && o->argv[1] && (*o->argv[1] < '0' || *o->argv[1] > '9' || *end || !number || number > UINT32_MAX)) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "'%s' is not the number of a report; memblame oom list has them", o->argv[1]);
		return MB_EXIT_USAGE;
	}
	if ((!list && !show) || (show && !o->argv[1])) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "memblame oom waits for kills; memblame oom list and memblame "
			   "oom show NUMBER read back what was reported");
		return MB_EXIT_USAGE;
	}
	if (mb_options_rest(o, &all, "oom", o->argv + (show ? 2 : 1), e))
		return (int)e->exit;
	if (all.argv[0]) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "'%s' is one word too many", all.argv[0]);
		return MB_EXIT_USAGE;
	}
	for (size_t i = 0; i < MB_ARRAY_SIZE(tracing); i++) {
		if (!mb_options_has(&all, tracing[i]))
			continue;
		mb_err_set(e, MB_EXIT_USAGE, 0, "--%s does not apply to oom %s: it is for waiting for kills",
			   mb_cli_option(tracing[i])->name, o->argv[0]);
		return MB_EXIT_USAGE;
	}
	return show_saved(&all, all.state_dir ? all.state_dir : MB_STATE_DIR, (uint32_t)number, e);
}

int mb_cmd_oom(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;

	if (o->argv[0])
		return read_back(o, e);
	if (mb_options_session(o, &cfg, e) || mb_kern_check(e))
		return (int)e->exit;
	if (!(cfg.kern.families & (1u << MB_FAM_oom))) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "oom needs the family oom: leave -f away, or name it too");
		return MB_EXIT_USAGE;
	}
	cfg.show.oom = cfg.show.reports = true;
	cfg.state_dir = o->state_dir ? o->state_dir : MB_STATE_DIR;
	if (!o->sink->json)
		mb_warn("waiting for OOM kills; reports are stored in %s/oom", cfg.state_dir);
	return mb_traced(o, &cfg, e);
}
