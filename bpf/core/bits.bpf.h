/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Arithmetic that the compiler has no instruction for. */
#ifndef MEMBLAME_BITS_H
#define MEMBLAME_BITS_H

#include "core/kernel.h"

/* Position of the highest bit set; v > 0. */
MB_INLINE __u32 highest_bit(__u64 v)
{
	__u32 bit = 0;

	for (__u32 step = 32; step; step >>= 1) {
		if (v >> step) {
			v >>= step;
			bit += step;
		}
	}
	return bit;
}

#endif
