// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * reclaim: which threads stall in reclaim, compaction and throttling, what they free, whose pages
 * they reclaim, and when and for whom kswapd runs.
 */
#include "core/cgroup.bpf.h"
#include "core/compat.bpf.h"
#include "core/stall.bpf.h"
#include "core/reclaimed_pages.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MAX_NODES 64 /* NUMA nodes watched for kswapd runs; CONFIG_NODES_SHIFT is 6 to 10 */

struct waker {
	__u32 tgid; /* 0: none yet */
	__u32 tid;
	char comm[MB_COMM_LEN];
};

/*
 * The current run of a node's kswapd, and the task that woke it. Indexed by node; higher node
 * numbers are not watched.
 */
struct kswapd_run {
	__u64 start_ns; /* 0: asleep */
	__u64 pages;
	__u32 order;
	struct waker waker;
	struct waker next; /* waker of the next run: kswapd can be woken before the tracepoint for its sleep fires */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_NODES);
	__type(key, __u32);
	__type(value, struct kswapd_run);
} kswapd SEC(".maps");

#define INFO(order, gfp) ((__u64)(__u32)(order) << 32 | (__u32)(gfp))

/* Time in slab shrinkers, by process and shrinker: a table, see core/maps.bpf.h. */
struct shrink_time {
	__u64 count;
	__u64 ns;
	__u64 objects;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct mb_shrink_key);
	__type(value, struct shrink_time);
} shrinkers SEC(".maps");

MB_INLINE int begin(__u32 slot, __u32 order, __u32 gfp)
{
	struct mb_ledger *l = ledger_of(compat_current());
	__u64 now = bpf_ktime_get_boot_ns();

	if (!l)
		return 0;
	stall_begin(l, MB_FAM_reclaim, slot, now, INFO(order, gfp));
	l->reclaim.scanned_ns = now;
	return 0;
}

MB_INLINE void emit_stall(__u16 type, const struct stall_time *t, const struct mb_ledger *l, __u64 pages)
{
	struct mb_reclaim_event *e;
	void *ring = cpu_ring();

	if (!ring)
		return;
	e = emit_reserve_in(ring, MB_FAM_reclaim, type, sizeof(*e), t->start_ns);
	if (!e)
		return;
	e->ns = t->ns;
	e->total_ns = t->total_ns;
	e->pages = pages;
	e->order = t->info >> 32;
	e->gfp = (__u32)t->info;
	e->limit_up = l->reclaim.limit_up;
	e->pad = 0;
	emit_submit(ring, e);
}

MB_INLINE int end(__u32 slot, __u16 type, __u64 pages)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct stall_time t;

	if (!l || !stall_end(l, slot, bpf_ktime_get_boot_ns(), &t))
		return 0;
	l->reclaim.pages_reclaimed += pages;
	if (streaming(MB_FAM_reclaim))
		emit_stall(type, &t, l, pages);
	return 0;
}

SEC("?tp_btf/mm_vmscan_direct_reclaim_begin")
int reclaim_direct_begin(__u64 *ctx)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (l)
		l->reclaim.limit_up = MB_LIMIT_MACHINE;
	return begin(STALL_SLOT(reclaim, direct_reclaim),
		     MB_ARG_OF(ctx, mm_vmscan_direct_reclaim_begin, order),
		     MB_ARG_OF(ctx, mm_vmscan_direct_reclaim_begin, gfp_flags));
}

