// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* /proc/PID/maps as regions, /proc/PID/pagemap as resident pages. */
#include "procmaps.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define PAGE ((uint64_t)MB_PAGE_SIZE)
#define BLOCK_PAGES 512u /* of page map entries read at once: 4 KiB of the file, 2 MiB of memory */

/* Documentation/admin-guide/mm/pagemap.rst */
#define PAGE_PRESENT (1ull << 63)
#define PAGE_SWAPPED (1ull << 62)
#define PAGE_OF_FILE (1ull << 61) /* or shared anonymous */

/* "start-end rwxp offset dev inode   path" */
static bool parse_line(const char *line, struct mb_region *r)
{
	char shared, path[64] = "";
	uint64_t inode;
	int n = sscanf(line, "%" SCNx64 "-%" SCNx64 " %*c%*c%*c%c %*x %*x:%*x %" SCNu64 " %63s", &r->start, &r->end,
		       &shared, &inode, path);

	if (n < 4 || r->start >= (1ull << 63)) /* [vsyscall] is the kernel's own */
		return false;
	r->stack = 0;
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

bool mb_procmaps_sync(struct mb_regions *r, uint32_t pid)
{
	struct mb_region *list = NULL, piece;
	size_t n = 0, room = 0;
	uint64_t from = mb_now_ns();
	char path[64], line[512];
	bool begin = true;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		/* a long path is the rest of a line, not one */
		if (begin && parse_line(line, &piece))
			list = add(list, &n, &room, &piece);
		begin = strchr(line, '\n') != NULL;
		if (n && !list)
			break;
	}
	if (f)
		fclose(f);
	if (!list)
		return false;
	mb_regions_sync(r, list, n, from, mb_now_ns());
	free(list);
	return true;
}

struct page_map {
	int fd;
	uint64_t first; /* page number of entries[0] */
	size_t n;
	uint64_t entries[BLOCK_PAGES];
};

/* The entry of a page, of the block that is read when it is needed. 0: not there. */
static uint64_t entry_of(struct page_map *m, uint64_t addr)
{
	uint64_t page = addr / PAGE;
	ssize_t len;

	if (page < m->first || page >= m->first + BLOCK_PAGES) {
		m->first = page & ~(uint64_t)(BLOCK_PAGES - 1);
		memset(m->entries, 0, sizeof(m->entries));
		len = pread(m->fd, m->entries, sizeof(m->entries), (off_t)(m->first * sizeof(m->entries[0])));
		m->n = len > 0 ? (size_t)len / sizeof(m->entries[0]) : 0;
	}
	return page - m->first < m->n ? m->entries[page - m->first] : 0;
}

/* Anonymous memory: of files, what was written to a private mapping. */
static bool counts(uint64_t entry, uint32_t kind)
{
	if (!(entry & (PAGE_PRESENT | PAGE_SWAPPED)))
		return false;
	return kind == MB_REGION_SHARED || !(entry & PAGE_OF_FILE);
}

/* Pages of the sample in one region that nobody follows yet. */
static void find_in(struct mb_pages *p, struct page_map *m, const struct mb_region *r, uint32_t mask, bool before)
{
	for (uint64_t addr = r->start; addr < r->end; addr += PAGE) {
		if (!mb_page_sampled(addr, mask) || !counts(entry_of(m, addr), r->kind))
			continue;
		if (!mb_pages_at(p, addr))
			mb_pages_found(p, addr, before ? 0 : r->stack);
	}
}

bool mb_procmaps_pages(struct mb_pages *p, const struct mb_regions *r, uint32_t pid, uint32_t mask, bool find,
		       bool before)
{
	struct page_map m = { .first = UINT64_MAX - BLOCK_PAGES };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/pagemap", pid);
	m.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (m.fd < 0)
		return false;
	mb_pages_sort(p);
	for (size_t i = 0; i < p->n; i++) {
		const struct mb_region *at = mb_regions_at(r, p->list[i].addr);

		mb_pages_answer(p, i, at && counts(entry_of(&m, p->list[i].addr), at->kind));
	}
	mb_pages_sweep(p);
	for (size_t i = 0; find && i < r->n; i++) {
		if (r->list[i].kind != MB_REGION_FILE)
			find_in(p, &m, &r->list[i], mask, before);
	}
	mb_pages_sort(p);
	close(m.fd);
	return true;
}
