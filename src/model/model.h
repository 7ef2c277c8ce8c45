/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The model: processes and their accounts, built from task records and events. It consists of plain
 * data and arithmetic and does no I/O, so that it can also be built from recordings.
 *
 * Ledgers are cumulative. The model remembers the last ledger of each thread and adds the
 * difference to its process, so duplicate, late or missing records do not affect the rest.
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

/*
 * Bounds. Beyond them, the process that ended first is folded into a row of ended processes
 * (ended.h); losses of other objects are counted.
 */
#define MB_MODEL_PROCESSES 8192u
#define MB_MODEL_THREADS 65536u
#define MB_MODEL_RETAINED_EVENTS 1024u
#define MB_PROCESS_ROWS 16u

/* Maximum length of cgroup paths. In longer ones the middle is replaced by a marker (mb_shorten()). */
#define MB_CGROUP_PATH_MAX 16384u

/*
 * A thread that the iterator no longer lists has ended, but its exit record may still arrive: if
 * the ring was full, the record is sent when the task is freed, some grace periods after its end.
 * Until then the thread's last ledger must be retained, or all its counts would be added a second
 * time.
 */
#define MB_MODEL_PENDING_EXIT_NS (30 * 1000000000ull)

/* Stalls by name, e.g. pauses per device; in a full list the last row is "(other)". */
struct mb_row {
	char key[32];
	struct mb_stall stall;
	struct mb_row *next;
};

/* A histogram or a list of rows, for one field of one process. */
struct mb_detail {
	const struct mb_field *field;
	struct mb_hist hist;
	uint64_t sampled_1_in;
	struct mb_row *rows;
	struct mb_detail *next;
};

struct mb_process {
	uint32_t tgid;
	uint32_t ppid; /* its parent now: another one after its first parent has ended */
	uint32_t born_of; /* the process that made it; 0: not known */
	uint64_t start_ns;
	uint64_t cgroup;
	char comm[MB_COMM_LEN];
	char *exe; /* owned; NULL: unknown */
	char *cgroup_path; /* owned; NULL: unknown */
	uint32_t inner_tgid; /* in its innermost pid namespace; 0: same as on the machine, or unknown */
	char host_name[MB_HOST_NAME_LEN]; /* in its UTS namespace; "": same as the machine's, or unknown */
	bool looked_up; /* exe and cgroup_path have been looked up */
	bool exited;
	bool exit_known; /* exit_code is final, as returned by wait(2) */
	bool history_ended; /* its end is recorded in the history */
	bool born; /* the account covers its whole life */
	uint64_t oom_kill_ns; /* the last OOM kill in which it was a candidate; 0: none */
	bool execed; /* called exec since it was born: its memory is no longer a copy of its parent's */
	/* bit per level: it has ended, and tracing was at that level or above during its whole life */
	uint8_t untraced;
	int exit_code;
	uint32_t threads;
	uint32_t live_threads; /* in the thread table and listed by the iterator */
	uint32_t pending_exits; /* in the thread table but no longer listed: see MB_MODEL_PENDING_EXIT_NS */
	uint64_t seen_tick;
	bool is_sum; /* not a process, but a row that sums up ended_processes ended processes (ended.h) */
	uint32_t ended_processes;

	bool has_memory;
	uint64_t mm; /* its address space: kernel address of the mm_struct; 0: unknown */
	uint64_t total_vm_pages;
	uint64_t peak_pages;
	uint64_t rss_pages[4]; /* file, anon, swap entries, shmem */
	uint64_t pss_bytes, uss_bytes; /* MB_UNKNOWN if not read */

	uint64_t minor, major; /* the kernel's own fault counters, summed over the threads */

	uint64_t *values; /* by slot: mb_slot() */
	uint64_t *before; /* values at the start of the interval shown by top */
	struct mb_detail *details;
	struct mb_series *series; /* its history, which owns the series; NULL: none */

	UT_hash_handle hh; /* by tgid; the latest process with that tgid */
	struct mb_process *prev, *next; /* all, oldest first */
};

struct mb_thread_key {
	uint64_t born_ns;
	uint32_t born_tid;
	uint32_t pad;
};

struct mb_thread {
	struct mb_thread_key key; /* of its ledger; unchanged by exec */
	struct mb_process *process;
	uint64_t min_flt, maj_flt;
	uint64_t seen_tick;
	uint64_t pending_exit_ns; /* when the iterator first no longer listed it; 0: still listed */
	struct mb_ledger last;
	UT_hash_handle hh;
};

/* The last fault of a thread that was shown from its ledger; see families/fault.c. */
struct mb_shown {
	uint32_t tid;
	uint32_t seq;
	uint64_t exit_tick; /* tick after its exit record was processed; 0: no exit record yet */
	UT_hash_handle hh;
};

