// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Runs the programs of call-frame information up to an address. */
#include <dwarf.h>

#include "symbols/cfi_entry.h"

#define REMEMBERED 16
#define MAX_PROGRAM (256u << 10) /* in bytes; the program of a function of one megabyte has a few thousand */

struct run {
	const struct mb_cfi_section *section;
	const struct mb_cie *cie;
	struct mb_cfi_row *row;
	struct mb_cfi_row initial; /* the state after the CIE's program */
	struct mb_cfi_row remembered[REMEMBERED];
	unsigned int n_remembered;
	uint64_t location;
	bool bad;
};

int mb_cfi_slot(uint64_t dwarf_number)
{
	static const int8_t slots[] = {
		[0] = -1, [1] = -1, [2] = -1, [3] = MB_CFI_BX, [4] = -1, [5] = -1, [6] = MB_CFI_BP,
		[7] = MB_CFI_SP, [8] = -1, [9] = -1, [10] = -1, [11] = -1, [12] = MB_CFI_R12,
		[13] = MB_CFI_R13, [14] = MB_CFI_R14, [15] = MB_CFI_R15, [16] = MB_CFI_RA,
	};

	return dwarf_number < sizeof(slots) ? slots[dwarf_number] : -1;
}

static int slot_of(const struct run *r, uint64_t number)
{
	return number == r->cie->ra ? MB_CFI_RA : mb_cfi_slot(number);
}

/* Check that an offset fits into 32 bits; nothing on a stack is further away. */
static int32_t narrow(struct run *r, int64_t n)
{
	if (n < INT32_MIN || n > INT32_MAX)
		r->bad = true;
	return (int32_t)n;
}

static int64_t scaled(struct run *r, int64_t factored)
{
	int64_t n;

	if (__builtin_mul_overflow(factored, r->cie->data_align, &n)) {
		r->bad = true;
		return 0;
	}
	return n;
}

/* Set the rule of one register; registers that are not tracked are ignored. */
static void set(struct run *r, uint64_t number, enum mb_cfi_how how, int64_t n)
{
	int slot = slot_of(r, number);

	if (slot >= 0)
		r->row->regs[slot] = (struct mb_cfi_rule){ .how = (uint8_t)how, .n = narrow(r, n) };
}

static void set_register(struct run *r, uint64_t number, uint64_t from)
{
	int slot = slot_of(r, number), source = slot_of(r, from);

	if (slot < 0)
		return;
	r->row->regs[slot] = (struct mb_cfi_rule){ .how = source < 0 ? MB_CFI_UNDEFINED : MB_CFI_REGISTER,
						   .slot = (int8_t)source };
}

static struct mb_cfi_rule expression(struct run *r, struct mb_bytes *b, enum mb_cfi_how how)
{
	uint64_t len = mb_bytes_uleb(b);
	struct mb_cfi_rule rule = { .how = (uint8_t)how, .expr = (uint32_t)(b->at - r->section->bytes) };

	mb_bytes_skip(b, len);
	if (b->bad || len > UINT16_MAX)
		r->bad = true;
	else
		rule.len = (uint16_t)len;
	return rule;
}

static void set_expression(struct run *r, struct mb_bytes *b, enum mb_cfi_how how)
{
	int slot = slot_of(r, mb_bytes_uleb(b));
	struct mb_cfi_rule rule = expression(r, b, how);

	if (slot >= 0)
		r->row->regs[slot] = rule;
}

static void restore(struct run *r, uint64_t number)
{
	int slot = slot_of(r, number);

	if (slot >= 0)
		r->row->regs[slot] = r->initial.regs[slot];
}

/*
 * The CFA cannot be computed from a register that is not tracked. The chain then ends here, since a
 * guess could be wrong.
 */
static void set_cfa(struct run *r, uint64_t number, int64_t n)
{
	int slot = mb_cfi_slot(number);

	r->row->cfa = (struct mb_cfi_rule){ .how = slot < 0 ? MB_CFI_UNDEFINED : MB_CFI_REGISTER,
					    .slot = (int8_t)slot,
					    .n = narrow(r, n) };
}

static void set_cfa_register(struct run *r, uint64_t number)
{
	if (r->row->cfa.how != MB_CFI_REGISTER && r->row->cfa.how != MB_CFI_UNDEFINED)
		r->bad = true;
	else
		set_cfa(r, number, r->row->cfa.n);
}

static void set_cfa_offset(struct run *r, int64_t n)
{
	if (r->row->cfa.how != MB_CFI_REGISTER && r->row->cfa.how != MB_CFI_UNDEFINED)
		r->bad = true;
	else
		r->row->cfa.n = narrow(r, n);
}

static void remember(struct run *r)
{
	if (r->n_remembered == REMEMBERED)
		r->bad = true;
	else
		r->remembered[r->n_remembered++] = *r->row;
}

static void recall(struct run *r)
{
	if (!r->n_remembered)
		r->bad = true;
	else
		*r->row = r->remembered[--r->n_remembered];
}

