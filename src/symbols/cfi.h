/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Call-frame information of one file: how to find the caller's registers from those of a function. Read from
 * .eh_frame and .debug_frame by code of our own, as the file is not trusted: libdw reserves memory for as many
 * registers as the file names.
 */
#ifndef MB_SYMBOLS_CFI_H
#define MB_SYMBOLS_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbols/image.h"

/* The registers that are followed, in the order of mb_cfi_row.regs; the numbers are DWARF's. */
enum {
	MB_CFI_BX,
	MB_CFI_BP,
	MB_CFI_SP,
	MB_CFI_R12,
	MB_CFI_R13,
	MB_CFI_R14,
	MB_CFI_R15,
	MB_CFI_RA,
	MB_CFI_REGS,
};

/* Which of them a DWARF number is; -1: none. */
int mb_cfi_slot(uint64_t dwarf_number);

enum mb_cfi_how {
	MB_CFI_UNSPECIFIED, /* keeps its value */
	MB_CFI_SAME,
	MB_CFI_UNDEFINED,
	MB_CFI_AT_CFA, /* saved at the CFA + n */
	MB_CFI_IS_CFA, /* is the CFA + n */
	MB_CFI_REGISTER, /* is in a register; as the rule for the CFA: that register + n */
	MB_CFI_AT_EXPR, /* saved at what an expression yields */
	MB_CFI_IS_EXPR,
};

struct mb_cfi_rule {
	uint8_t how;
	int8_t slot; /* of a register that is followed */
	uint16_t len; /* of an expression */
	union {
		int32_t n;
		uint32_t expr; /* offset in the section */
	};
};

/* All there is to know of one address. */
struct mb_cfi_row {
	struct mb_cfi_rule cfa;
	struct mb_cfi_rule regs[MB_CFI_REGS];
	bool known; /* false: there is nothing about this address */
	bool signal; /* the caller was interrupted, it did not call */
	const uint8_t *section; /* of expressions */
};

/* The bytes of an expression of a row. */
static inline const uint8_t *mb_cfi_expr(const struct mb_cfi_row *row, const struct mb_cfi_rule *r)
{
	return row->section + r->expr;
}

struct mb_cfi;

/* Reads the sections and sorts what is in them; NULL: there is nothing, or no memory. */
struct mb_cfi *mb_cfi_open(const struct mb_image *im);
void mb_cfi_close(struct mb_cfi *c); /* NULL is fine; rows of it are no good afterwards */

/* The row of an address (as the file counts them); row->known tells whether there is one. */
void mb_cfi_find(const struct mb_cfi *c, uint64_t address, struct mb_cfi_row *row);

#endif
