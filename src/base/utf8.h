/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What bytes of unknown origin are as text. */
#ifndef MB_BASE_UTF8_H
#define MB_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the valid UTF-8 sequence (RFC 3629) that the string s starts with, or 0. Its end is one of 1 byte. */
size_t mb_utf8_len(const char *s);

#endif
