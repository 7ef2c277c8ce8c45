// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * task: process life cycle; maintains the identity of processes, and passes records with ledgers to
 * the model.
 */
#include <stdlib.h>
#include <string.h>

#include "memblame/family.h"
#include "model/model.h"

static const struct mb_event_field fork_fields[] = {
	{ "child.pid", MB_MEMBER(mb_fork_event, child_tgid), MB_VALUE_U32 },
	{ "child.tid", MB_MEMBER(mb_fork_event, child_tid), MB_VALUE_U32 },
	{ "child.inner_pid", MB_MEMBER(mb_fork_event, child_inner_tgid), MB_VALUE_U32, .null_if_zero = true },
};

static const struct mb_event_field exec_fields[] = {
	{ "path", MB_MEMBER(mb_exec_event, path), MB_VALUE_STRING },
	{ "old_tid", MB_MEMBER(mb_exec_event, old_tid), MB_VALUE_U32 },
};

static const struct mb_event_field exit_fields[] = {
	{ "exit_code", MB_MEMBER(mb_task_record, info.exit_code), MB_VALUE_S32 },
	{ "minor", MB_MEMBER(mb_task_record, info.min_flt), MB_VALUE_U64 },
	{ "major", MB_MEMBER(mb_task_record, info.maj_flt), MB_VALUE_U64 },
	{ "last_thread", MB_MEMBER(mb_task_record, info.group_dead), MB_VALUE_U16 },
};

static const struct mb_event_field late_fields[] = {
	{ "minor", MB_MEMBER(mb_late_event, min_flt), MB_VALUE_U64 },
	{ "major", MB_MEMBER(mb_late_event, maj_flt), MB_VALUE_U64 },
};

#define OF_LEVEL(member) MB_MEMBER(mb_level_event, member)
#define KNOWN_IF(member) .known_if = offsetof(struct mb_level_event, member)

static const struct mb_event_field level_fields[] = {
	{ "from", OF_LEVEL(from), MB_VALUE_U16 },
	{ "to", OF_LEVEL(to), MB_VALUE_U16 },
	{ "name", OF_LEVEL(to), MB_VALUE_ENUM16, .names = mb_level_names, .n_names = MB_LEVELS },
	{ "stretch_from", OF_LEVEL(tick_divisor_from), MB_VALUE_U16 },
	{ "stretch", OF_LEVEL(tick_divisor), MB_VALUE_U16 },
	{ "reason", OF_LEVEL(reason), MB_VALUE_STRING },
	{ "cost_percent", OF_LEVEL(cost), MB_VALUE_MILLI, KNOWN_IF(known) },
	{ "budget_percent", OF_LEVEL(budget), MB_VALUE_MILLI },
	{ "bpf_percent", OF_LEVEL(bpf), MB_VALUE_MILLI, KNOWN_IF(bpf_known) },
	{ "own_percent", OF_LEVEL(own), MB_VALUE_MILLI, KNOWN_IF(known) },
};

static const struct mb_event_kind events[] = {
	{ MB_TASK_EVENT_FORK, "fork", sizeof(struct mb_fork_event), fork_fields,
	  MB_ARRAY_SIZE(fork_fields), 0 },
	{ MB_TASK_EVENT_EXEC, "exec", sizeof(struct mb_exec_event), exec_fields,
	  MB_ARRAY_SIZE(exec_fields), 0 },
	{ MB_TASK_EVENT_EXIT, "exit", sizeof(struct mb_task_record), exit_fields,
	  MB_ARRAY_SIZE(exit_fields), 0 },
	{ MB_TASK_EVENT_HARVEST, "harvest", sizeof(struct mb_task_record), NULL, 0,
	  MB_EVENT_INTERNAL },
	{ MB_TASK_EVENT_LATE, "late", sizeof(struct mb_late_event), late_fields,
	  MB_ARRAY_SIZE(late_fields), MB_EVENT_INTERNAL },
	{ MB_TASK_EVENT_LEVEL, "level", sizeof(struct mb_level_event), level_fields,
	  MB_ARRAY_SIZE(level_fields), MB_EVENT_KEEP | MB_EVENT_ALWAYS },
	{ MB_TASK_EVENT_STALLS, "stalls", sizeof(struct mb_stalls_event), NULL, 0,
	  MB_EVENT_INTERNAL },
	{ MB_TASK_EVENT_CGROUP, "cgroup", sizeof(struct mb_cgroup_event), NULL, 0,
	  MB_EVENT_INTERNAL },
};

static const struct mb_hook ledger_hooks[] = {
	{ .name = "task storage", .task_storage = true, .quality = MB_QUALITY_FULL },
	{ .name = "hash",
	  .hash_ledgers = true,
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "at most 16,384 threads at once; others are counted as lost" },
};

static const struct mb_hook fork_hooks[] = {
	{ .name = "tp_btf", .programs = { "task_newtask" }, .quality = MB_QUALITY_FULL },
};

static const struct mb_hook exec_hooks[] = {
	{ .name = "tp_btf", .programs = { "task_exec" }, .quality = MB_QUALITY_FULL },
};

static const struct mb_hook exit_hooks[] = {
	{ .name = "tp_btf", .programs = { "task_exit", "task_free" }, .quality = MB_QUALITY_FULL },
};

static const struct mb_hook cgroup_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "task_cgroup" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "of a process with several threads only the first is followed at once, the "
		     "others at the next tick" },
};

