// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Messages for the user: always on stderr, never mixed with results. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum mb_log_level level = MB_LOG_NORMAL;

void mb_log_set_level(enum mb_log_level l)
{
	level = l;
}

enum mb_log_level mb_log_level(void)
{
	return level;
}

__attribute__((format(printf, 1, 0))) static void say(const char *fmt, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, ap);
	fprintf(stderr, "memblame: %s\n", line);
}

void mb_warn(const char *fmt, ...)
{
	va_list ap;

	if (level < MB_LOG_NORMAL)
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void mb_verbose(const char *fmt, ...)
{
	va_list ap;

	if (level < MB_LOG_VERBOSE)
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}
