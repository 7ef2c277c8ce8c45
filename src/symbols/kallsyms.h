/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Kernel functions by address. Reading them takes 30 ms and memory, so they are read again only
 * when the list of modules has changed.
 */
#ifndef MB_SYMBOLS_KALLSYMS_H
#define MB_SYMBOLS_KALLSYMS_H

#include <stddef.h>
#include <stdint.h>

struct mb_kallsyms;

/*
 * Read /proc/kallsyms; uses about 4 MB. Returns NULL if out of memory, or if the kernel hides
 * addresses from this process (kernel.kptr_restrict: the process must be privileged when it opens
 * the file).
 */
struct mb_kallsyms *mb_kallsyms_open(void);

/* Like mb_kallsyms_open() with other files, for tests: kallsyms, and the list of modules (like /proc/modules). */
struct mb_kallsyms *mb_kallsyms_open_files(const char *kallsyms, const char *modules);

/*
 * Read all names again if the list of modules has changed. Needs no privileges, because the kernel
 * checks those at the time the file was opened. If out of memory, the old names are retained. k may
 * be NULL.
 */
void mb_kallsyms_refresh(struct mb_kallsyms *k);

/* Free k and close its files. k may be NULL. */
void mb_kallsyms_close(struct mb_kallsyms *k);

/* Write "name+0xoffset" of the function that contains address to buf. Returns buf, "" if not known. */
const char *mb_kallsyms_name(const struct mb_kallsyms *k, uint64_t address, char *buf, size_t size);

#endif
