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
 * "outer;inner BYTES" lines, as flamegraph.pl and its kin read them. A ';' or line break within a name
 * becomes ':' or a space; a name that is empty or NULL, and a stack without frames, "?". Stacks that are equal
 * are not joined: the readers of this format do that.
 */
void mb_flame_folded(struct mb_out *o, const struct mb_flame_stack *stacks, size_t n);

/*
 * A flame graph: width by bytes, the root at the bottom, equal frames joined, children sorted by name; frames
 * narrower than a third of a pixel are left out, as is what lies above the 256th frame (which has its bytes).
 * title and names are escaped, what is no printable UTF-8 becomes U+FFFD: it is XML whatever they hold. Click
 * zooms, a search field highlights (a few lines of script inside; no network). The same stacks, in any order,
 * are the same picture. title may be NULL. Returns 0 or -ENOMEM, with nothing written.
 */
int mb_flame_svg(struct mb_out *o, const char *title, const struct mb_flame_stack *stacks, size_t n);

#endif
