// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Paths longer than the kernel accepts in one call. */
#include "base/longpath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Length of the part of path to open in one call: whole components, as many as the kernel accepts. 0 if one component
 * is too long.
 */
static size_t piece(const char *path)
{
	size_t n = strlen(path);

	if (n < PATH_MAX)
		return n;
	for (n = PATH_MAX - 1; n && path[n] != '/'; n--)
		;
	return n;
}

static int open_piece(int dir, const char *path, size_t n, int flags)
{
	char part[PATH_MAX];
	int fd;

	memcpy(part, path, n);
	part[n] = '\0';
	fd = openat(dir, n ? part : ".", flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Open path relative to dir. Closes dir. */
static int open_from(int dir, const char *path, int flags)
{
	for (;;) {
		size_t n = piece(path);
		int last = !path[n], fd = -ENAMETOOLONG;

		if (n || last)
			fd = open_piece(dir, path, n, last ? flags : O_PATH | O_DIRECTORY);
		if (dir >= 0)
			close(dir);
		if (fd < 0 || last)
			return fd;
		dir = fd;
		path += n + strspn(path + n, "/");
	}
}

int mb_long_open(const char *root, const char *below, int flags)
{
	int dir = AT_FDCWD;

	if (root) {
		dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return -errno;
		below += strspn(below, "/");
	}
	return open_from(dir, below, flags);
}

int mb_long_open_in(const char *root, const char *below, const char *name, int flags)
{
	int dir = mb_long_open(root, below, O_PATH | O_DIRECTORY), fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, name, flags | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(dir);
	return fd;
}

void mb_shorten(char *to, size_t size, const char *text, uint64_t id)
{
	size_t len = strlen(text), n, front;
	char mark[48];

	if (len < size) {
		memcpy(to, text, len + 1);
		return;
	}
	n = (size_t)snprintf(mark, sizeof(mark), "...(id %llu)...", (unsigned long long)id);
	if (size <= n) {
		snprintf(to, size, "%s", text);
		return;
	}
	front = (size - 1 - n) / 2;
	memcpy(to, text, front);
	memcpy(to + front, mark, n);
	n += front;
	memcpy(to + n, text + len - (size - 1 - n), size - n);
}
