// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Finds the resident pages of a process. Since 6.7, the kernel reports ranges of pages and quickly
 * skips address space that is only reserved. On older kernels the page map is read entry by entry.
 */
#include "host/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/live_thread.h"

#define PAGE ((uint64_t)MB_PAGE_SIZE)
#define HUGE_BYTES (2ull << 20)

/* ---- kernel interface ---- */

/* from include/uapi/linux/fs.h; older systems do not have these declarations */
struct scan_range {
	uint64_t start, end, categories;
};

struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN _IOWR('f', 16, struct scan) /* PAGEMAP_SCAN */
#define IS_FILE (1u << 2) /* file or shared anonymous memory */
#define IS_PRESENT (1u << 3)
#define IS_SWAPPED (1u << 4)
#define IS_ZERO (1u << 5) /* the shared zero page, mapped until the first write */

#define RANGES 512u /* ranges per system call */

/* Bits of a page map entry. */
#define ENTRY_PRESENT (1ull << 63)
#define ENTRY_SWAPPED (1ull << 62)
#define ENTRY_FILE (1ull << 61)
#define ENTRY_PFN ((1ull << 55) - 1) /* 0 for processes without the privilege to read it */

#define BLOCK_PAGES 512u /* entries read at a time: 4 KiB of the file, 2 MiB of memory */

/* Without ranges, the search of larger regions is limited to this time per call. */
#define LARGE_BYTES (1ull << 30)
#define TURN_NS (50 * 1000000ull)

struct look {
	struct mb_pages *p;
	const struct mb_regions *r;
	int fd;
	uint32_t mask;
	size_t at; /* index of the next followed page to check */
	struct mb_pagemap *out;
	size_t room; /* for found pages */
	uint64_t first; /* page number of entries[0] */
	size_t n_entries;
	uint64_t entries[BLOCK_PAGES];
};

static void add_found(struct look *k, uint64_t addr)
{
	struct mb_pagemap *out = k->out;
	uint64_t *bigger;

	if (out->n_found == k->room) {
		bigger = realloc(out->found, (k->room * 2 + 256) * sizeof(*bigger));
		out->failed |= !bigger;
		if (!bigger)
			return;
		out->found = bigger;
		k->room = k->room * 2 + 256;
	}
	out->found[out->n_found++] = addr;
}

static bool is_shared(const struct mb_region *r)
{
	return r && r->kind == MB_REGION_SHARED;
}

/* ---- by ranges ---- */

static void set_state(struct look *k, bool there, const struct mb_region *r)
{
	k->out->states[k->at++] = (uint8_t)((there ? MB_PAGEMAP_THERE : 0) | (is_shared(r) ? MB_PAGEMAP_SHARED : 0));
}

/* All followed pages before this address are not resident. */
static void skip_until(struct look *k, uint64_t addr)
{
	while (k->at < k->out->n_states && k->p->list[k->at].addr < addr)
		k->at++;
}

static void take_range(struct look *k, const struct mb_region *r, uint64_t start, uint64_t end)
{
	skip_until(k, start);
	for (uint64_t addr = start; addr < end; addr += PAGE) {
		if (k->at < k->out->n_states && k->p->list[k->at].addr == addr)
			set_state(k, true, r);
		else if (r->kind != MB_REGION_FILE && mb_page_sampled(addr, k->mask))
			add_found(k, addr);
	}
}

/*
 * Scans a region for anonymous pages that have been written to; in private file mappings, for pages
 * that have been written to. A region that has been unmapped meanwhile has none.
 */
static void scan_region(struct look *k, const struct mb_region *r)
{
	static struct scan_range ranges[RANGES];
	struct scan s = { .size = sizeof(s), .start = r->start, .end = r->end, .vec = (uintptr_t)ranges, .vec_len = RANGES,
			  .category_anyof_mask = IS_PRESENT | IS_SWAPPED, .return_mask = IS_PRESENT };

	s.category_mask = s.category_inverted = is_shared(r) ? IS_ZERO : IS_ZERO | IS_FILE;
	while (s.start < s.end) {
		int n = ioctl(k->fd, SCAN, &s);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		for (int i = 0; i < n; i++)
			take_range(k, r, ranges[i].start, ranges[i].end);
		if (s.walk_end <= s.start)
			return;
		s.start = s.walk_end;
	}
}

/* Does this kernel have PAGEMAP_SCAN? Checked once, by a scan of an empty range. */
static bool can_scan(int fd)
{
	static bool asked, can;
	struct scan s = { .size = sizeof(s), .category_anyof_mask = IS_PRESENT, .return_mask = IS_PRESENT };

	if (!asked)
		can = ioctl(fd, SCAN, &s) >= 0 || errno != ENOTTY;
	asked = true;
	return can;
}

/* Scans all regions; skips file mappings in which no page is followed. */
static void scan_all(struct look *k)
{
	for (size_t i = 0; i < k->r->n; i++) {
		const struct mb_region *r = &k->r->list[i];

		skip_until(k, r->start);
		if (r->kind != MB_REGION_FILE || (k->at < k->out->n_states && k->p->list[k->at].addr < r->end))
			scan_region(k, r);
	}
}

/* ---- scanning entry by entry ---- */

