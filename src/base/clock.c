// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The two clocks of memblame: CLOCK_BOOTTIME for events, UTC for people. */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t mb_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * MB_NS_PER_S + (uint64_t)t.tv_nsec;
}

static void print_utc(time_t s, long ns, char *buf, size_t size)
{
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, size - n, ".%03ldZ", ns / 1000000);
}

void mb_utc_now(char *buf, size_t size)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	print_utc(t.tv_sec, t.tv_nsec, buf, size);
}

/* ms since 1970; false for text that is no such time. */
static bool parse_utc(const char *time, int64_t *ms)
{
	struct tm tm = { 0 };
	const char *rest = strptime(time, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!rest || *rest != '.')
		return false;
	*ms = (int64_t)timegm(&tm) * 1000 + strtol(rest + 1, NULL, 10);
	return true;
}

void mb_utc_shift(const char *time, int64_t ns, char *buf, size_t size)
{
	int64_t at;

	buf[0] = '\0';
	if (!parse_utc(time, &at))
		return;
	at += ns / 1000000;
	print_utc((time_t)(at / 1000), (long)(at % 1000) * 1000000, buf, size);
}

bool mb_utc_seconds(const char *time, uint64_t *s)
{
	int64_t ms;

	if (!parse_utc(time, &ms) || ms < 0)
		return false;
	*s = (uint64_t)ms / 1000;
	return true;
}
