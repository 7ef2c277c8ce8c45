/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Interface between a family and the rest of memblame: the values it maintains per process
 * (fields), the events it sends (event kinds), and the kernel facilities it needs (probe points,
 * each with hooks in order of preference). Sinks use these descriptors and never a family's own
 * header.
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

/* ---- fields: values of a process ---- */

enum mb_field_kind {
	MB_FIELD_COUNTER, /* a u64 of the ledger, summed over the process's threads */
	MB_FIELD_SIGNED, /* same as COUNTER, but signed */
	MB_FIELD_STALL, /* a struct mb_stall of the ledger: count, ns, max_ns */
	MB_FIELD_DERIVED, /* a u64 that the family computes in tick() */
	MB_FIELD_HIST, /* a histogram (mb_process_hist) */
	MB_FIELD_ROWS, /* stalls by name, e.g. per device (mb_process_row) */
};

struct mb_field {
	const char *group; /* JSON object that contains it: "faults", "stalls", ... */
	const char *name;
	const char *help;
	size_t offset; /* in struct mb_ledger (COUNTER, SIGNED, STALL) */
	enum mb_field_kind kind;
	enum mb_unit unit;
	/*
	 * probe point that provides this value: without a working hook the value is unknown; NULL:
	 * none needed
	 */
	const char *probe_point;
	bool is_rest; /* the remainder that no hook attributed; unknown after hooks were detached for a while */
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
	bool null_if_zero; /* 0 on the wire means "unknown" */
	uint64_t scale; /* multiply by this for output; 0 means 1 */
	size_t n_names;
	size_t known_if; /* offset of a u64 that is 0 if this field is unknown; 0: the field is always known */
};

#define MB_EVENT_KEEP 1u /* rare and of interest individually: also listed in the summary */
#define MB_EVENT_INTERNAL 2u /* used for accounting only; `trace` does not show it */
/* `trace` shows it regardless of the selected families, because it concerns the trace itself */
#define MB_EVENT_ALWAYS 4u
#define MB_EVENT_MADE 8u /* synthesized by user space for display; never in a recording */
/* struct mb_user_stack may follow the event; a recording has the unwound stack instead (src/leaks/source.h) */
#define MB_EVENT_STACK 16u

struct mb_event_kind {
	uint16_t type;
	const char *name;
	size_t size; /* without the stack */
	const struct mb_event_field *fields;
	size_t n_fields;
	unsigned int flags; /* MB_EVENT_* */
};

/* ---- probe points and hooks ---- */

enum mb_quality { MB_QUALITY_NONE, MB_QUALITY_PARTIAL, MB_QUALITY_FULL };

#define MB_HOOK_PROGRAMS 8

struct mb_hook {
	const char *name; /* name in `memblame doctor` and MEMBLAME_HOOKS */
	const char *programs[MB_HOOK_PROGRAMS + 1]; /* required BPF programs, NULL-terminated */
	/* BPF programs that are used if the kernel has their attach point */
	const char *optional[MB_HOOK_PROGRAMS + 1];
	const char *argument[2]; /* a tracepoint and an argument that it must have; or NULL */
	const char *kfunc; /* a kernel function (kfunc) that the programs call; or NULL */
	const char *requires[2]; /* programs of an earlier probe point, one of which this hook also needs; or NULL */
	bool task_storage; /* needs task storage for tracing programs */
	bool hash_ledgers; /* stores ledgers in a hash keyed by thread id */
	bool reads_pointers; /* reads pointers to const void by a helper call, as older verifiers require */
	bool times_every_fault; /* minor faults need not be sampled */
	const char *file; /* no BPF program, but a file that must be readable; or NULL */
	const char *lacks_type; /* a struct that the kernel must not have; or NULL */
	enum mb_quality quality;
	const char *missing; /* what this hook does not see; or NULL */
};

struct mb_probe_point {
	const char *name;
	const char *asks; /* the question that this probe point answers, as `doctor` prints it */
	const struct mb_hook *hooks; /* in order of preference */
	size_t n_hooks;
	const char *without; /* what is lost if no hook works */
	bool on_request; /* probed only by commands that show the result (blame, doctor), because of its cost */
	enum mb_level off_from; /* with a budget, not available from this level on; 0: available at all levels */
	bool has_rest; /* one of its fields counts what was not traced meanwhile, so that the sums still match */
};

