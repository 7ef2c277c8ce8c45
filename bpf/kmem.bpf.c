// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * kmem: kernel objects (slab, pages) by call site, cache and process, for a fixed sample of
 * addresses. Every allocation and free on the machine passes through here; an object outside the
 * sample only costs a multiplication. Sampled objects are stored by address until they are freed,
 * and counted in a table (core/tables.bpf.h). All maps are preallocated: a map that allocates
 * memory would recurse into these programs.
 */
#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"
#include "core/tables.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* include/linux/gfp_types.h: these bits have not changed since 5.10 */
#define GFP_MOVABLE 0x08u
#define GFP_RECLAIMABLE 0x10u
#define GFP_HARDWALL 0x100000u
#define GFP_ACCOUNT 0x400000u

#define STACK_BYTES (16u << 10) /* arch/x86/include/asm/page_64_types.h, THREAD_SIZE */

/* Lowest address of a kernel object. Excludes NULL and the result of kmalloc(0). */
#define LEAST_ADDRESS 4096

struct kmem_object {
	struct mb_kmem_key key;
	__u64 bytes;
};

/* The loader sets the size of this map and the next ones; unused, they have one entry. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct kmem_object);
} kmem_objects SEC(".maps");

struct kmem_site {
	__u64 allocated_bytes;
	__u64 allocated;
	__u64 freed_bytes;
	__u64 freed;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct mb_kmem_key);
	__type(value, struct kmem_site);
} kmem_sites SEC(".maps");

struct kmem_cache_name {
	char name[MB_KMEM_CACHE_NAME];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct kmem_cache_name);
} kmem_caches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, MB_KMEM_FRAMES * sizeof(__u64));
} kmem_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, MB_KMEM_IRQ_FRAMES * sizeof(__u64));
} kmem_irq_stacks SEC(".maps");

MB_INLINE bool sampled(__u64 address)
{
	return mb_kmem_sampled(address, knobs.kmem_mask) && address >= LEAST_ADDRESS;
}

/*
 * Is the current stack not the task's own? Then this is an interrupt, and the task is just the one
 * that was interrupted. ctx is an array on the current stack. (An interrupt from user mode uses the
 * task's stack: user space recognizes it by function names.)
 */
MB_INLINE bool on_interrupt_stack(void *ctx, struct task_struct *task)
{
	void *volatile here = ctx; /* reading the address from memory makes it a number for the verifier */
	__u64 at = 0;

	bpf_probe_read_kernel(&at, sizeof(at), (void *)&here);
	return at - (__u64)BPF_CORE_READ(task, stack) >= STACK_BYTES;
}

/*
 * On a hash collision retry without the innermost stack frames, which are memblame's own: that
 * stack hashes differently.
 */
#define STACK_ID(ctx, map)                                       \
	({                                                       \
		long _id = bpf_get_stackid(ctx, map, 0);         \
		if (_id < 0)                                     \
			_id = bpf_get_stackid(ctx, map, 1);      \
		if (_id < 0)                                     \
			_id = bpf_get_stackid(ctx, map, 2);      \
		_id < 0 ? 0 : (__u32)_id + 1;                    \
	})

/* Fill in the process and the stack. Returns false if the process is not traced. */
MB_INLINE bool who_and_where(void *ctx, struct mb_kmem_key *key)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l;

	if (on_interrupt_stack(ctx, task)) {
		if (knobs.select != MB_SELECT_ALL)
			return false;
		key->stack = STACK_ID(ctx, &kmem_irq_stacks);
		if (key->stack)
			key->stack |= MB_KMEM_IRQ;
		return true;
	}
	l = ledger_of(task);
	if (!l)
		return false;
	key->start_ns = l->task.start_ns;
	key->tgid = bpf_get_current_pid_tgid() >> 32;
	key->stack = STACK_ID(ctx, &kmem_stacks);
	return true;
}

MB_INLINE struct kmem_site *site_of(struct mb_kmem_key *key)
{
	struct kmem_site zero = {};

	return table_entry(&kmem_sites, key, &zero, MB_FAM_kmem);
}

MB_INLINE void count_free(struct kmem_object *o)
{
	struct mb_kmem_key key = o->key;
	struct kmem_site *site = site_of(&key);

	if (!site)
		return;
	__sync_fetch_and_add(&site->freed_bytes, o->bytes);
	__sync_fetch_and_add(&site->freed, 1);
}

/* The object at this address is freed. */
MB_INLINE int ended(__u64 address)
{
	struct kmem_object *found, copy;

	found = bpf_map_lookup_elem(&kmem_objects, &address);
	if (!found)
		return 0;
	copy = *found; /* after the deletion, another object may use the entry immediately */
	if (!bpf_map_delete_elem(&kmem_objects, &address))
		count_free(&copy);
	return 0;
}

/* A sampled object is allocated. An existing entry at its address was freed without a tracepoint. */
MB_INLINE int began(void *ctx, __u64 address, __u64 cache, __u64 bytes)
{
	struct kmem_object o = {};
	struct kmem_site *site;

	ended(address);
	o.key.cache = cache;
	o.bytes = bytes;
	if (!who_and_where(ctx, &o.key))
		return 0;
	site = site_of(&o.key);
	if (!site)
		return 0;
	if (bpf_map_update_elem(&kmem_objects, &address, &o, BPF_ANY)) {
		count_drop(MB_FAM_kmem, MB_DROP_TABLE_FULL);
		return 0;
	}
	__sync_fetch_and_add(&site->allocated_bytes, bytes);
	__sync_fetch_and_add(&site->allocated, 1);
	return 0;
}

/* ---- slab ---- */

/*
 * The object is the second argument of all these tracepoints: a pointer to const void, which older
 * verifiers (6.1) do not allow to be loaded.
 */
