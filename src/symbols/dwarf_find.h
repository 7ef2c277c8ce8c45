/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Functions, inlined ones, files and lines in the DWARF of one file, through libdw and within limits. */
#ifndef MB_SYMBOLS_DWARF_FIND_H
#define MB_SYMBOLS_DWARF_FIND_H

#include "symbols/debuginfo.h"

struct mb_dwarf;

/* im: where .debug_info is; alt: what it shares with other files (dwz), or NULL. NULL: it will not do. */
struct mb_dwarf *mb_dwarf_open(const struct mb_image *im, const struct mb_image *alt);
void mb_dwarf_close(struct mb_dwarf *d); /* NULL is fine */

/* As mb_debuginfo_find; 0: nothing is known of the address. */
unsigned int mb_dwarf_find(struct mb_dwarf *d, uint64_t address, struct mb_source *sources, unsigned int max);

size_t mb_dwarf_cost(const struct mb_dwarf *d);

#endif
