/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Numbers for people: 1.2 GiB, 3.4 ms. */
#ifndef MB_BASE_UNITS_H
#define MB_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define MB_UNITS_LEN 24

enum mb_unit { MB_UNIT_COUNT, MB_UNIT_NS, MB_UNIT_BYTES, MB_UNIT_PAGES };

/*
 * Write value in its unit into buf (of MB_UNITS_LEN), and return buf. Three significant digits
 * with a binary (bytes) or decimal (time) prefix; counts and pages in full.
 */
const char *mb_format(char *buf, enum mb_unit unit, uint64_t value);

/* A number of an account that is not known: no sum of counts or times comes near it. */
#define MB_NO_VALUE ((uint64_t)INT64_MIN)

/* The same of a number of an account: signed, with a minus sign below zero; "?" for MB_NO_VALUE. */
const char *mb_format_number(char *buf, enum mb_unit unit, uint64_t value);

#endif
