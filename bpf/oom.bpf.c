// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * oom: each kill by the out-of-memory killer, with everything that is only known at that moment:
 * the other candidates, which memory was short, the stacks of trigger and victim. When a victim is
 * marked, the current thread is the trigger, whose allocation failed, and not the victim.
 */
#include "core/cgroup.bpf.h"
#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Limits for the number of tasks (TASKS_AT_ONCE * TASK_TURNS) and zones that are sent per kill. */
#define TASKS_AT_ONCE 64
#define TASK_TURNS 256
#define ZONES 32

/* Tasks are only sent while at least half of the ring is free: kills and exits have priority. */
#define TASKS_UNTIL_BYTES (2 * 1024 * 1024)

#define STACK_WORDS 128 /* number of words read at a time */
#define STACK_BYTES (16 << 10) /* x86-64: THREAD_SIZE */

struct oom_room {
	__u64 words[STACK_WORDS];
	__u32 sent;
	__u32 left_out;
};

/* The kernel decides one kill at a time (oom_lock), so there is no concurrent use. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct oom_room);
} oom_room SEC(".maps");

/*
 * Victims that have not started to die, by process, and the time of the kill. LRU: the oldest entry
 * is evicted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} oom_victims SEC(".maps");

/*
 * The last kill per trigger. With memory.oom.group, other members of the group follow the chosen
 * process.
 */
struct oom_kill {
	__u64 control; /* address of its struct oom_control; 0: the exit of oom_kill_process removes this entry */
	__u32 chosen_tgid;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct oom_kill);
} oom_kills SEC(".maps");

MB_INLINE struct oom_room *room(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&oom_room, &key);
}

/* ---- cause: the kernel's struct oom_control ---- */

/* The i-th zone of a zonelist; NULL: the list is shorter. */
MB_INLINE struct zone *zone_of(struct zonelist *list, int i)
{
	struct zone *zone = NULL;

	bpf_probe_read_kernel(&zone, sizeof(zone),
			      (void *)list + bpf_core_field_offset(struct zonelist, _zonerefs) +
				      i * bpf_core_type_size(struct zoneref) +
				      bpf_core_field_offset(struct zoneref, zone));
	return zone;
}

/*
 * First letters of zone names: DMA, DMA32, Normal, HighMem, Movable, Device (mm/page_alloc.c,
 * zone_names).
 */
MB_INLINE bool is_zonelist(struct zonelist *list)
{
	struct zone *zone = zone_of(list, 0);
	const char *name;
	char first = 0;

	if (!zone)
		return false;
	name = BPF_CORE_READ(zone, name);
	bpf_probe_read_kernel(&first, sizeof(first), name);
	return first == 'D' || first == 'N' || first == 'H' || first == 'M';
}

/*
 * Could this be an oom_control with that victim chosen? A stack contains the pointer to the victim
 * several times, but only an oom_control has a memory cgroup that contains the victim, or a
 * zonelist, next to it.
 */
__noinline int oom_is_control(__u64 address)
{
	struct oom_control *oc = (void *)address;
	__u32 constraint = BPF_CORE_READ(oc, constraint);
	struct mem_cgroup *memcg = BPF_CORE_READ(oc, memcg);
	int order = BPF_CORE_READ(oc, order);

	if (constraint >= MB_OOM_CONSTRAINTS || order < -1 || order > 32 || !BPF_CORE_READ(oc, totalpages) ||
	    !BPF_CORE_READ(oc, gfp_mask))
		return 0;
	if (constraint == MB_OOM_MEMCG)
		return memcg && in_memcg(BPF_CORE_READ(oc, chosen), memcg);
	return !memcg && is_zonelist(BPF_CORE_READ(oc, zonelist));
}

