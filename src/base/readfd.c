// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads a small file in one call. */
#include "base/readfd.h"

#include <unistd.h>

size_t mb_read_fd(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = fd < 0 ? 0 : 1;

	while (n > 0 && len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	buf[len] = '\0';
	return len;
}