SEC("?tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(reclaim_direct_end, unsigned long nr_reclaimed)
{
	return end(STALL_SLOT(reclaim, direct_reclaim), MB_RECLAIM_EVENT_DIRECT, nr_reclaimed);
}

/*
 * zone_reclaim_mode: reclaim from the local node before trying another one; counts as direct
 * reclaim.
 */
SEC("?tp_btf/mm_vmscan_node_reclaim_begin")
int reclaim_node_begin(__u64 *ctx)
{
	return begin(STALL_SLOT(reclaim, direct_reclaim),
		     MB_ARG_OF(ctx, mm_vmscan_node_reclaim_begin, order),
		     MB_ARG_OF(ctx, mm_vmscan_node_reclaim_begin, gfp_flags));
}

SEC("?tp_btf/mm_vmscan_node_reclaim_end")
int BPF_PROG(reclaim_node_end, unsigned long nr_reclaimed)
{
	return end(STALL_SLOT(reclaim, direct_reclaim), MB_RECLAIM_EVENT_DIRECT, nr_reclaimed);
}

/*
 * Whose limit the current thread reclaims for, as in struct mb_reclaim_ledger. A write to
 * memory.reclaim, memory.high, memory.max etc. reclaims from the cgroup of that file, independent
 * of the writer's own cgroup.
 */
MB_INLINE __u32 reclaimed_for(__u64 *ctx, struct task_struct *task)
{
	struct file *written = compat_written_file(task);
	__u64 magic = written ? BPF_CORE_READ(written, f_inode, i_sb, s_magic) : 0;
	__u32 up;

	if (magic == CGROUP_MAGIC || magic == CGROUP2_MAGIC)
		return MB_LIMIT_ASKED;
	if (knobs.args[MB_ARG_mm_vmscan_memcg_reclaim_begin_memcg] != MB_ARG_MISSING)
		return memcg_levels_up(task, (void *)MB_ARG_OF(ctx, mm_vmscan_memcg_reclaim_begin, memcg));
	up = memcg_over(task, false);
	return up == MB_LIMIT_UNKNOWN ? memcg_over(task, true) : up;
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_begin")
int reclaim_memcg_begin(__u64 *ctx)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);

	if (l)
		l->reclaim.limit_up = reclaimed_for(ctx, task);
	return begin(STALL_SLOT(reclaim, memcg_reclaim),
		     MB_ARG_OF(ctx, mm_vmscan_memcg_reclaim_begin, order),
		     MB_ARG_OF(ctx, mm_vmscan_memcg_reclaim_begin, gfp_flags));
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(reclaim_memcg_end, unsigned long nr_reclaimed)
{
	return end(STALL_SLOT(reclaim, memcg_reclaim), MB_RECLAIM_EVENT_MEMCG, nr_reclaimed);
}

SEC("?tp_btf/mm_compaction_begin")
int BPF_PROG(reclaim_compaction_begin)
{
	return begin(STALL_SLOT(reclaim, compaction), 0, 0);
}

SEC("?tp_btf/mm_compaction_end")
int BPF_PROG(reclaim_compaction_end)
{
	return end(STALL_SLOT(reclaim, compaction), MB_RECLAIM_EVENT_COMPACTION, 0);
}

/*
 * Fires after the sleep, with its length in whole ticks, which can be one tick too long. The time
 * since the thread last scanned pages is a close upper bound, because the thread scans right before
 * it sleeps.
 */
MB_INLINE int throttled(int usec_delayed)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct stall_time t = {};
	__u64 now;

	if (!l || usec_delayed <= 0)
		return 0;
	now = bpf_ktime_get_boot_ns();
	t.ns = (__u64)usec_delayed * 1000;
	if (l->task.depth && now - l->reclaim.scanned_ns < t.ns)
		t.ns = now - l->reclaim.scanned_ns;
	t.total_ns = t.ns;
	t.start_ns = now - t.ns;
	l->reclaim.scanned_ns = now;
	stall_add(l, STALL_SLOT(reclaim, throttle), t.ns);
	if (streaming(MB_FAM_reclaim))
		emit_stall(MB_RECLAIM_EVENT_THROTTLE, &t, l, 0);
	return 0;
}

SEC("?tp_btf/mm_vmscan_throttled")
int reclaim_throttled(__u64 *ctx)
{
	return throttled(MB_ARG_OF(ctx, mm_vmscan_throttled, usec_delayed));
}

/* Before 5.15 (8cd7c588decf) reclaim slept here; both tracepoints have the same arguments. */
SEC("?tp_btf/writeback_congestion_wait")
int BPF_PROG(reclaim_congestion_wait, unsigned int usec_timeout, unsigned int usec_delayed)
{
	return throttled(usec_delayed);
}

SEC("?tp_btf/writeback_wait_iff_congested")
int BPF_PROG(reclaim_iff_congested, unsigned int usec_timeout, unsigned int usec_delayed)
{
	return throttled(usec_delayed);
}

/*
 * memory.high: a thread that has pushed its cgroup over the limit reclaims on its return to user
 * space, and may then have to sleep. Only the sleep is charged here; the reclaim has its own stall.
 */
