/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Code shared by commands that trace: a session around a command, and what leaks and record follow. */
#ifndef MB_CLI_TRACED_H
#define MB_CLI_TRACED_H

#include "cli/cli.h"

/* Make a session follow growth, as the options of leaks say; its families are selected already. */
void mb_traced_leaks(const struct mb_options *o, struct mb_session_config *cfg);

/* Adds to cfg what a recording with --raw keeps: every event, what leaks needs, and reports of OOM kills. */
void mb_traced_raw(const struct mb_options *o, struct mb_session_config *cfg);

/*
 * Start o->argv stopped (if there is a command), open a session that follows its process tree, resume the command,
 * run to the end and write the final document. Completes *cfg. Returns the exit status: that of the command if there
 * is one, else 0; after a failure the error's.
 */
int mb_traced(const struct mb_options *o, struct mb_session_config *cfg, struct mb_err *e);

#endif
