/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A pool that stores each string once: names and paths that outlive the files they were read from. */
#ifndef MB_SYMBOLS_STRINGS_H
#define MB_SYMBOLS_STRINGS_H

#include <stddef.h>

struct mb_string;

/* The pool; all zero: empty. */
struct mb_strings {
	struct mb_string *all;
	size_t bytes;
};

/* The pool's copy of a string. Returns NULL if s is NULL, out of memory, or the pool is full (64 MiB). */
const char *mb_strings_keep(struct mb_strings *p, const char *s);

/* Free all strings. */
void mb_strings_free(struct mb_strings *p);

#endif