/* Search a part of the trigger's stack for a pointer to the victim, or to its leader. */
__noinline __u64 oom_control_at(__u64 address, __u64 victim, __u64 leader)
{
	struct oom_room *r = room();

	if (!r || bpf_probe_read_kernel(r->words, sizeof(r->words), (void *)address))
		return 0;
	for (__u32 i = 0; i < STACK_WORDS; i++) {
		__u64 oc = address + i * sizeof(__u64) - bpf_core_field_offset(struct oom_control, chosen);

		if ((r->words[i] == victim || r->words[i] == leader) && oom_is_control(oc))
			return oc;
	}
	return 0;
}

/*
 * The oom_control is a local variable of a function that the trigger is in (mm/memcontrol.c and
 * mm/page_alloc.c, out_of_memory()'s callers). No tracepoint passes it, and hooking functions is
 * not possible everywhere. Search from the outermost stack frame on, because leftovers of earlier
 * calls are at the other end.
 */
MB_INLINE struct oom_control *find_control(const void *ctx)
{
	struct task_struct *trigger = (void *)bpf_get_current_task();
	__u64 stack = (__u64)BPF_CORE_READ(trigger, stack), victim = 0, leader;

	/*
	 * the tracepoint's argument, as a number: global functions take no pointers to kernel
	 * objects
	 */
	bpf_probe_read_kernel(&victim, sizeof(victim), ctx);
	leader = (__u64)BPF_CORE_READ((struct task_struct *)victim, group_leader);

	for (int i = STACK_BYTES / sizeof(__u64) / STACK_WORDS - 1; i >= 0; i--) {
		__u64 oc = oom_control_at(stack + i * STACK_WORDS * sizeof(__u64), victim, leader);

		if (oc)
			return (void *)oc;
	}
	return NULL;
}

MB_INLINE void fill_memcg(struct mb_oom_event *e, struct mem_cgroup *memcg, struct task_struct *task)
{
	struct cgroup *cgrp = BPF_CORE_READ(memcg, css.cgroup);

	e->memcg = compat_cgroup_id(cgrp);
	e->memcg_usage_pages = BPF_CORE_READ(memcg, memory.usage.counter);
	e->memcg_limit_pages = BPF_CORE_READ(memcg, memory.max);
	e->memcg_v1 = BPF_CORE_READ(cgrp, root) != BPF_CORE_READ(task, cgroups, dfl_cgrp, root);
	e->memcg_swap_pages = BPF_CORE_READ(memcg, swap.usage.counter);
	e->memcg_swap_limit_pages = BPF_CORE_READ(memcg, swap.max);
}

MB_INLINE void fill_control(struct mb_oom_event *e, struct oom_control *oc, struct task_struct *trigger)
{
	struct mem_cgroup *memcg = BPF_CORE_READ(oc, memcg);

	e->total_pages = BPF_CORE_READ(oc, totalpages);
	e->chosen_points = BPF_CORE_READ(oc, chosen_points);
	e->chosen_tgid = BPF_CORE_READ(oc, chosen, tgid);
	e->gfp = BPF_CORE_READ(oc, gfp_mask);
	e->order = BPF_CORE_READ(oc, order);
	e->constraint = BPF_CORE_READ(oc, constraint);
	if (memcg)
		fill_memcg(e, memcg, trigger);
}

/* ---- candidates ---- */

#define THREADS_TRIED 64 /* limit of the search; threads that are about to exit come first */

/* A thread of the process that still has its memory, like the kernel's find_lock_task_mm(); 0: none. */
__noinline __u64 oom_thread_with_memory(__u64 address)
{
	struct task_struct *task = (void *)address, *t = task;

	for (int i = 0; i < THREADS_TRIED; i++) {
		if (BPF_CORE_READ(t, mm))
			return (__u64)t;
		t = (void *)BPF_CORE_READ(t, thread_node.next) -
		    bpf_core_field_offset(struct task_struct, thread_node);
		if (t == task || BPF_CORE_READ(t, tgid) != BPF_CORE_READ(task, tgid))
			break; /* the list head: end of the list */
	}
	return 0;
}

