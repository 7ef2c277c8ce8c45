/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a family is to the rest of memblame: numbers it keeps of a process (fields), events it
 * sends (event kinds), and what it must know of the kernel for that (questions, each with hooks
 * in order of preference). Sinks read these descriptions and never a family's own header.
 */
#ifndef MEMBLAME_FAMILY_H
#define MEMBLAME_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "memblame/abi.h"

struct mb_model;
struct mb_process;

/* ---- fields: numbers of a process ---- */

enum mb_field_kind {
	MB_FIELD_COUNTER, /* a u64 of the ledger; summed over the process's threads */
	MB_FIELD_SIGNED, /* the same, signed */
	MB_FIELD_STALL, /* a struct mb_stall of the ledger: count, ns, max_ns */
	MB_FIELD_DERIVED, /* a u64 the family computes in tick() */
	MB_FIELD_HIST, /* a histogram (mb_process_hist) */
	MB_FIELD_ROWS, /* stalls by name, e.g. per device (mb_process_row) */
};

struct mb_field {
	const char *group; /* JSON object it is in: "faults", "stalls", ... */
	const char *name;
	const char *help;
	size_t offset; /* in struct mb_ledger (COUNTER, SIGNED, STALL) */
	enum mb_field_kind kind;
	enum mb_unit unit;
	const char *probe_point; /* the question without whose answer this is not known; or NULL */
	bool is_rest; /* what no hook has told; not known once hooks were taken off for a while */
};

/* ---- events ---- */

enum mb_value_kind {
	MB_VALUE_U16,
	MB_VALUE_U32,
	MB_VALUE_S32,
	MB_VALUE_U64,
	MB_VALUE_S64,
	MB_VALUE_HEX64,
	MB_VALUE_STRING, /* char[], NUL-terminated within size */
	MB_VALUE_ENUM16, /* u16 index into names */
	MB_VALUE_FLAGS32, /* u32; one boolean per name, by bit position */
	MB_VALUE_MILLI, /* u64 in thousandths */
};

struct mb_event_field {
	const char *name; /* a dot nests: "victim.pid" */
	size_t offset;
	size_t size;
	enum mb_value_kind kind;
	enum mb_unit unit;
	const char *const *names;
	bool null_if_zero; /* 0 on the wire means "not known" */
	uint64_t scale; /* multiply by this for output; 0 means 1 */
	size_t n_names;
	size_t known_if; /* offset of a u64 that is 0 where this is not known; 0: it always is */
};

#define MB_EVENT_KEEP 1u /* rare and wanted singly: listed in the summary too */
#define MB_EVENT_INTERNAL 2u /* feeds the accounts; not shown by trace */
#define MB_EVENT_ALWAYS 4u /* shown by trace whatever families it was asked for: it is about the trace */
#define MB_EVENT_MADE 8u /* made by user space to be shown: in no recording */

struct mb_event_kind {
	uint16_t type;
	const char *name;
	size_t size;
	const struct mb_event_field *fields;
	size_t n_fields;
	unsigned int flags; /* MB_EVENT_* */
};

/* ---- questions and hooks ---- */

enum mb_quality { MB_QUALITY_NONE, MB_QUALITY_PARTIAL, MB_QUALITY_FULL };

#define MB_HOOK_PROGRAMS 8

struct mb_hook {
	const char *name; /* as doctor and MEMBLAME_HOOKS name it */
	const char *programs[MB_HOOK_PROGRAMS + 1]; /* BPF programs it needs, NULL-terminated */
	const char *optional[MB_HOOK_PROGRAMS + 1]; /* used where the kernel has their hook */
	const char *argument[2]; /* tracepoint and argument that it must have; or NULL */
	const char *kfunc; /* a kernel function that its programs call; or NULL */
	const char *requires[2]; /* programs of an earlier question, one of which this needs too; or NULL */
	bool task_storage; /* needs task storage for tracing programs */
	bool hash_ledgers; /* with it, ledgers are kept in a hash by thread id */
	bool reads_pointers; /* with it, pointers to const void are read by a call, as older verifiers want it */
	bool times_every_fault; /* with it, minor faults need not be sampled */
	const char *file; /* no program, but a file that must be readable; or NULL */
	const char *lacks_type; /* a struct that the kernel must not have; or NULL */
	enum mb_quality quality;
	const char *missing; /* what is not seen with it; or NULL */
};

