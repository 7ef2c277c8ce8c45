/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Entries of .eh_frame and .debug_frame: common information entries (CIE) and frame description entries (FDE). */
#ifndef MB_SYMBOLS_CFI_ENTRY_H
#define MB_SYMBOLS_CFI_ENTRY_H

#include "symbols/bytes.h"
#include "symbols/cfi.h"

/* The contents of .eh_frame or .debug_frame. */
struct mb_cfi_section {
	uint8_t *bytes;
	size_t size;
	uint64_t address; /* load address of the first byte */
	bool eh; /* .eh_frame; false: .debug_frame */
};

/* A parsed common information entry. */
struct mb_cie {
	uint64_t offset;
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra; /* DWARF number of the return address register */
	uint8_t encoding; /* encoding of the addresses in FDEs */
	bool augmented, signal;
	struct mb_bytes program;
};

/* A parsed frame description entry: the function from start to end - 1. */
struct mb_fde {
	struct mb_cie cie;
	uint64_t start, end;
	struct mb_bytes program;
};

/* Result of mb_cfi_entry(). */
enum mb_cfi_kind {
	MB_CFI_NO_MORE,
	MB_CFI_OTHER, /* a CIE, or a malformed entry */
	MB_CFI_FDE,
};

/*
 * Read the entry at *offset and advance *offset to the next one. Pass the same *fde to each call,
 * zeroed at first: it caches the CIE, since consecutive FDEs often share one.
 */
enum mb_cfi_kind mb_cfi_entry(const struct mb_cfi_section *s, size_t *offset, struct mb_fde *fde);

/* Read an address in one of the LSB encodings (DW_EH_PE_*). Sets b->bad if the encoding is not supported. */
uint64_t mb_cfi_encoded(const struct mb_cfi_section *s, struct mb_bytes *b, uint8_t encoding);

/*
 * Run the CIE and FDE programs of an entry up to an address and fill in *row. Returns false if the
 * entry is malformed.
 */
bool mb_cfi_run(const struct mb_cfi_section *s, const struct mb_fde *fde, uint64_t address,
		struct mb_cfi_row *row);

#endif
