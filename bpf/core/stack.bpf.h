/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * An event with the current thread's user stack behind it (struct mb_user_stack): return addresses where the
 * process is known to keep frame pointers, else a copy that user space unwinds. A copy is as long as
 * the stack is deep, which is known for threads of the C library; it costs 1 to 3 us, so it is for events
 * that are rare or sampled.
 */
#ifndef MEMBLAME_STACK_H
#define MEMBLAME_STACK_H

#include "core/compat.bpf.h"
#include "core/emit.bpf.h"
#include "core/ledger.bpf.h"

/*
 * The registers with which a thread entered the kernel, as the kernel pushes them: part of its ABI (struct
 * user_regs_struct), so read in one piece.
 */
struct stack_pt_regs {
	__u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

#define USER32_CS 0x23 /* arch/x86/include/asm/segment.h: the thread runs 32-bit code */

/* What goes behind an event. */
struct stack_source {
	struct stack_pt_regs regs;
	struct mb_ledger *l; /* the thread's */
	__u32 kind; /* enum mb_stack_kind */
	__u32 depth; /* bytes to copy */
	__u32 now; /* do not let the consumer wait for it */
	__u32 traps; /* reads that found no page: each of them was a fault of our own */
	__u64 hidden_at, hidden; /* as in struct mb_user_stack */
};

/* In a signal handler that has no call of an allocator open it is that of the one that it has interrupted. */
MB_INLINE void stack_hidden(const struct mb_heap_ledger *h, struct stack_source *s)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	if (!h->sp && h->aside)
		h = bpf_map_lookup_elem(&heap_aside, &tid);
	s->hidden_at = h ? h->sp : 0;
	s->hidden = h ? h->ret : 0;
}

/* How deep the stack is at sp: up to the arguments of main, or to the thread's own block above its stack. */
MB_INLINE __u32 stack_depth(struct task_struct *task, __u64 sp)
{
	__u64 main = BPF_CORE_READ(task, mm, start_stack) - sp;
	__u64 thread = BPF_CORE_READ(task, thread.fsbase) - sp;
	__u64 least = main < thread ? main : thread; /* what lies below sp has become huge */

	return least < MB_STACK_BYTES ? least + 8 : MB_STACK_BYTES;
}

/* An address as a number: the verifier takes no pointer for one where a function of its own is called with it. */
MB_INLINE __u64 number_of(const void *address)
{
	__u64 n = 0;

	bpf_probe_read_kernel(&n, sizeof(n), &address);
	return n;
}

/* l: the thread's ledger. regs: address of its struct pt_regs; 0: those that it entered the kernel with. */
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
		s->kind = MB_STACK_NONE; /* the registers are of the old program, the memory is the new one's */
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
 * n bytes of the copy that lie in one page: is that there? Beyond room bytes nothing is read; looked at last, as before
 * 5.11 the verifier forgets the bounds of what was spilled.
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
 * Page by page: a large frame may have pages that nobody has touched yet, with callers above them. at: where the next page
 * begins, of room bytes that have two pages at least.
 */
MB_INLINE void stack_copy_pages(struct mb_user_stack *s, struct stack_source *from, __u32 len, __u32 at, __u32 room)
{
	const __u32 pages = (room - MB_PAGE_SIZE) / MB_PAGE_SIZE;

	for (__u32 i = 0; i < pages && at < len; i++, at += MB_PAGE_SIZE)
		stack_copy_piece(s, from, at, MB_PAGE_SIZE, room);
	/* the verifier takes no end that depends on where this begins */
	for (__u32 i = 0; i < 2 * MB_PAGE_SIZE / STACK_CHUNK && at < len && at <= room - STACK_CHUNK; i++, at += STACK_CHUNK)
		stack_copy_piece(s, from, at, STACK_CHUNK, room);
	s->len = at < len ? at : len;
}

/* n bytes of the stack from its end on, room at most. False: they are not all there. */
MB_INLINE bool stack_copy_first(struct mb_user_stack *s, struct stack_source *from, __u32 n, __u32 room)
{
	asm volatile("" : "+r"(n)); /* as above: the bounds of a copy of n are not known before 5.11 */
	return n <= room && !bpf_probe_read_user(s + 1, n, (void *)from->regs.sp);
}

/* Up to room bytes of stack behind s, without pages that are not there; where its first page is not, nothing. */
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
 * The chain of frame pointers: room for MB_STACK_IPS addresses. The kernel's own walk (bpf_get_stack) takes a
 * microsecond more than this, even for three frames.
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
 * Reserve, fill, submit: head_size bytes of head, whose first part is a struct mb_event but for its header's
 * fields, then the stack in room bytes. All sizes are constants, as the verifier wants them.
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
	} else if (s->kind == MB_STACK_FP && room == MB_STACK_IPS * 8) { /* what stack_emit() takes for it */
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
 * One event of head (a struct that begins with struct mb_event, of which t_ns is set) with the stack from.
 * Sizes of a few classes: most stacks are far less deep than what there must be room for.
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
