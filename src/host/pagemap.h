/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Finds the resident pages of a process with /proc/PID/pagemap
 * (Documentation/admin-guide/mm/pagemap.rst).
 */
#ifndef MB_HOST_PAGEMAP_H
#define MB_HOST_PAGEMAP_H

#include "model/pages.h"
#include "model/regions.h"

/* What the page map says of a page; bits. */
enum mb_pagemap_state {
	MB_PAGEMAP_THERE = 1, /* resident or swapped out, and not the zero page */
	MB_PAGEMAP_SHARED = 2, /* in shared memory */
};

struct mb_pagemap {
	uint8_t *states; /* of each page of the list that was asked for, in its order */
	size_t n_states;
	uint64_t *found; /* addresses of other pages of the sample that are resident */
	size_t n_found;
	bool failed; /* no memory for more of them */
};

/*
 * Looks in the page map for the pages that p follows, which are sorted. Also searches r's anonymous memory
 * for resident pages of the sample (mb_page_sampled(addr, mask)) that p does not contain: always if
 * the kernel can scan ranges (PAGEMAP_SCAN, Linux 6.7), otherwise only if find is set, for some
 * tens of ms at a time. Pages that map the zero page do not count.
 * Returns false if the process is gone. Free with mb_pagemap_free() in either case.
 */
bool mb_pagemap_read(struct mb_pages *p, const struct mb_regions *r, uint32_t pid, uint32_t mask, bool find,
		     struct mb_pagemap *out);
void mb_pagemap_free(struct mb_pagemap *out);

#endif