MB_INLINE __u64 object_of(const __u64 *ctx)
{
	__u64 object = 0;

	if (!knobs.kmem_read_ptr)
		return ctx[1];
	bpf_probe_read_kernel(&object, sizeof(object), &ctx[1]);
	return object;
}

MB_INLINE __u64 kmalloc_cache(__u64 bytes, __u32 gfp)
{
	return bytes | (gfp & GFP_RECLAIMABLE ? MB_KMEM_KMALLOC_RCL :
			gfp & GFP_ACCOUNT     ? MB_KMEM_KMALLOC_CG :
						MB_KMEM_KMALLOC);
}

SEC("?tp_btf/kmalloc")
int kmem_kmalloc(__u64 *ctx)
{
	__u64 object = object_of(ctx), bytes;

	if (!sampled(object))
		return 0;
	bytes = (__u32)MB_ARG_OF(ctx, kmalloc, bytes_alloc);
	return began(ctx, object, kmalloc_cache(bytes, MB_ARG_OF(ctx, kmalloc, gfp_flags)), bytes);
}

/* Before 6.1 (11e9734bcb6a) node-specific allocations have tracepoints of their own. */
SEC("?tp_btf/kmalloc_node")
int kmem_kmalloc_node(__u64 *ctx)
{
	__u64 object = object_of(ctx), bytes;

	if (!sampled(object))
		return 0;
	bytes = (__u32)MB_ARG_OF(ctx, kmalloc_node, bytes_alloc);
	return began(ctx, object, kmalloc_cache(bytes, MB_ARG_OF(ctx, kmalloc_node, gfp_flags)), bytes);
}

/* Store the name of a cache, because user space cannot resolve the cache's address. */
MB_INLINE void keep_name(struct kmem_cache *s)
{
	struct kmem_cache_name n = {};
	__u64 cache = (__u64)s;

	if (bpf_map_lookup_elem(&kmem_caches, &cache))
		return;
	bpf_probe_read_kernel_str(n.name, sizeof(n.name), BPF_CORE_READ(s, name));
	bpf_map_update_elem(&kmem_caches, &cache, &n, BPF_NOEXIST);
}

MB_INLINE int began_in_cache(void *ctx, __u64 address, struct kmem_cache *s, __u64 bytes)
{
	if (!s) /* before 5.19 the tracepoint does not report the cache */
		return began(ctx, address, MB_KMEM_OBJECTS | (__u32)bytes, (__u32)bytes);
	keep_name(s);
	return began(ctx, address, (__u64)s, BPF_CORE_READ(s, size));
}

SEC("?tp_btf/kmem_cache_alloc")
int kmem_alloc(__u64 *ctx)
{
	__u64 object = object_of(ctx);

	if (!sampled(object))
		return 0;
	return began_in_cache(ctx, object, (void *)MB_ARG_OF(ctx, kmem_cache_alloc, s),
			      MB_ARG_OF(ctx, kmem_cache_alloc, bytes_alloc));
}

SEC("?tp_btf/kmem_cache_alloc_node")
int kmem_alloc_node(__u64 *ctx)
{
	__u64 object = object_of(ctx);

	if (!sampled(object))
		return 0;
	return began_in_cache(ctx, object, (void *)MB_ARG_OF(ctx, kmem_cache_alloc_node, s),
			      MB_ARG_OF(ctx, kmem_cache_alloc_node, bytes_alloc));
}

MB_INLINE int freed(const __u64 *ctx)
{
	__u64 object = object_of(ctx);

	return sampled(object) ? ended(object) : 0;
}

SEC("?tp_btf/kfree")
int kmem_kfree(__u64 *ctx)
{
	return freed(ctx);
}

SEC("?tp_btf/kmem_cache_free")
int kmem_free(__u64 *ctx)
{
	return freed(ctx);
}

/*
 * An interrupt that hits a running program finds it in use, and the kernel does not run the program
 * again. All objects that a batch of RCU callbacks frees there, which are most objects of caches,
 * would be missed. So there are two programs, attached in sequence; what the first has removed, the
 * second does not find. Only nested interrupts can miss both.
 */
SEC("?tp_btf/kmem_cache_free")
int kmem_free_again(__u64 *ctx)
{
	return freed(ctx);
}

/* ---- pages ---- */

/*
 * Pages of user space and of the page cache are movable, or restricted to the task's NUMA nodes
 * (hardwall) and not charged via __GFP_ACCOUNT. The kernel's own pages are neither, or are charged
 * via the flag (pipes).
 */
MB_INLINE bool of_user_space(__u32 gfp)
{
	return (gfp & GFP_MOVABLE) || (gfp & (GFP_HARDWALL | GFP_ACCOUNT)) == GFP_HARDWALL;
}

/*
 * A page is identified by the distance of its struct page to a variable of memblame, because
 * subtraction is the only pointer arithmetic that the verifier allows here. No object has such an
 * address.
 */
MB_INLINE __u64 page_address(const __u64 *ctx)
{
	__u64 page = ctx[0];

	if (!page) /* the allocation failed */
		return 0;
	page -= (__u64)&knobs;
	asm volatile("" : "+r"(page));
	return page;
}

SEC("?tp_btf/mm_page_alloc")
int kmem_pages(__u64 *ctx)
{
	__u64 page = page_address(ctx);

	if (!sampled(page) || of_user_space(ctx[2]))
		return 0;
	return began(ctx, page, MB_KMEM_PAGES, (__u64)MB_PAGE_SIZE << (ctx[1] & 31));
}

SEC("?tp_btf/mm_page_free")
int kmem_put(__u64 *ctx)
{
	__u64 page = page_address(ctx);

	return sampled(page) ? ended(page) : 0;
}
