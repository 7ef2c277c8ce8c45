/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The two clocks of memblame: CLOCK_BOOTTIME for events, UTC for people. */
#ifndef MB_BASE_CLOCK_H
#define MB_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MB_NS_PER_S 1000000000ull

/* Now on CLOCK_BOOTTIME, in ns: the clock of every t_ns (bpf_ktime_get_boot_ns). */
uint64_t mb_now_ns(void);

/* Now as RFC 3339 UTC with milliseconds, e.g. 2026-01-02T03:04:05.678Z; buf of >= 32 bytes. */
void mb_utc_now(char *buf, size_t size);

/*
 * Such a time, or one without seconds or with a zone other than Z ("2026-01-02T10:00+02:00"; without any it is UTC), as
 * ms since 1970. False for text that is none.
 */
bool mb_utc_read(const char *text, int64_t *ms);

/* "10:00", with seconds or a zone maybe, as ms since the day began in UTC: below 0 where it is the day before there. */
bool mb_utc_read_clock(const char *text, int64_t *ms);

/* ms since 1970 as mb_utc_now() has it; buf of >= 32 bytes. */
void mb_utc_print(int64_t ms, char *buf, size_t size);

/* Such a time, moved by so many ns (to the millisecond); "" for text that is none. buf of >= 32 bytes. */
void mb_utc_shift(const char *time, int64_t ns, char *buf, size_t size);

/* Such a time as seconds since 1970; false for text that is none. */
bool mb_utc_seconds(const char *time, uint64_t *s);

#endif
