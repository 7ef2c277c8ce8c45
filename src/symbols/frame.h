/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* One unwind step: from the registers of a function to those of its caller. */
#ifndef MB_SYMBOLS_FRAME_H
#define MB_SYMBOLS_FRAME_H

#include "symbols/cfi.h"

/* Registers in the order of mb_cfi_row.regs; the last one is the instruction pointer. */
struct mb_frame {
	uint64_t v[MB_CFI_REGS];
	uint32_t valid; /* bit mask of the registers whose value is known */
};

/* A copy of a part of a thread's stack. */
struct mb_stack {
	const uint8_t *bytes;
	size_t len;
	uint64_t address; /* address of the first byte in the process */
	/* process pages missing from the copy; bit n: the nth page after the one that contains address */
	uint32_t missing;
};

/* Result of one unwind step. */
enum mb_step {
	MB_STEP_DONE,
	MB_STEP_OUTERMOST, /* the function has no caller */
	MB_STEP_LOST, /* the caller is not in the copy, or there is no information on where it is */
};

/* Unwind one step with call-frame information. f changes only if MB_STEP_DONE is returned. */
enum mb_step mb_frame_by_cfi(struct mb_frame *f, const struct mb_stack *stack, const struct mb_cfi_row *row);

/* Unwind one step with the frame pointer. f changes only if MB_STEP_DONE is returned. */
enum mb_step mb_frame_by_pointer(struct mb_frame *f, const struct mb_stack *stack);

#endif