/* Run an operation that defines the CFA. Returns false if op is not one. */
static bool run_cfa(struct run *r, uint8_t op, struct mb_bytes *b)
{
	uint64_t number;

	switch (op) {
	case DW_CFA_def_cfa:
		number = mb_bytes_uleb(b);
		set_cfa(r, number, (int64_t)mb_bytes_uleb(b));
		return true;
	case DW_CFA_def_cfa_sf:
		number = mb_bytes_uleb(b);
		set_cfa(r, number, scaled(r, mb_bytes_sleb(b)));
		return true;
	case DW_CFA_def_cfa_register:
		set_cfa_register(r, mb_bytes_uleb(b));
		return true;
	case DW_CFA_def_cfa_offset:
		set_cfa_offset(r, (int64_t)mb_bytes_uleb(b));
		return true;
	case DW_CFA_def_cfa_offset_sf:
		set_cfa_offset(r, scaled(r, mb_bytes_sleb(b)));
		return true;
	case DW_CFA_def_cfa_expression:
		r->row->cfa = expression(r, b, MB_CFI_IS_EXPR);
		return true;
	default:
		return false;
	}
}

/* Run an operation that defines a register, or one of the remaining operations. */
static void run_register(struct run *r, uint8_t op, struct mb_bytes *b)
{
	uint64_t number;

	if (op == DW_CFA_expression || op == DW_CFA_val_expression) {
		set_expression(r, b, op == DW_CFA_expression ? MB_CFI_AT_EXPR : MB_CFI_IS_EXPR);
		return;
	}
	number = mb_bytes_uleb(b);
	switch (op) {
	case DW_CFA_offset_extended:
		set(r, number, MB_CFI_AT_CFA, scaled(r, (int64_t)mb_bytes_uleb(b)));
		break;
	case DW_CFA_offset_extended_sf:
		set(r, number, MB_CFI_AT_CFA, scaled(r, mb_bytes_sleb(b)));
		break;
	case DW_CFA_GNU_negative_offset_extended:
		set(r, number, MB_CFI_AT_CFA, scaled(r, -(int64_t)(mb_bytes_uleb(b) & INT64_MAX)));
		break;
	case DW_CFA_val_offset:
		set(r, number, MB_CFI_IS_CFA, scaled(r, (int64_t)mb_bytes_uleb(b)));
		break;
	case DW_CFA_val_offset_sf:
		set(r, number, MB_CFI_IS_CFA, scaled(r, mb_bytes_sleb(b)));
		break;
	case DW_CFA_restore_extended:
		restore(r, number);
		break;
	case DW_CFA_undefined:
		set(r, number, MB_CFI_UNDEFINED, 0);
		break;
	case DW_CFA_same_value:
		set(r, number, MB_CFI_SAME, 0);
		break;
	case DW_CFA_register:
		set_register(r, number, mb_bytes_uleb(b));
		break;
	case DW_CFA_GNU_args_size:
		break; /* its only operand was read above as the register number */
	default:
		r->bad = true;
	}
}

/* Run one operation. Returns false if it advances past the address. */
static bool run_one(struct run *r, struct mb_bytes *b, uint64_t address)
{
	uint8_t op = (uint8_t)mb_bytes_fixed(b, 1), low = op & 0x3f;
	uint64_t to = r->location;

	switch (op & 0xc0) {
	case DW_CFA_advance_loc:
		to += low * r->cie->code_align;
		break;
	case DW_CFA_offset:
		set(r, low, MB_CFI_AT_CFA, scaled(r, (int64_t)mb_bytes_uleb(b)));
		return true;
	case DW_CFA_restore:
		restore(r, low);
		return true;
	default:
		switch (op) {
		case DW_CFA_nop:
			return true;
		case DW_CFA_set_loc:
			to = mb_cfi_encoded(r->section, b, r->cie->encoding);
			break;
		case DW_CFA_advance_loc1:
			to += mb_bytes_fixed(b, 1) * r->cie->code_align;
			break;
		case DW_CFA_advance_loc2:
			to += mb_bytes_fixed(b, 2) * r->cie->code_align;
			break;
		case DW_CFA_advance_loc4:
			to += mb_bytes_fixed(b, 4) * r->cie->code_align;
			break;
		case DW_CFA_remember_state:
			remember(r);
			return true;
		case DW_CFA_restore_state:
			recall(r);
			return true;
		default:
			if (!run_cfa(r, op, b))
				run_register(r, op, b);
			return true;
		}
	}
	if (to > address)
		return false;
	r->location = to;
	return true;
}

bool mb_cfi_run(const struct mb_cfi_section *s, const struct mb_fde *fde, uint64_t address,
		struct mb_cfi_row *row)
{
	struct run r = { .section = s, .cie = &fde->cie, .row = row, .location = fde->start };
	struct mb_bytes b = fde->cie.program;

	*row = (struct mb_cfi_row){ .section = s->bytes, .signal = fde->cie.signal };
	if (mb_bytes_left(&b) > MAX_PROGRAM || mb_bytes_left(&fde->program) > MAX_PROGRAM)
		return false;
	while (mb_bytes_left(&b) && !b.bad && !r.bad)
		run_one(&r, &b, UINT64_MAX);
	r.bad |= b.bad;
	r.initial = *row;
	r.location = fde->start;
	b = fde->program;
	while (mb_bytes_left(&b) && !b.bad && !r.bad)
		if (!run_one(&r, &b, address))
			break;
	row->known = !b.bad && !r.bad && row->cfa.how != MB_CFI_UNSPECIFIED;
	return row->known;
}
