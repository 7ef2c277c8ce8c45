/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Frames in code that was made at run time. Such code is replaced in place, so that a frame is known by the name that its
 * address had when the stack was taken, as far as the run time's perf map tells; one without a name by its address, until
 * a name comes. Where code was replaced between two looks at the map, both names are given.
 */
#ifndef MB_LEAKS_MADE_H
#define MB_LEAKS_MADE_H

#include "leaks/leaks.h"
#include "symbols/mapping.h"

/* Names and nameless addresses of a session; frames beyond have addresses only, and are counted. */
#define MB_LEAK_MADE 65536u

/* A frame of a stack's key: with this bit the rest is a number here. */
#define MB_LEAK_FRAME_MADE (1ull << 62)

struct mb_leak_made;

/* NULL: no memory. */
struct mb_leak_made *mb_leak_made_new(void);
void mb_leak_made_free(struct mb_leak_made *made); /* NULL is fine */

/* The frame for a return address (or, where it is none, an address) in mapping m; the address itself: there is no room. */
uint64_t mb_leak_made_frame(struct mb_leak_space *sp, const struct mb_mapping *m, uint64_t ip, bool is_return);

/* What such a frame is called. */
void mb_leak_made_resolve(const struct mb_leaks_session *l, uint64_t frame, struct mb_source_frame *place);

/* What an address space has as code is known from now on. */
void mb_leak_made_begin(struct mb_leak_space *sp);

/* A tick, before events are worked off: how far are the maps? */
void mb_leak_made_look(struct mb_leaks_session *l);

/* After that, for events before until_ns: names that have come. */
void mb_leak_made_tick(struct mb_leaks_session *l, uint64_t until_ns);

/* That part of an address space has other code now, or none: what has no name yet gets none any more. */
void mb_leak_made_cut(struct mb_leak_space *sp, uint64_t start, uint64_t end);

/* Frames for which there was no room. */
uint64_t mb_leak_made_left_out(const struct mb_leak_made *made);

#endif
