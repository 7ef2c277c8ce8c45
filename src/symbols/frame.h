/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* One step of unwinding: from the registers of a function to those of its caller. */
#ifndef MB_SYMBOLS_FRAME_H
#define MB_SYMBOLS_FRAME_H

#include "symbols/cfi.h"

/* Registers in the order of mb_cfi_row.regs; the last is the instruction pointer. */
struct mb_frame {
	uint64_t v[MB_CFI_REGS];
	uint32_t valid; /* a bit for each whose value is known */
};

struct mb_stack {
	const uint8_t *bytes;
	size_t len;
	uint64_t address; /* of the first byte */
	uint32_t missing; /* pages of the process that are not in the copy: bit n: the nth behind that of address */
};

enum mb_step {
	MB_STEP_DONE,
	MB_STEP_OUTERMOST, /* this function has no caller */
	MB_STEP_LOST, /* its caller is not in the copy, or nothing says where it is */
};

/* By call-frame information; f is changed only by MB_STEP_DONE. */
enum mb_step mb_frame_by_cfi(struct mb_frame *f, const struct mb_stack *stack, const struct mb_cfi_row *row);

/* By frame pointer. */
enum mb_step mb_frame_by_pointer(struct mb_frame *f, const struct mb_stack *stack);

#endif
