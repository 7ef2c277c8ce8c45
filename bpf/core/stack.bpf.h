/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * An event followed by the current thread's user stack (struct mb_user_stack): return addresses if
 * the process is known to use frame pointers, else a copy of the stack that user space unwinds. The
 * copy covers the actual depth of the stack, which is known for threads of the C library. It costs
 * 1 to 3 us, so it is only for rare or sampled events.
 */
#ifndef MEMBLAME_STACK_H
#define MEMBLAME_STACK_H

#include "core/compat.bpf.h"
#include "core/emit.bpf.h"
#include "core/ledger.bpf.h"

/*
 * The registers with which a thread entered the kernel, in the order in which the kernel pushes
 * them. The layout is part of the kernel's ABI (struct user_regs_struct), so all of them are read
 * at once.
 */
struct stack_pt_regs {
	__u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

#define USER32_CS 0x23 /* arch/x86/include/asm/segment.h: the thread runs 32-bit code */

/* The stack data to append to an event. */
struct stack_source {
	struct stack_pt_regs regs;
	struct mb_ledger *l; /* of the thread */
	__u32 kind; /* enum mb_stack_kind */
	__u32 depth; /* bytes to copy */
	__u32 now; /* wake the consumer immediately */
	__u32 traps; /* reads that hit a missing page; each caused a fault of memblame's own */
	__u64 hidden_at, hidden; /* as in struct mb_user_stack */
};

/*
 * A signal handler without an open allocator call has the hidden return address of the call that it
 * interrupted.
 */
MB_INLINE void stack_hidden(const struct mb_heap_ledger *h, struct stack_source *s)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	if (!h->sp && h->aside)
		h = bpf_map_lookup_elem(&heap_aside, &tid);
	s->hidden_at = h ? h->sp : 0;
	s->hidden = h ? h->ret : 0;
}

/*
 * Depth of the stack at sp: up to the arguments of main, or up to the thread's control block above
 * its stack.
 */
MB_INLINE __u32 stack_depth(struct task_struct *task, __u64 sp)
{
	__u64 main = BPF_CORE_READ(task, mm, start_stack) - sp;
	__u64 thread = BPF_CORE_READ(task, thread.fsbase) - sp;
	__u64 least = main < thread ? main : thread; /* differences to addresses below sp are huge after wrapping */

	return least < MB_STACK_BYTES ? least + 8 : MB_STACK_BYTES;
}

/*
 * An address as a number: the verifier does not accept a pointer as a numeric argument of a global
 * function.
 */
MB_INLINE __u64 number_of(const void *address)
{
	__u64 n = 0;

	bpf_probe_read_kernel(&n, sizeof(n), &address);
	return n;
}

/* l: the thread's ledger. regs: address of its struct pt_regs; 0: use the registers at kernel entry. */
MB_INLINE void stack_source(struct task_struct *task, struct mb_ledger *l, __u64 regs, struct stack_source *s)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	s->kind = knobs.stacks;
	s->depth = 0;
	s->now = 0;
	s->traps = 0;
	s->l = l;
	stack_hidden(&l->heap, s);
	if (!regs)
		regs = knobs.hash_ledgers ? (__u64)compat_entry_regs(task) : (__u64)bpf_task_pt_regs(task);
	bpf_probe_read_kernel(&s->regs, sizeof(s->regs), (void *)regs);
	if (bpf_core_field_exists(task->in_execve) && BPF_CORE_READ_BITFIELD_PROBED(task, in_execve))
		s->kind = MB_STACK_NONE; /* the registers are the old program's, but the memory is the new one's */
	else if (s->kind && s->regs.cs == USER32_CS)
		s->kind = MB_STACK_IP;
	if (s->kind == MB_STACK_COPY && bpf_map_lookup_elem(&frame_pointers, &tgid))
		s->kind = MB_STACK_FP;
	if (s->kind == MB_STACK_COPY)
		s->depth = stack_depth(task, s->regs.sp);
}

MB_INLINE void stack_regs(struct mb_user_regs *r, const struct stack_pt_regs *from)
{
	r->ip = from->ip;
	r->sp = from->sp;
	r->bp = from->bp;
	r->bx = from->bx;
	r->r12 = from->r12;
	r->r13 = from->r13;
	r->r14 = from->r14;
	r->r15 = from->r15;
}

#define STACK_CHUNK 512

/*
 * Copy n bytes of the stack that lie within one page, and check whether the page is present.
 * Nothing is read beyond room bytes. The bound is checked last, because before 5.11 the verifier
 * forgets the bounds of spilled registers.
 */
MB_INLINE void stack_copy_piece(struct mb_user_stack *s, struct stack_source *from, __u32 at, __u32 n, __u32 room)
{
	__u64 sp = from->regs.sp;

	asm volatile("" : "+r"(at));
	if (at > room - n || !bpf_probe_read_user((char *)(s + 1) + at, n, (void *)(sp + at)))
		return;
	from->traps++;
	s->missing |= 1u << ((((sp & (MB_PAGE_SIZE - 1)) + at) / MB_PAGE_SIZE) & 31);
}

/*
 * Copy page by page: a large stack frame may contain pages that were never touched, with its
 * callers above them. at: offset of the next page boundary; room: at least two pages.
 */
MB_INLINE void stack_copy_pages(struct mb_user_stack *s, struct stack_source *from, __u32 len, __u32 at, __u32 room)
{
	const __u32 pages = (room - MB_PAGE_SIZE) / MB_PAGE_SIZE;

	for (__u32 i = 0; i < pages && at < len; i++, at += MB_PAGE_SIZE)
		stack_copy_piece(s, from, at, MB_PAGE_SIZE, room);
	/* the verifier does not accept an end that depends on the start */
	for (__u32 i = 0; i < 2 * MB_PAGE_SIZE / STACK_CHUNK && at < len && at <= room - STACK_CHUNK; i++, at += STACK_CHUNK)
		stack_copy_piece(s, from, at, STACK_CHUNK, room);
	s->len = at < len ? at : len;
}

