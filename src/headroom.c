// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Limits of a process: read when something is shown. */
#include "headroom.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "memblame/abi.h"

/* A file of one number; "max" and what is larger than any machine are no limit. */
static bool read_number(const char *dir, const char *path, const char *name, uint64_t *v)
{
	char file[MB_PATH_LEN + 512];
	FILE *f;
	bool ok;

	snprintf(file, sizeof(file), "%s%s/%s", dir, path, name);
	f = fopen(file, "re");
	ok = f && fscanf(f, "%" SCNu64, v) == 1;
	if (f)
		fclose(f);
	return ok;
}

static void take_less(uint64_t limit, uint64_t used, const char *name, uint64_t *bytes, const char **which)
{
	uint64_t left = limit > used ? limit - used : 0;

	if (limit >= UINT64_C(1) << 60 || left >= *bytes)
		return;
	*bytes = left;
	*which = name;
}

/* Of the cgroup and of all above it. v2 has memory.max, v1 memory.limit_in_bytes. */
static void cgroup_limits(const char *root, const char *cgroup, uint64_t *bytes, const char **which)
{
	char path[MB_PATH_LEN];
	uint64_t limit, used;
	char *slash;

	snprintf(path, sizeof(path), "%s", cgroup);
	while ((slash = strrchr(path, '/')) && path[1]) {
		if ((read_number(root, path, "memory.max", &limit) &&
		     read_number(root, path, "memory.current", &used)) ||
		    (read_number(root, path, "memory.limit_in_bytes", &limit) &&
		     read_number(root, path, "memory.usage_in_bytes", &used)))
			take_less(limit, used, "cgroup", bytes, which);
		*slash = '\0';
	}
}

static void address_space_limit(const struct mb_process *p, uint64_t *bytes, const char **which)
{
	char path[64], line[256];
	uint64_t limit;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/limits", p->tgid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Max address space %" SCNu64, &limit) == 1)
			take_less(limit, p->total_vm_pages * MB_PAGE_SIZE, "address space", bytes, which);
	}
	if (f)
		fclose(f);
}

/* As the last tick found it. */
static void machine_limit(const struct mb_model *m, uint64_t *bytes, const char **which)
{
	uint64_t available = m->system.now.values[MB_SYS_memory_available_bytes];
	uint64_t swap = m->system.now.values[MB_SYS_swap_free_bytes];

	if (m->system.known && available != MB_UNKNOWN)
		take_less(available + (swap == MB_UNKNOWN ? 0 : swap), 0, "free memory", bytes, which);
}

bool mb_headroom(const struct mb_model *m, const struct mb_process *p, const char *root, bool address_space,
		 uint64_t *bytes, const char **which)
{
	*bytes = UINT64_MAX;
	*which = NULL;
	if (p && root && p->cgroup_path)
		cgroup_limits(root, p->cgroup_path, bytes, which);
	if (p && address_space)
		address_space_limit(p, bytes, which);
	machine_limit(m, bytes, which);
	return *which != NULL;
}
