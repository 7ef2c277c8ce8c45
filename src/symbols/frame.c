// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* One unwind step. */
#include "symbols/frame.h"

#include "symbols/expr.h"

#define BIT(slot) (1u << (slot))

static bool find_cfa(const struct mb_frame *f, const struct mb_stack *stack, const struct mb_cfi_row *row,
		     uint64_t *cfa)
{
	if (row->cfa.how == MB_CFI_REGISTER) {
		*cfa = f->v[row->cfa.slot] + (uint64_t)(int64_t)row->cfa.n;
		return f->valid & BIT(row->cfa.slot);
	}
	return row->cfa.how == MB_CFI_IS_EXPR &&
	       mb_expr(mb_cfi_expr(row, &row->cfa), row->cfa.len, NULL, f, stack, cfa);
}

/* The caller's value of one register. Returns false if it is not known. */
static bool caller_value(const struct mb_frame *f, const struct mb_stack *stack, const struct mb_cfi_row *row,
			 int slot, uint64_t cfa, uint64_t *v)
{
	const struct mb_cfi_rule *r = &row->regs[slot];

	switch (r->how) {
	case MB_CFI_UNSPECIFIED:
	case MB_CFI_SAME:
		*v = f->v[slot];
		return f->valid & BIT(slot);
	case MB_CFI_AT_CFA:
		return mb_stack_read(stack, cfa + (uint64_t)(int64_t)r->n, 8, v);
	case MB_CFI_IS_CFA:
		*v = cfa + (uint64_t)(int64_t)r->n;
		return true;
	case MB_CFI_REGISTER:
		*v = f->v[r->slot];
		return f->valid & BIT(r->slot);
	case MB_CFI_AT_EXPR:
		return mb_expr(mb_cfi_expr(row, r), r->len, &cfa, f, stack, v) &&
		       mb_stack_read(stack, *v, 8, v);
	case MB_CFI_IS_EXPR:
		return mb_expr(mb_cfi_expr(row, r), r->len, &cfa, f, stack, v);
	default:
		return false;
	}
}

enum mb_step mb_frame_by_cfi(struct mb_frame *f, const struct mb_stack *stack, const struct mb_cfi_row *row)
{
	struct mb_frame caller = { 0 };
	uint64_t cfa, v = 0;

	if (row->regs[MB_CFI_RA].how == MB_CFI_UNDEFINED)
		return MB_STEP_OUTERMOST;
	if (row->regs[MB_CFI_RA].how == MB_CFI_UNSPECIFIED || !find_cfa(f, stack, row, &cfa))
		return MB_STEP_LOST;
	for (int slot = 0; slot < MB_CFI_REGS; slot++) {
		bool is_cfa = slot == MB_CFI_SP && row->regs[slot].how == MB_CFI_UNSPECIFIED;

		if (is_cfa)
			v = cfa;
		if (!is_cfa && !caller_value(f, stack, row, slot, cfa, &v))
			continue;
		caller.v[slot] = v;
		caller.valid |= BIT(slot);
	}
	if (!(caller.valid & BIT(MB_CFI_RA)) || !(caller.valid & BIT(MB_CFI_SP)))
		return MB_STEP_LOST;
	/* the stack pointer must grow, except across a signal frame, which can be on another stack */
	if (!row->signal && caller.v[MB_CFI_SP] <= f->v[MB_CFI_SP])
		return MB_STEP_LOST;
	if (!caller.v[MB_CFI_RA])
		return MB_STEP_OUTERMOST;
	*f = caller;
	return MB_STEP_DONE;
}

enum mb_step mb_frame_by_pointer(struct mb_frame *f, const struct mb_stack *stack)
{
	uint64_t bp = f->v[MB_CFI_BP], saved, ra;

	if (!(f->valid & BIT(MB_CFI_BP)))
		return MB_STEP_LOST;
	if (!bp)
		return MB_STEP_OUTERMOST;
	if (bp % 8 || bp < f->v[MB_CFI_SP] || !mb_stack_read(stack, bp, 8, &saved) ||
	    !mb_stack_read(stack, bp + 8, 8, &ra))
		return MB_STEP_LOST;
	if (!ra)
		return MB_STEP_OUTERMOST;
	f->v[MB_CFI_BP] = saved;
	f->v[MB_CFI_SP] = bp + 16;
	f->v[MB_CFI_RA] = ra;
	f->valid = BIT(MB_CFI_BP) | BIT(MB_CFI_SP) | BIT(MB_CFI_RA);
	return MB_STEP_DONE;
}