struct mb_retained_event {
	struct mb_retained_event *next;
	char data[]; /* a struct mb_event and the data that follows it */
};

/*
 * Name of a slab shrinker, by the address of its scan_objects(). A system has some dozens of
 * shrinkers.
 */
struct mb_shrinker {
	uint64_t address;
	char name[MB_SHRINKER_NAME_LEN]; /* "": looked up, but not found */
	bool asked; /* the lookup was done */
	UT_hash_handle hh;
};

#define MB_MODEL_SHRINKERS 512u

/*
 * Losses by family and reason. The kernel's counters are absolute values; memblame's own are
 * incremented.
 */
struct mb_lost {
	struct mb_drop kernel[MB_FAM_MAX][MB_DROP_REASONS];
	uint64_t processes_evicted; /* no space: these processes are in no row */
	/* same for processes that are alive, as of the last tick; they get a row when they end */
	uint64_t processes_waiting;
	uint64_t threads_evicted;
	uint64_t events_not_retained;
	uint64_t undecodable;
	uint64_t not_blamed; /* blame: stalls, pages and names dropped for lack of space */
	uint64_t not_recorded; /* in a report: records that could not be written to disk, for any reason */
};

/* Identity of a process, still valid after the process is gone. */
struct mb_process_ref {
	uint64_t start_ns;
	uint32_t tgid; /* 0: several processes, or unknown */
	char comm[MB_COMM_LEN];
};

struct mb_model {
	struct mb_process *by_tgid;
	struct mb_process *all;
	struct mb_ended ended; /* accounts of processes that no longer fit */
	bool forgets; /* ended processes are not folded into rows; on_forget accounts for them */
	bool recorded; /* loaded from a recording's accounts, including derived values */
	struct mb_thread *threads;
	uint32_t n_processes;
	uint64_t tick;
	/* streams: earliest time of thread events that are not in a ring yet, since mb_model_tick() */
	uint64_t unsent_ns;
	uint32_t no_room; /* processes with records in this tick that did not fit */
	uint64_t events; /* number of events processed */
	uint32_t sample_1_in; /* one in so many minor faults is timed */
	bool has_swap;	      /* as mb_knobs.has_swap */
	uint32_t stream; /* bit per family whose individual events are shown */
	uint32_t off; /* bit per family that is not traced: its fields are unknown */
	uint64_t unknown_slots[4]; /* bit per slot for which this kernel has no working hook */
	struct mb_retained_event *retained, **retained_tail;
	uint32_t n_retained;
	struct mb_shown *shown;
	struct mb_lost lost;
	struct mb_system_state system;
	bool pss; /* PSS and USS are also read */
	struct mb_levels levels;
	/*
	 * reports: per slot, how long the value was not counted within the report's window for another
	 * reason than the level; NULL: always counted
	 */
	uint64_t *uncounted_ns;
	struct mb_shrinker *shrinkers;
	struct mb_device_names devices; /* devices that were written to or waited for */
	struct mb_mount_points mounts; /* mount points of file systems with such files */
	struct mb_observer *observers; /* features attached to the model; each observer is part of its feature */
	struct mb_memcgs memcgs; /* charges of memory cgroups and the machine, by kind */
	struct mb_history *history; /* not owned; NULL: no history */

	/* Called for each event that `trace` shows. */
	void (*on_event)(void *arg, struct mb_model *m, const struct mb_event *e);
	void *on_event_arg;

	/* Called before a process leaves the model, for sums and recordings. */
	void (*on_forget)(void *arg, struct mb_model *m, struct mb_process *p);
	void *on_forget_arg;
};

/*
 * Allocate and free a process that is in no model, with all values 0. mb_process_new returns NULL
 * if out of memory.
 */
struct mb_process *mb_process_new(void);
void mb_process_free(struct mb_process *p);

/* Initialize a model; free everything that it owns. */
void mb_model_init(struct mb_model *m);
void mb_model_free(struct mb_model *m);

/* Number of value slots per process, and the first slot of a field (a stall has three). */
unsigned int mb_slots(void);
unsigned int mb_slot(const struct mb_field *f);

/* Process one ring event or task record of len bytes. Malformed ones are counted and ignored. */
void mb_model_event(struct mb_model *m, const void *data, size_t len);
void mb_model_record(struct mb_model *m, struct mb_task_record *r);

/* A thread has an event with this time that it has not sent yet. */
void mb_model_unsent(struct mb_model *m, uint64_t t_ns);

/* Pass an event to the on_event callback (`trace`). */
void mb_model_show(struct mb_model *m, const struct mb_event *e);

/* The governor has changed the level. Once hooks have missed events, remainders are no longer known. */
void mb_model_level(struct mb_model *m, const struct mb_level_event *e);

/* Retain an event for the summary; when there are too many, the oldest one is dropped. */
void mb_model_keep(struct mb_model *m, const struct mb_event *e);

