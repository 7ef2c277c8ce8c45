/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* serve: memblame as a service that stays on. */
#ifndef MB_SERVE_H
#define MB_SERVE_H

#include <stdint.h>

#include "serve/config.h"

struct mb_serve_start {
	const char *path; /* of the configuration file, for a reload; NULL: none */
	const struct mb_serve_overrides *overrides; /* the command line's, for a reload */
	uint64_t duration_ns; /* 0: until a signal */
};

/*
 * Serve until the end. c, which is loaded, is what it begins with; reloads change it. Returns the exit status, with
 * *e set where something failed.
 */
int mb_serve(struct mb_serve_config *c, const struct mb_serve_start *start, struct mb_err *e);

#endif
