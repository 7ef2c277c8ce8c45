/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Numbers with units, as people read and write them: 1.2 GiB, 3.4 ms; 64M, 1h30m. */
#ifndef MB_BASE_UNITS_H
#define MB_BASE_UNITS_H

#include <stdbool.h>
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

/*
 * Parse len characters, digits with an optional fraction ("1.5"), as a multiple of unit. Returns false if they are no
 * such number, or too large.
 */
bool mb_parse_number(const char *text, size_t len, uint64_t unit, uint64_t *out);

/*
 * Parse a time ("90", "1.5", "500ms", "1h30m"; d, h, m, s, ms, us, ns; without a unit: seconds) into ns, or a size
 * ("4096", "64M", "1.5GiB"; B, K, M, G, T, also KiB and so on, all of them powers of 1024) into bytes. Returns false if
 * the text is neither.
 */
bool mb_parse_time(const char *text, uint64_t *ns);
bool mb_parse_bytes(const char *text, uint64_t *bytes);

/* Format exactly, as the functions above parse it: "1h30m", "1536MiB". */
void mb_show_time(uint64_t ns, char *buf, size_t size);
void mb_show_bytes(uint64_t bytes, char *buf, size_t size);

#endif