static const struct mb_hook mkdir_hooks[] = {
	{ .name = "tp_btf", .programs = { "task_mkdir" }, .quality = MB_QUALITY_FULL },
};

static const struct mb_hook harvest_hooks[] = {
	{ .name = "iter/task", .programs = { "task_harvest" }, .quality = MB_QUALITY_FULL },
};

static const struct mb_missed missed[] = {
	{ "task_exit", true, MB_DROP_MISSED }, /* task_free compensates */
};

static const struct mb_kern_table tables[] = {
	{ "stall_lengths", MB_TASK_EVENT_STALLS },
};

static const struct mb_probe_point probe_points[] = {
	{ "ledger", "where are the counters of a thread stored?", ledger_hooks, 2, "nothing can be counted" },
	{ "fork", "when does a new thread begin?", fork_hooks, 1,
	  "new threads are noticed only at the next tick" },
	{ "exec", "when does a process become another program?", exec_hooks, 1,
	  "the path of short-lived programs is not known" },
	{ "exit", "when does a thread end, and with which counts?", exit_hooks, 1,
	  "threads that end between two ticks are not counted" },
	{ "cgroup", "when does a process move to another cgroup?", cgroup_hooks, 1,
	  "a process that moves into a selected cgroup is traced from the next tick on" },
	{ "mkdir", "when is a new cgroup made, and what is it called?", mkdir_hooks, 1,
	  "the path, and so the container, of a cgroup that is removed before the next tick is not known" },
	{ "harvest", "what do all threads' ledgers say now?", harvest_hooks, 1,
	  "nothing is known of a process before it exits" },
};

static void take_exec(struct mb_model *m, const struct mb_exec_event *e)
{
	struct mb_process *p = mb_model_find(m, e->h.tgid);

	if (!p)
		return;
	p->execed = true;
	memcpy(p->comm, e->comm, sizeof(p->comm));
	p->comm[MB_COMM_LEN - 1] = '\0';
	free(p->exe);
	p->exe = strndup(e->path, sizeof(e->path));
}

static void take_fork(struct mb_model *m, const struct mb_fork_event *e)
{
	struct mb_process *parent = mb_model_find(m, e->h.tgid);
	struct mb_process *p = mb_model_process(m, e->child_tgid, e->start_ns);

	if (!p)
		return;
	p->ppid = p->born_of = e->h.tgid;
	p->inner_tgid = e->child_inner_tgid;
	memcpy(p->comm, e->comm, sizeof(p->comm));
	p->comm[MB_COMM_LEN - 1] = '\0';
	if (!p->exe && parent && parent->exe)
		p->exe = strdup(parent->exe);
}

static void take_late(struct mb_model *m, const struct mb_late_event *e)
{
	struct mb_process *p = mb_model_account(m, e->h.tgid, e->start_ns);

	if (!p)
		return;
	p->minor += e->min_flt;
	p->major += e->maj_flt;
}

/* The field whose stall is at this offset of the ledger. */
static const struct mb_field *stall_field(uint32_t slot)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];

			if (f->kind == MB_FIELD_STALL && f->offset == slot)
				return f;
		}
	}
	return NULL;
}

/* The largest value in a bucket of struct mb_stalls_event. */
static uint64_t stall_upper(unsigned int bucket)
{
	unsigned int octave = MB_STALL_MIN_BITS + bucket / 2;

	return (1ull << octave) + ((uint64_t)(bucket % 2 + 1) << (octave - 1)) - 1;
}

static void take_stalls(struct mb_model *m, const struct mb_stalls_event *e)
{
	struct mb_process *p = mb_model_account(m, e->key.tgid, e->key.start_ns);
	const struct mb_field *f = stall_field(e->key.slot);

	for (unsigned int i = 0; p && f && i < MB_STALL_BUCKETS; i++) {
		if (e->buckets[i])
			mb_process_hist_add(p, f, stall_upper(i), e->buckets[i], 1);
	}
	/* the ledger contains the exact maximum */
	if (p && f)
		mb_process_hist_max(p, f, p->values[mb_slot(f) + 2]);
}

static void consume(struct mb_model *m, const struct mb_event *e)
{
	switch (e->type) {
	case MB_TASK_EVENT_LEVEL:
		mb_model_level(m, (const struct mb_level_event *)e);
		break;
	case MB_TASK_EVENT_STALLS:
		take_stalls(m, (const struct mb_stalls_event *)e);
		break;
	case MB_TASK_EVENT_CGROUP: /* for path lookups only; identity records contain the paths */
		break;
	case MB_TASK_EVENT_FORK:
		take_fork(m, (const struct mb_fork_event *)e);
		break;
	case MB_TASK_EVENT_EXEC:
		take_exec(m, (const struct mb_exec_event *)e);
		break;
	case MB_TASK_EVENT_LATE:
		take_late(m, (const struct mb_late_event *)e);
		break;
	default: { /* EXIT, HARVEST: families complete the record, so work on a copy */
		struct mb_task_record r;

		memcpy(&r, e, sizeof(r));
		mb_model_record(m, &r);
	}
	}
}

const struct mb_family mb_family_task = {
	.id = MB_FAM_task,
	.name = "task",
	MB_TABLE(events),
	MB_TABLE(probe_points),
	MB_TABLE(missed),
	MB_TABLE(tables),
	.consume = consume,
};
