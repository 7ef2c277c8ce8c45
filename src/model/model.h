/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The model: processes and their accounts, built from task records and events. Plain data and
 * arithmetic; it reads no file and calls no kernel, so that recorded streams build it as well.
 *
 * Ledgers are cumulative. The model remembers each thread's last one and adds the difference
 * to its process, so a record may come twice, late or not at all without harm to the rest.
 */
#ifndef MB_MODEL_H
#define MB_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "base/hist.h"
#include "memblame/family.h"
#include "model/blame.h"
#include "model/history.h"
#include "model/levels.h"
#include "model/system.h"

/* Bounds: what is over them is evicted, oldest exited process first, and counted. */
#define MB_MODEL_PROCESSES 8192u
#define MB_MODEL_THREADS 65536u
#define MB_MODEL_KEPT_EVENTS 1024u
#define MB_PROCESS_ROWS 16u

/* Stalls by name, e.g. pauses per device; the last row of a full list is "(other)". */
struct mb_row {
	char key[32];
	struct mb_stall stall;
	struct mb_row *next;
};

/* A histogram or list of rows that belongs to one field of one process. */
struct mb_detail {
	const struct mb_field *field;
	struct mb_hist hist;
	uint64_t sampled_1_in;
	struct mb_row *rows;
	struct mb_detail *next;
};

struct mb_process {
	uint32_t tgid;
	uint32_t ppid;
	uint64_t start_ns;
	uint64_t cgroup;
	char comm[MB_COMM_LEN];
	char *exe; /* owned; NULL: not known */
	char *cgroup_path; /* owned; NULL: not known */
	uint32_t inner_tgid; /* in its innermost pid namespace; 0: that is the machine's, or not known */
	char host_name[MB_HOST_NAME_LEN]; /* in its UTS namespace; "": that is the machine's, or not known */
	bool looked_up; /* exe and cgroup_path have been looked for */
	bool exited;
	bool exit_known; /* exit_code is what wait(2) would say */
	bool history_ended; /* its end is in the history */
	bool born; /* its whole life is in the account */
	int exit_code;
	uint32_t threads;
	uint32_t live_threads; /* in the thread table */
	uint64_t seen_tick;

	bool has_memory;
	uint64_t mm; /* its address space, as the kernel side names it; 0: not known */
	uint64_t total_vm_pages;
	uint64_t peak_pages;
	uint64_t rss_pages[4]; /* file, anon, swap entries, shmem */
	uint64_t pss_bytes, uss_bytes; /* MB_UNKNOWN where they have not been read */

	uint64_t minor, major; /* the kernel's own counts, summed over the threads */

	uint64_t *values; /* by slot: mb_slot() */
	uint64_t *before; /* values at the start of the interval shown by top */
	struct mb_detail *details;
	struct mb_series *series; /* its history; owned by that; NULL: none */

	UT_hash_handle hh; /* by tgid; the latest of its number */
	struct mb_process *prev, *next; /* all, oldest first */
};

struct mb_thread_key {
	uint64_t born_ns;
	uint32_t born_tid;
	uint32_t pad;
};

struct mb_thread {
	struct mb_thread_key key; /* of its ledger: stays through exec */
	struct mb_process *process;
	uint64_t min_flt, maj_flt;
	uint64_t seen_tick;
	struct mb_ledger last;
	UT_hash_handle hh;
};

/* The last fault of a thread that was shown from its ledger: see families/fault.c. */
struct mb_shown {
	uint32_t tid;
	uint32_t seq;
	UT_hash_handle hh;
};

struct mb_kept {
	struct mb_kept *next;
	char data[]; /* a struct mb_event with what follows it */
};

/* A slab shrinker's name, by the address of its scan_objects(); some dozens there are. */
struct mb_shrinker {
	uint64_t address;
	char name[MB_SHRINKER_NAME_LEN]; /* "": it was looked for and not found */
	bool asked; /* it was looked for */
	UT_hash_handle hh;
};

#define MB_MODEL_SHRINKERS 512u

/* What was lost, by family and reason; the kernel's counts are set, our own added. */
struct mb_lost {
	struct mb_drop kernel[MB_FAM_MAX][MB_DROP_REASONS];
	uint64_t processes_evicted;
	uint64_t threads_evicted;
	uint64_t events_not_kept;
	uint64_t undecodable;
	uint64_t not_blamed; /* mb_blame.evicted */
	uint64_t not_recorded; /* in a report: what the disk did not take; with any reason */
};

struct mb_model {
	struct mb_process *by_tgid;
	struct mb_process *all;
	struct mb_thread *threads;
	uint32_t n_processes;
	uint64_t tick;
	uint64_t events; /* taken in */
	uint32_t sample_1_in; /* of minor faults timed */
	bool has_swap;	      /* as mb_knobs.has_swap */
	uint32_t stream; /* bit per family whose single events are shown */
	uint32_t off; /* bit per family not traced: its fields are unknown */
	uint64_t unknown_slots[4]; /* bit per slot that no hook fills on this kernel */
	struct mb_kept *kept, **kept_tail;
	uint32_t n_kept;
	struct mb_shown *shown;
	struct mb_lost lost;
	struct mb_system_state system;
	bool pss; /* shares of memory are read, too */
	struct mb_levels levels;
	struct mb_shrinker *shrinkers;
	struct mb_blame blame;
	struct mb_history *history; /* not owned; NULL: none is kept */
	struct mb_oom *oom; /* the same: reports of OOM kills */
	bool blames; /* keep the blame: it takes memory and time that only its views are worth */

