// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* memblame: options -> command -> exit status. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/out.h"
#include "cli/tables.h"

static void report(const struct mb_options *o, const struct mb_err *e)
{
	struct mb_err ignored = { 0 };
	struct mb_out out;

	if (!o->sink->json) {
		fprintf(stderr, "memblame: %s\n", e->text);
		return;
	}
	if (mb_out_open(&out, NULL, &ignored))
		return;
	mb_json_object(&out, NULL);
	mb_json_u64(&out, "schema", 1);
	mb_json_str(&out, "kind", "error");
	mb_json_str(&out, "message", e->text);
	mb_json_object_end(&out);
	mb_json_end_line(&out);
	if (mb_out_close(&out, &ignored)) /* stdout cannot be written */
		fprintf(stderr, "memblame: %s\n", e->text);
}

int main(int argc, char **argv)
{
	struct mb_options o;
	struct mb_err e = { 0 };
	int status;

	if (mb_options_parse(&o, argc, argv, &e)) {
		report(&o, &e);
		return (int)e.exit;
	}
	mb_log_set_level(o.verbose ? MB_LOG_VERBOSE : o.quiet ? MB_LOG_QUIET : MB_LOG_NORMAL);
	status = mb_command_find(o.command)->run(&o, &e);
	if (e.exit == MB_EXIT_PIPE && status == MB_EXIT_PIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	if (e.text[0])
		report(&o, &e);
	return status;
}
