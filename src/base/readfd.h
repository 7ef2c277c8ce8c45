/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reads a small file in one call. */
#ifndef MB_BASE_READFD_H
#define MB_BASE_READFD_H

#include <stddef.h>

/*
 * Read up to size - 1 bytes from a descriptor and close it. A negative fd is allowed and reads nothing. Returns the
 * length, 0 if the descriptor cannot be read; the text is NUL-terminated.
 */
size_t mb_read_fd(int fd, char *buf, size_t size);

#endif
