// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * heap: blocks of user-space allocators. A sample of them is followed, chosen by bytes: each with its stack when
 * it is allocated, and again when it is freed. Probes are on the allocators' functions (src/kern/uprobes.c); a
 * call within another (calloc's of malloc, a wrapper's of what it wraps) belongs to the outermost.
 */
#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"
#include "core/stack.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* What is followed, and since when. Not made where the heap is not asked for; sized by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mb_heap_key);
	__type(value, __u64);
} heap_blocks SEC(".maps");

/*
 * Since 6.13 a program of this type may have its stack in a page of the CPU's, which is for kprobes: nothing
 * runs beside them there. A thread within a probe of user space can lose the CPU where the kernel is preemptible, and
 * the next one there would write to the same stack. A program that calls another is not given such a stack; so each
 * of ours does, where it never comes by.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} heap_never_called SEC(".maps");

#define STACK_OF_ITS_OWN(ctx)                                     \
	do {                                                      \
		if (!knobs.heap_mean)                             \
			bpf_tail_call(ctx, &heap_never_called, 0); \
	} while (0)

/* The registers at a probe: a uprobe's context is a struct pt_regs, whose layout is the kernel's ABI. */
typedef const struct stack_pt_regs heap_regs;

MB_INLINE __u64 current_mm(struct task_struct *task)
{
	return (__u64)MB_TASK(task, mm);
}

/* Is the next block one to follow? Each byte is as likely as any other to be the one that decides it. */
MB_INLINE bool is_sampled(struct mb_heap_ledger *h, __u64 size)
{
	if (knobs.heap_mean <= 1)
		return true;
	if (!h->until_sample)
		h->until_sample = mb_heap_draw(knobs.heap_mean, bpf_get_prandom_u32());
	if (size < h->until_sample) {
		h->until_sample -= size;
		return false;
	}
	h->until_sample = mb_heap_draw(knobs.heap_mean, bpf_get_prandom_u32());
	return true;
}

/* A block is gone. False: no one is told, for want of room. */
MB_INLINE bool emit_freed(const struct mb_heap_key *key, __u64 born_ns, __u64 t_ns)
{
	struct mb_heap_freed_event *e;
	void *ring = cpu_ring();

	if (!ring)
		return false;
	e = emit_reserve_in(ring, MB_FAM_heap, MB_HEAP_FREED, sizeof(*e), t_ns);
	if (!e)
		return false;
	e->mm = key->mm;
	e->addr = key->addr;
	e->born_ns = born_ns;
	emit_submit(ring, e);
	return true;
}

/*
 * realloc was given a block: once it has returned, the address may be another block's already. So it is taken
 * out now, and put back if the call fails.
 */
static __noinline void take_old(struct mb_heap_ledger *h)
{
	struct mb_heap_key key = { .mm = current_mm(compat_current()), .addr = h->old };
	__u64 *born = bpf_map_lookup_elem(&heap_blocks, &key);

	if (!born)
		return;
	h->old_born_ns = *born;
	bpf_map_delete_elem(&heap_blocks, &key);
}

static __noinline void put_back_old(struct mb_heap_ledger *h)
{
	struct mb_heap_key key = { .mm = current_mm(compat_current()), .addr = h->old };
	__u64 born = h->old_born_ns;

	h->old_born_ns = 0;
	if (bpf_map_update_elem(&heap_blocks, &key, &born, BPF_ANY))
		count_drop(MB_FAM_heap, MB_DROP_TABLE_FULL);
}

/*
 * Does a call belong to the one that is open? It does when it is deeper, or as deep and of another function: that
 * is where the open one jumped to. What is open further down has been left without returning (longjmp).
 */
MB_INLINE bool is_within(const struct mb_heap_ledger *h, heap_regs *r)
{
	return h->sp && (r->sp < h->sp || (r->sp == h->sp && r->ip != h->ip));
}

MB_INLINE int call_begin(heap_regs *r, enum mb_heap_op op, __u64 size, __u64 old)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct mb_heap_ledger *h;

	STACK_OF_ITS_OWN((void *)r);
	if (!l)
		return 0;
	h = &l->heap;
	if (is_within(h, r))
		return 0;
	if (h->old_born_ns)
		put_back_old(h);
	h->sp = r->sp;
	h->ip = r->ip;
	bpf_probe_read_user(&h->ret, sizeof(h->ret), (void *)r->sp);
	h->size = size;
	h->old = old;
	h->op = op;
	h->sampled = is_sampled(h, size);
	if (old && (op == MB_HEAP_REALLOC || op == MB_HEAP_REALLOCARRAY))
		take_old(h);
	return 0;
}