/*
 * The iterator has been read to its end, at t_ns: retire processes and threads that it no longer
 * lists, and compute derived fields. complete: the iterator saw every thread, so that absence means
 * exit.
 */
void mb_model_tick(struct mb_model *m, uint64_t t_ns, bool complete);

/*
 * For sessions of unlimited length: remove ended processes from the model, oldest first, except for
 * the last keep ones; also drop the events retained for a summary. Call after a tick.
 */
void mb_model_forget_ended(struct mb_model *m, uint32_t keep);

/* Start a new interval: mb_process_delta() returns changes from now on. */
void mb_model_interval(struct mb_model *m);

/* The process with this tgid and start time; created if new. NULL: no space. */
struct mb_process *mb_model_process(struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/* The process that has this tgid now, or had it last; NULL: never seen. */
struct mb_process *mb_model_find(const struct mb_model *m, uint32_t tgid);

/*
 * The account for further data about a process: the process itself, or the row that it was folded
 * into. NULL: unknown to the model.
 */
struct mb_process *mb_model_account(struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/* The process with this tgid and start time, even if the tgid was reused; NULL: not in the model. */
struct mb_process *mb_model_find_exactly(const struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/* Is the cgroup with this path (NULL: unknown) equal to group or below it? "" and "/" are the root. */
bool mb_cgroup_is_below(const char *path, const char *group);

/*
 * Fill in *ref, which stays valid after the process is gone. For a process that is not traced, only
 * the tgid is known.
 */
void mb_model_process_ref(struct mb_model *m, uint32_t tgid, uint64_t start_ns, struct mb_process_ref *ref);

/* A shrinker's name; NULL: unknown. A new address is registered, so that its name gets looked up. */
const char *mb_model_shrinker(struct mb_model *m, uint64_t address);
void mb_model_name_shrinker(struct mb_model *m, uint64_t address, const char *name);

/*
 * Sum and maximum of two account values. The sum of known values; MB_NO_VALUE if neither is known.
 * The maximum is MB_NO_VALUE if either is unknown. How long parts of a sum were not counted:
 * mb_field_untraced_ns().
 */
uint64_t mb_values_sum(uint64_t a, uint64_t b);
uint64_t mb_values_max(uint64_t a, uint64_t b);

/*
 * Value of a slot, and its change in this interval. The change is signed, because a remainder can
 * shrink. MB_NO_VALUE if unknown for this process, as in reports of recordings.
 */
uint64_t mb_process_value(const struct mb_process *p, unsigned int slot);
uint64_t mb_process_delta(const struct mb_process *p, unsigned int slot);

/* Is the field's value known on this kernel, with the enabled families? */
bool mb_field_known(const struct mb_model *m, const struct mb_family *fam,
		    const struct mb_field *f);

/*
 * The same for one process: also unknown if no part of its life was traced at a level that has the
 * field.
 */
bool mb_process_field_known(const struct mb_model *m, const struct mb_process *p, const struct mb_family *fam,
			    const struct mb_field *f);

/* Reports: for another reason than the level, a slot was not counted for ns of the window. */
void mb_model_uncounted(struct mb_model *m, unsigned int slot, uint64_t ns);

/*
 * How long a field was not counted, due to the trace level or in parts of a recording; up to
 * now_ns. In ns.
 */
uint64_t mb_field_untraced_ns(const struct mb_model *m, const struct mb_family *fam, const struct mb_field *f,
			      uint64_t now_ns);

/* Mark a field as unknown in the unknown_slots of a model. */
void mb_field_set_unknown(uint64_t unknown_slots[4], const struct mb_field *f);

/* Add values to the histogram or the rows of a field, which are created if needed. */
void mb_process_hist_add(struct mb_process *p, const struct mb_field *f, uint64_t v,
			 uint64_t weight, uint64_t sampled_1_in);
void mb_process_hist_max(struct mb_process *p, const struct mb_field *f, uint64_t max);
void mb_process_row_add(struct mb_process *p, const struct mb_field *f, const char *key,
			const struct mb_stall *more);

/* Rename the row with this key. */
void mb_process_row_rename(struct mb_process *p, const struct mb_field *f, const char *key,
			   const char *to);

/*
 * Set one bucket of a histogram, or one row, to a recorded value. mb_process_detail returns the
 * field's histogram or rows; NULL: none.
 */
void mb_process_hist_set(struct mb_process *p, const struct mb_field *f, unsigned int bucket,
			 uint64_t count, uint64_t max, uint64_t sampled_1_in);
void mb_process_row_set(struct mb_process *p, const struct mb_field *f, const char *key,
			uint64_t count, uint64_t ns, uint64_t max_ns);
const struct mb_detail *mb_process_detail(const struct mb_process *p, const struct mb_field *f);

/* Sum of all losses. */
uint64_t mb_lost_total(const struct mb_lost *l);

#endif