MB_INLINE struct task_struct *thread_with_memory(struct task_struct *task)
{
	return (void *)oom_thread_with_memory((__u64)task);
}

/*
 * The list head is between the last and the first thread: a walk from the first one visits all
 * threads.
 */
MB_INLINE struct mm_struct *memory_of(struct task_struct *task)
{
	struct task_struct *t = BPF_CORE_READ(task, mm) ? task :
							  thread_with_memory(BPF_CORE_READ(task, group_leader));

	return t ? BPF_CORE_READ(t, mm) : NULL;
}

/*
 * Send a candidate. task: the process's first thread; alive: a thread that has its memory, and its
 * current cgroup.
 */
MB_INLINE void tell_task(struct oom_room *r, struct task_struct *task, struct task_struct *alive, __u64 kill_t_ns)
{
	struct mm_struct *mm = BPF_CORE_READ(alive, mm);
	struct mb_oom_task_event *e = NULL;

	if (bpf_ringbuf_query(&urgent, BPF_RB_AVAIL_DATA) < TASKS_UNTIL_BYTES)
		e = emit_try_reserve_in(&urgent, MB_FAM_oom, MB_OOM_EVENT_TASK, sizeof(*e),
					bpf_ktime_get_boot_ns());
	if (!e) {
		r->left_out++;
		return;
	}
	e->kill_t_ns = kill_t_ns;
	e->start_ns = BPF_CORE_READ(task, start_boottime);
	e->cgroup = compat_cgroup_id(compat_task_cgroup(alive));
	e->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	for (int i = 0; i < NR_MM_COUNTERS; i++)
		e->rss_pages[i] = compat_mm_counter(mm, i);
	e->pgtables_bytes = BPF_CORE_READ(mm, pgtables_bytes.counter);
	e->tgid = BPF_CORE_READ(task, tgid);
	e->uid = BPF_CORE_READ(task, real_cred, uid.val);
	e->oom_score_adj = BPF_CORE_READ(task, signal, oom_score_adj);
	e->mm_id = (__u32)((__u64)mm >> 6);
	BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	r->sent++;
}

/* Send a process, given by its leader, if it was a candidate. Returns the next process's leader. */
__noinline __u64 oom_tell_process(__u64 address, __u64 memcg, __u64 kill_t_ns)
{
	struct task_struct *task = (void *)address;
	struct task_struct *alive = thread_with_memory(task);
	struct oom_room *r = room();

	/* excluded by the kernel's oom_unkillable_task(): init and kernel threads */
	if (r && alive && BPF_CORE_READ(task, tgid) != 1 && !(BPF_CORE_READ(task, flags) & PF_KTHREAD) &&
	    (!memcg || in_memcg(alive, (void *)memcg)))
		tell_task(r, task, alive, kill_t_ns);
	return (__u64)BPF_CORE_READ(task, tasks.next) - bpf_core_field_offset(struct task_struct, tasks);
}

/* Send some processes, starting with this one. Returns the next one; 0: all were sent. */
__noinline __u64 oom_tell_tasks(__u64 task, __u64 until, __u64 memcg, __u64 kill_t_ns)
{
	for (int i = 0; i < TASKS_AT_ONCE; i++) {
		task = oom_tell_process(task, memcg, kill_t_ns);
		if (task == until)
			return 0;
	}
	return task;
}

