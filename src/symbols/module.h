/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Files with code, each opened once for all processes that map it, with caches of what was looked
 * up for their addresses. Everything is bounded: the number of files, unwind rows and resolved
 * addresses, and the bytes of debug information.
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
 * Get the module for the file behind fd and take over fd. Release the module with mb_module_put().
 * path: as a process sees it. Returns NULL if out of memory, or if all slots are in use.
 */
struct mb_module *mb_module_get(struct mb_modules *m, int fd, const struct stat *st, const char *path);
/*
 * Convert a file offset to a virtual address. If the file is not ELF or does not load that offset,
 * returns false with *address set to the offset.
 */
bool mb_module_address(const struct mb_module *mod, uint64_t offset, uint64_t *address);

/* Returns true if the code just before a file offset is a call instruction, as before a return address. */
bool mb_module_calls_before(const struct mb_module *mod, uint64_t offset);

/* Unwind rules for an address (virtual address in the file). Valid until the next call for any module. */
const struct mb_cfi_row *mb_module_row(struct mb_module *mod, uint64_t address);

/* The functions at an address, innermost first, with demangled names. */
struct mb_sources {
	unsigned int n;
	struct mb_source sources[];
};

/*
 * Resolve an address; the result is cached. pid: process in whose root directory to search for
 * debug information. Returns NULL if out of memory. Valid until the next call.
 */
const struct mb_sources *mb_module_sources(struct mb_module *mod, uint64_t address, uint32_t pid);

#endif
