// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Converts ingest records of earlier builds. */
#include "record/upgrade.h"

#include <string.h>

#define SLOTS 256 /* bits of mb_setup.unknown_slots */

struct old_pending {
	uint64_t addr, ip, start_ns, mapped_ns, flt, maj, stalled_ns;
	uint32_t error;
	uint8_t moved, settled;
	uint16_t mapping;
	uint32_t seq, version;
};

struct old_fault_ledger {
	uint64_t by_class[8], by_access[8], segv_unmapped, segv_access;
	struct mb_stall swap_in, file_io;
	struct old_pending pending;
	struct mb_fault_record batch[MB_FAULT_BATCH];
	uint64_t n_batch, latency_max_ns;
	uint32_t latency[MB_FAULT_BUCKETS];
};

#define BEFORE                          \
	offsetof(struct mb_task_record, \
		 ledger.fault) /* everything before the fault family's part, which has not changed */
#define BEHIND (sizeof(struct mb_task_record) - BEFORE - sizeof(struct mb_fault_ledger))

size_t mb_upgrade_task_record_bytes(void)
{
	return BEFORE + sizeof(struct old_fault_ledger) + BEHIND;
}

/* The slot of a field of the fault family. */
static unsigned int slot_of(const char *group, const char *name)
{
	const struct mb_field *f = mb_family_field(mb_family_by_id(MB_FAM_fault), group, name);

	return f ? mb_slot(f) : mb_slots();
}

bool mb_upgrade_setup(struct mb_upgrade *u, struct mb_setup *s)
{
	unsigned int causes = slot_of("faults", "mkwrite"), rest = slot_of("faults", "other");
	unsigned int stall = slot_of("stalls", "userfault"), old = 0, slots = mb_slots();
	uint64_t unknown[SLOTS / 64] = { 0 };

	if (s->slots == slots)
		return true;
	if (s->slots + (rest - causes) + 3 != slots)
		return false;
	for (unsigned int slot = 0; slot < slots; slot++) {
		bool is_new = (slot >= causes && slot < rest) ||
			      (slot >= stall && slot < stall + 3);

		if (is_new || (s->unknown_slots[old / 64] >> old % 64 & 1))
			unknown[slot / 64] |= 1ull << slot % 64;
		old += !is_new;
	}
	memcpy(s->unknown_slots, unknown, sizeof(s->unknown_slots));
	s->slots = slots;
	u->earlier = true;
	return true;
}

static void upgrade_pending(struct mb_fault_pending *to, const struct old_pending *from)
{
	to->addr = from->addr;
	to->ip = from->ip;
	to->start_ns = from->start_ns;
	to->mapped_ns = from->mapped_ns;
	to->flt = from->flt;
	to->maj = from->maj;
	to->stalled_ns = from->stalled_ns;
	to->error = from->error;
	to->moved = from->moved;
	to->settled = from->settled;
	to->mapping = from->mapping;
	to->seq = from->seq;
	to->version = from->version;
	/* assumed by those builds */
	to->kind = MB_FAULT_KIND_KNOWN | MB_FAULT_KIND_ANON;
}

static const void *upgrade_task(struct mb_task_record *room, const char *bytes)
{
	struct mb_fault_ledger *to = &room->ledger.fault;
	struct old_fault_ledger from;

	memset(room, 0, sizeof(*room));
	memcpy(room, bytes, BEFORE);
	memcpy(&from, bytes + BEFORE, sizeof(from));
	memcpy((char *)room + BEFORE + sizeof(*to), bytes + BEFORE + sizeof(from), BEHIND);
	memcpy(to->by_class, from.by_class, sizeof(from.by_class));
	memcpy(to->by_access, from.by_access, sizeof(from.by_access));
	to->segv_unmapped = from.segv_unmapped;
	to->segv_access = from.segv_access;
	to->swap_in = from.swap_in;
	to->file_io = from.file_io;
	upgrade_pending(&to->pending, &from.pending);
	memcpy(to->batch, from.batch, sizeof(to->batch));
	to->n_batch = from.n_batch;
	to->latency_max_ns = from.latency_max_ns;
	memcpy(to->latency, from.latency, sizeof(to->latency));
	room->info.h.size = sizeof(*room);
	return room;
}

/* A stall is identified by its offset in the ledger, so convert the offset. */
static const void *upgrade_stalls(struct mb_stalls_event *room, const void *data)
{
	size_t fault = offsetof(struct mb_ledger, fault), old;

	memcpy(room, data, sizeof(*room));
	old = room->key.slot;
	if (old == fault + offsetof(struct old_fault_ledger, swap_in))
		room->key.slot = MB_LEDGER(fault.swap_in);
	else if (old == fault + offsetof(struct old_fault_ledger, file_io))
		room->key.slot = MB_LEDGER(fault.file_io);
	else if (old >= fault + sizeof(struct old_fault_ledger))
		room->key.slot += sizeof(struct mb_fault_ledger) - sizeof(struct old_fault_ledger);
	return room;
}

const void *mb_upgrade_event(struct mb_upgrade *u, const void *data, size_t *len)
{
	struct mb_event h;

	if (!u->earlier || *len < sizeof(h))
		return data;
	memcpy(&h, data, sizeof(h));
	if (h.family != MB_FAM_task)
		return data;
	if (h.type == MB_TASK_EVENT_STALLS && *len == sizeof(u->room.stalls))
		return upgrade_stalls(&u->room.stalls, data);
	if ((h.type != MB_TASK_EVENT_EXIT && h.type != MB_TASK_EVENT_HARVEST) ||
	    *len != mb_upgrade_task_record_bytes())
		return data;
	*len = sizeof(u->room.task);
	return upgrade_task(&u->room.task, data);
}
