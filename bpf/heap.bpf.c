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
 * What each process has allocated and freed, all blocks of it. Preallocated (programs on probes may not do else before
 * 6.1); of more processes than these the one unused longest gives way, and is then known not to be known.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct mb_heap_net);
} heap_nets SEC(".maps");

/* All zero, to begin with: it has no room on the stack. */
static const struct mb_heap_net no_net;

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

/* ---- all blocks, followed or not ---- */

MB_INLINE struct mb_heap_net *net_of(__u64 mm)
{
	__u64 key = MB_HEAP_NET_KEY(number_of((const void *)mm), bpf_get_current_pid_tgid() >> 32);
	struct mb_heap_net *n = bpf_map_lookup_elem(&heap_nets, &key);

	if (n)
		return n;
	bpf_map_update_elem(&heap_nets, &key, &no_net, BPF_NOEXIST);
	n = bpf_map_lookup_elem(&heap_nets, &key);
	if (n)
		n->since_ns = bpf_ktime_get_boot_ns();
	return n;
}

/* The size word before a block, without its flags; 0: it cannot be read. */
MB_INLINE __u64 size_word(__u64 addr)
{
	__u64 word = 0;

	if (bpf_probe_read_user(&word, sizeof(word), (void *)(addr - sizeof(word))))
		return 0;
	return word & ~7ull;
}

/*
 * Is this the size word of a block of that size? It may be a step larger than need be, where the rest would have been
 * too small for a block; of mappings of their own it is whole pages.
 */
MB_INLINE bool word_fits(__u64 word, __u64 size)
{
	__u64 least = mb_heap_glibc_bytes(size);

	if (word & 15)
		return false;
	return word == least || word == least + 16 ||
	       (size >= 65536 && word >= least && word < least + 8192);
}

/* Does the allocator keep sizes before its blocks? Nearly all that it gave out say so. */
MB_INLINE bool has_size_words(const struct mb_heap_net *n)
{
	return n->size_words > 16 * n->no_size_words;
}

MB_INLINE void count_class(struct mb_heap_net *n, __u64 bytes, __s64 sign)
{
	__u32 class = mb_heap_class(bytes) & (MB_HEAP_CLASSES - 1);

	__sync_fetch_and_add(&n->count[class], sign);
	__sync_fetch_and_add(&n->bytes[class], sign * (__s64)bytes);
}

static __noinline int count_allocated(__u64 addr, __u64 size)
{
	struct mb_heap_net *n = net_of(current_mm(compat_current()));
	__u64 word = size_word(addr);

	if (!n)
		return 0;
	__sync_fetch_and_add(&n->allocated, 1);
	__sync_fetch_and_add(&n->allocated_bytes, size);
	if (!word_fits(word, size)) {
		__sync_fetch_and_add(&n->no_size_words, 1);
		return 0;
	}
	__sync_fetch_and_add(&n->size_words, 1);
	count_class(n, word, 1);
	return 0;
}

/* word: its size word, read while it was still a block. */
static __noinline int count_freed(__u64 word)
{
	struct mb_heap_net *n = net_of(current_mm(compat_current()));

	if (!n)
		return 0;
	__sync_fetch_and_add(&n->freed, 1);
	if (word && has_size_words(n))
		count_class(n, word, -1);
	return 0;
}

/*
 * A free: but not the one by which realloc gives back its old block, which is settled when it returns, and not the second
 * of two functions that are probed and of which one calls the other.
 */
MB_INLINE void free_begins(heap_regs *r)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct mb_heap_ledger *h;

	if (!l || !r->di)
		return;
	h = &l->heap;
	if (h->old == r->di && (!h->sp || (r->sp < h->sp && h->op != MB_HEAP_POSIX_MEMALIGN)))
		return;
	if (!h->sp)
		h->old = r->di;
	count_freed(size_word(r->di));
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

/* No call of an allocator goes so deep: what is farther apart is on different stacks. */
#define APART (1ull << 20)

MB_INLINE bool is_on_alternate(struct task_struct *task, __u64 sp)
{
	return sp - (__u64)BPF_CORE_READ(task, sas_ss_sp) < (__u64)BPF_CORE_READ(task, sas_ss_size);
}

/* An alternate stack that is disarmed while it is in use is not the thread's for that time: then distance tells. */
MB_INLINE bool is_apart(struct task_struct *task, __u64 a, __u64 b)
{
	return a - b + APART > 2 * APART || is_on_alternate(task, a) != is_on_alternate(task, b);
}

/*
 * A signal handler can come in the midst of a call, on a stack of its own, and allocate: its calls are not within that
 * one, wherever its stack is. The interrupted call is put aside until the thread is back on its stack.
 */
