/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The sampled pages of one address space: which are resident, and which code touched them first. Faults say who
 * touched a page; whether it is there is asked of the page map at each tick (src/host/procmaps.c), so that no unmap, no
 * reclaim and no madvise needs to be seen. Which pages are of the sample is decided by their number
 * (mb_page_sampled), so that both agree on it.
 */
#ifndef MB_MODEL_PAGES_H
#define MB_MODEL_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sampled pages of one address space: 1 in 64 of 64 GiB. More are counted, not followed. */
#define MB_PAGES_MAX (256u * 1024)

struct mb_page {
	uint64_t addr;
	uint32_t stack; /* who touched it; 0: nobody knows, or before tracing */
	uint8_t resident; /* it is in the accounts */
	uint8_t marker; /* not of the sample: the first page of a huge one, which says who touched those */
	uint8_t touched; /* a fault was seen since the page map was last asked */
	uint8_t shared; /* of shared memory, as the page map's answer had it */
	uint8_t found; /* by the page map, before any fault told who touched it */
};

struct mb_pages {
	struct mb_page *list; /* by address up to n_sorted, then as they came */
	size_t n, n_sorted, room;
	uint64_t left_out;
	uint64_t find_from; /* where the search for others goes on (pagemap.c); 0: it is done */
	/* Called for each sampled page that comes to (1) or goes from (-1) an account; NULL: nobody wants to know. */
	void (*changed)(void *arg, const struct mb_page *page, int sign);
	void *arg;
};

void mb_pages_free(struct mb_pages *p);

/*
 * A fault on a page: marker, if it is not of the sample. anew: there was no page (not a write to one that was
 * read-only): who touches it now takes it over, as does the first one of a page that was found.
 */
void mb_pages_touch(struct mb_pages *p, uint64_t addr, uint32_t stack, bool marker, bool anew);

/*
 * A page of the sample that no fault has told of: brought in by another page's fault, or before tracing. Its toucher is
 * that of the huge page it is in, else fallback.
 */
void mb_pages_found(struct mb_pages *p, uint64_t addr, uint32_t fallback, bool shared);

/* Sort what has come since the last time; of equal addresses the last stays. */
void mb_pages_sort(struct mb_pages *p);

/* Is this page followed? Of the sorted ones. */
struct mb_page *mb_pages_at(struct mb_pages *p, uint64_t addr);

/*
 * The page map's answer for page i: it is there, or it is not (then it is forgotten at mb_pages_sweep). shared: it is in
 * memory that is shared, which others may have filled.
 */
void mb_pages_answer(struct mb_pages *p, size_t i, bool there, bool shared);
void mb_pages_sweep(struct mb_pages *p);

#endif
