// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * oom: each kill by the out-of-memory killer. When a victim is marked, the current thread is the
 * one whose allocation failed: the trigger, not the victim.
 */
#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

MB_INLINE void fill_victim(struct mb_oom_event *e, struct task_struct *victim)
{
	struct mm_struct *mm = BPF_CORE_READ(victim, mm);

	e->victim_start_ns = BPF_CORE_READ(victim, group_leader, start_boottime);
	e->victim_cgroup = compat_cgroup_id(compat_task_cgroup(victim));
	e->victim_tgid = BPF_CORE_READ(victim, tgid);
	e->victim_uid = BPF_CORE_READ(victim, real_cred, uid.val);
	e->oom_score_adj = BPF_CORE_READ(victim, signal, oom_score_adj);
	e->pad = 0;
	BPF_CORE_READ_STR_INTO(&e->victim_comm, victim, group_leader, comm);
	e->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	e->pgtables_bytes = BPF_CORE_READ(mm, pgtables_bytes.counter);
	for (int i = 0; i < NR_MM_COUNTERS; i++)
		e->rss_pages[i] = mm ? compat_mm_counter(mm, i) : 0;
}

/* victim: NULL where only its id is known. */
MB_INLINE int kill(struct task_struct *victim, __u32 victim_tgid)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *trigger = ledger_of(task);
	struct mb_oom_event *e;

	if (!trigger && (!victim || !ledger_of(victim)))
		return 0;
	if (trigger)
		trigger->oom.triggered++;
	e = emit_reserve_in(&urgent, MB_FAM_oom, MB_OOM_EVENT_KILL, sizeof(*e),
			    bpf_ktime_get_boot_ns());
	if (!e)
		return 0;
	__builtin_memset((char *)e + sizeof(e->h), 0, sizeof(*e) - sizeof(e->h));
	e->trigger_cgroup = compat_cgroup_id(compat_task_cgroup(task));
	BPF_CORE_READ_STR_INTO(&e->trigger_comm, task, comm);
	e->victim_tgid = victim_tgid;
	if (victim)
		fill_victim(e, victim);
	emit_submit_now(e);
	return 0;
}

SEC("?tp_btf/mark_victim")
int BPF_PROG(oom_mark_victim, struct task_struct *victim)
{
	return kill(victim, 0);
}

/* Where mark_victim has only an id: the function that is about to kill knows whom. */
SEC("?fentry/oom_kill_process")
int BPF_PROG(oom_kill, struct oom_control *oc)
{
	return kill(oc->chosen, 0);
}

SEC("?tp_btf/mark_victim")
int BPF_PROG(oom_mark_victim_id, int pid)
{
	return kill(NULL, pid);
}
