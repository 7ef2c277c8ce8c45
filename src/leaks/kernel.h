/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Kernel objects: slab and page allocations by call site, growth of slab caches, vmalloc. */
#ifndef MB_LEAKS_KERNEL_H
#define MB_LEAKS_KERNEL_H

#include "leaks/leaks.h"

/* Process one event of the kmem family. Events must arrive in time order. */
void mb_leak_kernel_event(struct mb_leaks_session *l, const struct mb_event *e);

/* A tick at t_ns: read the kernel's own counters (/proc/slabinfo, /proc/vmallocinfo). */
void mb_leak_kernel_tick(struct mb_leaks_session *l, uint64_t t_ns);

/* The name for mb_leak_key.kind, e.g. of a slab cache. Returns NULL if there is none. */
const char *mb_leak_kernel_name(const struct mb_leaks_session *l, uint32_t kind);

/* Free l->kernel and close its files. */
void mb_leak_kernel_close(struct mb_leaks_session *l);

#endif
