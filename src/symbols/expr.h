/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* DWARF expressions, as far as call-frame information uses them: numbers, registers, the copied stack. */
#ifndef MB_SYMBOLS_EXPR_H
#define MB_SYMBOLS_EXPR_H

#include "symbols/frame.h"

/* A number of 1 to 8 bytes at an address of the stack; false: it is not in the copy. */
bool mb_stack_read(const struct mb_stack *s, uint64_t address, size_t size, uint64_t *v);

/*
 * Evaluate an expression. first: what is on its stack at the beginning (the CFA), or NULL. False: an operation
 * or a register that is not known here, memory that is not in the copy, or no end.
 */
bool mb_expr(const uint8_t *expr, size_t len, const uint64_t *first, const struct mb_frame *f,
	     const struct mb_stack *stack, uint64_t *result);

#endif
