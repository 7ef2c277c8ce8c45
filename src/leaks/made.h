/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Stack frames in code generated at run time (JIT code). Run times replace such code in place, so a
 * frame is identified by the name that its address had when the stack was recorded, according to
 * the run time's perf map. A frame without a name is identified by its address until a name
 * appears. If code was replaced between two looks at the map, both names are given.
 */
#ifndef MB_LEAKS_MADE_H
#define MB_LEAKS_MADE_H

#include "leaks/leaks.h"
#include "symbols/mapping.h"

/*
 * Maximum number of names and nameless addresses per session. Further frames are known by address
 * only, and are counted.
 */
#define MB_LEAK_MADE 65536u

/* Flag in a frame of a stack's key: the other bits are a number assigned here. */
#define MB_LEAK_FRAME_MADE (1ull << 62)

struct mb_leak_made;

/* Create an empty table. Returns NULL if out of memory. */
struct mb_leak_made *mb_leak_made_new(void);
void mb_leak_made_free(struct mb_leak_made *made); /* NULL is fine */

/*
 * Get the frame for an address in mapping m; is_return: ip is a return address. Returns ip itself
 * if there is no room.
 */
uint64_t mb_leak_made_frame(struct mb_leak_space *sp, const struct mb_mapping *m, uint64_t ip, bool is_return);

/* Resolve such a frame: fill in *source. */
void mb_leak_made_resolve(const struct mb_leaks_session *l, uint64_t frame, struct mb_source_frame *source);

/* Call when the code mappings of an address space become known (sp->code is set). */
void mb_leak_made_begin(struct mb_leak_space *sp);

/* A tick, before events are processed: record the current size of the perf maps. */
void mb_leak_made_look(struct mb_leaks_session *l);

/* A tick, after events before until_ns were processed: pick up names that have appeared. */
void mb_leak_made_tick(struct mb_leaks_session *l, uint64_t until_ns);

/* This part of the address space now has other code or none: frames in it that have no name yet never get one. */
void mb_leak_made_cut(struct mb_leak_space *sp, uint64_t start, uint64_t end);

/* Number of frames for which there was no room. */
uint64_t mb_leak_made_left_out(const struct mb_leak_made *made);

#endif