__noinline __u64 oom_tell_zone(__u64 address, __u64 kill_t_ns)
{
	struct zone *zone = (void *)address;
	struct mb_oom_zone_event *e;
	__u64 boost = BPF_CORE_READ(zone, watermark_boost);
	const char *name;

	e = emit_reserve_in(&urgent, MB_FAM_oom, MB_OOM_EVENT_ZONE, sizeof(*e), bpf_ktime_get_boot_ns());
	if (!e)
		return 0;
	__builtin_memset((char *)e + sizeof(e->h), 0, sizeof(*e) - sizeof(e->h));
	e->kill_t_ns = kill_t_ns;
	e->free_pages = BPF_CORE_READ(zone, vm_stat[0].counter);
	e->min_pages = BPF_CORE_READ(zone, _watermark[0]) + boost;
	e->low_pages = BPF_CORE_READ(zone, _watermark[1]) + boost;
	e->high_pages = BPF_CORE_READ(zone, _watermark[2]) + boost;
	e->managed_pages = BPF_CORE_READ(zone, managed_pages.counter);
	if (bpf_core_field_exists(zone->node))
		e->node = BPF_CORE_READ(zone, node);
	name = BPF_CORE_READ(zone, name);
	bpf_probe_read_kernel_str(e->name, sizeof(e->name), name);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 1;
}

MB_INLINE void tell_zones(struct zonelist *list, __u64 kill_t_ns)
{
	for (int i = 0; i < ZONES; i++) {
		struct zone *zone = zone_of(list, i);

		if (!zone || !oom_tell_zone((__u64)zone, kill_t_ns))
			break;
	}
}

/* Send all processes and zones that a kill concerns. */
MB_INLINE void tell_scene(struct oom_control *oc, struct task_struct *trigger, __u64 kill_t_ns)
{
	struct zonelist *zones = BPF_CORE_READ(oc, zonelist);
	__u64 memcg = (__u64)BPF_CORE_READ(oc, memcg);
	__u64 first = (__u64)BPF_CORE_READ(trigger, group_leader), task = first;
	struct oom_room *r = room();
	struct mb_oom_complete_event *e;

	if (!r)
		return;
	r->sent = r->left_out = 0;
	if (zones && !memcg)
		tell_zones(zones, kill_t_ns);
	for (int i = 0; i < TASK_TURNS && task; i++)
		task = oom_tell_tasks(task, first, memcg, kill_t_ns);
	e = emit_reserve_in(&urgent, MB_FAM_oom, MB_OOM_EVENT_CANDIDATES_COMPLETE, sizeof(*e), bpf_ktime_get_boot_ns());
	if (!e)
		return;
	e->kill_t_ns = kill_t_ns;
	e->tasks = r->sent;
	e->tasks_left_out = r->left_out;
	emit_submit_now(e);
}

/* ---- the kill ---- */

MB_INLINE void fill_victim(struct mb_oom_event *e, struct task_struct *victim)
{
	struct mm_struct *mm = memory_of(victim);

	e->victim_start_ns = BPF_CORE_READ(victim, group_leader, start_boottime);
	e->victim_cgroup = compat_cgroup_id(compat_task_cgroup(victim));
	e->victim_tgid = BPF_CORE_READ(victim, tgid);
	e->victim_inner_tgid = compat_inner_tgid(victim);
	e->victim_uid = BPF_CORE_READ(victim, real_cred, uid.val);
	e->oom_score_adj = BPF_CORE_READ(victim, signal, oom_score_adj);
	BPF_CORE_READ_STR_INTO(&e->victim_comm, victim, group_leader, comm);
	e->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	e->pgtables_bytes = BPF_CORE_READ(mm, pgtables_bytes.counter);
	for (int i = 0; i < NR_MM_COUNTERS; i++)
		e->rss_pages[i] = mm ? compat_mm_counter(mm, i) : 0;
}

/* Start an event with the current thread's data; NULL: no room. */
MB_INLINE struct mb_oom_event *begin_event(__u16 type, struct task_struct *trigger)
{
	struct mb_oom_event *e = emit_reserve_in(&urgent, MB_FAM_oom, type, sizeof(*e),
						 bpf_ktime_get_boot_ns());

	if (!e)
		return NULL;
	__builtin_memset((char *)e + sizeof(e->h), 0, sizeof(*e) - sizeof(e->h));
	e->trigger_cgroup = compat_cgroup_id(compat_task_cgroup(trigger));
	e->trigger_start_ns = BPF_CORE_READ(trigger, group_leader, start_boottime);
	e->trigger_inner_tgid = compat_inner_tgid(trigger);
	BPF_CORE_READ_STR_INTO(&e->trigger_comm, trigger, comm);
	return e;
}

