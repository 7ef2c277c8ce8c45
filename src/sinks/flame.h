/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Stacks with a number each, as folded text and as a flame graph (SVG that a browser shows and searches). */
#ifndef MB_SINKS_FLAME_H
#define MB_SINKS_FLAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/out.h"

struct mb_flame_stack {
	const char *const *frames; /* outermost first; may hold any bytes */
	size_t n_frames;
	uint64_t bytes;
};

/*
 * "outer;inner BYTES" lines, as flamegraph.pl and its kin read them. A ';' or line break within a name becomes
 * ':' or a space. Stacks that are equal are not joined: the readers of this format do that.
 */
void mb_flame_folded(struct mb_out *o, const struct mb_flame_stack *stacks, size_t n);

/*
 * A flame graph: width by bytes, equal frames joined, children sorted by name; frames narrower than a third of
 * a pixel are left out. title and names are escaped. Click zooms, a search field highlights (a few lines of
 * script inside; no network). Returns 0 or -ENOMEM.
 */
int mb_flame_svg(struct mb_out *o, const char *title, const struct mb_flame_stack *stacks, size_t n);

#endif
