// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Applies each call that changes an address space to the list. */
#include "model/regions.h"

#define PAGE ((uint64_t)MB_PAGE_SIZE)
#define HUGE (2ull << 20) /* x86-64 */
#define NO_ADDRESS UINT64_MAX

/*
 * include/uapi/asm-generic/mman-common.h, linux/mman.h; not from libc, because these values are on
 * the wire
 */
#define FLAG_SHARED 0x01u
#define FLAG_FIXED 0x10u
#define FLAG_ANONYMOUS 0x20u
#define FLAG_GROWSDOWN 0x0100u
#define FLAG_HUGETLB 0x40000u
#define FLAG_FIXED_NOREPLACE 0x100000u
/* arch/x86/entry/syscalls/syscall_64.tbl */
#define CALL_SHMAT 30u
#define CALL_SHMDT 67u
#define REMAP_FIXED 2u
#define REMAP_DONTUNMAP 4u

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + PAGE - 1) & ~(PAGE - 1);
}

static bool is_error(uint64_t result)
{
	return result >= (uint64_t)-4095;
}

/*
 * Address of a mapping of len bytes without a fixed address. Either the requested address was free,
 * and the kernel did not search for an area, or the kernel used the area that it found last. For
 * huge pages it searches for a larger area than needed, and uses the part whose alignment matches
 * the file offset (mm/huge_memory.c, __thp_get_unmapped_area; mm/shmem.c, shmem_get_unmapped_area).
 */
static uint64_t found_address(const struct mb_region_event *e, uint64_t len, uint64_t hint, uint64_t offset)
{
	uint64_t room = e->area_addr, off;

	if (!room || is_error(room))
		return hint ? hint & ~(PAGE - 1) : NO_ADDRESS;
	if (e->area_len == len)
		return room;
	if (e->area_len == len + HUGE) {
		off = (offset - room) & (HUGE - 1);
		return off ? room + off : room + HUGE;
	}
	if (e->area_len == len + HUGE - PAGE) {
		off = offset & (HUGE - 1);
		return room + off - (room & (HUGE - 1)) + ((room & (HUGE - 1)) > off ? HUGE : 0);
	}
	return NO_ADDRESS;
}

static uint32_t kind_of(uint64_t flags)
{
	if (flags & FLAG_GROWSDOWN)
		return MB_REGION_STACK;
	if (!(flags & FLAG_ANONYMOUS))
		return MB_REGION_FILE;
	return (flags & 3) == 2 ? MB_REGION_ANON : MB_REGION_SHARED;
}

static bool is_fixed(const struct mb_region_event *e)
{
	return e->args[3] & (FLAG_FIXED | FLAG_FIXED_NOREPLACE);
}

bool mb_regions_range(const struct mb_region_event *e, uint64_t *start, uint64_t *end)
{
	uint64_t flags = e->args[3], len = page_up(e->args[1]), address;
	bool fixed = is_fixed(e);

	/*
	 * If the kernel chooses the address, nothing is replaced, and the address space grows by
	 * the full length (huge pages: by more). If a result is known, the call was hooked and not
	 * the lock, and another thread may have contributed to the growth.
	 */
	if (!fixed && e->delta_bytes > 0 && (e->result == MB_RESULT_UNKNOWN || (flags & FLAG_HUGETLB)))
		len = (uint64_t)e->delta_bytes;
	address = e->result != MB_RESULT_UNKNOWN ? e->result :
		fixed			       ? e->args[0] :
						 found_address(e, len, e->args[0], flags & FLAG_ANONYMOUS ? 0 : e->args[5]);
	*start = address;
	*end = address + len;
	return address != NO_ADDRESS && !is_error(e->result);
}

static void apply_mmap(struct mb_regions *r, const struct mb_region_event *e, uint32_t stack)
{
	uint64_t start, end;
	bool known = mb_regions_range(e, &start, &end);

	if (is_error(e->result) ||
	    (is_fixed(e) && !e->delta_bytes && mb_regions_covered(r, start, end) != end - start))
		return; /* the call failed */
	if (!known)
		r->unsure = true;
	else
		mb_regions_map(r, start, end, stack, kind_of(e->args[3]));
}

/* The shmdt address of a piece that was moved. */
static uint64_t moved_attached(const struct mb_region *p, uint64_t from, uint64_t to)
{
	return p && p->attached ? p->attached + (to - from) : 0;
}

