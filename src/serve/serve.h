/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* serve: memblame as a service that runs without end. */
#ifndef MB_SERVE_SERVE_H
#define MB_SERVE_SERVE_H

#include "serve/config.h"
#include "session/session.h"

struct mb_serve_start {
	const char *path; /* path of the configuration file, for reloads; NULL: none */
	const struct mb_serve_overrides *overrides; /* command line options, for reloads */
	struct mb_session_config session; /* from the command line: what to trace, and how */
};

/*
 * Serve until a signal ends it. c is the loaded configuration; reloads change it. Returns the exit status; *e is set
 * if something failed.
 */
int mb_serve(struct mb_serve_config *c, const struct mb_serve_start *start, struct mb_err *e);

#endif
