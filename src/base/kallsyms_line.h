/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The lines of /proc/kallsyms: "ffffffff81000000 T name" or, of a module, "ffffffffc0000000 t name\t[module]". */
#ifndef MB_BASE_KALLSYMS_LINE_H
#define MB_BASE_KALLSYMS_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One symbol. The names point into text. */
struct mb_kallsyms_line {
	uint64_t address;
	char type; /* as nm(1) prints it, in lower case */
	const char *name, *module; /* module "": the kernel itself; else with its brackets */
	char text[640]; /* a name has 511 bytes at most */
};

/*
 * Reads the next symbol from f. Lines without an address are left out: without privileges the kernel
 * shows 0 for all. Returns false at the end.
 */
bool mb_kallsyms_line_next(FILE *f, struct mb_kallsyms_line *l);

#endif
