/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The kernel's functions by address, read once: asking the kernel again takes 30 ms and memory. */
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

/* k may be NULL. */
void mb_kallsyms_close(struct mb_kallsyms *k);

/* "name+0xoffset" of the function with this address in buf; returns buf, "" where it is not known. */
const char *mb_kallsyms_name(const struct mb_kallsyms *k, uint64_t address, char *buf, size_t size);

#endif
