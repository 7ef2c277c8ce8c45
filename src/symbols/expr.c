// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Evaluates DWARF expressions of call-frame information. */
#include "symbols/expr.h"

#include <dwarf.h>

#include "memblame/abi.h"
#include "symbols/bytes.h"

#define DEPTH 32
#define STEPS 256

struct machine {
	const uint8_t *start;
	struct mb_bytes b;
	const struct mb_frame *frame;
	const struct mb_stack *memory;
	uint64_t stack[DEPTH];
	unsigned int n;
	bool bad;
};

static bool is_missing(const struct mb_stack *s, uint64_t address)
{
	uint64_t page = address / MB_PAGE_SIZE - s->address / MB_PAGE_SIZE;

	return page < 8 * sizeof(s->missing) && s->missing >> page & 1;
}

bool mb_stack_read(const struct mb_stack *s, uint64_t address, size_t size, uint64_t *v)
{
	uint64_t at = address - s->address;

	if (address < s->address || at > s->len || size > s->len - at || is_missing(s, address) ||
	    is_missing(s, address + size - 1))
		return false;
	*v = 0;
	memcpy(v, s->bytes + at, size);
	return true;
}

static void push(struct machine *m, uint64_t v)
{
	if (m->n == DEPTH)
		m->bad = true;
	else
		m->stack[m->n++] = v;
}

static uint64_t pop(struct machine *m)
{
	if (!m->n) {
		m->bad = true;
		return 0;
	}
	return m->stack[--m->n];
}

/* The stack entry this many entries below the top. */
static uint64_t pick(struct machine *m, uint64_t below)
{
	if (below >= m->n) {
		m->bad = true;
		return 0;
	}
	return m->stack[m->n - 1 - below];
}

static void push_register(struct machine *m, uint64_t number, int64_t offset)
{
	int slot = mb_cfi_slot(number);

	if (slot < 0 || !(m->frame->valid & 1u << slot))
		m->bad = true;
	else
		push(m, m->frame->v[slot] + (uint64_t)offset);
}

static void deref(struct machine *m, size_t size)
{
	uint64_t v = 0;

	if (!size || size > 8 || !mb_stack_read(m->memory, pop(m), size, &v))
		m->bad = true;
	push(m, v);
}

static void branch(struct machine *m, int64_t by, bool used)
{
	int64_t to = m->b.at - m->start + by;

	if (!used)
		return;
	if (to < 0 || to > m->b.end - m->start)
		m->bad = true;
	else
		m->b.at = m->start + to;
}

/* Run an operation on the two topmost entries. Returns false if op is not one. */
static bool run_binary(struct machine *m, uint8_t op)
{
	uint64_t b = m->n > 0 ? m->stack[m->n - 1] : 0, a = m->n > 1 ? m->stack[m->n - 2] : 0, v;

	switch (op) {
	case DW_OP_and: v = a & b; break;
	case DW_OP_or: v = a | b; break;
	case DW_OP_xor: v = a ^ b; break;
	case DW_OP_plus: v = a + b; break;
	case DW_OP_minus: v = a - b; break;
	case DW_OP_mul: v = a * b; break;
	case DW_OP_shl: v = b < 64 ? a << b : 0; break;
	case DW_OP_shr: v = b < 64 ? a >> b : 0; break;
	case DW_OP_shra: v = (uint64_t)((int64_t)a >> (b < 64 ? b : 63)); break;
	case DW_OP_eq: v = a == b; break;
	case DW_OP_ne: v = a != b; break;
	case DW_OP_ge: v = (int64_t)a >= (int64_t)b; break;
	case DW_OP_gt: v = (int64_t)a > (int64_t)b; break;
	case DW_OP_le: v = (int64_t)a <= (int64_t)b; break;
	case DW_OP_lt: v = (int64_t)a < (int64_t)b; break;
	default: return false;
	}
	pop(m);
	pop(m);
	push(m, v);
	return true;
}

