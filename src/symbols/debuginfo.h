/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Looks up addresses in the debug information of one file: functions including inlined ones, source
 * files and lines; falls back to symbols if there is none. The debug information is in the file
 * itself or in a separate file (found by build-id or debug link, in the file systems of the host
 * and of the process). Nothing is ever downloaded.
 */
#ifndef MB_SYMBOLS_DEBUGINFO_H
#define MB_SYMBOLS_DEBUGINFO_H

#include "symbols/image.h"

struct mb_debuginfo;

/* One function at an address, and the source line in it. */
struct mb_source {
	const char *function; /* mangled or plain name; NULL: not known */
	const char *file; /* NULL: not known */
	unsigned int line; /* 0: not known */
};

/*
 * Open the debug information of a file. root: file descriptor of the process's root directory, or
 * -1; path: path of the file in that root. Returns NULL if out of memory.
 */
struct mb_debuginfo *mb_debuginfo_open(const struct mb_image *im, const char *path, int root);
void mb_debuginfo_close(struct mb_debuginfo *d); /* NULL is fine */

/*
 * Find the functions at an address (virtual address in the file), innermost first. Returns their
 * number, at least 1 unless max is 0. Strings are valid until d is closed.
 */
unsigned int mb_debuginfo_find(struct mb_debuginfo *d, uint64_t address, struct mb_source *sources,
			       unsigned int max);

/* Approximate memory use in bytes; grows as addresses are looked up. */
size_t mb_debuginfo_cost(const struct mb_debuginfo *d);

#endif
