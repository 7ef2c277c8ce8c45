// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* One error: what failed, on what, what to do about it. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int mb_err_set(struct mb_err *e, enum mb_exit exit, int err, const char *fmt, ...)
{
	size_t len;
	va_list ap;

	err = abs(err);
	if (e->text[0])
		return err ? -err : -EINVAL;
	e->exit = exit;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	if (err)
		snprintf(e->text + len, sizeof(e->text) - len, ": %s", strerror(err));
	return err ? -err : -EINVAL;
}
