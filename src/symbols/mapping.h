/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* One mapping of code, and the file behind it. */
#ifndef MB_SYMBOLS_MAPPING_H
#define MB_SYMBOLS_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "symbols/address_space.h"
#include "symbols/strings.h"

struct mb_module;

/* The pool for all strings that outlive a call. */
struct mb_strings *mb_modules_strings(struct mb_modules *m);

/*
 * Which file it is, as far as the kernel and stat agree: the device is left out, since file systems of several layers or
 * volumes have two. No padding, as it is compared as bytes.
 */
struct mb_file_id {
	uint64_t ino, bytes, mtime_s, mtime_ns;
};

/* That of a file that is open. */
struct mb_file_id mb_module_id(const struct mb_module *mod);

void mb_module_put(struct mb_module *mod); /* NULL is fine */

/* One more user of it. */
struct mb_module *mb_module_share(struct mb_module *mod);

struct mb_mapping {
	uint64_t start, end, offset;
	uint64_t dev, ino;
	struct mb_module *module; /* NULL: it is no file, or one that cannot be opened */
	const char *path; /* NULL: anonymous */
	bool past; /* it was there once */
	uint32_t code; /* the caller's number of the file; 0: none was given */
};

/* The file that a process has, or had, mapped by this path: opened if it is the one of that id, else NULL. */
struct mb_module *mb_maps_open(struct mb_modules *m, uint32_t pid, const char *path, const struct mb_file_id *id);

#endif
