/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Finds the resident pages of a process with /proc/PID/pagemap
 * (Documentation/admin-guide/mm/pagemap.rst).
 */
#ifndef MB_HOST_PAGEMAP_H
#define MB_HOST_PAGEMAP_H

#include "model/pages.h"
#include "model/regions.h"

/*
 * Checks in the page map which pages that p follows still exist. Also searches r's anonymous memory
 * for resident pages of the sample (mb_page_sampled(addr, mask)) that p does not contain: always if
 * the kernel can scan ranges (PAGEMAP_SCAN, Linux 6.7), otherwise only if find is set, for some
 * tens of ms at a time. before: the pages found were allocated before tracing began; otherwise they
 * are attributed to the stack that mapped their region. Pages that map the zero page do not count.
 * Returns false if the process is gone.
 */
bool mb_pagemap_pages(struct mb_pages *p, const struct mb_regions *r, uint32_t pid, uint32_t mask, bool find, bool before);

#endif
