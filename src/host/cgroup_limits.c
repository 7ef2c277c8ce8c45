// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads the files of a memory cgroup, v1 and v2. */
#include "host/cgroup_limits.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memblame/abi.h"

/* v1 reports "no limit" as the largest number of whole pages. No real limit reaches this value. */
#define HUGE_LIMIT (1ull << 60)

static ssize_t slurp(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : 0, n = 0;

	while (fd >= 0 && (size_t)len + 1 < size &&
	       (n = read(fd, text + len, size - 1 - (size_t)len)) > 0)
		len += n;
	if (fd >= 0)
		close(fd);
	if (len < 0 || n < 0)
		return -1;
	text[len] = '\0';
	return len;
}

/* Reads a file that contains one number; "max" means no limit. */
static bool read_number(int dir, const char *name, uint64_t *v)
{
	char text[64];

	if (slurp(dir, name, text, sizeof(text)) <= 0)
		return false;
	if (!strncmp(text, "max", 3))
		*v = MB_NO_LIMIT;
	else if (sscanf(text, "%" SCNu64, v) != 1)
		return false;
	return true;
}

static uint64_t read_limit(int dir, const char *name)
{
	uint64_t v;

	return read_number(dir, name, &v) && v < HUGE_LIMIT ? v : MB_NO_LIMIT;
}

/* Sums the values of some lines "key value" of memory.stat. */
static bool sum_stat(int dir, const char *const *keys, uint64_t *sum)
{
	char text[16384], *save, *line;
	uint64_t v;

	*sum = 0;
	if (slurp(dir, "memory.stat", text, sizeof(text)) <= 0)
		return false;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, ' ');

		if (!value)
			continue;
		*value++ = '\0';
		for (const char *const *key = keys; *key; key++) {
			if (!strcmp(line, *key) && sscanf(value, "%" SCNu64, &v) == 1)
				*sum += v;
		}
	}
	return true;
}

static bool read_v2(int dir, struct mb_cgroup_memory *m)
{
	static const char *const keys[] = { "inactive_file", "active_file", "slab_reclaimable",
					    NULL };

	if (!sum_stat(dir, keys, &m->reclaimable_bytes))
		return false;
	m->max_bytes = read_limit(dir, "memory.max");
	m->high_bytes = read_limit(dir, "memory.high");
	m->swap_max_bytes = read_limit(dir, "memory.swap.max");
	read_number(dir, "memory.swap.current", &m->swapped_bytes);
	return true;
}

static bool read_v1(int dir, struct mb_cgroup_memory *m)
{
	static const char *const keys[] = { "total_inactive_file", "total_active_file", NULL };
	uint64_t swappiness;

	if (!sum_stat(dir, keys, &m->reclaimable_bytes))
		return false;
	m->max_bytes = read_limit(dir, "memory.limit_in_bytes");
	m->both_max_bytes = read_limit(dir, "memory.memsw.limit_in_bytes");
	if (read_number(dir, "memory.memsw.usage_in_bytes", &m->both_bytes) &&
	    m->both_bytes > m->usage_bytes)
		m->swapped_bytes = m->both_bytes - m->usage_bytes;
	m->no_swap = read_number(dir, "memory.swappiness", &swappiness) && !swappiness;
	return true;
}

bool mb_cgroup_memory_read(int dir, struct mb_cgroup_memory *m)
{
	bool there;

	*m = (struct mb_cgroup_memory){ .max_bytes = MB_NO_LIMIT,
					.high_bytes = MB_NO_LIMIT,
					.swap_max_bytes = MB_NO_LIMIT,
					.both_max_bytes = MB_NO_LIMIT };
	if (read_number(dir, "memory.current", &m->usage_bytes))
		there = read_v2(dir, m);
	else
		there = read_number(dir, "memory.usage_in_bytes", &m->usage_bytes) &&
			read_v1(dir, m);
	/* the files are read one after the other, so they may disagree */
	if (m->reclaimable_bytes > m->usage_bytes)
		m->reclaimable_bytes = m->usage_bytes;
	return there;
}

bool mb_cgroup_memory_is_whole(int dir)
{
	uint64_t v;

	return !read_number(dir, "memory.use_hierarchy", &v) || v;
}
