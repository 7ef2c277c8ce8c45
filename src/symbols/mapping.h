/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A code mapping and the file behind it. */
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
 * Identifies a file by fields on which the kernel and stat agree. The device is left out, since
 * overlay file systems and file systems with several volumes have two. No padding, as ids are
 * compared as bytes.
 */
struct mb_file_id {
	uint64_t ino, bytes, mtime_s, mtime_ns;
};

/* The id of an open file. */
struct mb_file_id mb_module_id(const struct mb_module *mod);

void mb_module_put(struct mb_module *mod); /* NULL is fine */

/* Take another reference to mod; returns mod. */
struct mb_module *mb_module_share(struct mb_module *mod);

/* A range of addresses of a process, mapped to a file at offset. */
struct mb_mapping {
	uint64_t start, end, offset;
	uint64_t dev, ino;
	struct mb_module *module; /* NULL: not a file, or the file cannot be opened */
	const char *path; /* NULL: anonymous */
	bool past; /* it is no longer mapped */
	uint32_t code; /* file number assigned by the caller; 0: none */
};

/* Open the file that a process maps, or mapped, under this path. Returns NULL if the file does not have this id. */
struct mb_module *mb_maps_open(struct mb_modules *m, uint32_t pid, const char *path, const struct mb_file_id *id);

#endif