static __noinline void change_stacks(struct mb_heap_ledger *h, __u64 sp)
{
	struct task_struct *task = compat_current();
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mb_heap_ledger *aside = h->aside ? bpf_map_lookup_elem(&heap_aside, &tid) : NULL;
	__u64 until_sample = h->until_sample;

	if (h->sp && !is_apart(task, h->sp, sp))
		return;
	if (aside && !is_apart(task, aside->sp, sp)) {
		if (h->old_born_ns)
			put_back_old(h); /* the handler has been left within it */
		*h = *aside;
		h->until_sample = until_sample;
		h->aside = 0;
		bpf_map_delete_elem(&heap_aside, &tid);
		return;
	}
	if (!h->sp)
		return;
	if (bpf_map_update_elem(&heap_aside, &tid, h, BPF_ANY))
		count_drop(MB_FAM_heap, MB_DROP_TABLE_FULL);
	else
		h->aside = 1;
	h->sp = 0;
	h->old = 0;
	h->old_born_ns = 0;
}

MB_INLINE int call_begin(heap_regs *r, enum mb_heap_op op, __u64 size, __u64 old)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct mb_heap_ledger *h;

	STACK_OF_ITS_OWN((void *)r);
	if (!l)
		return 0;
	h = &l->heap;
	if (h->sp || h->aside)
		change_stacks(h, r->sp);
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
	if (old && (op == MB_HEAP_REALLOC || op == MB_HEAP_REALLOCARRAY)) {
		__u64 word = size_word(old) >> 4;

		h->sampled |= word >> 31 ? 0 : (__u32)word << 1;
		take_old(h);
	}
	return 0;
}

/* What calloc and its like are asked for; a product that overflows is more than there is, and they fail. */
MB_INLINE __u64 product(__u64 n, __u64 size)
{
	__u64 few = n < size ? n : size, many = n < size ? size : n;

	if (few >> 32 || ((many >> 32) * few + ((many & 0xffffffff) * few >> 32)) >> 32)
		return ~0ull;
	return n * size;
}

SEC("?uprobe")
int heap_malloc(heap_regs *r)
{
	return call_begin(r, MB_HEAP_MALLOC, r->di, 0);
}

SEC("?uprobe")
int heap_calloc(heap_regs *r)
{
	return call_begin(r, MB_HEAP_CALLOC, product(r->di, r->si), 0);
}

SEC("?uprobe")
int heap_realloc(heap_regs *r)
{
	return call_begin(r, MB_HEAP_REALLOC, r->si, r->di);
}

SEC("?uprobe")
int heap_reallocarray(heap_regs *r)
{
	return call_begin(r, MB_HEAP_REALLOCARRAY, product(r->si, r->dx), r->di);
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

/* What is followed is known by its address; that something was freed is counted in any case. */
SEC("?uprobe")
int heap_free(heap_regs *r)
{
	struct mb_heap_key key = { .mm = current_mm(compat_current()), .addr = r->di };
	__u64 *born = bpf_map_lookup_elem(&heap_blocks, &key);
	__u64 born_ns;

	STACK_OF_ITS_OWN((void *)r);
	free_begins(r);
	if (!born)
		return 0;
	born_ns = *born;
	/* twice at once is an error of the program's, but counts once */
	if (!bpf_map_delete_elem(&heap_blocks, &key))
		emit_freed(&key, born_ns, bpf_ktime_get_boot_ns());
	return 0;
}

/*
 * Follow a block: known first, told of second; what cannot be told is not followed. regs: address of the registers. Not
 * static, so that the verifier goes through it once by itself.
 */
__noinline int follow(__u64 addr, __u64 regs)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);
	struct mb_heap_block_event e = {};
	struct mb_heap_key key = {};
	struct stack_source stack;
	void *ring = cpu_ring();
	__u64 now = bpf_ktime_get_boot_ns();

	if (!ring || !l)
		return 0;
	key.mm = e.mm = (__u64)BPF_CORE_READ(task, mm); /* a number: the verifier would not have a pointer copied */
	key.addr = e.addr = addr;
	e.h.t_ns = now;
	e.size = l->heap.size;
	e.op = l->heap.op;
	stack_source(task, l, regs, &stack);
	stack.regs.ip--; /* of the call, not of what comes behind it */
	if (bpf_map_update_elem(&heap_blocks, &key, &now, BPF_ANY))
		count_drop(MB_FAM_heap, MB_DROP_TABLE_FULL);
	else if (!stack_emit(ring, MB_FAM_heap, MB_HEAP_BLOCK, &e, &stack))
		bpf_map_delete_elem(&heap_blocks, &key);
	return 0;
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

/* The call has returned: what has it given, and what has it taken? */
MB_INLINE void count_returned(struct mb_heap_ledger *h, __u64 result)
{
	bool is_realloc = h->op == MB_HEAP_REALLOC || h->op == MB_HEAP_REALLOCARRAY;

	if (is_realloc && h->old && (result || !h->size))
		count_freed((__u64)(h->sampled >> 1) << 4);
	if (result)
		count_allocated(result, h->size);
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
	if (h->aside)
		change_stacks(h, r->sp - 8);
	if (r->sp != h->sp + 8)
		return 0;
	h->sp = 0;
	result = result_of(h, r->ax);
	count_returned(h, result);
	/* the new block first: what is outstanding must not seem to have been less for a moment */
	if ((h->sampled & 1) && result)
		follow(result, number_of((const void *)r));
	if (h->old_born_ns)
		settle_old(h, result);
	h->old = 0;
	return 0;
}
