/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Looks up functions, inlined functions, files and lines in the DWARF of one file, using libdw within limits. */
#ifndef MB_SYMBOLS_DWARF_FIND_H
#define MB_SYMBOLS_DWARF_FIND_H

#include "symbols/debuginfo.h"

struct mb_dwarf;

/*
 * im: file that contains .debug_info; alt: supplementary file shared with other files (dwz), or
 * NULL. Returns NULL if the DWARF cannot be used.
 */
struct mb_dwarf *mb_dwarf_open(const struct mb_image *im, const struct mb_image *alt);
void mb_dwarf_close(struct mb_dwarf *d); /* NULL is fine */

/* Like mb_debuginfo_find(), but returns 0 if nothing is known about the address. */
unsigned int mb_dwarf_find(struct mb_dwarf *d, uint64_t address, struct mb_source *sources, unsigned int max);

/* Approximate memory use in bytes. */
size_t mb_dwarf_cost(const struct mb_dwarf *d);

#endif