/* Returns the entry of a page. Reads the block of entries if needed. 0: no such page. */
static uint64_t entry_of(struct look *k, uint64_t addr)
{
	uint64_t page = addr / PAGE;
	ssize_t len;

	if (page < k->first || page >= k->first + BLOCK_PAGES) {
		k->first = page & ~(uint64_t)(BLOCK_PAGES - 1);
		len = pread(k->fd, k->entries, sizeof(k->entries), (off_t)(k->first * sizeof(k->entries[0])));
		k->n_entries = len > 0 ? (size_t)len / sizeof(k->entries[0]) : 0;
	}
	return page - k->first < k->n_entries ? k->entries[page - k->first] : 0;
}

/* Returns the page frame number of one of memblame's own pages; 0: memblame may not read it. */
static uint64_t frame_of(const void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd >= 0 && pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / PAGE * sizeof(entry))) != sizeof(entry))
		entry = 0;
	if (fd >= 0)
		close(fd);
	return entry & ENTRY_PRESENT ? entry & ENTRY_PFN : 0;
}

/*
 * Finds the page frame numbers of the small and the huge zero page, by reading pages that were
 * never written to. The huge zero page exists only as long as it is mapped, so memblame never
 * unmaps it. If huge pages are disabled, *huge is 0. If the kernel mapped an ordinary page instead
 * of a zero page, its frame matches no page of another process.
 */
static void find_zeros(uint64_t *small, uint64_t *huge)
{
	char *room = mmap(NULL, 3 * HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	volatile char *page, *other;

	if (room == MAP_FAILED)
		return;
	page = (char *)(((uintptr_t)room + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
	other = page + HUGE_BYTES;
	madvise((void *)page, HUGE_BYTES, MADV_HUGEPAGE);
	madvise((void *)other, HUGE_BYTES, MADV_NOHUGEPAGE);
	if (*page || *other)
		return;
	*small = frame_of((void *)other);
	*huge = frame_of((void *)(page + PAGE));
	/* a huge page has contiguous frames, so the second page must follow the first */
	*huge = *huge && *huge == frame_of((void *)page) + 1 ? *huge / BLOCK_PAGES : 0;
}

static bool is_zeros(uint64_t entry)
{
	static uint64_t small, huge;
	static bool known;
	uint64_t frame = entry & ENTRY_PFN;

	if (!known)
		find_zeros(&small, &huge);
	known = true;
	return frame && (frame == small || (huge && frame / BLOCK_PAGES == huge));
}

static bool counts(uint64_t entry, const struct mb_region *r)
{
	if (!r || !(entry & (ENTRY_PRESENT | ENTRY_SWAPPED)))
		return false;
	if ((entry & ENTRY_PRESENT) && is_zeros(entry))
		return false;
	return is_shared(r) || !(entry & ENTRY_FILE);
}

/*
 * Searches one region for pages of the sample, beginning at from. Returns the address at which the
 * time was over; 0: the whole region has been searched.
 */
static uint64_t find_in(struct look *k, const struct mb_region *r, uint64_t from, uint64_t until_ns)
{
	for (uint64_t addr = from; addr < r->end; addr += PAGE) {
		if (until_ns && !(addr / PAGE % BLOCK_PAGES) && mb_now_ns() > until_ns)
			return addr;
		if (mb_page_sampled(addr, k->mask) && counts(entry_of(k, addr), r) && !mb_pages_at(k->p, addr))
			add_found(k, addr);
	}
	return 0;
}

/* Searches large regions in turn, continuing where the last call ran out of time. */
static void find_in_large(struct look *k)
{
	uint64_t until_ns = mb_now_ns() + TURN_NS, from = k->p->find_from;

	k->p->find_from = 0;
	for (size_t i = 0; i < k->r->n && !k->p->find_from; i++) {
		const struct mb_region *r = &k->r->list[i];

		if (r->kind != MB_REGION_FILE && r->end - r->start > LARGE_BYTES && r->end > from)
			k->p->find_from = find_in(k, r, from > r->start ? from : r->start, until_ns);
	}
}

static void read_all(struct look *k, bool find)
{
	while (k->at < k->out->n_states) {
		uint64_t addr = k->p->list[k->at].addr;
		const struct mb_region *r = mb_regions_at(k->r, addr);

		set_state(k, counts(entry_of(k, addr), r), r);
	}
	for (size_t i = 0; find && i < k->r->n; i++) {
		const struct mb_region *r = &k->r->list[i];

		if (r->kind != MB_REGION_FILE && r->end - r->start <= LARGE_BYTES)
			find_in(k, r, r->start, 0);
	}
	if (find || k->p->find_from)
		find_in_large(k);
}

bool mb_pagemap_read(struct mb_pages *p, const struct mb_regions *r, uint32_t pid, uint32_t mask, bool find,
		     struct mb_pagemap *out)
{
	struct look k = { .p = p, .r = r, .mask = mask, .out = out, .first = UINT64_MAX - BLOCK_PAGES };
	char path[64];

	memset(out, 0, sizeof(*out));
	snprintf(path, sizeof(path), "/proc/%u/pagemap", mb_live_thread(pid));
	k.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (k.fd < 0)
		return false;
	out->states = calloc(p->n + 1, sizeof(*out->states));
	out->n_states = out->states ? p->n : 0;
	if (out->states && can_scan(k.fd))
		scan_all(&k);
	else if (out->states)
		read_all(&k, find);
	close(k.fd);
	return out->states;
}

void mb_pagemap_free(struct mb_pagemap *out)
{
	free(out->states);
	free(out->found);
	memset(out, 0, sizeof(*out));
}
