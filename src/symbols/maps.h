/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Where code is mapped in one process, as /proc/PID/maps says. */
#ifndef MB_SYMBOLS_MAPS_H
#define MB_SYMBOLS_MAPS_H

#include "symbols/module.h"

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

/*
 * Read them again, and add what is mapped where nothing is known. admit: is a mapping to be added? NULL: all are.
 */
bool mb_maps_add(struct mb_maps *maps, struct mb_modules *m, uint32_t pid,
		 bool (*admit)(void *arg, const struct mb_mapping *m), void *arg);

/* One mapping comes over whatever was there (its module gets one more user), or goes. */
void mb_maps_put(struct mb_maps *maps, const struct mb_mapping *m);
void mb_maps_cut(struct mb_maps *maps, uint64_t start, uint64_t end);

void mb_maps_free(struct mb_maps *maps);

/* The mapping that has an address; NULL: none. */
const struct mb_mapping *mb_maps_find(const struct mb_maps *maps, uint64_t address);

#endif
