// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* FNV-1a. */
#include "base/hash.h"

#include <string.h>

uint64_t mb_hash(uint64_t h, const void *data, size_t len)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ at[i]) * 0x100000001b3ull;
	return h;
}

uint64_t mb_hash_text(uint64_t h, const char *text)
{
	return text ? mb_hash(h, text, strlen(text) + 1) : mb_hash(h, "\xff", 1);
}
