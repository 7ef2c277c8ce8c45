/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Files with code, each opened once for all processes that have it mapped, and what was found out about
 * addresses in them. All of it is bounded: how many files, rows, answers, and bytes of debug information.
 */
#ifndef MB_SYMBOLS_MODULE_H
#define MB_SYMBOLS_MODULE_H

#include <sys/stat.h>

#include "symbols/cfi.h"
#include "symbols/debuginfo.h"
#include "symbols/mapping.h"
#include "symbols/address_space.h"
#include "symbols/strings.h"

/*
 * The file behind fd, which this takes over; to be released with mb_module_put. path: as a process sees it.
 * NULL: no memory, or all places are taken by files in use.
 */
struct mb_module *mb_module_get(struct mb_modules *m, int fd, const struct stat *st, const char *path);
/* The address that the file gives a byte at an offset; the offset itself, and false, where it is not ELF. */
bool mb_module_address(const struct mb_module *mod, uint64_t offset, uint64_t *address);

/* Does the code just before an offset of the file call something, as before an address to return to? */
bool mb_module_calls_before(const struct mb_module *mod, uint64_t offset);

/* How to unwind from an address (as the file counts them). Valid until the next call for any module. */
const struct mb_cfi_row *mb_module_row(struct mb_module *mod, uint64_t address);

/* What is at an address, innermost first; names are demangled. As much as ever is found is remembered. */
struct mb_sources {
	unsigned int n;
	struct mb_source sources[];
};

/* pid: of a process in whose root to look for debug information. NULL: no memory. Valid until the next call. */
const struct mb_sources *mb_module_sources(struct mb_module *mod, uint64_t address, uint32_t pid);

#endif
