/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the debug information of one file says about addresses: functions, also inlined ones, source files and
 * lines; without it, symbols. It is in the file itself or in one of its own (by build-id or debug link, in the
 * file systems of this machine and of the process); nothing is ever fetched from elsewhere.
 */
#ifndef MB_SYMBOLS_DEBUGINFO_H
#define MB_SYMBOLS_DEBUGINFO_H

#include "symbols/image.h"

struct mb_debuginfo;

struct mb_source {
	const char *function; /* mangled, or plain; NULL: not known */
	const char *file; /* NULL: not known */
	unsigned int line; /* 0: not known */
};

/* root: directory of the process's root, or -1; path: the file's name in it. NULL: no memory. */
struct mb_debuginfo *mb_debuginfo_open(const struct mb_image *im, const char *path, int root);
void mb_debuginfo_close(struct mb_debuginfo *d); /* NULL is fine */

/*
 * The functions at an address (as the file counts them), innermost first; returns how many, at least 1 where
 * max is. Strings live until it is closed.
 */
unsigned int mb_debuginfo_find(struct mb_debuginfo *d, uint64_t address, struct mb_source *sources,
			       unsigned int max);

/* Bytes it takes, about; grows with use. */
size_t mb_debuginfo_cost(const struct mb_debuginfo *d);

#endif