/* Pieces retain their origin; pieces beyond len are dropped by the caller. */
static void move_pieces(struct mb_regions *r, uint64_t from, uint64_t len, uint64_t to)
{
	uint64_t at = from;

	while (at < from + len && !r->unsure) {
		const struct mb_region *p = mb_regions_next(r, at);
		struct mb_region piece;

		if (!p || p->start >= from + len)
			return;
		piece = *p;
		if (piece.start < at)
			piece.start = at;
		if (piece.end > from + len)
			piece.end = from + len;
		at = piece.end;
		piece.attached = moved_attached(&piece, from, to);
		piece.start = to + (piece.start - from);
		piece.end = to + (piece.end - from);
		mb_regions_put(r, &piece);
	}
}

static void apply_move(struct mb_regions *r, const struct mb_region_event *e, uint64_t to, uint32_t stack)
{
	uint64_t from = e->args[0], old_len = page_up(e->args[1]), new_len = page_up(e->args[2]);
	uint64_t moved = old_len < new_len ? old_len : new_len;
	const struct mb_region *first = mb_regions_at(r, from);
	struct mb_region grown = { .start = to + moved,
				   .end = to + new_len,
				   .stack = stack,
				   .kind = first ? first->kind : MB_REGION_ANON,
				   .attached = moved_attached(first, from, to) };

	mb_regions_unmap(r, to, to + new_len);
	move_pieces(r, from, moved, to);
	mb_regions_put(r, &grown);
	if (!(e->args[3] & REMAP_DONTUNMAP))
		mb_regions_unmap(r, from, from + old_len);
}

/*
 * Was the move done? The size of the address space shows it, unless it would be the same in both
 * cases.
 */
static void apply_fixed_move(struct mb_regions *r, const struct mb_region_event *e, uint32_t stack)
{
	uint64_t to = e->args[4], old_len = page_up(e->args[1]), new_len = page_up(e->args[2]);
	uint64_t from = e->args[0], source = mb_regions_covered(r, from, from + old_len);
	bool retained = e->args[3] & REMAP_DONTUNMAP, holes = old_len && source < old_len;
	/* since 6.17 several mappings can be moved at once */
	uint64_t comes = holes && old_len == new_len ? source : new_len;
	int64_t expected = (int64_t)(comes - (retained ? 0 : source) - mb_regions_covered(r, to, to + new_len));

	if (!expected || (holes && !retained) || (e->delta_bytes && e->delta_bytes != expected))
		r->unsure = true;
	else if (e->delta_bytes)
		apply_move(r, e, to, stack);
}

static void apply_mremap(struct mb_regions *r, const struct mb_region_event *e, uint32_t stack)
{
	uint64_t from = e->args[0], old_len = page_up(e->args[1]), new_len = page_up(e->args[2]);
	uint64_t flags = e->args[3], to;
	bool looked = e->area_addr && !is_error(e->area_addr);
	const struct mb_region *p = mb_regions_at(r, from);

	if (e->result != MB_RESULT_UNKNOWN) {
		if (is_error(e->result))
			r->unsure = true; /* part of the work may have been done */
		else if (e->result != from)
			apply_move(r, e, e->result, stack);
	} else if (flags & REMAP_FIXED) {
		apply_fixed_move(r, e, stack);
		return;
	} else if (!e->delta_bytes && (flags & REMAP_DONTUNMAP)) {
		return; /* it failed: a success would have increased the size */
	} else if (looked || (flags & REMAP_DONTUNMAP)) {
		to = looked ? found_address(e, new_len, 0, 0) : NO_ADDRESS;
		if (to == NO_ADDRESS || (p && p->kind == MB_REGION_FILE && e->area_len != new_len))
			r->unsure = true;
		else if (e->delta_bytes)
			apply_move(r, e, to, stack);
		return;
	}
	if ((e->result != MB_RESULT_UNKNOWN && e->result != from) || !e->delta_bytes)
		return;
	if (new_len > old_len)
		mb_regions_put(r, &(struct mb_region){ .start = from + old_len,
						       .end = from + new_len,
						       .stack = stack,
						       .kind = p ? p->kind : MB_REGION_ANON,
						       .attached = p ? p->attached : 0 });
	else
		mb_regions_unmap(r, from + new_len, from + old_len);
}

