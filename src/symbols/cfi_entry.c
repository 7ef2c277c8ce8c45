// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Parses the entries of .eh_frame and .debug_frame. */
#include "symbols/cfi_entry.h"

#include <dwarf.h>

/* Load address of the next byte. */
static uint64_t here(const struct mb_cfi_section *s, const struct mb_bytes *b)
{
	return s->address + (uint64_t)(b->at - s->bytes);
}

uint64_t mb_cfi_encoded(const struct mb_cfi_section *s, struct mb_bytes *b, uint8_t encoding)
{
	uint64_t base = 0;

	if ((encoding & 0xf0) == DW_EH_PE_pcrel)
		base = here(s, b);
	else if (encoding & 0xf0)
		mb_bytes_fail(b);
	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return base + mb_bytes_fixed(b, 8);
	case DW_EH_PE_udata2:
		return base + mb_bytes_fixed(b, 2);
	case DW_EH_PE_sdata2:
		return base + (uint64_t)mb_bytes_signed(b, 2);
	case DW_EH_PE_udata4:
		return base + mb_bytes_fixed(b, 4);
	case DW_EH_PE_sdata4:
		return base + (uint64_t)mb_bytes_signed(b, 4);
	case DW_EH_PE_uleb128:
		return base + mb_bytes_uleb(b);
	case DW_EH_PE_sleb128:
		return base + (uint64_t)mb_bytes_sleb(b);
	default:
		mb_bytes_fail(b);
		return 0;
	}
}

/* Read the augmentation data: each letter after 'z' has its own. */
static void read_augmentation(const struct mb_cfi_section *s, const char *letters, struct mb_bytes *b,
			      struct mb_cie *cie)
{
	for (; *letters && !b->bad; letters++) {
		uint8_t encoding;

		switch (*letters) {
		case 'R':
			cie->encoding = (uint8_t)mb_bytes_fixed(b, 1);
			break;
		case 'P':
			encoding = (uint8_t)mb_bytes_fixed(b, 1);
			/* personality routine: not needed, only skip its bytes */
			mb_cfi_encoded(s, b, encoding & 0x0f);
			break;
		case 'L':
			mb_bytes_fixed(b, 1);
			break;
		case 'S':
			cie->signal = true;
			break;
		case 'B':
			break;
		default:
			return; /* unknown letter: the remaining data cannot be parsed, but is skipped */
		}
	}
}

/* Parse a CIE. b: starts after the id. */
static bool read_cie(const struct mb_cfi_section *s, struct mb_bytes b, uint64_t offset, struct mb_cie *cie)
{
	uint64_t version = mb_bytes_fixed(&b, 1);
	const char *letters = (const char *)b.at;
	const uint8_t *nul = memchr(b.at, 0, mb_bytes_left(&b));

	*cie = (struct mb_cie){ .offset = offset, .encoding = DW_EH_PE_absptr };
	if ((version != 1 && version != 3 && version != 4) || !nul)
		return false;
	b.at = nul + 1;
	/* size of an address (8) and of a segment selector (0) */
	if (version == 4 && mb_bytes_fixed(&b, 2) != 8)
		return false;
	cie->code_align = mb_bytes_uleb(&b);
	cie->data_align = mb_bytes_sleb(&b);
	cie->ra = version == 1 ? mb_bytes_fixed(&b, 1) : mb_bytes_uleb(&b);
	if (*letters == 'z') {
		struct mb_bytes data = b;
		uint64_t len = mb_bytes_uleb(&data);

		b = data;
		mb_bytes_skip(&b, len);
		data.end = b.at;
		cie->augmented = true;
		if (!b.bad)
			read_augmentation(s, letters + 1, &data, cie);
		if (data.bad)
			return false;
	} else if (*letters) {
		return false;
	}
	cie->program = b;
	return !b.bad;
}

/* The bytes of an entry after its length and id, and the id. Returns false if there is no entry. */
static bool entry_at(const struct mb_cfi_section *s, size_t offset, struct mb_bytes *b, uint64_t *id)
{
	uint64_t len;

	if (offset >= s->size)
		return false;
	*b = (struct mb_bytes){ s->bytes + offset, s->bytes + s->size, false };
	len = mb_bytes_fixed(b, 4);
	if (b->bad || len < 4 || len > mb_bytes_left(b))
		return false;
	b->end = b->at + len;
	*id = mb_bytes_fixed(b, 4);
	return true;
}

static uint64_t cie_id(const struct mb_cfi_section *s)
{
	return s->eh ? 0 : UINT32_MAX;
}

static bool find_cie(const struct mb_cfi_section *s, uint64_t offset, struct mb_cie *cie)
{
	struct mb_bytes b;
	uint64_t id;

	if (cie->program.at && cie->offset == offset)
		return true;
	cie->program.at = NULL;
	if (!entry_at(s, offset, &b, &id) || id != cie_id(s) || !read_cie(s, b, offset, cie)) {
		cie->program.at = NULL;
		return false;
	}
	return true;
}

enum mb_cfi_kind mb_cfi_entry(const struct mb_cfi_section *s, size_t *offset, struct mb_fde *fde)
{
	size_t at = *offset;
	struct mb_bytes b;
	uint64_t id, cie, size;

	if (s->size < 4 || at > s->size - 4)
		return MB_CFI_NO_MORE;
	if (!memcmp(s->bytes + at, "\0\0\0\0", 4)) { /* terminator, at the end of one object file's entries */
		*offset += 4;
		return MB_CFI_OTHER;
	}
	if (!entry_at(s, at, &b, &id))
		return MB_CFI_NO_MORE;
	*offset = (size_t)(b.end - s->bytes);
	if (id == cie_id(s))
		return MB_CFI_OTHER;
	cie = s->eh ? at + 4 - id : id;
	if (!find_cie(s, cie, &fde->cie))
		return MB_CFI_OTHER;
	fde->start = mb_cfi_encoded(s, &b, fde->cie.encoding);
	size = mb_cfi_encoded(s, &b, fde->cie.encoding & 0x0f);
	if (fde->cie.augmented)
		mb_bytes_skip(&b, mb_bytes_uleb(&b));
	fde->end = fde->start + size;
	fde->program = b;
	return b.bad || fde->end <= fde->start ? MB_CFI_OTHER : MB_CFI_FDE;
}