	/* Called for each event that trace shows. */
	void (*on_event)(void *arg, struct mb_model *m, const struct mb_event *e);
	void *on_event_arg;

	/* Called before a process leaves the model, for whoever adds up; what it had is not lost then. */
	void (*on_forget)(void *arg, struct mb_model *m, struct mb_process *p);
	void *on_forget_arg;
};

/* Initialise and empty a model. */
void mb_model_init(struct mb_model *m);
void mb_model_free(struct mb_model *m);

/* Number of value slots of a process, and the first slot of a field (a stall has three). */
unsigned int mb_slots(void);
unsigned int mb_slot(const struct mb_field *f);

/* Take in one ring event or task record of len bytes; malformed ones are counted, not used. */
void mb_model_event(struct mb_model *m, const void *data, size_t len);
void mb_model_record(struct mb_model *m, struct mb_task_record *r);

/* Show an event to whoever listens (trace). */
void mb_model_show(struct mb_model *m, const struct mb_event *e);

/* The governor has changed the level: from the first gap in what hooks saw on, rests are not known. */
void mb_model_level(struct mb_model *m, const struct mb_level_event *e);

/* Keep an event for the summary; the oldest goes where there are too many. */
void mb_model_keep(struct mb_model *m, const struct mb_event *e);

/*
 * The iterator has been read to its end, at t_ns: retire what it no longer lists, compute derived
 * fields. complete: the iterator saw every thread, so that absence means exit.
 */
void mb_model_tick(struct mb_model *m, uint64_t t_ns, bool complete);

/*
 * For a session without end: processes that have ended leave the model, but for so many of them, the oldest
 * first; so do the events kept for a summary. For after a tick.
 */
void mb_model_forget_ended(struct mb_model *m, uint32_t keep);

/* Start a new interval: what changes from now on is what mb_process_delta() says. */
void mb_model_interval(struct mb_model *m);

/* The process with this number and start; made if it is new. NULL: no room for it. */
struct mb_process *mb_model_process(struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/* The process that has this number now, or had it last; NULL if never seen. */
struct mb_process *mb_model_find(struct mb_model *m, uint32_t tgid);

/* The process with this number and start, also if the number is in use again; NULL if not there. */
struct mb_process *mb_model_find_exactly(struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/* Is the cgroup of this path (NULL: not known) that of group, or below it? "" and "/" are the root. */
bool mb_cgroup_is_below(const char *path, const char *group);

/* Who that is, for when it is gone. A process that is not traced has only its number. */
void mb_model_who(struct mb_model *m, uint32_t tgid, uint64_t start_ns, struct mb_who *who);

/* A shrinker's name; NULL: not known. One that is new is noted, for somebody to find its name. */
const char *mb_model_shrinker(struct mb_model *m, uint64_t address);
void mb_model_name_shrinker(struct mb_model *m, uint64_t address, const char *name);

/* Value of a slot, and its change in this interval. */
uint64_t mb_process_value(const struct mb_process *p, unsigned int slot);
uint64_t mb_process_delta(const struct mb_process *p, unsigned int slot);

/* Is the field's number known on this kernel, with these families on? */
bool mb_field_known(const struct mb_model *m, const struct mb_family *fam,
		    const struct mb_field *f);

/* Mark a field's number as not known, in the unknown_slots of a model. */
void mb_field_set_unknown(uint64_t unknown_slots[4], const struct mb_field *f);

/* Add to, or find (NULL where there is none), the histogram or rows of a field. */
void mb_process_hist_add(struct mb_process *p, const struct mb_field *f, uint64_t v,
			 uint64_t weight, uint64_t sampled_1_in);
void mb_process_hist_max(struct mb_process *p, const struct mb_field *f, uint64_t max);
void mb_process_row_add(struct mb_process *p, const struct mb_field *f, const char *key,
			const struct mb_stall *more);

/* Give the row of this key another one. */
void mb_process_row_rename(struct mb_process *p, const struct mb_field *f, const char *key,
			   const char *to);

/* Set one bucket of a histogram, or one row, to what it was recorded as. */
void mb_process_hist_set(struct mb_process *p, const struct mb_field *f, unsigned int bucket,
			 uint64_t count, uint64_t max, uint64_t sampled_1_in);
void mb_process_row_set(struct mb_process *p, const struct mb_field *f, const char *key,
			uint64_t count, uint64_t ns, uint64_t max_ns);
const struct mb_detail *mb_process_detail(const struct mb_process *p, const struct mb_field *f);

/* Sum of everything lost. */
uint64_t mb_lost_total(const struct mb_lost *l);

#endif
