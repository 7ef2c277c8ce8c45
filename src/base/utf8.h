/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What bytes of unknown origin are as text. */
#ifndef MB_BASE_UTF8_H
#define MB_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the valid UTF-8 sequence (RFC 3629) that the string s starts with, or 0. Its end is one of 1 byte. */
size_t mb_utf8_len(const char *text);

/* May a sequence of that length (mb_utf8_len) be shown? Not control characters, line separators, and broken ones. */
bool mb_utf8_is_shown(const char *s, size_t len);

/*
 * A name from outside (programs, paths, symbols, perf maps) as it may go to a terminal or a file of lines: valid UTF-8,
 * '?' for each byte that is not, and for what may not be shown. What does not fit in size bytes, the NUL included, is
 * left out as whole characters. Returns to.
 */
char *mb_utf8_clean(char *to, size_t size, const char *s);

#endif
