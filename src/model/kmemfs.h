/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Parser for the kernel's own memory statistics, /proc/slabinfo and /proc/vmallocinfo, line by
 * line. No I/O.
 */
#ifndef MB_MODEL_KMEMFS_H
#define MB_MODEL_KMEMFS_H

#include <stdbool.h>
#include <stdint.h>

#define MB_KMEMFS_NAME 64

struct mb_kmemfs_line {
	char name[MB_KMEMFS_NAME]; /* of the cache, or of the function that allocated the area */
	uint64_t bytes; /* in use */
	uint64_t objects; /* 1 for a vmalloc area */
};

/*
 * Parse the next line that describes memory; *text advances past it. Skips other lines (headings,
 * mapped device memory, areas waiting to be unmapped) and malformed lines. Returns false at the end
 * of the text.
 */
bool mb_kmemfs_slabinfo(const char **text, struct mb_kmemfs_line *out);
bool mb_kmemfs_vmallocinfo(const char **text, struct mb_kmemfs_line *out);

#endif
