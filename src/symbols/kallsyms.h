/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The kernel's functions by address. Asking the kernel takes 30 ms and memory: again only when its modules are others. */
#ifndef MB_SYMBOLS_KALLSYMS_H
#define MB_SYMBOLS_KALLSYMS_H

#include <stddef.h>
#include <stdint.h>

struct mb_kallsyms;

/*
 * Read /proc/kallsyms; some 4 MB. NULL: no memory, or the kernel does not show addresses to this process
 * (kernel.kptr_restrict: it must be privileged when it opens the file).
 */
struct mb_kallsyms *mb_kallsyms_open(void);

/* The same of other files, for tests: kallsyms, and the list of modules (like /proc/modules). */
struct mb_kallsyms *mb_kallsyms_open_files(const char *kallsyms, const char *modules);

/*
 * Modules may have come or gone: if so, read all names again. It needs no privileges: the kernel goes by those of when the
 * file was opened. Without memory for it, names stay as they were. k may be NULL.
 */
void mb_kallsyms_refresh(struct mb_kallsyms *k);

/* k may be NULL. */
void mb_kallsyms_close(struct mb_kallsyms *k);

/* "name+0xoffset" of the function with this address in buf; returns buf, "" where it is not known. */
const char *mb_kallsyms_name(const struct mb_kallsyms *k, uint64_t address, char *buf, size_t size);

#endif