/* Copy the first n bytes of the stack, at most room. Returns false if they are not all present. */
MB_INLINE bool stack_copy_first(struct mb_user_stack *s, struct stack_source *from, __u32 n, __u32 room)
{
	asm volatile("" : "+r"(n)); /* as above: before 5.11 the bounds of a copied n are unknown */
	return n <= room && !bpf_probe_read_user(s + 1, n, (void *)from->regs.sp);
}

/*
 * Copy up to room bytes of stack to the end of s, skipping missing pages; nothing if the first page
 * is missing.
 */
MB_INLINE void stack_copy(struct mb_user_stack *s, struct stack_source *from, __u32 room)
{
	__u32 len = from->depth < room ? from->depth : room;
	__u32 first = MB_PAGE_SIZE - (from->regs.sp & (MB_PAGE_SIZE - 1));

	s->len = len;
	if (stack_copy_first(s, from, len, room))
		return;
	from->traps++;
	if (first > room)
		first = room;
	s->len = first;
	if (!stack_copy_first(s, from, first, room)) {
		s->len = 0;
		s->kind = MB_STACK_NONE;
		from->traps++;
		return;
	}
	if (room > MB_PAGE_SIZE)
		stack_copy_pages(s, from, len, first, room);
}

/*
 * Follow the chain of frame pointers; ips has room for MB_STACK_IPS addresses. The kernel's own
 * walk (bpf_get_stack) takes a microsecond longer, even for three stack frames.
 */
static __noinline __u32 stack_walk(__u64 *ips, struct stack_source *from)
{
	__u64 bp = from->regs.bp, below = from->regs.sp, frame[2];
	__u32 n = 1;

	ips[0] = from->regs.ip;
	for (int i = 1; i < MB_STACK_IPS; i++) {
		if (bp < below || (bp & 7))
			break;
		if (bpf_probe_read_user(frame, sizeof(frame), (void *)bp)) {
			from->traps++;
			break;
		}
		if (!frame[1])
			break;
		ips[i] = frame[1];
		n = i + 1;
		below = bp + 1;
		bp = frame[0];
	}
	return n;
}

/*
 * Reserve, fill, submit: head_size bytes of head (it starts with a struct mb_event, of which only
 * t_ns is used), then the stack in room bytes. All sizes must be constants for the verifier.
 */
MB_INLINE bool stack_emit_in(void *ring, __u32 family, __u16 type, void *head, __u32 head_size,
			     struct stack_source *from, __u32 room)
{
	struct mb_event *e = emit_reserve_in(ring, family, type, head_size + sizeof(struct mb_user_stack) + room,
					     ((struct mb_event *)head)->t_ns);
	struct mb_user_stack *s;

	if (!e)
		return false;
	__builtin_memcpy(e + 1, (struct mb_event *)head + 1, head_size - sizeof(*e));
	s = (void *)e + head_size;
	stack_regs(&s->regs, &from->regs);
	s->hidden_at = from->hidden_at;
	s->hidden = from->hidden;
	s->kind = from->kind;
	s->len = 0;
	s->missing = 0;
	s->reserved = 0;
	if (s->kind == MB_STACK_COPY) {
		from->l->task.reads_stack = 1;
		stack_copy(s, from, room);
		from->l->task.reads_stack = 0;
	/* this is the room that stack_emit() uses for MB_STACK_FP */
	} else if (s->kind == MB_STACK_FP && room == MB_STACK_IPS * 8) {
		s->len = 8 * stack_walk((__u64 *)(s + 1), from);
	} else if (s->kind == MB_STACK_IP) {
		*(__u64 *)(s + 1) = from->regs.ip;
		s->len = 8;
	}
	e->size = head_size + sizeof(*s) + s->len;
	if (from->now)
		emit_submit_now(e);
	else
		emit_submit(ring, e);
	return true;
}

/*
 * Emit one event: head (a struct that begins with struct mb_event, with t_ns set), followed by the
 * stack in from. Room is reserved in a few size classes, because most stacks are much smaller than
 * the maximum.
 */
#define STACK_EMIT(ring, family, type, head, from, room) \
	stack_emit_in(ring, family, type, head, sizeof(*(head)), from, room)

#define stack_emit(ring, family, type, head, from)                                                               \
	({                                                                                                       \
		__u32 _depth = (from)->kind == MB_STACK_COPY ? (from)->depth :                                   \
			       (from)->kind == MB_STACK_FP   ? MB_STACK_IPS * 8 :                                \
							       0;                                                \
		_depth == 0    ? STACK_EMIT(ring, family, type, head, from, 8) :                            \
		_depth <= 256  ? STACK_EMIT(ring, family, type, head, from, 256) :                          \
		_depth <= 512  ? STACK_EMIT(ring, family, type, head, from, 512) :                          \
		_depth <= 1024 ? STACK_EMIT(ring, family, type, head, from, 1024) :                    \
		_depth <= 2048 ? STACK_EMIT(ring, family, type, head, from, 2048) :                    \
		_depth <= 3072 ? STACK_EMIT(ring, family, type, head, from, 3072) :                    \
		_depth <= 4096 ? STACK_EMIT(ring, family, type, head, from, 4096) :                    \
		_depth <= 6144 ? STACK_EMIT(ring, family, type, head, from, 6144) :                    \
		_depth <= 8192 ? STACK_EMIT(ring, family, type, head, from, 8192) :                    \
				 STACK_EMIT(ring, family, type, head, from, MB_STACK_BYTES);                \
	})

#endif
