// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads data of processes that only /proc and the cgroup file system have. */
#include "host/procfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/live_thread.h"

static void identify(struct mb_ingest *ingest, const struct mb_process *p, struct mb_cgroups *c)
{
	char link[64], path[4096];
	ssize_t n = -1;

	snprintf(link, sizeof(link), "/proc/%u/exe", p->exited ? p->tgid : mb_live_thread(p->tgid));
	if (!p->exited)
		n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	mb_ingest_identity(ingest, p, n > 0 ? path : NULL, mb_cgroups_path(c, p->cgroup));
}

void mb_procfs_identify(struct mb_ingest *ingest, struct mb_cgroups *c)
{
	struct mb_process *p;

	mb_cgroups_tick(c);
	DL_FOREACH(ingest->model->all, p)
	{
		if (!p->looked_up)
			identify(ingest, p, c);
	}
	DL_FOREACH(ingest->model->ended.rows, p)
	{
		if (!p->looked_up)
			identify(ingest, p, c);
	}
}

/*
 * Reads proportional and unique set size. For processes of other users this needs CAP_SYS_PTRACE.
 */
static void read_shares(struct mb_memory *m, uint32_t tid)
{
	static const char *const private[] = { "Private_Clean:", "Private_Dirty:",
					       "Private_Hugetlb:" };
	uint64_t pss_bytes = MB_UNKNOWN, uss_bytes = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/smaps_rollup", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long kib;

		if (sscanf(line, "%*s %llu kB", &kib) != 1)
			continue;
		if (strncmp(line, "Pss:", 4) == 0)
			pss_bytes = kib * 1024;
		for (size_t i = 0; i < MB_ARRAY_SIZE(private); i++) {
			if (strncmp(line, private[i], strlen(private[i])) == 0)
				uss_bytes += kib * 1024;
		}
	}
	if (f)
		fclose(f);
	m->pss_bytes = pss_bytes;
	m->uss_bytes = pss_bytes == MB_UNKNOWN ? MB_UNKNOWN : uss_bytes;
}

/*
 * Reads the status of one thread. Returns false if the thread does not exist. *has_memory: the file
 * contains memory sizes.
 */
static bool read_status(struct mb_memory *m, uint32_t tid, bool *has_memory)
{
	static const struct {
		const char *name;
		int counter;
	} rss[] = { { "RssFile:", 0 }, { "RssAnon:", 1 }, { "VmSwap:", 2 }, { "RssShmem:", 3 } };
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	*has_memory = false;
	while (fgets(line, sizeof(line), f)) {
		unsigned long long kib;

		if (sscanf(line, "%*s %llu kB", &kib) != 1)
			continue;
		for (size_t i = 0; i < MB_ARRAY_SIZE(rss); i++) {
			if (strncmp(line, rss[i].name, strlen(rss[i].name)) == 0)
				m->rss_pages[rss[i].counter] = kib * 1024 / MB_PAGE_SIZE;
		}
		if (strncmp(line, "VmSize:", 7) == 0) {
			m->total_vm_pages = kib * 1024 / MB_PAGE_SIZE;
			*has_memory = true;
		}
		if (strncmp(line, "VmHWM:", 6) == 0 && kib * 1024 / MB_PAGE_SIZE > m->peak_pages)
			m->peak_pages = kib * 1024 / MB_PAGE_SIZE;
	}
	fclose(f);
	return true;
}

static void read_memory(struct mb_ingest *ingest, const struct mb_process *p)
{
	struct mb_memory m = { .tgid = p->tgid,
			       .start_ns = p->start_ns,
			       .total_vm_pages = p->total_vm_pages,
			       .peak_pages = p->peak_pages,
			       .pss_bytes = MB_UNKNOWN,
			       .uss_bytes = MB_UNKNOWN };
	uint32_t tid = p->tgid;
	bool has_memory;

	memcpy(m.rss_pages, p->rss_pages, sizeof(m.rss_pages));
	if (!read_status(&m, tid, &has_memory))
		return; /* the process has ended, but its exit event has not arrived yet */
	if (!has_memory) { /* the thread group leader has exited */
		tid = mb_live_thread(p->tgid);
		if (tid != p->tgid)
			read_status(&m, tid, &has_memory);
	}
	if (ingest->model->pss)
		read_shares(&m, tid);
	mb_ingest(ingest, MB_INGEST_MEMORY, &m, sizeof(m));
}

void mb_procfs_memory(struct mb_ingest *ingest, bool changed_only)
{
	struct mb_process *p;

	DL_FOREACH(ingest->model->all, p)
	{
		bool changed = memcmp(p->values, p->before, mb_slots() * sizeof(*p->values)) != 0;

		if (!p->exited && p->has_memory && (changed || !changed_only))
			read_memory(ingest, p);
	}
}
