// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Converts /proc/PID/maps to regions. */
#include "host/procmaps.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/live_thread.h"

/* "start-end rwxp offset dev inode   path" */
static bool parse_line(const char *line, struct mb_region *r)
{
	char shared, path[64] = "";
	uint64_t inode, offset;
	int n = sscanf(line, "%" SCNx64 "-%" SCNx64 " %*c%*c%*c%c %" SCNx64 " %*x:%*x %" SCNu64 " %63s", &r->start,
		       &r->end, &shared, &offset, &inode, path);

	if (n < 5 || r->start >= (1ull << 63)) /* [vsyscall] belongs to the kernel */
		return false;
	r->stack = 0;
	r->attached = strncmp(path, "/SYSV", 5) ? 0 : r->start - offset;
	if (!strcmp(path, "[stack]"))
		r->kind = MB_REGION_STACK;
	else if (!strcmp(path, "[heap]"))
		r->kind = MB_REGION_HEAP;
	else if (!inode)
		r->kind = MB_REGION_ANON;
	else if (!strncmp(path, "/dev/zero", 9) || !strncmp(path, "/memfd:", 7) || !strncmp(path, "/SYSV", 5))
		r->kind = MB_REGION_SHARED;
	else
		r->kind = MB_REGION_FILE;
	return true;
}

static struct mb_region *add(struct mb_region *list, size_t *n, size_t *room, const struct mb_region *r)
{
	struct mb_region *bigger = list;

	if (*n == *room) {
		*room = *room ? *room * 2 : 128;
		bigger = realloc(list, *room * sizeof(*list));
		if (!bigger) {
			free(list);
			return NULL;
		}
	}
	bigger[(*n)++] = *r;
	return bigger;
}

bool mb_procmaps_read(uint32_t pid, struct mb_region **list, size_t *n)
{
	struct mb_region piece;
	char path[64], line[512];
	bool begin = true;
	size_t room = 0;
	FILE *f;

	*list = NULL;
	*n = 0;
	memset(&piece, 0, sizeof(piece));
	snprintf(path, sizeof(path), "/proc/%u/maps", mb_live_thread(pid));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		/*
		 * a long path may not fit into the buffer; the rest of the line is not a line of
		 * its own
		 */
		if (begin && parse_line(line, &piece))
			*list = add(*list, n, &room, &piece);
		begin = strchr(line, '\n') != NULL;
		if (*n && !*list)
			break;
	}
	if (f)
		fclose(f);
	return *list;
}

uint64_t mb_procmaps_peak(uint32_t pid)
{
	char path[64], line[128];
	uint64_t kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", mb_live_thread(pid));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "VmHWM: %" SCNu64 " kB", &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kib * 1024;
}
