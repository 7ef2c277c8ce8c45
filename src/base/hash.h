/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A hash of bytes (FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/), used to detect whether something has
 * changed.
 */
#ifndef MB_BASE_HASH_H
#define MB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define MB_HASH_BEGIN 0xcbf29ce484222325ull

/* Extend the hash h by len bytes of data. Start with MB_HASH_BEGIN. */
uint64_t mb_hash(uint64_t h, const void *data, size_t len);

/* Extend the hash h by a string including its NUL. NULL is allowed and differs from "". */
uint64_t mb_hash_text(uint64_t h, const char *text);

#endif
