/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Objects of the kernel within leaks: slab and page allocations by call site, growth of caches, vmalloc. */
#ifndef MB_LEAKS_KERNEL_H
#define MB_LEAKS_KERNEL_H

#include "leaks/leaks.h"

/* One event of the kmem family, in order of time. */
void mb_leak_kernel_event(struct mb_leaks_session *l, const struct mb_event *e);

/* A tick: what the kernel itself counts (/proc/slabinfo, /proc/vmallocinfo). */
void mb_leak_kernel_tick(struct mb_leaks_session *l);

/* The name behind mb_leak_key.what, e.g. of a cache; NULL: it has none. */
const char *mb_leak_kernel_name(const struct mb_leaks_session *l, uint32_t kind);

/* Free l->kernel. */
void mb_leak_kernel_close(struct mb_leaks_session *l);

#endif