MB_INLINE int high_begin(void)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l;

	if (!MB_TASK(task, memcg_nr_pages_over_high)) /* the usual case, at every return */
		return 0;
	l = ledger_of(task);
	if (!l)
		return 0;
	l->reclaim.limit_up = memcg_over(task, true);
	stall_begin(l, MB_FAM_reclaim, STALL_SLOT(reclaim, high_throttle), bpf_ktime_get_boot_ns(), 0);
	return 0;
}

MB_INLINE int high_end(void)
{
	struct mb_ledger *l = ledger_of(compat_current());
	__u32 slot = STALL_SLOT(reclaim, high_throttle);

	if (!l || !l->task.depth)
		return 0;
	if (stall_sleeps(l, slot))
		return end(slot, MB_RECLAIM_EVENT_HIGH, 0);
	stall_cancel(l, slot);
	return 0;
}

SEC("?fentry/mem_cgroup_handle_over_high")
int BPF_PROG(reclaim_high_begin)
{
	return high_begin();
}

SEC("?fexit/mem_cgroup_handle_over_high")
int BPF_PROG(reclaim_high_end)
{
	return high_end();
}

/* The function's name since 7.0, where the check for pending work became inline. */
SEC("?fentry/__mem_cgroup_handle_over_high")
int BPF_PROG(reclaim_over_high_begin)
{
	return high_begin();
}

SEC("?fexit/__mem_cgroup_handle_over_high")
int BPF_PROG(reclaim_over_high_end)
{
	return high_end();
}

/* Only if the fault family, whose fault_moved does the same, is off. */
SEC("?tp_btf/rss_stat")
int BPF_PROG(reclaim_taken, struct mm_struct *mm, int member)
{
	struct task_struct *task = compat_current();

	if (MB_TASK(task, flags) & PF_MEMALLOC)
		count_reclaimed(task, mm, member);
	return 0;
}

SEC("?tp_btf/mm_filemap_delete_from_page_cache")
int BPF_PROG(reclaim_taken_huge, struct folio *folio)
{
	struct task_struct *task = compat_current();
	struct mb_reclaimed_event *e;
	__u32 owner, pages;
	void *ring;

	if (!(MB_TASK(task, flags) & PF_MEMALLOC))
		return 0;
	pages = reclaimed_at_once(task, folio, &owner);
	ring = pages ? cpu_ring() : NULL;
	if (!ring)
		return 0;
	e = emit_reserve_in(ring, MB_FAM_reclaim, MB_RECLAIM_EVENT_RECLAIMED, sizeof(*e),
			    bpf_ktime_get_boot_ns());
	if (!e)
		return 0;
	e->pages = pages;
	e->owner = owner;
	e->pad = 0;
	emit_submit(ring, e);
	return 0;
}

/* ---- slab shrinkers ---- */

SEC("?tp_btf/mm_shrink_slab_start")
int BPF_PROG(reclaim_shrink_begin)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (l)
		l->reclaim.shrink_ns = bpf_ktime_get_boot_ns();
	return 0;
}

/* Includes nested stalls, such as waiting for a page: the time shows where reclaim spent its time. */
SEC("?tp_btf/mm_shrink_slab_end")
int BPF_PROG(reclaim_shrink_end, struct shrinker *shr, int nid, int freed)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct shrink_time zero = {}, *entry;
	struct mb_shrink_key key = {};
	__u64 ns;

	if (!l || !l->reclaim.shrink_ns)
		return 0;
	ns = bpf_ktime_get_boot_ns() - l->reclaim.shrink_ns;
	l->reclaim.shrink_ns = 0;
	key.start_ns = l->task.start_ns;
	key.shrinker = (__u64)BPF_CORE_READ(shr, scan_objects);
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	entry = table_entry(&shrinkers, &key, &zero, MB_FAM_reclaim);
	if (!entry)
		return 0;
	__sync_fetch_and_add(&entry->count, 1);
	__sync_fetch_and_add(&entry->ns, ns);
	if (freed > 0)
		__sync_fetch_and_add(&entry->objects, freed);
	return 0;
}

/* ---- allocations: only on request, because every page passes through here ---- */

