/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Paths longer than the kernel accepts in one call (PATH_MAX). Paths of cgroups can be that long. */
#ifndef MB_BASE_LONGPATH_H
#define MB_BASE_LONGPATH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Open a path of any length, component by component. below is relative to the directory root, with or without a
 * leading slash; if root is NULL, below is the whole path. flags are as for open(2); O_CLOEXEC is added. Returns a
 * descriptor or -errno.
 */
int mb_long_open(const char *root, const char *below, int flags);

/* As mb_long_open(), for the file called name in that directory. */
int mb_long_open_in(const char *root, const char *below, const char *name, int flags);

/*
 * Copy text. If it does not fit into size bytes, "...(id N)..." replaces its middle, so that different texts stay
 * different and the result is not mistaken for the whole text.
 */
void mb_shorten(char *to, size_t size, const char *text, uint64_t id);

#endif
