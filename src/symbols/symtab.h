/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The symbol table of one file: functions by address. */
#ifndef MB_SYMBOLS_SYMTAB_H
#define MB_SYMBOLS_SYMTAB_H

#include "symbols/image.h"

struct mb_symtab;

/* Read .symtab, or .dynsym if dynamic is set. Returns NULL if the file has no such table, or if out of memory. */
struct mb_symtab *mb_symtab_open(const struct mb_image *im, bool dynamic);
void mb_symtab_close(struct mb_symtab *t); /* NULL is fine */

/* Mangled name of the function at an address (virtual address in the file); NULL: not known. */
const char *mb_symtab_find(const struct mb_symtab *t, uint64_t address);

/* Memory use in bytes. */
size_t mb_symtab_cost(const struct mb_symtab *t);

#endif