MB_INLINE bool is_traced(struct task_struct *trigger, struct task_struct *victim)
{
	return ledger_of(trigger) || (victim && ledger_of(victim));
}

/*
 * victim: NULL if only its id is known; oc: NULL if not available. chosen_tgid: process for which
 * the kill was chosen, if oc is not available; else 0. decided: the kernel chose a victim;
 * otherwise the trigger is already exiting and only gets access to the memory reserves.
 */
MB_INLINE void kill(void *ctx, struct task_struct *victim, __u32 victim_tgid, struct oom_control *oc,
		    __u32 chosen_tgid, bool decided)
{
	struct task_struct *trigger = compat_current();
	struct mb_ledger *l = ledger_of(trigger);
	struct mb_oom_event *e;
	__u64 t_ns;

	if (!is_traced(trigger, victim))
		return;
	if (l && decided)
		l->oom.triggered++;
	e = begin_event(MB_OOM_EVENT_KILL, trigger);
	if (!e)
		return;
	t_ns = e->h.t_ns;
	e->victim_tgid = victim_tgid;
	if (victim)
		fill_victim(e, victim);
	victim_tgid = e->victim_tgid;
	e->chosen_tgid = chosen_tgid;
	if (oc)
		fill_control(e, oc, trigger);
	chosen_tgid = e->chosen_tgid;
	bpf_get_stack(ctx, e->kernel_stack, sizeof(e->kernel_stack), 0);
	bpf_get_stack(ctx, e->user_stack, sizeof(e->user_stack), BPF_F_USER_STACK);
	emit_submit_now(e);
	bpf_map_update_elem(&oom_victims, &victim_tgid, &t_ns, BPF_ANY);
	/* once per group */
	if (oc && chosen_tgid == victim_tgid)
		tell_scene(oc, trigger, t_ns);
}

MB_INLINE void remember_kill(struct oom_control *oc, __u64 control)
{
	struct oom_kill k = { .control = control, .chosen_tgid = BPF_CORE_READ(oc, chosen, tgid) };
	__u64 id = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&oom_kills, &id, &k, BPF_ANY);
}

/* The oom_control of this thread's last kill, if that kill is still in progress. */
MB_INLINE struct oom_control *control_of_group(void)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct oom_kill *k = bpf_map_lookup_elem(&oom_kills, &id);
	struct oom_control *oc = k ? (void *)k->control : NULL;

	if (!oc || !oom_is_control((__u64)oc) || (__u32)BPF_CORE_READ(oc, chosen, tgid) != k->chosen_tgid)
		return NULL;
	return oc;
}

SEC("?tp_btf/mark_victim")
int BPF_PROG(oom_mark_victim, struct task_struct *victim)
{
	struct task_struct *trigger = compat_current();
	struct oom_control *oc = find_control(ctx);

	if (oc)
		remember_kill(oc, (__u64)oc);
	else if (victim != trigger) /* otherwise the trigger is exiting already, and gets the reserves */
		oc = control_of_group();
	kill(ctx, victim, 0, oc, 0, oc || victim != trigger);
	return 0;
}

/*
 * If mark_victim only passes an id: the function that is about to kill knows the victim and the
 * cause.
 */
SEC("?fentry/oom_kill_process")
int BPF_PROG(oom_kill, struct oom_control *oc)
{
	kill(ctx, BPF_CORE_READ(oc, chosen), 0, oc, 0, true);
	remember_kill(oc, 0);
	return 0;
}

SEC("?fexit/oom_kill_process")
int BPF_PROG(oom_kill_end)
{
	__u64 id = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&oom_kills, &id);
	return 0;
}

