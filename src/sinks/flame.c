// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Writes stacks as folded text and as a flame graph. Sorted stacks already are the graph: neighbours share their
 * outer frames, so a single pass that tracks the open frames draws it, without a tree.
 */
#include "sinks/flame.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/utf8.h"
#include "sinks/flame_svg.h"

#define WIDTH 1200u
#define PAD 10u /* left and right */
#define TOP 60u /* title and search field */
#define BOTTOM 34u /* details of the frame under the mouse */
#define ROW 16u
#define CHAR_100 723u /* hundredths of a pixel: width of a 12 px monospace character */
#define TITLE_CHARS 110u
#define NO_CUT 0u
#define DEPTH 256u /* frames above it are omitted; the frame at this depth has their bytes */

struct graph {
	struct mb_out *o; /* NULL: only compute the depth */
	uint64_t total;
	unsigned int open, deepest;
	const char *names[DEPTH + 1];
	uint64_t begin[DEPTH + 1];
};

/* ---- folded ---- */

static const char *name_of(const char *frame)
{
	return frame && *frame ? frame : "?";
}

static void put_text(struct mb_out *o, const char *s)
{
	mb_out_text(o, s, strlen(s));
}

/*
 * A semicolon ends a frame and a line break ends a stack, so replace both in names, and anything unsafe for a
 * terminal.
 */
static void put_folded_name(struct mb_out *o, const char *name)
{
	while (*name) {
		size_t len = mb_utf8_len(name);
		bool breaks = *name == '\n' || *name == '\r';

		if (*name == ';' || breaks || !mb_utf8_is_shown(name, len))
			put_text(o, *name == ';' ? ":" : breaks ? " " : "?");
		else
			mb_out_text(o, name, len);
		name += len ? len : 1;
	}
}

void mb_flame_folded(struct mb_out *o, const struct mb_flame_stack *stacks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < stacks[i].n_frames; j++) {
			if (j)
				put_text(o, ";");
			put_folded_name(o, name_of(stacks[i].frames[j]));
		}
		if (!stacks[i].n_frames)
			put_text(o, "?");
		mb_out_printf(o, " %" PRIu64 "\n", stacks[i].bytes);
	}
}

/* ---- names in XML ---- */

/* Width in columns of a monospace font, at most: East Asian characters and emoji are two columns wide. */
static size_t columns(size_t len)
{
	return len > 2 ? 2 : 1;
}

static void put_char(struct mb_out *o, const char *s, size_t len)
{
	if (!mb_utf8_is_shown(s, len))
		put_text(o, "\xef\xbf\xbd");
	else if (*s == '&')
		put_text(o, "&amp;");
	else if (*s == '<')
		put_text(o, "&lt;");
	else if (*s == '>')
		put_text(o, "&gt;");
	else if (*s == '"')
		put_text(o, "&quot;");
	else
		mb_out_text(o, s, len);
}

/* Write as much of s as fits; ".." marks truncation. */
static void put_escaped(struct mb_out *o, const char *s, size_t fits)
{
	size_t used = 0, keep;
	const char *p;

	for (p = s; *p && fits != NO_CUT && used <= fits;) {
		size_t len = mb_utf8_len(p);

		used += columns(len);
		p += len ? len : 1;
	}
	keep = used > fits && fits != NO_CUT ? fits - 2 : SIZE_MAX;
	used = 0;
	for (p = s; *p;) {
		size_t len = mb_utf8_len(p);

		used += columns(len);
		if (used > keep) {
			put_text(o, "..");
			return;
		}
		put_char(o, p, len);
		p += len ? len : 1;
	}
}

/* ---- the graph ---- */

/* A warm colour that depends only on the name (FNV-1a). */
static uint32_t colour_of(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	h ^= h >> 15;
	return (205 + h % 51) << 16 | (80 + (h >> 8) % 151) << 8 | (h >> 20) % 56;
}

/* Position in hundredths of a pixel from the left. Edges are rounded, not widths, so that neighbours touch. */
static uint32_t edge(const struct graph *g, uint64_t bytes)
{
	return (uint32_t)((double)bytes / (double)g->total * (WIDTH - 2 * PAD) * 100 + 0.5) + PAD * 100;
}

static unsigned int height_of(const struct graph *g)
{
	return TOP + (g->deepest + 1) * ROW + BOTTOM;
}

