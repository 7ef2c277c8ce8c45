/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Code mappings of one process, as in /proc/PID/maps. */
#ifndef MB_SYMBOLS_MAPS_H
#define MB_SYMBOLS_MAPS_H

#include "symbols/module.h"

/* The code mappings of one process. */
struct mb_maps {
	struct mb_mapping *list; /* sorted by start; they do not overlap */
	size_t n, room;
	bool anonymous; /* some code is not in a file */
};

/*
 * Read the maps again. Code that is no longer mapped stays known unless something else is mapped
 * there, because names are looked up later than addresses are recorded. Returns false if the
 * process is gone, access is denied, or out of memory; maps is then unchanged.
 */
bool mb_maps_read(struct mb_maps *maps, struct mb_modules *m, uint32_t pid);

/*
 * Read the maps again and add mappings where nothing is known. admit: add only mappings for which
 * it returns true; NULL: add all.
 */
bool mb_maps_add(struct mb_maps *maps, struct mb_modules *m, uint32_t pid,
		 bool (*admit)(void *arg, const struct mb_mapping *m), void *arg);

/*
 * Add a mapping in place of whatever was there (takes a reference to its module), or remove
 * everything from a range.
 */
void mb_maps_put(struct mb_maps *maps, const struct mb_mapping *m);
void mb_maps_cut(struct mb_maps *maps, uint64_t start, uint64_t end);

/* Free the list and release its modules. */
void mb_maps_free(struct mb_maps *maps);

/* The mapping that contains an address; NULL if there is none. */
const struct mb_mapping *mb_maps_find(const struct mb_maps *maps, uint64_t address);

#endif
