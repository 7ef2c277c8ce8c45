/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Paths that are longer than the kernel takes at once (PATH_MAX), as those of cgroups can be. */
#ifndef MB_BASE_LONGPATH_H
#define MB_BASE_LONGPATH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Open a path of any length, part by part. below: from the directory root on, with or without a leading slash; root
 * NULL: below is the whole path. flags as for open(2), O_CLOEXEC is added. Returns a descriptor or -errno.
 */
int mb_long_open(const char *root, const char *below, int flags);

/* The same of a file in that directory. */
int mb_long_open_in(const char *root, const char *below, const char *name, int flags);

/*
 * Copy text; what does not fit into size bytes is left out of the middle, where "...(id N)..." stands for it, so that
 * different texts stay different and nobody takes what is there for the whole.
 */
void mb_shorten(char *to, size_t size, const char *text, uint64_t id);

#endif