/* Other members of a group that is killed, and an exiting process that gets the reserves. */
SEC("?tp_btf/mark_victim")
int BPF_PROG(oom_mark_member, __u32 pid)
{
	struct task_struct *task = compat_current();
	__u64 id = bpf_get_current_pid_tgid();
	struct oom_kill *k = bpf_map_lookup_elem(&oom_kills, &id);

	if (k && k->chosen_tgid == pid) /* already sent */
		return 0;
	kill(ctx, pid == (__u32)id ? task : NULL, pid, NULL, k ? k->chosen_tgid : 0, k || pid != (__u32)id);
	return 0;
}

SEC("?tp_btf/mark_victim")
int BPF_PROG(oom_mark_victim_id, int pid)
{
	kill(ctx, NULL, pid, NULL, 0, true);
	return 0;
}

/* A victim starts to die: the last moment at which its own user stack is available. */
SEC("?tp_btf/signal_deliver")
int BPF_PROG(oom_dying, int sig)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct mb_oom_stack_event *e;
	__u64 *t_ns;

	if (sig != SIGKILL)
		return 0;
	t_ns = bpf_map_lookup_elem(&oom_victims, &tgid);
	if (!t_ns)
		return 0;
	e = emit_reserve_in(&urgent, MB_FAM_oom, MB_OOM_EVENT_STACK, sizeof(*e), bpf_ktime_get_boot_ns());
	if (e) {
		__builtin_memset((char *)e + sizeof(e->h), 0, sizeof(*e) - sizeof(e->h));
		e->kill_t_ns = *t_ns;
		bpf_get_stack(ctx, e->user_stack, sizeof(e->user_stack), BPF_F_USER_STACK);
		bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	}
	bpf_map_delete_elem(&oom_victims, &tgid);
	return 0;
}

MB_INLINE int reaper(__u32 tid, __u32 outcome)
{
	struct mb_oom_reaper_event *e;

	e = emit_reserve_in(&urgent, MB_FAM_oom, MB_OOM_EVENT_REAPER, sizeof(*e), bpf_ktime_get_boot_ns());
	if (!e)
		return 0;
	e->victim_tid = tid;
	e->outcome = outcome;
	emit_submit_now(e);
	return 0;
}

SEC("?tp_btf/finish_task_reaping")
int BPF_PROG(oom_reaped, int tid)
{
	return reaper(tid, MB_OOM_REAPED);
}

SEC("?tp_btf/skip_task_reaping")
int BPF_PROG(oom_reaper_skipped, int tid)
{
	return reaper(tid, MB_OOM_REAPER_SKIPPED);
}

/* ---- kills by a process: systemd-oomd, earlyoom, or any other ---- */

SEC("?tp_btf/signal_generate")
int BPF_PROG(oom_sigkill, int sig, struct kernel_siginfo *info, struct task_struct *victim, int group,
	     int result)
{
	struct task_struct *sender = compat_current();
	struct mem_cgroup *fullest;
	struct mb_oom_event *e;

	/* SEND_SIG_PRIV (1): sent by the kernel */
	if (sig != SIGKILL || result || (unsigned long)info == 1 || !MB_TASK(sender, mm) ||
	    MB_TASK(sender, tgid) == BPF_CORE_READ(victim, tgid) || !is_traced(sender, victim))
		return 0;
	/* a process that sends thousands of signals must not use up the room for kills and exits */
	if (bpf_ringbuf_query(&urgent, BPF_RB_AVAIL_DATA) >= TASKS_UNTIL_BYTES) {
		count_drop(MB_FAM_oom, MB_DROP_RING_FULL);
		return 0;
	}
	e = begin_event(MB_OOM_EVENT_SIGKILL, sender);
	if (!e)
		return 0;
	fill_victim(e, victim);
	fullest = fullest_memcg(victim);
	if (fullest)
		fill_memcg(e, fullest, victim);
	bpf_ringbuf_submit(e, 0); /* wakes a consumer that is waiting, but not one that has fallen behind */
	return 0;
}
