/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* serve: memblame as a service that stays on. */
#ifndef MB_SERVE_SERVE_H
#define MB_SERVE_SERVE_H

#include "serve/config.h"
#include "session/session.h"

struct mb_serve_start {
	const char *path; /* of the configuration file, for a reload; NULL: none */
	const struct mb_serve_overrides *overrides; /* the command line's, for a reload */
	struct mb_session_config session; /* what the command line says of it, and whom to trace */
};

/*
 * Serve until the end. c, which is loaded, is what it begins with; reloads change it. Returns the exit status, with
 * *e set where something failed.
 */
int mb_serve(struct mb_serve_config *c, const struct mb_serve_start *start, struct mb_err *e);

#endif
