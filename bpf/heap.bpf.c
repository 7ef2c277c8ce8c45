// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * heap: blocks of user-space allocators. Tracks a sample of the blocks, selected by bytes: each
 * with its stack at allocation, and again when it is freed. Probes are attached to the allocators'
 * functions (src/kern/uprobes.c). A nested call (calloc calling malloc, or a wrapper calling the
 * wrapped function) is attributed to the outermost call.
 */
#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"
#include "core/stack.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Tracked blocks and their allocation times. The loader sizes the map, and does not create it if
 * heap tracing is off.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mb_heap_key);
	__type(value, __u64);
} heap_blocks SEC(".maps");

/*
 * All blocks that each process has allocated and freed. Preallocated, because before 6.1 programs
 * on probes may only use preallocated maps. Beyond the capacity, the least recently used entry is
 * evicted, and its process's totals become unknown.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct mb_heap_net);
} heap_nets SEC(".maps");

/* Initial value of an entry: too large for the BPF stack. */
static const struct mb_heap_net no_net;

/*
 * Since 6.13 a program of this type may have its stack in a per-CPU page, which assumes kprobes:
 * nothing else runs meanwhile. But a thread in a uprobe can be preempted on a preemptible kernel,
 * and the next one on the CPU would write to the same stack. Programs that contain a tail call do
 * not get such a stack, so each of these programs contains one that is never executed.
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

/* The registers at a probe: a uprobe's context is a struct pt_regs, whose layout is kernel ABI. */
typedef const struct stack_pt_regs heap_regs;

MB_INLINE __u64 current_mm(struct task_struct *task)
{
	return (__u64)MB_TASK(task, mm);
}

/*
 * Is the next block in the sample? Each allocated byte has the same probability of selecting its
 * block.
 */
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

/* Send that a block was freed. Returns false if there is no room. */
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

/* ---- all blocks, tracked or not ---- */

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

/* The size word before a block, without its flags; 0: not readable. */
MB_INLINE __u64 size_word(__u64 addr)
{
	__u64 word = 0;

	if (bpf_probe_read_user(&word, sizeof(word), (void *)(addr - sizeof(word))))
		return 0;
	return word & ~7ull;
}

/*
 * Does this size word match a block of that size? It may be one step larger than necessary, if the
 * rest would be too small for a block, and two if it is aligned (memalign leaves no rest of 32
 * bytes). For blocks that are mappings of their own it is in whole
 * pages.
 */
MB_INLINE bool word_fits(__u64 word, __u64 size)
{
	__u64 least = mb_heap_glibc_bytes(size);

	if (word & 15)
		return false;
	return word == least || word == least + 16 || word == least + 32 ||
	       (size >= 65536 && word >= least && word < least + 8192);
}

/*
 * Does the allocator store sizes before its blocks? Yes if nearly all blocks had a matching size
 * word.
 */
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

/* word: the block's size word, read before the block was freed. */
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
 * A free call. Ignores the one by which realloc frees its old block (handled when realloc returns),
 * and the second one if two probed functions call each other.
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
 * realloc was given a block. When realloc returns, the address may already belong to another block,
 * so remove the entry now, and restore it if the call fails.
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
 * Is a call part of the open call? It is if the stack is deeper, or equally deep in another
 * function, to which the open call jumped (tail call). An open call with a deeper stack was
 * abandoned without a return (longjmp).
 */
MB_INLINE bool is_within(const struct mb_heap_ledger *h, heap_regs *r)
{
	return h->sp && (r->sp < h->sp || (r->sp == h->sp && r->ip != h->ip));
}

/* Maximum stack use of an allocator call: addresses further apart are on different stacks. */
#define APART (1ull << 20)

MB_INLINE bool is_on_alternate(struct task_struct *task, __u64 sp)
{
	return sp - (__u64)BPF_CORE_READ(task, sas_ss_sp) < (__u64)BPF_CORE_READ(task, sas_ss_size);
}

/*
 * An alternate stack that is disabled while in use is not registered with the thread: then only the
 * distance counts.
 */
MB_INLINE bool is_apart(struct task_struct *task, __u64 a, __u64 b)
{
	return a - b + APART > 2 * APART || is_on_alternate(task, a) != is_on_alternate(task, b);
}

/*
 * A signal handler can interrupt an allocator call, run on a stack of its own, and allocate. Its
 * calls are not part of the interrupted call, wherever its stack is. The interrupted call is saved
 * until the thread is back on its stack.
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
			put_back_old(h); /* the handler left this call without a return */
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

/* Requested size for calloc etc. A product that overflows exceeds any memory, and the call fails. */
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

/* A tracked block is identified by its address; every free is counted. */
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
	/* a concurrent double free is a bug of the program, but is counted once */
	if (!bpf_map_delete_elem(&heap_blocks, &key))
		emit_freed(&key, born_ns, bpf_ktime_get_boot_ns());
	return 0;
}

/*
 * Start tracking a block: first insert it into the map, then send the event; if sending fails, the
 * block is not tracked. regs: address of the registers. Not static, so that the verifier checks it
 * once, separately.
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
	key.mm = e.mm = (__u64)BPF_CORE_READ(task, mm); /* as a number: the verifier does not allow copying a pointer */
	key.addr = e.addr = addr;
	e.h.t_ns = now;
	e.size = l->heap.size;
	e.op = l->heap.op;
	stack_source(task, l, regs, &stack);
	stack.regs.ip--; /* the address of the call, not of the instruction after it */
	if (bpf_map_update_elem(&heap_blocks, &key, &now, BPF_ANY))
		count_drop(MB_FAM_heap, MB_DROP_TABLE_FULL);
	else if (!stack_emit(ring, MB_FAM_heap, MB_HEAP_BLOCK, &e, &stack))
		bpf_map_delete_elem(&heap_blocks, &key);
	return 0;
}

/* The address of the block that the call returned; 0: none. ret: the call's return value. */
MB_INLINE __u64 result_of(const struct mb_heap_ledger *h, __u64 ret)
{
	__u64 addr = 0;

	if (h->op != MB_HEAP_POSIX_MEMALIGN)
		return ret;
	if (!(__u32)ret)
		bpf_probe_read_user(&addr, sizeof(addr), (void *)h->old);
	return addr;
}

/* realloc has returned, and its old block was tracked. */
static __noinline void settle_old(struct mb_heap_ledger *h, __u64 result)
{
	struct mb_heap_key key = { .mm = current_mm(compat_current()), .addr = h->old };

	/* realloc(old, 0) frees the block and returns NULL */
	if (!result && h->size) {
		put_back_old(h);
		return;
	}
	emit_freed(&key, h->old_born_ns, bpf_ktime_get_boot_ns());
	h->old_born_ns = 0;
}

/* The call has returned: count what it allocated and freed. */
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
	/* the new block first, so that the outstanding bytes do not drop temporarily */
	if ((h->sampled & 1) && result)
		follow(result, number_of((const void *)r));
	if (h->old_born_ns)
		settle_old(h, result);
	h->old = 0;
	return 0;
}
