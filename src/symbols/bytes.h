/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Decoders for numbers in DWARF format. They never read past the end of the bytes. */
#ifndef MB_SYMBOLS_BYTES_H
#define MB_SYMBOLS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The bytes that have not been read yet. */
struct mb_bytes {
	const uint8_t *at, *end;
	bool bad; /* an access went past the end; all reads since then returned 0 */
};

/* Number of bytes that have not been read. */
static inline size_t mb_bytes_left(const struct mb_bytes *b)
{
	return (size_t)(b->end - b->at);
}

/* Mark b as bad and skip to its end. */
static inline void mb_bytes_fail(struct mb_bytes *b)
{
	b->bad = true;
	b->at = b->end;
}

/* Read an unsigned little-endian number of 1 to 8 bytes. */
static inline uint64_t mb_bytes_fixed(struct mb_bytes *b, size_t size)
{
	uint64_t v = 0;

	if (mb_bytes_left(b) < size) {
		mb_bytes_fail(b);
		return 0;
	}
	memcpy(&v, b->at, size);
	b->at += size;
	return v;
}

/* Read a signed little-endian number of 1 to 8 bytes. */
static inline int64_t mb_bytes_signed(struct mb_bytes *b, size_t size)
{
	unsigned int unused = (unsigned int)(8 - size) * 8;

	return (int64_t)(mb_bytes_fixed(b, size) << unused) >> unused;
}

/* Read a ULEB128 number; bits above 64 are dropped. */
static inline uint64_t mb_bytes_uleb(struct mb_bytes *b)
{
	uint64_t v = 0;

	for (unsigned int shift = 0;; shift += 7) {
		uint64_t byte = mb_bytes_fixed(b, 1);

		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
}

/* Read an SLEB128 number; bits above 64 are dropped. */
static inline int64_t mb_bytes_sleb(struct mb_bytes *b)
{
	uint64_t v = 0;

	for (unsigned int shift = 0;;) {
		uint64_t byte = mb_bytes_fixed(b, 1);

		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		if ((byte & 0x40) && shift < 64)
			v |= ~0ull << shift;
		return (int64_t)v;
	}
}

/* Skip n bytes; fails if there are fewer. */
static inline void mb_bytes_skip(struct mb_bytes *b, uint64_t n)
{
	if (n > mb_bytes_left(b))
		mb_bytes_fail(b);
	else
		b->at += n;
}

#endif
