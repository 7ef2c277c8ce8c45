/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The sampled pages of one address space: which of them are resident, and which code touched them
 * first. Faults report the code that touched a page; residency is read from the page map at each tick
 * (src/host/procmaps.c), so that unmap, reclaim and madvise need no hooks. The page number
 * determines whether a page is in the sample (mb_page_sampled), so that faults and the page map
 * cover the same pages.
 */
#ifndef MB_MODEL_PAGES_H
#define MB_MODEL_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Maximum number of sampled pages of one address space: 1 in 64 of 64 GiB. Further pages are
 * counted, but not tracked.
 */
#define MB_PAGES_MAX (256u * 1024)

struct mb_page {
	uint64_t addr;
	uint32_t stack; /* of the thread that touched it; 0: unknown, or touched before tracing */
	uint8_t resident; /* included in the accounts */
	/*
	 * not in the sample: the first page of a huge page, whose stack also applies to the sampled
	 * pages in it
	 */
	uint8_t marker;
	uint8_t touched; /* a fault was seen since the last read of the page map */
	uint8_t shared; /* in shared memory, according to the page map */
	uint8_t found; /* discovered in the page map before any fault event */
};

struct mb_pages {
	struct mb_page *list; /* sorted by address up to n_sorted, then in order of arrival */
	size_t n, n_sorted, room;
	uint64_t left_out;
	uint64_t find_from; /* where the search for other pages continues (pagemap.c); 0: complete */
	/* Called for each sampled page that enters (1) or leaves (-1) an account; NULL: no callback. */
	void (*changed)(void *arg, const struct mb_page *page, int sign);
	void *arg;
};

/* Free the list; p itself belongs to the caller. */
void mb_pages_free(struct mb_pages *p);

/*
 * A fault on a page. marker: the page is not in the sample. is_new: no page was present (not a write
 * to a read-only page), so the thread that touches it now becomes its owner. So does the first
 * thread that touches a page that was discovered in the page map.
 */
void mb_pages_touch(struct mb_pages *p, uint64_t addr, uint32_t stack, bool marker, bool is_new);

/*
 * A page in the sample without a fault event: mapped by another page's fault, or before tracing.
 * Its stack is that of the huge page that contains it, else fallback.
 */
void mb_pages_found(struct mb_pages *p, uint64_t addr, uint32_t fallback, bool shared);

/* Sort in the pages that were added since the last call. Of equal addresses the last one wins. */
void mb_pages_sort(struct mb_pages *p);

/* The entry of a page among the sorted ones; NULL: not tracked. */
struct mb_page *mb_pages_at(struct mb_pages *p, uint64_t addr);

/*
 * Result of the page map for page number i: present or not (then mb_pages_sweep removes it).
 * shared: in shared memory, which another process may have populated.
 */
void mb_pages_answer(struct mb_pages *p, size_t i, bool there, bool shared);
void mb_pages_sweep(struct mb_pages *p);

#endif