/* Push a constant. Returns false if op does not do that. */
static bool run_constant(struct machine *m, uint8_t op)
{
	struct mb_bytes *b = &m->b;

	if (op >= DW_OP_lit0 && op <= DW_OP_lit31) {
		push(m, op - DW_OP_lit0);
		return true;
	}
	switch (op) {
	case DW_OP_addr:
	case DW_OP_const8u:
	case DW_OP_const8s: push(m, mb_bytes_fixed(b, 8)); break;
	case DW_OP_const1u: push(m, mb_bytes_fixed(b, 1)); break;
	case DW_OP_const1s: push(m, (uint64_t)mb_bytes_signed(b, 1)); break;
	case DW_OP_const2u: push(m, mb_bytes_fixed(b, 2)); break;
	case DW_OP_const2s: push(m, (uint64_t)mb_bytes_signed(b, 2)); break;
	case DW_OP_const4u: push(m, mb_bytes_fixed(b, 4)); break;
	case DW_OP_const4s: push(m, (uint64_t)mb_bytes_signed(b, 4)); break;
	case DW_OP_constu: push(m, mb_bytes_uleb(b)); break;
	case DW_OP_consts: push(m, (uint64_t)mb_bytes_sleb(b)); break;
	default: return false;
	}
	return true;
}

/* Run the remaining operations: moving stack entries, reading memory, unary operations and jumps. */
static void run_stack(struct machine *m, uint8_t op)
{
	uint64_t a, b, c;
	int64_t by;

	switch (op) {
	case DW_OP_dup: push(m, pick(m, 0)); break;
	case DW_OP_drop: pop(m); break;
	case DW_OP_over: push(m, pick(m, 1)); break;
	case DW_OP_pick: push(m, pick(m, mb_bytes_fixed(&m->b, 1))); break;
	case DW_OP_swap: b = pop(m), a = pop(m), push(m, b), push(m, a); break;
	case DW_OP_rot: c = pop(m), b = pop(m), a = pop(m), push(m, c), push(m, a), push(m, b); break;
	case DW_OP_deref: deref(m, 8); break;
	case DW_OP_deref_size: deref(m, mb_bytes_fixed(&m->b, 1)); break;
	case DW_OP_neg: push(m, -pop(m)); break;
	case DW_OP_not: push(m, ~pop(m)); break;
	case DW_OP_plus_uconst: push(m, pop(m) + mb_bytes_uleb(&m->b)); break;
	case DW_OP_skip: by = mb_bytes_signed(&m->b, 2), branch(m, by, true); break;
	case DW_OP_bra: by = mb_bytes_signed(&m->b, 2), branch(m, by, pop(m)); break;
	case DW_OP_nop: break;
	default: m->bad = true;
	}
}

bool mb_expr(const uint8_t *expr, size_t len, const uint64_t *first, const struct mb_frame *f,
	     const struct mb_stack *stack, uint64_t *result)
{
	struct machine m = { .start = expr, .b = { expr, expr + len, false }, .frame = f, .memory = stack };

	if (first)
		push(&m, *first);
	for (int steps = 0; mb_bytes_left(&m.b) && !m.bad; steps++) {
		uint8_t op = (uint8_t)mb_bytes_fixed(&m.b, 1);
		uint64_t number;

		if (steps == STEPS)
			return false;
		if (op >= DW_OP_breg0 && op <= DW_OP_breg31) {
			push_register(&m, op - DW_OP_breg0, mb_bytes_sleb(&m.b));
		} else if (op == DW_OP_bregx) {
			number = mb_bytes_uleb(&m.b);
			push_register(&m, number, mb_bytes_sleb(&m.b));
		} else if (!run_constant(&m, op)) {
			if (!run_binary(&m, op))
				run_stack(&m, op);
		}
	}
	if (m.bad || m.b.bad || !m.n)
		return false;
	*result = m.stack[m.n - 1];
	return true;
}
