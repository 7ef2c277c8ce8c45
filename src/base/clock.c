// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The two clocks of memblame: CLOCK_BOOTTIME for events, UTC for output that people read. */
#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
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

void mb_utc_print(int64_t ms, char *buf, size_t size)
{
	int64_t part = (ms % 1000 + 1000) % 1000;

	print_utc((time_t)((ms - part) / 1000), (long)part * 1000000, buf, size);
}

/*
 * Parse "HH:MM", optionally ":SS", ".fff" and a zone, into ms since midnight UTC. The result is negative on the
 * previous UTC day.
 */
static bool read_clock(const char *text, int64_t *ms)
{
	int h, m, zh = 0, zm = 0, n = 0, more = 0;
	char sign = '+';
	double s = 0;

	if (!isdigit((unsigned char)*text) || sscanf(text, "%2d:%2d%n", &h, &m, &n) != 2)
		return false;
	text += n;
	if (*text == ':') {
		n = (int)strspn(text + 1, "0123456789.");
		if (!n || sscanf(text + 1, "%lf%n", &s, &more) != 1 || more != n)
			return false;
		text += 1 + n;
	}
	if (*text == 'Z' || *text == 'z') {
		text++;
	} else if (*text) {
		sign = *text;
		if ((sign != '+' && sign != '-') ||
		    (sscanf(text + 1, "%2d:%2d%n", &zh, &zm, &n) != 2 && sscanf(text + 1, "%2d%2d%n", &zh, &zm, &n) != 2))
			return false;
		text += 1 + n;
	}
	if (*text || h < 0 || h > 23 || m < 0 || m > 59 || s >= 60 || zh < 0 || zh > 14 || zm < 0 || zm > 59)
		return false;
	*ms = (h * 60 + m) * 60000ll + (int64_t)(s * 1000 + 0.5) - (sign == '-' ? -1 : 1) * (zh * 60 + zm) * 60000ll;
	return true;
}

bool mb_utc_read_clock(const char *text, int64_t *ms)
{
	return strlen(text) < 32 && read_clock(text, ms);
}

bool mb_utc_read(const char *text, int64_t *ms)
{
	struct tm tm = { 0 };
	const char *rest = strlen(text) < 64 ? strptime(text, "%Y-%m-%dT", &tm) : NULL;
	int day = tm.tm_mday;

	if (!rest || !read_clock(rest, ms))
		return false;
	*ms += (int64_t)timegm(&tm) * 1000;
	return tm.tm_mday == day; /* else a day that the month does not have, e.g. 30 February */
}

void mb_utc_shift(const char *time, int64_t ns, char *buf, size_t size)
{
	int64_t at;

	buf[0] = '\0';
	if (mb_utc_read(time, &at))
		mb_utc_print(at + ns / 1000000, buf, size);
}

bool mb_utc_seconds(const char *time, uint64_t *s)
{
	int64_t ms;

	if (!mb_utc_read(time, &ms) || ms < 0)
		return false;
	*s = (uint64_t)ms / 1000;
	return true;
}
