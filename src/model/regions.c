// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Address spaces: the list of pieces and its operations. regions_apply.c interprets the calls. */
#include "model/regions.h"

#include <stdlib.h>
#include <string.h>

static void tell(const struct mb_regions *r, const struct mb_region *piece, int64_t bytes, int pieces)
{
	if (r->changed)
		r->changed(r->arg, piece, bytes, pieces);
}

void mb_regions_free(struct mb_regions *r)
{
	for (size_t i = 0; i < r->n; i++)
		tell(r, &r->list[i], -(int64_t)(r->list[i].end - r->list[i].start), -1);
	free(r->list);
	r->list = NULL;
	r->n = r->room = 0;
	r->bytes = 0;
}

/* Index of the first piece that ends above addr. */
static size_t first_behind(const struct mb_regions *r, uint64_t addr)
{
	size_t from = 0, to = r->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (r->list[middle].end > addr)
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}

/*
 * Make room for n more pieces at index i. Returns false if there is none; the list is then
 * unreliable.
 */
static bool open_gap(struct mb_regions *r, size_t i, size_t n)
{
	if (r->n + n > r->room) {
		size_t room = r->room ? r->room * 2 : 64;
		struct mb_region *bigger = r->n + n <= MB_REGIONS_MAX ? realloc(r->list, room * sizeof(*bigger)) :
									NULL;

		if (!bigger) {
			r->unsure = true;
			return false;
		}
		r->list = bigger;
		r->room = room;
	}
	memmove(r->list + i + n, r->list + i, (r->n - i) * sizeof(*r->list));
	r->n += n;
	return true;
}

static void close_gap(struct mb_regions *r, size_t i, size_t n)
{
	memmove(r->list + i, r->list + i + n, (r->n - i - n) * sizeof(*r->list));
	r->n -= n;
}

/* Bytes of a piece go away, and with them a number of pieces (-1: a hole splits it in two). */
static void gone(struct mb_regions *r, const struct mb_region *of, uint64_t bytes, int pieces)
{
	r->bytes -= bytes;
	tell(r, of, -(int64_t)bytes, -pieces);
}

void mb_regions_unmap(struct mb_regions *r, uint64_t start, uint64_t end)
{
	size_t i = first_behind(r, start), whole;

	if (start >= end || i == r->n || r->list[i].start >= end)
		return;
	if (r->list[i].start < start && r->list[i].end > end) { /* a hole in the middle */
		if (!open_gap(r, i, 1))
			return;
		gone(r, &r->list[i], end - start, -1);
		r->list[i + 1] = r->list[i];
		r->list[i].end = start;
		r->list[i + 1].start = end;
		return;
	}
	if (r->list[i].start < start) {
		gone(r, &r->list[i], r->list[i].end - start, 0);
		r->list[i++].end = start;
	}
	for (whole = i; whole < r->n && r->list[whole].end <= end; whole++)
		gone(r, &r->list[whole], r->list[whole].end - r->list[whole].start, 1);
	close_gap(r, i, whole - i);
	if (i < r->n && r->list[i].start < end) {
		gone(r, &r->list[i], end - r->list[i].start, 0);
		r->list[i].start = end;
	}
}

/* Assign another origin to the mapped parts of a range. */
static void label(struct mb_regions *r, uint64_t start, uint64_t end, uint32_t stack)
{
	r->label = false;
	for (uint64_t at = start; at < end && !r->unsure;) {
		size_t i = first_behind(r, at);
		struct mb_region p;

		if (i == r->n || r->list[i].start >= end)
			break;
		p = r->list[i];
		if (p.start < at)
			p.start = at;
		if (p.end > end)
			p.end = end;
		p.stack = stack;
		mb_regions_put(r, &p);
		at = p.end;
	}
	r->label = true;
}

void mb_regions_put(struct mb_regions *r, const struct mb_region *one)
{
	struct mb_region piece = *one; /* a copy, because one may point into the list */
	size_t i;

	if (piece.start >= piece.end)
		return;
	if (piece.end > MB_REGIONS_END) { /* no call can have created this */
		r->unsure = true;
		return;
	}
	if (r->label) {
		label(r, piece.start, piece.end, piece.stack);
		return;
	}
	mb_regions_unmap(r, piece.start, piece.end);
	i = first_behind(r, piece.start);
	if (!open_gap(r, i, 1))
		return;
	r->list[i] = piece;
	r->bytes += piece.end - piece.start;
	tell(r, &piece, (int64_t)(piece.end - piece.start), 1);
}

void mb_regions_map(struct mb_regions *r, uint64_t start, uint64_t end, uint32_t stack, uint32_t kind)
{
	mb_regions_put(r, &(struct mb_region){ .start = start, .end = end, .stack = stack, .kind = kind });
}

uint64_t mb_regions_covered(const struct mb_regions *r, uint64_t start, uint64_t end)
{
	uint64_t bytes = 0;

	for (size_t i = first_behind(r, start); i < r->n && r->list[i].start < end; i++) {
		uint64_t from = r->list[i].start > start ? r->list[i].start : start;
		uint64_t to = r->list[i].end < end ? r->list[i].end : end;

		bytes += to - from;
	}
	return bytes;
}

const struct mb_region *mb_regions_at(const struct mb_regions *r, uint64_t addr)
{
	size_t i = first_behind(r, addr);

	return i < r->n && r->list[i].start <= addr ? &r->list[i] : NULL;
}

const struct mb_region *mb_regions_next(const struct mb_regions *r, uint64_t addr)
{
	size_t i = first_behind(r, addr);

	return i < r->n ? &r->list[i] : NULL;
}

/* Remove what is not mapped now, between the current mappings. */
static void remove_between(struct mb_regions *r, const struct mb_region *now, size_t n)
{
	uint64_t from = 0;

	for (size_t i = 0; i < n; i++) {
		mb_regions_unmap(r, from, now[i].start);
		from = now[i].end;
	}
	mb_regions_unmap(r, from, UINT64_MAX);
}

/* Add what is mapped now but not in the list; also update which pieces are System V shared memory. */
static void add_missing(struct mb_regions *r, const struct mb_region *now)
{
	uint64_t at = now->start;

	while (at < now->end) {
		const struct mb_region *have = mb_regions_at(r, at);
		size_t i = first_behind(r, at);
		struct mb_region piece = *now;

		piece.start = at;
		if (have) { /* the origin is known, but its kind may be new */
			piece = *have;
			if (piece.start < at)
				piece.start = at;
			if (piece.end > now->end)
				piece.end = now->end;
			piece.attached = now->attached;
		} else {
			piece.stack = 0;
			if (i < r->n && r->list[i].start < piece.end)
				piece.end = r->list[i].start;
		}
		if (!have || have->attached != piece.attached)
			mb_regions_put(r, &piece);
		if (r->unsure)
			return;
		at = piece.end;
	}
}

void mb_regions_sync(struct mb_regions *r, const struct mb_region *now, size_t n, uint64_t from_ns,
		     uint64_t to_ns)
{
	r->unsure = false;
	remove_between(r, now, n);
	for (size_t i = 0; i < n && !r->unsure; i++)
		add_missing(r, &now[i]);
	if (r->synced_ns)
		r->syncs++;
	r->synced_ns = from_ns;
	r->unsure_ns = to_ns;
}

void mb_regions_copy(struct mb_regions *r, const struct mb_regions *parent, uint64_t fork_ns)
{
	for (size_t i = 0; i < parent->n; i++)
		mb_regions_put(r, &parent->list[i]);
	r->unsure = parent->unsure;
	r->synced_ns = fork_ns;
	r->unsure_ns = parent->unsure_ns;
}
