/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Which pages of a process are there, by /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#ifndef MB_HOST_PAGEMAP_H
#define MB_HOST_PAGEMAP_H

#include "model/pages.h"
#include "model/regions.h"

/*
 * Ask the page map about all pages that p follows. Also look for resident pages of the sample (mb_page_sampled(addr,
 * mask)) in r's anonymous memory that p does not know: always where the kernel can be asked for ranges (PAGEMAP_SCAN,
 * Linux 6.7), else where find is set, for some tens of ms at a time; before: they are from before tracing, else from who
 * mapped the region. Pages of zeros that nobody has written to are not there. False: the process is gone.
 */
bool mb_pagemap_pages(struct mb_pages *p, const struct mb_regions *r, uint32_t pid, uint32_t mask, bool find, bool before);

#endif
