/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Evaluates the DWARF expressions that call-frame information uses: constants, registers, memory of
 * the copied stack.
 */
#ifndef MB_SYMBOLS_EXPR_H
#define MB_SYMBOLS_EXPR_H

#include "symbols/frame.h"

/* Read a number of 1 to 8 bytes at a stack address. Returns false if it is not in the copy. */
bool mb_stack_read(const struct mb_stack *s, uint64_t address, size_t size, uint64_t *v);

/*
 * Evaluate an expression. first: initial value on the expression stack (the CFA), or NULL. Returns
 * false for an unsupported operation, an unknown register, memory that is not in the copy, or an
 * expression that does not end.
 */
bool mb_expr(const uint8_t *expr, size_t len, const uint64_t *first, const struct mb_frame *f,
	     const struct mb_stack *stack, uint64_t *result);

#endif
