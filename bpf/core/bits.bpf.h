/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Bit arithmetic for which BPF has no instruction. */
#ifndef MEMBLAME_BITS_H
#define MEMBLAME_BITS_H

#include "core/kernel.h"

/*
 * 1 if v is not 0, else 0. Branch-free, because the verifier checks the code after a branch once
 * per outcome.
 */
MB_INLINE __u64 is_nonzero(__u64 v)
{
	__u64 negative = -v;

	asm volatile("" : "+r"(negative)); /* keeps the compiler from generating a branch */
	return (v | negative) >> 63;
}

/* Position of the highest set bit; v > 0. */
MB_INLINE __u32 highest_bit(__u64 v)
{
	__u32 bit = 0;

#pragma unroll
	for (int log = 5; log >= 0; log--) {
		__u64 step = is_nonzero(v >> (1u << log)) << log;

		v >>= step;
		bit += step;
	}
	return bit;
}

#endif
