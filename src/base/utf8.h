/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Checks and cleans text of unknown origin. */
#ifndef MB_BASE_UTF8_H
#define MB_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Length in bytes of the valid UTF-8 sequence (RFC 3629) at the start of text, or 0 if there is none. The NUL that
 * ends text counts as a sequence of 1 byte.
 */
size_t mb_utf8_len(const char *text);

/*
 * Whether a sequence of length len (from mb_utf8_len) may be displayed. Control characters, line separators and
 * invalid sequences may not.
 */
bool mb_utf8_is_shown(const char *s, size_t len);

/*
 * Make an untrusted name (program, path, symbol, perf map) safe for a terminal or a line-based file: the result is
 * valid UTF-8, with '?' for each invalid byte and each character that may not be displayed. Truncates at a character
 * boundary to size bytes including the NUL. Returns to.
 */
char *mb_utf8_clean(char *to, size_t size, const char *s);

#endif