SEC("?uprobe")
int heap_malloc(heap_regs *r)
{
	return call_begin(r, MB_HEAP_MALLOC, r->di, 0);
}

SEC("?uprobe")
int heap_calloc(heap_regs *r)
{
	return call_begin(r, MB_HEAP_CALLOC, r->di * r->si, 0);
}

SEC("?uprobe")
int heap_realloc(heap_regs *r)
{
	return call_begin(r, MB_HEAP_REALLOC, r->si, r->di);
}

SEC("?uprobe")
int heap_reallocarray(heap_regs *r)
{
	return call_begin(r, MB_HEAP_REALLOCARRAY, r->si * r->dx, r->di);
}

SEC("?uprobe")
int heap_posix_memalign(heap_regs *r)
{
	return call_begin(r, MB_HEAP_POSIX_MEMALIGN, r->dx, r->di);
}

SEC("?uprobe")
int heap_memalign(heap_regs *r)
{
	return call_begin(r, MB_HEAP_MEMALIGN, r->si, 0);
}

/* This is all that most frees cost: no ledger is looked for, what is followed is known by its address. */
SEC("?uprobe")
int heap_free(heap_regs *r)
{
	struct mb_heap_key key = { .mm = current_mm(compat_current()), .addr = r->di };
	__u64 *born = bpf_map_lookup_elem(&heap_blocks, &key);
	__u64 born_ns;

	STACK_OF_ITS_OWN((void *)r);
	if (!born)
		return 0;
	born_ns = *born;
	/* twice at once is an error of the program's, but counts once */
	if (!bpf_map_delete_elem(&heap_blocks, &key))
		emit_freed(&key, born_ns, bpf_ktime_get_boot_ns());
	return 0;
}

/* Follow a block: known first, told of second; what cannot be told is not followed. */
static __noinline void follow(heap_regs *r, struct mb_ledger *l, __u64 addr)
{
	struct task_struct *task = compat_current();
	struct mb_heap_block_event e = {};
	struct mb_heap_key key = {};
	struct stack_source stack;
	void *ring = cpu_ring();
	__u64 now = bpf_ktime_get_boot_ns();

	if (!ring)
		return;
	key.mm = e.mm = (__u64)BPF_CORE_READ(task, mm); /* a number: the verifier would not have a pointer copied */
	key.addr = e.addr = addr;
	e.h.t_ns = now;
	e.size = l->heap.size;
	e.op = l->heap.op;
	stack_source(task, l, (__u64)r, &stack);
	stack.regs.ip--; /* of the call, not of what comes behind it */
	if (bpf_map_update_elem(&heap_blocks, &key, &now, BPF_ANY))
		count_drop(MB_FAM_heap, MB_DROP_TABLE_FULL);
	else if (!stack_emit((void *)r, ring, MB_FAM_heap, MB_HEAP_BLOCK, &e, &stack))
		bpf_map_delete_elem(&heap_blocks, &key);
}

/* What the call has given: the address of a block, 0 if none. ret: what it has returned. */
MB_INLINE __u64 result_of(const struct mb_heap_ledger *h, __u64 ret)
{
	__u64 addr = 0;

	if (h->op != MB_HEAP_POSIX_MEMALIGN)
		return ret;
	if (!(__u32)ret)
		bpf_probe_read_user(&addr, sizeof(addr), (void *)h->old);
	return addr;
}

/* realloc has returned, and was given a block that is followed. */
static __noinline void settle_old(struct mb_heap_ledger *h, __u64 result)
{
	struct mb_heap_key key = { .mm = current_mm(compat_current()), .addr = h->old };

	/* realloc(old, 0) frees, and has nothing to return */
	if (!result && h->size) {
		put_back_old(h);
		return;
	}
	emit_freed(&key, h->old_born_ns, bpf_ktime_get_boot_ns());
	h->old_born_ns = 0;
}

SEC("?uretprobe")
int heap_return(heap_regs *r)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct mb_heap_ledger *h;
	__u64 result;

	STACK_OF_ITS_OWN((void *)r);
	if (!l)
		return 0;
	h = &l->heap;
	if (r->sp != h->sp + 8)
		return 0;
	h->sp = 0;
	if (!h->sampled && !h->old_born_ns)
		return 0;
	result = result_of(h, r->ax);
	/* the new block first: what is outstanding must not seem to have been less for a moment */
	if (h->sampled && result)
		follow(r, l, result);
	if (h->old_born_ns)
		settle_old(h, result);
	return 0;
}