static void apply_brk(struct mb_regions *r, const struct mb_region_event *e, uint32_t stack)
{
	uint64_t end = page_up(e->brk);

	if (e->delta_bytes > 0)
		mb_regions_map(r, end - (uint64_t)e->delta_bytes, end, stack, MB_REGION_HEAP);
	else
		mb_regions_unmap(r, end, end - (uint64_t)e->delta_bytes);
}

/* Grow the main thread's stack: no other mapping grows down on current systems. */
static void grow_stack(struct mb_regions *r, uint64_t bytes)
{
	for (size_t i = r->n; i-- > 0;) {
		struct mb_region p = r->list[i];

		if (p.kind != MB_REGION_STACK)
			continue;
		/* find the lowest piece of the stack */
		while (i > 0 && r->list[i - 1].kind == MB_REGION_STACK && r->list[i - 1].end == p.start)
			p = r->list[--i];
		mb_regions_map(r, p.start - bytes, p.start, p.stack, MB_REGION_STACK);
		return;
	}
	r->unsure = true;
}

/*
 * System V shared memory is detached as a whole: everything that is left of the attachment, even
 * with holes or other mappings in between (ipc/shm.c, ksys_shmdt).
 */
static void apply_shmdt(struct mb_regions *r, uint64_t at, uint64_t bytes)
{
	uint64_t left = 0;

	for (size_t i = 0; i < r->n; i++)
		left += r->list[i].attached == at ? r->list[i].end - r->list[i].start : 0;
	if (!at || left != bytes) {
		r->unsure = true;
		return;
	}
	for (size_t i = r->n; i-- > 0;) {
		struct mb_region p = r->list[i];

		if (p.attached == at)
			mb_regions_unmap(r, p.start, p.end);
	}
}

static void apply_shmat(struct mb_regions *r, const struct mb_region_event *e, uint32_t stack)
{
	uint64_t bytes = (uint64_t)e->delta_bytes;
	uint64_t at = e->area_addr && e->area_len == bytes ? e->area_addr : e->args[1] & ~(PAGE - 1);

	/* replaces another mapping: the event does not contain its own size */
	if (!at || mb_regions_covered(r, at, at + bytes))
		r->unsure = true;
	else
		mb_regions_put(r, &(struct mb_region){ .start = at,
						       .end = at + bytes,
						       .stack = stack,
						       .kind = MB_REGION_SHARED,
						       .attached = at });
}

static void apply_other(struct mb_regions *r, const struct mb_region_event *e, uint32_t stack)
{
	uint64_t grown = (uint64_t)e->delta_bytes;

	if (e->call == CALL_SHMAT && e->delta_bytes > 0)
		apply_shmat(r, e, stack);
	else if (e->call == CALL_SHMDT && e->delta_bytes < 0)
		apply_shmdt(r, e->args[0], -grown);
	else if (e->delta_bytes > 0 && e->stack_delta_bytes == e->delta_bytes)
		grow_stack(r, grown);
	else if (e->delta_bytes > 0 && e->area_addr && e->area_len == grown) /* io_setup etc. */
		mb_regions_map(r, e->area_addr, e->area_addr + grown, stack, MB_REGION_SHARED);
	else
		r->unsure = true;
}

void mb_regions_apply(struct mb_regions *r, const struct mb_region_event *e, uint32_t stack)
{
	bool known = e->h.t_ns < r->synced_ns; /* the list contains its mapping already: only the origin is new */
	bool unsure = r->unsure;

	if (known && (e->delta_bytes <= 0 || (e->op != MB_VMA_MMAP && e->op != MB_VMA_BRK)))
		return;
	r->label = known;
	switch (e->op) {
	case MB_VMA_MMAP:
		apply_mmap(r, e, stack);
		break;
	case MB_VMA_MUNMAP:
		mb_regions_unmap(r, e->args[0], e->args[0] + page_up(e->args[1]));
		break;
	case MB_VMA_MREMAP:
		apply_mremap(r, e, stack);
		break;
	case MB_VMA_BRK:
		apply_brk(r, e, stack);
		break;
	default:
		apply_other(r, e, stack);
	}
	r->label = false;
	if (known)
		r->unsure = unsure;
	else if (e->h.t_ns >= r->unsure_ns && r->bytes != e->total_vm_bytes)
		r->unsure = true;
	if (r->unsure && !unsure)
		r->not_understood = *e;
}