struct mb_probe_point {
	const char *name;
	const char *asks; /* the question in words */
	const struct mb_hook *hooks; /* best first */
	size_t n_hooks;
	const char *without; /* what is lost when no hook works */
	bool on_request; /* asked only where its answer is shown (blame, doctor): it costs too much */
	enum mb_level off_from; /* with a budget, from this level on there is no answer; 0: there is one at all */
	bool has_rest; /* what was not traced then is in one of its fields, so that they still add up */
};

/*
 * A BPF hash of counters (u64) that only grow. At each tick what has changed in an entry becomes an
 * event: struct mb_event, the key, then each counter's growth.
 */
struct mb_kern_table {
	const char *map;
	uint16_t type; /* of the event */
};

/*
 * A program is not run while another thread, preempted within it, keeps the CPU's one turn of it: a
 * rule of the kernel for programs on trampolines, and since 7.0 for those on tracepoints
 * (bpf_prog_get_recursion_context). Usually that loses an event; here is what else it can mean.
 */
struct mb_missed {
	const char *program;
	bool repaired; /* nothing: another program makes it good */
	enum mb_drop_reason reason; /* otherwise: what it is counted as */
	const char *with; /* repaired only where this one is loaded; NULL: always */
};

/*
 * A program on a hot path: with a budget (--budget) its hook is taken off from this level on (enum mb_level),
 * and put back below it. Programs that no row names stay.
 */
struct mb_hot {
	const char *program;
	enum mb_level from;
};

/* ---- the family ---- */

struct mb_family {
	enum mb_family_id id;
	const char *name;
	const struct mb_field *fields;
	size_t n_fields;
	const struct mb_event_kind *events;
	size_t n_events;
	const struct mb_probe_point *probe_points;
	size_t n_probe_points;
	const struct mb_missed *missed; /* programs whose misses are not MB_DROP_MISSED; or NULL */
	size_t n_missed;
	const struct mb_hot *hot; /* or NULL */
	size_t n_hot;
	const struct mb_kern_table *tables; /* or NULL */
	size_t n_tables;

	/*
	 * Complete a record before its ledger is added up (e.g. close what was in progress).
	 * before: the thread's ledger as it was completed the last time; all 0 at first.
	 */
	void (*prepare)(struct mb_model *m, const struct mb_ledger *before,
			struct mb_task_record *r);
	/* Take in one event of this family, of a known kind and size; NULL: nothing to do. */
	void (*consume)(struct mb_model *m, const struct mb_event *e);
	/* Compute the DERIVED fields of a process, from its other values, before it is shown. */
	void (*tick)(struct mb_model *m, struct mb_process *p);
	/* The tick is over, for all processes; NULL: nothing to do. */
	void (*ticked)(struct mb_model *m);
};

/* All families in families.def order; n is set to their number. */
const struct mb_family *const *mb_families(size_t *n);

/* The family of this id or name, or NULL. */
const struct mb_family *mb_family_by_id(unsigned int id);
const struct mb_family *mb_family_by_name(const char *name);

/* The field of this group (NULL: those that are not shown) and name in a family; NULL: it has none such. */
const struct mb_field *mb_family_field(const struct mb_family *fam, const char *group, const char *name);

/* The question without whose answer a field is not known; NULL: it always is. */
const struct mb_probe_point *mb_field_probe_point(const struct mb_family *fam, const struct mb_field *f);

/* The level from which on a field is not counted; 0 (MB_LEVEL_FULL): it is at all. */
enum mb_level mb_field_off_from(const struct mb_family *fam, const struct mb_field *f);

/* Title and default of a family, from families.def. */
const char *mb_family_title(unsigned int family);
bool mb_family_default_on(unsigned int id);

/* The kind of an event, or NULL when family, type or size are not known: not to be decoded. */
const struct mb_event_kind *mb_event_kind_of(const struct mb_event *e);

/* ---- helpers for the tables in src/families ---- */

#define MB_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MB_LEDGER(member) offsetof(struct mb_ledger, member)
#define MB_MEMBER(type, member) \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)

#endif
