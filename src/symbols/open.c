// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Opens files whose paths other users control, and reads /proc files of a process. */
#include "symbols/open.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/live_thread.h"

int mb_open_root(uint32_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/root", mb_live_thread(pid));
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Reopen an O_PATH descriptor for reading if it is a regular file. Closes found. */
static int open_found(int found, struct stat *st)
{
	char path[64];
	int fd = -1;

	if (found < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
	if (!fstat(found, st) && S_ISREG(st->st_mode))
		fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	close(found);
	return fd;
}

int mb_open_in(int root, const char *path, bool follow, struct stat *st)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return open_found((int)syscall(SYS_openat2, root, path, &how, sizeof(how)), st);
}

int mb_open_link(const char *path, struct stat *st)
{
	return open_found(open(path, O_PATH | O_CLOEXEC), st);
}

unsigned int mb_status_numbers(uint32_t pid, const char *key, uint32_t *numbers, unsigned int max)
{
	char line[512];
	unsigned int n = 0;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%u/status", pid);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *at = line + strlen(key), *end;

		if (strncmp(line, key, strlen(key)))
			continue;
		for (; n < max; at = end) {
			numbers[n] = (uint32_t)strtoul(at, &end, 10);
			if (end == at)
				break;
			n++;
		}
		break;
	}
	if (f)
		fclose(f);
	return n;
}

uint64_t mb_start_time(uint32_t pid)
{
	char text[1024], *at;
	uint64_t start = 0;
	size_t n = 0;
	FILE *f;

	snprintf(text, sizeof(text), "/proc/%u/stat", pid);
	f = fopen(text, "re");
	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	at = strrchr(text, ')'); /* the process name before it can contain any character */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		start = strtoull(at, NULL, 10);
	return start;
}