/*
 * A BPF hash of counters (u64) that only grow. At each tick, each changed entry becomes an event:
 * struct mb_event, the key, then the increase of each counter.
 */
struct mb_kern_table {
	const char *map;
	uint16_t type; /* type of the event */
};

/*
 * The kernel skips a program while another thread that was preempted inside the program occupies
 * its per-CPU recursion slot. This applies to programs on trampolines, and since 7.0 also to
 * programs on tracepoints (bpf_prog_get_recursion_context). Usually an event is lost; this struct
 * describes the exceptions.
 */
struct mb_missed {
	const char *program;
	bool repaired; /* nothing is lost: another program compensates */
	enum mb_drop_reason reason; /* otherwise: the drop reason to count */
	const char *with; /* repaired only if this program is loaded; NULL: always */
};

/*
 * A program on a hot path: with a budget (--budget), its hook is detached from this level on (enum
 * mb_level) and attached again below it. Programs that are not listed stay attached.
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
	const struct mb_hot *hot; /* programs on hot paths; or NULL */
	size_t n_hot;
	const struct mb_kern_table *tables; /* BPF hashes that become events; or NULL */
	size_t n_tables;

	/*
	 * Complete a record before its ledger is added to the totals (e.g. close stalls in
	 * progress). before: the thread's ledger as last completed; all zero the first time.
	 */
	void (*prepare)(struct mb_model *m, const struct mb_ledger *before,
			struct mb_task_record *r);
	/* Process one event of this family; kind and size are valid. NULL: nothing to do. */
	void (*consume)(struct mb_model *m, const struct mb_event *e);
	/* Compute the DERIVED fields of a process from its other values before they are shown. */
	void (*tick)(struct mb_model *m, struct mb_process *p);
	/* Called at the end of a tick, once for all processes; NULL: nothing to do. */
	void (*ticked)(struct mb_model *m);
};

/* All families in families.def order; sets *n to their number. Static storage, do not free. */
const struct mb_family *const *mb_families(size_t *n);

/* The family with this id or name; NULL: unknown. */
const struct mb_family *mb_family_by_id(unsigned int id);
const struct mb_family *mb_family_by_name(const char *name);

/*
 * The field with this group and name in a family; NULL: no such field. group NULL: internal fields,
 * which are not shown.
 */
const struct mb_field *mb_family_field(const struct mb_family *fam, const char *group, const char *name);

/* The probe point that provides a field; NULL: the field is always known. */
const struct mb_probe_point *mb_field_probe_point(const struct mb_family *fam, const struct mb_field *f);

/* The first level at which a field is no longer counted; 0 (MB_LEVEL_FULL): counted at all levels. */
enum mb_level mb_field_off_from(const struct mb_family *fam, const struct mb_field *f);

/* Title of a family, and whether it is enabled by default, from families.def. */
const char *mb_family_title(unsigned int family);
bool mb_family_default_on(unsigned int id);

/* The kind of an event; NULL if family, type or size are unknown, so the event cannot be decoded. */
const struct mb_event_kind *mb_event_kind_of(const struct mb_event *e);

/* ---- helpers for the tables in src/families ---- */

#define MB_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MB_LEDGER(member) offsetof(struct mb_ledger, member)
#define MB_MEMBER(type, member) \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)
/* A table of a family (fields, events, probe_points, ...) that has the name of its member in struct mb_family. */
#define MB_TABLE(name) .name = name, .n_##name = MB_ARRAY_SIZE(name)
/* A field: a kind of stall, which the family's ledger counts in a struct mb_stall of this name. */
#define MB_STALL(family, name, probe_point, help) \
	{ "stalls", #name, help, MB_LEDGER(family.name), MB_FIELD_STALL, MB_UNIT_NS, probe_point }
/* Fields of a stall event (struct type) that name the process most to blame. */
#define MB_CULPRIT_FIELDS(type)                                                                               \
	{ "culprit.pid", MB_MEMBER(type, culprit), MB_VALUE_U32, MB_UNIT_COUNT, .null_if_zero = true },         \
	{ "culprit.comm", MB_MEMBER(type, culprit_comm), MB_VALUE_STRING, MB_UNIT_COUNT, .null_if_zero = true }, \
	{ "culprit.share_permille", MB_MEMBER(type, share_permille), MB_VALUE_U32, MB_UNIT_COUNT,               \
	  .null_if_zero = true }

#endif
