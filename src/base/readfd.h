/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A small file as a whole. */
#ifndef MB_BASE_READFD_H
#define MB_BASE_READFD_H

#include <stddef.h>

/*
 * Read what a descriptor (negative: none) has, up to size - 1 bytes, and close it. Returns the length, 0 where it cannot be
 * read; a NUL ends the text.
 */
size_t mb_read_fd(int fd, char *buf, size_t size);

#endif
