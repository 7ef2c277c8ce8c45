/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Numbers with units for output that people read: 1.2 GiB, 3.4 ms. */
#ifndef MB_BASE_UNITS_H
#define MB_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define MB_UNITS_LEN 24

enum mb_unit { MB_UNIT_COUNT, MB_UNIT_NS, MB_UNIT_BYTES, MB_UNIT_PAGES };

/*
 * Format value into buf (of MB_UNITS_LEN bytes) and return buf: three significant digits with a binary (bytes) or
 * decimal (time) prefix. Counts and pages are written in full.
 */
const char *mb_format(char *buf, enum mb_unit unit, uint64_t value);

/* An account number that is not known. No sum of counts or times comes near this value. */
#define MB_NO_VALUE ((uint64_t)INT64_MIN)

/* As mb_format(), for an account number: signed, with a minus sign below zero, and "?" for MB_NO_VALUE. */
const char *mb_format_number(char *buf, enum mb_unit unit, uint64_t value);

#endif
