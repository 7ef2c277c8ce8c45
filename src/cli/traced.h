/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What run and trace share: a session around a command. */
#ifndef MB_CLI_TRACED_H
#define MB_CLI_TRACED_H

#include "cli/cli.h"

/*
 * Start o->argv stopped (where there is one), open a session that follows its process tree, let
 * it go, run to the end and write the final document. cfg is completed, not read elsewhere.
 * Returns the exit status: the command's own where there is one, else 0; or the error's.
 */
int mb_traced(const struct mb_options *o, struct mb_session_config *cfg, struct mb_err *e);

#endif
