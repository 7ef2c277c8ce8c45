/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Where code is mapped in one process, as /proc/PID/maps says. */
#ifndef MB_SYMBOLS_MAPS_H
#define MB_SYMBOLS_MAPS_H

#include "symbols/module.h"

struct mb_mapping {
	uint64_t start, end, offset;
	uint64_t dev, ino;
	struct mb_module *module; /* NULL: it is no file, or one that cannot be opened */
	const char *path; /* NULL: anonymous */
	bool past; /* it was there once */
};

struct mb_maps {
	struct mb_mapping *list; /* by start; they do not overlap */
	size_t n, room;
	bool anonymous; /* some code is in no file */
};

/*
 * Read them again. Code that is mapped no more stays known where nothing else is mapped since, as names are
 * asked for later than addresses are seen. False: gone, not allowed, or no memory; nothing changes then.
 */
bool mb_maps_read(struct mb_maps *maps, struct mb_modules *m, uint32_t pid);
void mb_maps_free(struct mb_maps *maps);

/* The mapping that has an address; NULL: none. */
const struct mb_mapping *mb_maps_find(const struct mb_maps *maps, uint64_t address);

#endif
