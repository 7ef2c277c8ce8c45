// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Call chains of events: unwound from the copied stack, or taken from a recording. */
#include "leaks/chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "leaks/code.h"
#include "leaks/made.h"

/* Number of consecutive stacks for which frame pointers must give the same result before they are trusted. */
#define FRAME_POINTERS_TRUSTED 16u

/* Walk the frame pointers in a copied stack. */
static unsigned int walk_frame_pointers(const struct mb_user_stack *s, uint64_t *ips, unsigned int max)
{
	const char *bytes = (const char *)(s + 1);
	uint64_t bp = s->regs.bp, frame[2];
	unsigned int n = 0;

	ips[n++] = s->regs.ip;
	while (n < max && bp >= s->regs.sp && bp - s->regs.sp + sizeof(frame) <= s->len) {
		memcpy(frame, bytes + (bp - s->regs.sp), sizeof(frame));
		if (!frame[1])
			break;
		ips[n++] = frame[1];
		if (frame[0] <= bp)
			break;
		bp = frame[0];
	}
	return n;
}

/*
 * Check whether frame pointers would have given the same stack. If they always do, the kernel
 * follows them from now on, which is much cheaper.
 */
static void judge_frame_pointers(struct mb_leak_space *sp, const struct mb_user_stack *s, const uint64_t *ips,
				 unsigned int n)
{
	uint64_t other[MB_STACK_FRAMES];

	if (!sp->session->cfg->judge_stacks || sp->frame_pointers)
		return;
	if (walk_frame_pointers(s, other, MB_STACK_FRAMES) != n || memcmp(other, ips, n * sizeof(*ips)) != 0) {
		sp->whole_by_frame_pointers = 0;
		return;
	}
	if (++sp->whole_by_frame_pointers < FRAME_POINTERS_TRUSTED)
		return;
	sp->frame_pointers = true;
	mb_verbose("process %u keeps frame pointers: the kernel follows them from now on", sp->tgid);
	mb_kern_trust_frame_pointers(sp->session->kern, sp->tgid, true);
}

void mb_leak_look_at_code(struct mb_leak_space *sp)
{
	if (sp->session->source.replays)
		return;
	if (!sp->code) {
		sp->code = mb_address_space_follow(sp->session->modules, sp->tgid, mb_leak_code_was_there, sp);
		mb_leak_made_begin(sp);
	} else if (sp->code_changed && !mb_address_space_refresh(sp->code)) {
		return;
	}
	sp->code_changed = false;
}

/* Address of the kernel's uretprobe trampoline page on x86-64. */
#define TRAMPOLINE 0x7fffffffe000ull

/* Restore the return address that a uretprobe has replaced: in the stack copy, or in the kernel's list. */
static void unhide(const struct mb_user_stack *s, char *bytes)
{
	uint64_t ip;

	if (s->kind == MB_STACK_COPY && s->hidden_at >= s->regs.sp && s->len >= sizeof(ip) &&
	    s->hidden_at - s->regs.sp <= s->len - sizeof(ip))
		memcpy(bytes + (s->hidden_at - s->regs.sp), &s->hidden, sizeof(ip));
	for (size_t at = 0; s->kind == MB_STACK_FP && at + sizeof(ip) <= s->len; at += sizeof(ip)) {
		memcpy(&ip, bytes + at, sizeof(ip));
		if (ip == TRAMPOLINE) /* kernels before 6.11 do not replace the trampoline address themselves */
			memcpy(bytes + at, &s->hidden, sizeof(ip));
	}
}

/* The call chain of an event, in addresses and in frames (see code.h). */
struct chain {
	uint32_t n;
	bool known, whole;
	uint64_t ips[MB_STACK_FRAMES], frames[MB_STACK_FRAMES];
};

/* Unwind the stack that follows the first size bytes of an event. */
static void unwind(struct mb_leak_space *sp, const struct mb_event *e, size_t size, struct chain *c)
{
	const struct mb_user_stack *s = (const void *)((const char *)e + size);

	if (e->size < size + sizeof(*s) || e->size < size + sizeof(*s) + s->len || s->kind == MB_STACK_NONE)
		return;
	if (s->hidden_at)
		unhide(s, (char *)e + size + sizeof(*s));
	mb_leak_look_at_code(sp);
	if (s->kind == MB_STACK_COPY) {
		struct mb_stack stack = { (const uint8_t *)(s + 1), s->len, s->regs.sp, s->missing };

		if (!sp->code)
			return;
		c->n = mb_address_space_unwind(sp->code, &s->regs, &stack, c->ips, MB_STACK_FRAMES, &c->whole);
		if (c->whole)
			judge_frame_pointers(sp, s, c->ips, c->n);
	} else {
		/* the kernel's list starts with the current instruction pointer */
		c->n = s->len / sizeof(c->ips[0]);
		c->n = c->n < MB_STACK_IPS ? c->n : MB_STACK_IPS;
		memcpy(c->ips, s + 1, c->n * sizeof(c->ips[0]));
		while (c->n && !c->ips[c->n - 1]) /* zero entries after the end of the chain */
			c->n--;
		if (c->n) /* the event's own registers can be more accurate */
			c->ips[0] = s->regs.ip;
		/* a full list may have been cut off */
		c->whole = s->kind == MB_STACK_FP && s->len < MB_STACK_IPS * sizeof(c->ips[0]);
	}
	c->known = true;
	mb_leak_code_frames(sp, c->ips, c->n, c->frames);
}

/* Ingest a chain as a list: how much of it is known, then an address and a frame each. In a replay, get it. */
static void pass_chain(struct mb_leak_space *sp, const struct mb_event *e, struct chain *c)
{
	struct mb_leak_source *source = &sp->session->source;
	uint64_t room[1 + 2 * MB_STACK_FRAMES], *list;
	size_t n = 1 + 2 * (size_t)c->n;
	void *read = room;

	if (!source->replays && !source->ingest)
		return;
	room[0] = (uint64_t)c->known | (uint64_t)c->whole << 1;
	for (uint32_t i = 0; i < c->n; i++) {
		room[1 + 2 * i] = c->ips[i];
		room[2 + 2 * i] = c->frames[i];
	}
	if (!mb_leak_source_list(source, MB_LEAK_FACT_CHAIN, e->t_ns, &read, &n, sizeof(*list)) || !source->replays)
		return;
	list = read;
	if (n % 2 && n <= sizeof(room) / sizeof(room[0])) {
		c->known = list[0] & 1;
		c->whole = list[0] & 2;
		c->n = (uint32_t)(n / 2);
	}
	for (uint32_t i = 0; i < c->n; i++) {
		c->ips[i] = list[1 + 2 * i];
		c->frames[i] = list[2 + 2 * i];
	}
	free(read);
}

uint32_t mb_leak_stack_of(struct mb_leak_space *sp, const struct mb_event *e, size_t size)
{
	struct mb_leaks_session *l = sp->session;
	struct chain c = { .n = 0 };

	if (!l->source.replays)
		unwind(sp, e, size, &c);
	/* nothing is known of the code, but the memory is not from before tracing: a chain without frames */
	c.known |= l->cfg->no_stacks;
	pass_chain(sp, e, &c);
	if (!c.known)
		return 0;
	l->stacks_whole += c.whole && c.n;
	l->stacks_cut += !c.whole && c.n;
	return mb_leaks_stack_by(l->leaks, sp->mm, c.frames, c.ips, c.n, c.whole);
}
