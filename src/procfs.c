// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* What only /proc and the cgroup file system know of a process. */
#include "procfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

static void identify(struct mb_process *p, struct mb_cgroups *c)
{
	const char *cgroup = mb_cgroups_path(c, p->cgroup);
	char link[64], path[4096];
	ssize_t n;

	p->looked_up = true;
	free(p->cgroup_path);
	p->cgroup_path = cgroup ? strdup(cgroup) : NULL;
	if (p->exited)
		return; /* the path given to exec is all there is */
	snprintf(link, sizeof(link), "/proc/%u/exe", p->tgid);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return;
	free(p->exe);
	p->exe = strndup(path, (size_t)n);
}

void mb_procfs_identify(struct mb_model *m, struct mb_cgroups *c)
{
	struct mb_process *p;

	mb_cgroups_tick(c);
	DL_FOREACH(m->all, p)
	{
		if (!p->looked_up)
			identify(p, c);
	}
}

static void read_memory(struct mb_process *p)
{
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", p->tgid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		static const struct {
			const char *name;
			int counter;
		} rss[] = {
			{ "RssFile:", 0 }, { "RssAnon:", 1 }, { "VmSwap:", 2 }, { "RssShmem:", 3 }
		};
		unsigned long long kib;

		if (sscanf(line, "%*s %llu kB", &kib) != 1)
			continue;
		for (size_t i = 0; i < MB_ARRAY_SIZE(rss); i++) {
			if (strncmp(line, rss[i].name, strlen(rss[i].name)) == 0)
				p->rss_pages[rss[i].counter] = kib * 1024 / MB_PAGE_SIZE;
		}
		if (strncmp(line, "VmSize:", 7) == 0)
			p->total_vm_pages = kib * 1024 / MB_PAGE_SIZE;
		if (strncmp(line, "VmHWM:", 6) == 0 && kib * 1024 / MB_PAGE_SIZE > p->peak_pages)
			p->peak_pages = kib * 1024 / MB_PAGE_SIZE;
	}
	if (f)
		fclose(f);
}

void mb_procfs_memory(struct mb_model *m, bool changed_only)
{
	struct mb_process *p;

	DL_FOREACH(m->all, p)
	{
		bool changed = memcmp(p->values, p->before, mb_slots() * sizeof(*p->values)) != 0;

		/* a process whose end has not been noticed yet has no such file: nothing happens */
		if (!p->exited && p->has_memory && (changed || !changed_only))
			read_memory(p);
	}
}