SEC("?tp_btf/mm_page_alloc")
int BPF_PROG(reclaim_allocated, struct page *page, unsigned int order)
{
	struct mb_ledger *l;

	if (!page) /* the allocation failed */
		return 0;
	l = ledger_of(compat_current());
	if (l)
		l->reclaim.allocated_pages += 1ull << (order & 31);
	return 0;
}

/* See reclaimed_batch_begin. Optional: without trampolines, each change counts as one page. */
SEC("?fentry/try_to_unmap_one")
int BPF_PROG(reclaim_unmap_begin, struct folio *folio, struct vm_area_struct *vma)
{
	struct task_struct *task = compat_current();

	if (MB_TASK(task, flags) & PF_MEMALLOC)
		reclaimed_batch_begin(task, folio, vma->vm_mm);
	return 0;
}

SEC("?fexit/try_to_unmap_one")
int BPF_PROG(reclaim_unmap_end, struct folio *folio, struct vm_area_struct *vma)
{
	struct task_struct *task = compat_current();

	if (MB_TASK(task, flags) & PF_MEMALLOC)
		reclaimed_batch_end(task, folio, vma->vm_mm);
	return 0;
}

/*
 * Fires only if kswapd was asleep. The first task that wakes kswapd is recorded as the waker of the
 * run.
 */
SEC("?tp_btf/mm_vmscan_wakeup_kswapd")
int BPF_PROG(reclaim_wakeup_kswapd, int nid)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l = ledger_of(task);
	struct kswapd_run *run;
	__u32 key = nid;

	if (l)
		l->reclaim.kswapd_wakeups++;
	run = bpf_map_lookup_elem(&kswapd, &key);
	if (!run || run->next.tgid)
		return 0;
	run->next.tgid = MB_TASK(task, tgid);
	run->next.tid = MB_TASK(task, pid);
	BPF_CORE_READ_STR_INTO(&run->next.comm, task, comm);
	return 0;
}

SEC("?tp_btf/mm_vmscan_kswapd_wake")
int BPF_PROG(reclaim_kswapd_wake, int nid)
{
	struct kswapd_run *run;
	__u32 key = nid;

	run = bpf_map_lookup_elem(&kswapd, &key);
	if (!run)
		return 0;
	if (run->start_ns) { /* also fires if a running kswapd is asked for more */
		run->next.tgid = 0;
		return 0;
	}
	run->waker = run->next;
	run->next.tgid = 0;
	run->start_ns = bpf_ktime_get_boot_ns();
	run->pages = 0;
	run->order = MB_ARG_OF(ctx, mm_vmscan_kswapd_wake, order);
	return 0;
}

SEC("?tp_btf/mm_vmscan_lru_shrink_inactive")
int reclaim_shrink_inactive(__u64 *ctx)
{
	struct task_struct *task = compat_current();
	__u32 key = MB_ARG_OF(ctx, mm_vmscan_lru_shrink_inactive, nid);
	struct kswapd_run *run;

	if (!(MB_TASK(task, flags) & PF_KSWAPD)) {
		struct mb_ledger *l = ledger_of(task);

		if (l)
			l->reclaim.scanned_ns = bpf_ktime_get_boot_ns();
		return 0;
	}
	run = bpf_map_lookup_elem(&kswapd, &key);
	if (run)
		run->pages += MB_ARG_OF(ctx, mm_vmscan_lru_shrink_inactive, nr_reclaimed);
	return 0;
}

SEC("?tp_btf/mm_vmscan_kswapd_sleep")
int BPF_PROG(reclaim_kswapd_sleep, int nid)
{
	struct mb_kswapd_event *e;
	struct kswapd_run *run;
	__u32 key = nid;

	run = bpf_map_lookup_elem(&kswapd, &key);
	if (!run || !run->start_ns)
		return 0;
	e = emit_reserve_in(&urgent, MB_FAM_reclaim, MB_RECLAIM_EVENT_KSWAPD, sizeof(*e),
			    run->start_ns);
	if (e) {
		e->end_ns = bpf_ktime_get_boot_ns();
		e->pages = run->pages;
		e->node = nid;
		e->order = run->order;
		e->waker_tgid = run->waker.tgid;
		e->waker_tid = run->waker.tid;
		__builtin_memcpy(e->waker_comm, run->waker.comm, MB_COMM_LEN);
		emit_submit(&urgent, e);
	}
	run->start_ns = 0;
	return 0;
}
