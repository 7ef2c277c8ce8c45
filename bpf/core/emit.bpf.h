/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Sending an event: reserve space in the CPU's ring or in the urgent ring, fill it, submit. Events
 * that cannot be sent are counted by family and reason, with their time. The consumer is woken by
 * the amount of pending data, not per event: a wake-up costs more than everything else in this file
 * together.
 */
#ifndef MEMBLAME_EMIT_H
#define MEMBLAME_EMIT_H

#include "core/maps.bpf.h"

MB_INLINE void count_drops(__u32 family, enum mb_drop_reason reason, __u32 n)
{
	struct mb_drops *all;
	struct mb_drop *d;
	__u32 key = 0;

	all = bpf_map_lookup_elem(&drops, &key);
	if (!all || family >= MB_FAM_MAX || reason >= MB_DROP_REASONS)
		return;
	d = &all->by[family][reason];
	d->last_t_ns = bpf_ktime_get_boot_ns();
	if (!d->count)
		d->first_t_ns = d->last_t_ns;
	d->count += n;
}

MB_INLINE void count_drop(__u32 family, enum mb_drop_reason reason)
{
	count_drops(family, reason, 1);
}

MB_INLINE bool streaming(__u32 family)
{
	return knobs.stream & (1u << family);
}

/* Like emit_reserve_in, but the caller counts the drop. */
MB_INLINE void *emit_try_reserve_in(void *ring, __u32 family, __u16 type, __u64 size, __u64 t_ns)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct mb_event *e = bpf_ringbuf_reserve(ring, size, 0);

	if (!e)
		return NULL;
	e->t_ns = t_ns;
	e->tgid = id >> 32;
	e->tid = (__u32)id;
	e->family = family;
	e->type = type;
	e->size = size;
	return e;
}

MB_INLINE void *emit_reserve_in(void *ring, __u32 family, __u16 type, __u64 size, __u64 t_ns)
{
	void *e = emit_try_reserve_in(ring, family, type, size, t_ns);

	if (!e)
		count_drop(family, MB_DROP_RING_FULL);
	return e;
}

MB_INLINE void *cpu_ring(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&rings, &cpu);
}

/* Submit e, which was reserved in a ring, and wake the consumer immediately. For rare events. */
MB_INLINE void emit_submit_now(void *e)
{
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

/* Submit e, which was reserved in ring; wake the consumer only if enough data is pending. */
MB_INLINE void emit_submit(void *ring, void *e)
{
	__u64 waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);

	bpf_ringbuf_submit(e, waiting >= knobs.wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

#endif
