// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The two clocks of memblame: CLOCK_BOOTTIME for events, UTC for people. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t mb_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * MB_NS_PER_S + (uint64_t)t.tv_nsec;
}

void mb_utc_now(char *buf, size_t size)
{
	struct timespec t;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, size - n, ".%03ldZ", t.tv_nsec / 1000000);
}
