// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* record: like run, or like top without tables, but also writes everything to a file. */
#include "cli/tables.h"
#include "cli/traced.h"
#include "record/recorder.h"

int mb_cmd_record(const struct mb_options *o, struct mb_err *e)
{
	static const int with_raw[] = { MB_OPT_HEAP, MB_OPT_KERNEL, MB_OPT_STACKS, MB_OPT_SAMPLE, MB_OPT_PAGES };
	struct mb_session_config cfg;
	struct mb_recorder *r = NULL;
	int status;

	if (!o->out_path) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "record needs a file: memblame record -o FILE");
		return MB_EXIT_USAGE;
	}
	if (o->argv[0] && (o->n_pids || o->n_cgroups)) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "record CMD follows it: -p and -c do not apply");
		return MB_EXIT_USAGE;
	}
	for (size_t i = 0; i < MB_ARRAY_SIZE(with_raw) && (!o->raw || o->budget_percent); i++) {
		if (mb_options_has(o, with_raw[i])) {
			mb_err_set(e, MB_EXIT_USAGE, 0, "--%s goes with --raw, without a budget: only then is what leaks needs recorded",
				   mb_cli_option(with_raw[i])->name);
			return MB_EXIT_USAGE;
		}
	}
	if (mb_options_session(o, &cfg, e) || mb_kern_check(e))
		return (int)e->exit;
	cfg.out_path = NULL; /* the summary goes to standard output */
	if (o->raw)
		mb_traced_raw(o, &cfg);
	status = mb_recorder_open(&r, o->out_path, o->raw, e) ? (int)e->exit : MB_EXIT_OK;
	if (!status) {
		cfg.recorder = r;
		status = mb_traced(o, &cfg, e);
	}
	if (mb_recorder_close(r, e))
		status = (int)e->exit;
	return status;
}
