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
#include "model/device_names.h"
#include "model/mount_points.h"
#include "model/observer.h"
#include "memblame/family.h"
#include "model/ended.h"
#include "model/history.h"
#include "model/levels.h"
#include "model/memcg.h"
#include "model/system.h"

/* Bounds: over them, the process that has ended first is folded into a row of such (ended.h); others are counted. */
#define MB_MODEL_PROCESSES 8192u
#define MB_MODEL_THREADS 65536u
#define MB_MODEL_KEPT_EVENTS 1024u
#define MB_PROCESS_ROWS 16u

/* Paths of cgroups up to this are whole; of longer ones the middle is left out, and marked (mb_shorten()). */
#define MB_CGROUP_PATH_MAX 16384u

/*
 * A thread that the iterator lists no more has ended, but its exit record may still come: where it found the ring full,
 * the task sends it when it is freed, some grace periods after its end. Until then what has been counted of the thread
 * must be remembered, or all of it would be counted again.
 */
#define MB_MODEL_PENDING_EXIT_NS (30 * 1000000000ull)

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
	uint64_t oom_kill_ns; /* the last OOM kill for which it could have been chosen; 0: none */
	bool execed; /* since it was born: its memory is not what its parent had */
	uint8_t untraced; /* bit per level: it has ended, and all its life tracing was at that one or above */
	int exit_code;
	uint32_t threads;
	uint32_t live_threads; /* in the thread table, and listed by the iterator */
	uint32_t pending_exits; /* in the thread table, but not listed any more: see MB_MODEL_PENDING_EXIT_NS */
	uint64_t seen_tick;
	bool is_sum; /* no process, but a row of ended_processes that have ended (ended.h) */
	uint32_t ended_processes;

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
	uint64_t pending_exit_ns; /* when it was found not to be listed any more; 0: it is */
	struct mb_ledger last;
	UT_hash_handle hh;
};

/* The last fault of a thread that was shown from its ledger: see families/fault.c. */
struct mb_shown {
	uint32_t tid;
	uint32_t seq;
	uint64_t exit_tick; /* its exit record has been read; 0: not yet */
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
	uint64_t processes_evicted; /* there was no room for: they are in no row */
	uint64_t processes_waiting; /* the same of those alive, as of the last tick: when they end they are in one */
	uint64_t threads_evicted;
	uint64_t events_not_kept;
	uint64_t undecodable;
	uint64_t not_blamed; /* blame: stalls, pages and names for which there was no room */
	uint64_t not_recorded; /* in a report: what the disk did not take; with any reason */
};

/* A process, as far as it must be known when it is long gone. */
struct mb_process_ref {
	uint64_t start_ns;
	uint32_t tgid; /* 0: several, or not known */
	char comm[MB_COMM_LEN];
};

struct mb_model {
	struct mb_process *by_tgid;
	struct mb_process *all;
	struct mb_ended ended; /* those there is no room for any more */
	bool forgets; /* they leave for good instead: on_forget adds them up */
	bool recorded; /* accounts are those of a recording, with all that is derived */
	struct mb_thread *threads;
	uint32_t n_processes;
	uint64_t tick;
	uint64_t unsent_ns; /* streams: threads have events since then that are in no ring yet; since mb_model_tick() */
	uint32_t no_room; /* processes that records of this tick are of and that there was no room for */
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
	uint64_t *uncounted_ns; /* a report, by slot: for how long of its window that was not counted; NULL: all was */
	struct mb_shrinker *shrinkers;
	struct mb_device_names devices; /* of which something was written, or waited for */
	struct mb_mount_points mounts; /* of file systems that such files are on */
	struct mb_observer *observers; /* features that go along; each is part of its feature */
	struct mb_memcgs memcgs; /* what memory cgroups and the machine were charged, by kind */
	struct mb_history *history; /* not owned; NULL: none is kept */

	/* Called for each event that trace shows. */
	void (*on_event)(void *arg, struct mb_model *m, const struct mb_event *e);
	void *on_event_arg;

	/* Called before a process leaves the model, for whoever adds up or writes down. */
	void (*on_forget)(void *arg, struct mb_model *m, struct mb_process *p);
	void *on_forget_arg;
};

/* A process of no model, with all its numbers 0, and its end. NULL: no memory. */
struct mb_process *mb_process_new(void);
void mb_process_free(struct mb_process *p);

/* Initialise and empty a model. */
void mb_model_init(struct mb_model *m);
void mb_model_free(struct mb_model *m);

/* Number of value slots of a process, and the first slot of a field (a stall has three). */
unsigned int mb_slots(void);
unsigned int mb_slot(const struct mb_field *f);

/* Take in one ring event or task record of len bytes; malformed ones are counted, not used. */
void mb_model_event(struct mb_model *m, const void *data, size_t len);
void mb_model_record(struct mb_model *m, struct mb_task_record *r);

/* A thread has an event of that time that it has not sent yet. */
void mb_model_unsent(struct mb_model *m, uint64_t t_ns);

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

/*
 * Where what is still to come of a process is counted: its account, or the row that it was folded into; NULL: the model
 * does not know of it.
 */
struct mb_process *mb_model_account(struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/* The process with this number and start, also if the number is in use again; NULL if not there. */
struct mb_process *mb_model_find_exactly(struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/* Is the cgroup of this path (NULL: not known) that of group, or below it? "" and "/" are the root. */
bool mb_cgroup_is_below(const char *path, const char *group);

/* Who that is, for when it is gone. A process that is not traced has only its number. */
void mb_model_process_ref(struct mb_model *m, uint32_t tgid, uint64_t start_ns, struct mb_process_ref *ref);

/* A shrinker's name; NULL: not known. One that is new is noted, for somebody to find its name. */
const char *mb_model_shrinker(struct mb_model *m, uint64_t address);
void mb_model_name_shrinker(struct mb_model *m, uint64_t address, const char *name);

/*
 * Of two numbers of accounts, the sum of what is known, and the larger one; MB_NO_VALUE where neither is known, and of
 * the larger one also where either is not. For how long parts of a sum are not known: mb_field_untraced_ns().
 */
uint64_t mb_values_sum(uint64_t a, uint64_t b);
uint64_t mb_values_max(uint64_t a, uint64_t b);

/*
 * Value of a slot, and its change in this interval. Signed: what is left of a total can shrink. MB_NO_VALUE where it
 * is not known of this process, as in reports of recordings.
 */
uint64_t mb_process_value(const struct mb_process *p, unsigned int slot);
uint64_t mb_process_delta(const struct mb_process *p, unsigned int slot);

/* Is the field's number known on this kernel, with these families on? */
bool mb_field_known(const struct mb_model *m, const struct mb_family *fam,
		    const struct mb_field *f);

/* The same of one process: not known either if nothing of its life was at a level that has the field. */
bool mb_process_field_known(const struct mb_model *m, const struct mb_process *p, const struct mb_family *fam,
			    const struct mb_field *f);

/* For a report: the number of a slot was not counted for so long of its window, though in the rest of it. */
void mb_model_uncounted(struct mb_model *m, unsigned int slot, uint64_t ns);

/* For how long a field's number was not counted, by the level of tracing or in parts of a recording; up to now_ns. */
uint64_t mb_field_untraced_ns(const struct mb_model *m, const struct mb_family *fam, const struct mb_field *f,
			      uint64_t now_ns);

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
