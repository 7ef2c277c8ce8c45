// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Functions that all sinks use: event fields by their description, values, and names. */
#include <ctype.h>
#include <string.h>

#include "memblame/sink.h"

uint64_t mb_event_number(const struct mb_event *e, const struct mb_event_field *f)
{
	const char *p = (const char *)e + f->offset;
	uint64_t scale = f->scale ? f->scale : 1;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	int32_t s32;

	switch (f->kind) {
	case MB_VALUE_U16:
	case MB_VALUE_ENUM16:
		memcpy(&u16, p, sizeof(u16));
		return u16 * scale;
	case MB_VALUE_U32:
	case MB_VALUE_FLAGS32:
		memcpy(&u32, p, sizeof(u32));
		return u32 * scale;
	case MB_VALUE_S32:
		memcpy(&s32, p, sizeof(s32));
		return (uint64_t)(int64_t)s32 * scale;
	case MB_VALUE_U64:
	case MB_VALUE_S64:
	case MB_VALUE_HEX64:
	case MB_VALUE_MILLI:
		memcpy(&u64, p, sizeof(u64));
		return u64 * scale;
	case MB_VALUE_STRING:
		return *p != '\0';
	}
	return 0;
}

bool mb_event_field_is_null(const struct mb_event *e, const struct mb_event_field *f)
{
	uint64_t known = 1;

	if (f->known_if)
		memcpy(&known, (const char *)e + f->known_if, sizeof(known));
	return !known || (f->null_if_zero && mb_event_number(e, f) == 0);
}

const char *mb_event_comm(const struct mb_model *m, const struct mb_event *e)
{
	const struct mb_process *p = m ? mb_model_find(m, e->tgid) : NULL;

	return p ? p->comm : "";
}

const char *mb_event_string(const struct mb_event *e, const struct mb_event_field *f, char *buf)
{
	size_t n = f->size < MB_PATH_LEN ? f->size : MB_PATH_LEN - 1;

	memcpy(buf, (const char *)e + f->offset, n);
	buf[n] = '\0';
	return buf;
}

const char *mb_drop_reason_name(unsigned int reason)
{
	static const char *const names[MB_DROP_REASONS] = {
		[MB_DROP_RING_FULL] = "ring full",
		[MB_DROP_NO_LEDGER] = "no ledger",
		[MB_DROP_STALL_DEPTH] = "stalls nested too deep",
		[MB_DROP_UNTIMED] = "wait not timed",
		[MB_DROP_MISSED] = "program not run",
		[MB_DROP_TABLE_FULL] = "table full",
		[MB_DROP_UNAWAITED] = "exit not awaited",
	};

	return reason < MB_DROP_REASONS ? names[reason] : "unknown";
}

static void fill_snapshot(struct mb_snapshot *s, const struct mb_model *m,
			  const struct mb_setup *setup, const struct mb_sample_meta *at)
{
	memset(s, 0, sizeof(*s));
	s->model = m;
	s->t_ns = at->t_ns;
	memcpy(s->time, at->time, sizeof(s->time) - 1);
	memcpy(s->kernel, setup->kernel, sizeof(s->kernel) - 1);
	memcpy(s->arch, setup->arch, sizeof(s->arch) - 1);
	s->setup = setup;
	s->bpf_ns = at->bpf_ns;
	s->bpf_ns_known = at->bpf_ns_known;
	s->self_cpu_ns = at->self_cpu_ns;
	s->self_rss_bytes = at->self_rss_bytes;
}

void mb_snapshot_total(struct mb_snapshot *s, const struct mb_model *m, const struct mb_setup *setup,
		       const struct mb_summary *sum)
{
	fill_snapshot(s, m, setup, &sum->at);
	s->duration_ns = sum->at.since_start_ns;
	s->command = sum->has_command ? sum->command : NULL;
	s->command_status = sum->command_status;
}

void mb_snapshot_interval(struct mb_snapshot *s, const struct mb_model *m,
			  const struct mb_setup *setup, const struct mb_sample_meta *at,
			  uint64_t duration_ns)
{
	fill_snapshot(s, m, setup, at);
	s->interval = true;
	s->duration_ns = duration_ns;
}

uint64_t mb_snapshot_value(const struct mb_snapshot *s, const struct mb_process *p,
			   unsigned int slot)
{
	return s->interval ? mb_process_delta(p, slot) : mb_process_value(p, slot);
}

bool mb_snapshot_selects(const struct mb_snapshot *s, const struct mb_process *p)
{
	for (uint32_t i = 0; i < s->n_pids; i++) {
		if (s->pids[i] == p->tgid)
			return true;
	}
	return false;
}

bool mb_snapshot_lists(const struct mb_snapshot *s, const struct mb_process *p)
{
	return !s->interval || (!p->exited && mb_snapshot_selects(s, p)) ||
	       memcmp(p->values, p->before, mb_slots() * sizeof(*p->values)) != 0;
}

uint64_t mb_snapshot_stalled_ns(const struct mb_snapshot *s, const struct mb_process *p)
{
	uint64_t sum = MB_NO_VALUE;
	bool any = false;
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];

			if (f->kind != MB_FIELD_STALL || !mb_field_known(s->model, fam[i], f))
				continue;
			sum = mb_values_sum(sum, mb_snapshot_value(s, p, mb_slot(f) + 1));
			any = true;
		}
	}
	return any ? sum : 0;
}
