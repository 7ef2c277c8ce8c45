/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The two clocks of memblame: CLOCK_BOOTTIME for events, UTC for output that people read. */
#ifndef MB_BASE_CLOCK_H
#define MB_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MB_NS_PER_S 1000000000ull

/* Current CLOCK_BOOTTIME in ns. Every t_ns field uses this clock (bpf_ktime_get_boot_ns). */
uint64_t mb_now_ns(void);

/* Write the current time as RFC 3339 UTC with milliseconds, e.g. 2026-01-02T03:04:05.678Z. buf has >= 32 bytes. */
void mb_utc_now(char *buf, size_t size);

/*
 * Parse a date and time into ms since 1970. Seconds may be missing, and the zone may be other than Z
 * ("2026-01-02T10:00+02:00"); without a zone the time is UTC. Returns false if text is not such a time.
 */
bool mb_utc_read(const char *text, int64_t *ms);

/*
 * Parse a time of day such as "10:00", optionally with seconds and a zone, into ms since midnight UTC. The result is
 * negative if the zone moves the time to the previous UTC day. Returns false if text is not such a time.
 */
bool mb_utc_read_clock(const char *text, int64_t *ms);

/* Write ms since 1970 in the format of mb_utc_now(). buf has >= 32 bytes. */
void mb_utc_print(int64_t ms, char *buf, size_t size);

/* Write the time shifted by ns (rounded to milliseconds), or "" if time cannot be parsed. buf has >= 32 bytes. */
void mb_utc_shift(const char *time, int64_t ns, char *buf, size_t size);

/* Parse a date and time into whole seconds since 1970. Returns false if time cannot be parsed. */
bool mb_utc_seconds(const char *time, uint64_t *s);

#endif
