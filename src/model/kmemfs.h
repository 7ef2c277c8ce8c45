/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The kernel of its own memory: the texts of /proc/slabinfo and /proc/vmallocinfo, line by line. No I/O. */
#ifndef MB_MODEL_KMEMFS_H
#define MB_MODEL_KMEMFS_H

#include <stdbool.h>
#include <stdint.h>

#define MB_KMEMFS_NAME 64

struct mb_kmemfs_line {
	char name[MB_KMEMFS_NAME]; /* of the cache; of the function that asked for the area */
	uint64_t bytes; /* in use */
	uint64_t objects; /* areas: 1 */
};

/*
 * Take the next line of a text that is about memory; *text moves on behind it. Lines that are not (headings,
 * device memory that is mapped, areas that wait for being taken down) and such as are not understood are skipped.
 * False: the text is at its end.
 */
bool mb_kmemfs_slabinfo(const char **text, struct mb_kmemfs_line *out);
bool mb_kmemfs_vmallocinfo(const char **text, struct mb_kmemfs_line *out);

#endif
