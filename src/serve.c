// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* serve: memblame as a service that stays on. */
#include "serve.h"

int mb_serve(struct mb_serve_config *c, const struct mb_serve_start *start, struct mb_err *e)
{
	(void)c;
	(void)start;
	mb_err_set(e, MB_EXIT_UNSUPPORTED, 0, "serve cannot run yet; --check-config can");
	return MB_EXIT_UNSUPPORTED;
}