static void put_frame(struct graph *g, unsigned int depth, uint64_t end)
{
	const char *name = g->names[depth];
	uint64_t bytes = end - g->begin[depth];
	uint32_t x = edge(g, g->begin[depth]), w = edge(g, end) - x;
	unsigned int y = height_of(g) - BOTTOM - (depth + 1) * ROW;
	uint32_t percent = (uint32_t)((double)bytes / (double)g->total * 10000 + 0.5);
	size_t fits = w > 600 ? (w - 600) / CHAR_100 : 0;
	char text[MB_UNITS_LEN];

	put_text(g->o, "<g class=\"f\"><title>");
	put_escaped(g->o, name, NO_CUT);
	mb_out_printf(g->o, " (%s, %u.%02u%%)</title>", mb_format(text, MB_UNIT_BYTES, bytes), percent / 100,
		      percent % 100);
	mb_out_printf(g->o,
		      "<rect x=\"%u.%02u\" y=\"%u\" width=\"%u.%02u\" height=\"%u\" rx=\"2\" "
		      "fill=\"#%06" PRIx32 "\"/><text x=\"%u.%02u\" y=\"%u\">",
		      x / 100, x % 100, y, w / 100, w % 100, ROW - 1, colour_of(name), x / 100 + 3, x % 100,
		      y + 12);
	if (fits >= 3)
		put_escaped(g->o, name, fits);
	put_text(g->o, "</text></g>\n");
}

/* Close the open frames above depth at this position. */
static void close_to(struct graph *g, unsigned int depth, uint64_t at)
{
	for (; g->open > depth; g->open--) {
		/* omit frames narrower than a third of a pixel */
		if ((double)(at - g->begin[g->open]) * (WIDTH - 2 * PAD) * 3 < (double)g->total)
			continue;
		if (g->open > g->deepest)
			g->deepest = g->open;
		if (g->o)
			put_frame(g, g->open, at);
	}
}

static unsigned int depth_of(const struct mb_flame_stack *s)
{
	return s->n_frames < DEPTH ? (unsigned int)s->n_frames : DEPTH;
}

static int by_frames(const void *a, const void *b)
{
	const struct mb_flame_stack *x = *(const struct mb_flame_stack *const *)a;
	const struct mb_flame_stack *y = *(const struct mb_flame_stack *const *)b;
	unsigned int nx = depth_of(x), ny = depth_of(y);

	for (unsigned int i = 0; i < nx && i < ny; i++) {
		int order = strcmp(name_of(x->frames[i]), name_of(y->frames[i]));

		if (order)
			return order;
	}
	return nx < ny ? -1 : nx > ny;
}

/* Walk the sorted stacks. Frame 0 is the root; the frames of stacks start at 1. */
static void walk(struct graph *g, const struct mb_flame_stack *const *sorted, size_t n)
{
	uint64_t at = 0;

	g->open = 0;
	g->names[0] = "all";
	for (size_t i = 0; i < n; i++) {
		const struct mb_flame_stack *s = sorted[i];
		unsigned int depth = depth_of(s), same = 0;

		while (same < g->open && same < depth &&
		       !strcmp(g->names[same + 1], name_of(s->frames[same])))
			same++;
		close_to(g, same, at);
		while (g->open < depth) {
			g->names[g->open + 1] = name_of(s->frames[g->open]);
			g->begin[++g->open] = at;
		}
		at += s->bytes;
	}
	close_to(g, 0, at);
	if (g->o && at)
		put_frame(g, 0, at);
}

static void put_head(const struct graph *g, const char *title)
{
	unsigned int height = height_of(g);

	mb_out_printf(g->o,
		      "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n"
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"%u\" height=\"%u\" "
		      "viewBox=\"0 0 %u %u\">\n",
		      WIDTH, height, WIDTH, height);
	put_text(g->o, MB_FLAME_STYLE);
	mb_out_printf(g->o, "<rect width=\"%u\" height=\"%u\" fill=\"url(#back)\"/>\n", WIDTH, height);
	mb_out_printf(g->o, "<text id=\"heading\" x=\"%u\" y=\"25\">", WIDTH / 2);
	put_escaped(g->o, title && *title ? title : "Flame graph", TITLE_CHARS);
	mb_out_printf(g->o, "</text>\n<text id=\"reset\" x=\"%u\" y=\"48\">Reset zoom</text>\n", PAD);
	mb_out_printf(g->o, "<text id=\"matched\" x=\"%u\" y=\"%u\"></text>\n", WIDTH - PAD, height - 12);
	mb_out_printf(g->o, "<text id=\"details\" x=\"%u\" y=\"%u\"></text>\n", PAD, height - 12);
}

int mb_flame_svg(struct mb_out *o, const char *title, const struct mb_flame_stack *stacks, size_t n)
{
	const struct mb_flame_stack **sorted = malloc((n ? n : 1) * sizeof(const struct mb_flame_stack *));
	struct graph g = { 0 };
	size_t m = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		/* ignore values whose sum would overflow: no real memory is that large */
		if (!stacks[i].bytes || stacks[i].bytes > UINT64_MAX - g.total)
			continue;
		g.total += stacks[i].bytes;
		sorted[m++] = &stacks[i];
	}
	if (m)
		qsort(sorted, m, sizeof(*sorted), by_frames);
	walk(&g, sorted, m);
	g.o = o;
	put_head(&g, title);
	if (m)
		walk(&g, sorted, m);
	else
		mb_out_printf(o, "<text x=\"%u\" y=\"%u\">No stacks: there was no memory to show.</text>\n",
			      PAD, TOP + 12);
	put_text(o, MB_FLAME_SCRIPT "</svg>\n");
	free(sorted);
	return 0;
}
