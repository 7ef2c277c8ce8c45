/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The entries of .eh_frame and .debug_frame: what is common to functions (CIE), and single ones (FDE). */
#ifndef MB_SYMBOLS_CFI_ENTRY_H
#define MB_SYMBOLS_CFI_ENTRY_H

#include "symbols/bytes.h"
#include "symbols/cfi.h"

struct mb_cfi_section {
	uint8_t *bytes;
	size_t size;
	uint64_t address; /* at which the first byte is loaded */
	bool eh; /* else .debug_frame */
};

struct mb_cie {
	uint64_t offset;
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra; /* the register that stands for the return address */
	uint8_t encoding; /* of addresses in FDEs */
	bool augmented, signal;
	struct mb_bytes program;
};

struct mb_fde {
	struct mb_cie cie;
	uint64_t start, end;
	struct mb_bytes program;
};

/* What mb_cfi_entry says of the entry at an offset. */
enum mb_cfi_kind {
	MB_CFI_NO_MORE,
	MB_CFI_OTHER, /* a CIE, or broken */
	MB_CFI_FDE,
};

/*
 * Read the entry at *offset and move on to the next. *fde is kept from call to call, for the CIE of the last
 * FDE is often that of the next; all zero at first.
 */
enum mb_cfi_kind mb_cfi_entry(const struct mb_cfi_section *s, size_t *offset, struct mb_fde *fde);

/* An address in one of the encodings of the LSB (DW_EH_PE_...); bad where that is not supported. */
uint64_t mb_cfi_encoded(const struct mb_cfi_section *s, struct mb_bytes *b, uint8_t encoding);

/* Run the programs of an entry up to an address. False: broken. */
bool mb_cfi_run(const struct mb_cfi_section *s, const struct mb_fde *fde, uint64_t address,
		struct mb_cfi_row *row);

#endif
