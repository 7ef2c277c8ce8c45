/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Stacks with a number each, written as folded text and as a flame graph (an SVG that a browser shows and searches). */
#ifndef MB_SINKS_FLAME_H
#define MB_SINKS_FLAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/out.h"

struct mb_flame_stack {
	const char *const *frames; /* outermost frame first; any bytes are allowed */
	size_t n_frames;
	uint64_t bytes;
};

/*
 * Write "outer;inner BYTES" lines, as flamegraph.pl and similar tools read them. A ';' or line break within a name
 * becomes ':' or a space. A name that is empty or NULL, and a stack without frames, becomes "?". Equal stacks are not
 * merged, because readers of this format merge them.
 */
void mb_flame_folded(struct mb_out *o, const struct mb_flame_stack *stacks, size_t n);

/*
 * Write a flame graph: width is proportional to bytes, the root is at the bottom, equal frames are merged, children
 * are sorted by name. Frames narrower than a third of a pixel are omitted, as are frames above the 256th, which has
 * their bytes. title and names are escaped and unprintable UTF-8 becomes U+FFFD, so the result is XML whatever they
 * contain. A click zooms, a search field highlights (a short embedded script; no network). The same stacks, in any
 * order, produce the same picture. title may be NULL. Returns 0 or -ENOMEM, with nothing written.
 */
int mb_flame_svg(struct mb_out *o, const char *title, const struct mb_flame_stack *stacks, size_t n);

#endif
