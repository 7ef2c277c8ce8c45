/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Call-frame information of one file: how to compute the caller's registers from those of a
 * function. Parses .eh_frame and .debug_frame with its own code because the file is not trusted:
 * libdw allocates memory for as many registers as the file names.
 */
#ifndef MB_SYMBOLS_CFI_H
#define MB_SYMBOLS_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbols/image.h"

/* The registers that are tracked, in the order of mb_cfi_row.regs. */
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

/* Map a DWARF register number to an entry of this enum. Returns -1 if the register is not tracked. */
int mb_cfi_slot(uint64_t dwarf_number);

/* How to compute the caller's value of a register. */
enum mb_cfi_how {
	MB_CFI_UNSPECIFIED, /* the register keeps its value */
	MB_CFI_SAME,
	MB_CFI_UNDEFINED,
	MB_CFI_AT_CFA, /* saved at address CFA + n */
	MB_CFI_IS_CFA, /* value is CFA + n */
	MB_CFI_REGISTER, /* value is in another register; for the CFA rule: that register + n */
	MB_CFI_AT_EXPR, /* saved at the address that an expression yields */
	MB_CFI_IS_EXPR,
};

/* The rule for one register, or for the canonical frame address (CFA). */
struct mb_cfi_rule {
	uint8_t how;
	int8_t slot; /* MB_CFI_* register */
	uint16_t len; /* length of the expression */
	union {
		int32_t n;
		uint32_t expr; /* offset of the expression in the section */
	};
};

/* All unwind rules for one address. */
struct mb_cfi_row {
	struct mb_cfi_rule cfa;
	struct mb_cfi_rule regs[MB_CFI_REGS];
	bool known; /* false: there are no rules for this address */
	bool signal; /* signal frame: the caller was interrupted and did not make a call */
	const uint8_t *section; /* bytes of the section that contains the expressions */
};

/* Pointer to the bytes of a rule's expression. */
static inline const uint8_t *mb_cfi_expr(const struct mb_cfi_row *row, const struct mb_cfi_rule *r)
{
	return row->section + r->expr;
}

struct mb_cfi;

/* Read and sort the call-frame information of a file. Returns NULL if there is none, or if out of memory. */
struct mb_cfi *mb_cfi_open(const struct mb_image *im);
void mb_cfi_close(struct mb_cfi *c); /* NULL is fine; invalidates all rows of c */

/* Find the rules for an address (virtual address in the file). row->known is false if there are none. */
void mb_cfi_find(const struct mb_cfi *c, uint64_t address, struct mb_cfi_row *row);

#endif
