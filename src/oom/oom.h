/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Kills by the OOM killer, put together: the event of the kill, those that could have been chosen, the
 * kernel's own log lines, names of addresses, and from the history whose growth it was. All memory is taken
 * at the start; nothing here allocates later, as there may be none.
 */
#ifndef MB_OOM_OOM_H
#define MB_OOM_OOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"
#include "model/memcg.h"
#include "model/observer.h"

struct mb_model;

/* Bounds; what is over them is counted in the report. */
#define MB_OOM_KILLS 64u /* reports under way */
#define MB_OOM_VICTIMS 256u /* of one report */
#define MB_OOM_TASKS 16384u /* of all reports under way */
#define MB_OOM_ZONES 32u
#define MB_OOM_LOG_BYTES 24576u
#define MB_OOM_SYMBOL_LEN 80
#define MB_OOM_STAT_BYTES 6144u
#define MB_OOM_GROWERS 10u

/*
 * How long a report waits for what belongs to it, for the kernel's line on a busy machine, and how long
 * what comes later is added.
 */
#define MB_OOM_WAIT_NS (60 * 1000 * 1000ull)
#define MB_OOM_LOG_WAIT_NS (200 * 1000 * 1000ull)
#define MB_OOM_TASKS_WAIT_NS (2 * 1000 * 1000 * 1000ull) /* on a machine where nobody gets to run */
#define MB_OOM_SETTLE_NS (5 * 1000 * 1000 * 1000ull)

enum mb_oom_stack_of { MB_OOM_OF_TRIGGER_KERNEL, MB_OOM_OF_TRIGGER, MB_OOM_OF_VICTIM, MB_OOM_STACKS };

struct mb_oom_victim {
	uint64_t start_ns, total_vm_pages, rss_pages[4], pgtables_bytes, cgroup;
	uint64_t t_ns; /* of its kill */
	uint32_t tgid, inner_tgid, uid;
	int32_t oom_score_adj;
	uint32_t known; /* 0: nothing but tgid */
	uint32_t reaper; /* enum mb_oom_reaper */
	uint32_t logged; /* the kernel's log says that it has been killed */
	char comm[MB_COMM_LEN];
};

/* What was short when a process killed another. */
enum mb_oom_short {
	MB_OOM_NOT_SHORT,
	MB_OOM_SHORT_CGROUP, /* the fullest cgroup above the victim */
	MB_OOM_SHORT_MACHINE, /* little is available */
	MB_OOM_SHORT_PRESSURE, /* processes wait for memory, and not much is available */
};

#define MB_OOM_PATH_LEN 4096u

/* A path of a cgroup that a report needs and no process of the model has. */
struct mb_oom_path {
	uint64_t cgroup;
	char path[MB_OOM_PATH_LEN]; /* longer ones are shortened: mb_shorten() */
};

#define MB_OOM_PATHS 3u /* trigger, victim, memory cgroup */

struct mb_oom_kill {
	struct mb_oom_event first; /* the one that was chosen */
	struct mb_oom_victim victims[MB_OOM_VICTIMS];
	uint32_t n_victims, victims_left_out;
	bool used;
	bool looked_up; /* somebody has told the names that it takes */
	bool shown;
	bool changed; /* since it was shown */
	bool candidates_complete; /* all tasks and zones have come */
	bool stack_told;
	bool settled; /* nothing more will come */
	bool counted; /* as a kill, or found to be none */
	uint32_t number; /* under which it is kept; 0: it is not */
	enum mb_oom_short was_short; /* of a kill by a process */
	uint64_t available_pages; /* of the machine then; MB_UNKNOWN */
	uint64_t pressure_bp; /* PSI's some avg10 then; MB_UNKNOWN */
	uint64_t last_ns; /* when the last victim came */
	uint64_t first_task; /* counted from the first of all */
	uint32_t n_tasks, tasks_left_out;
	struct mb_oom_zone_event zones[MB_OOM_ZONES];
	uint32_t n_zones;
	__u64 victim_stack[MB_OOM_STACK];
	char symbols[MB_OOM_STACKS][MB_OOM_STACK][MB_OOM_SYMBOL_LEN]; /* "": not known */
	struct mb_oom_path paths[MB_OOM_PATHS];
	char stat[MB_OOM_STAT_BYTES]; /* memory.stat, shortly after */
	char log[MB_OOM_LOG_BYTES]; /* lines, each with its end */
	uint32_t log_len, log_lines_left_out;
};

/* Who grew, and by how much, in a window of time before the kill: by memory of its own, in swap or not. */
struct mb_oom_grower {
	const struct mb_oom_task_event *task;
	const struct mb_series *series; /* NULL: none */
	int64_t growth_pages; /* since then: */
	uint64_t from_ns; /* the start of the window, or of the process, or of what is known of it */
	double slope_bytes_per_s;
};

enum mb_oom_verdict {
	MB_OOM_CULPRIT_CLEAR, /* one process, or several of one name */
	MB_OOM_CULPRIT_SEVERAL, /* many grew, none much more than the others */
	MB_OOM_CULPRIT_NOT_PROCESSES, /* what grew is not that of processes: files, kernel */
	MB_OOM_CULPRIT_NO_GROWTH, /* it grew before tracing began, or too slowly to be seen */
	MB_OOM_CULPRIT_UNKNOWN, /* what it takes to tell is missing */
	MB_OOM_CULPRIT_NOT_KNOWN, /* nobody asked: no kill of the kernel's, no candidates, no history */
};

/* Where the split at the kill is from. */
enum mb_oom_split_from {
	MB_OOM_SPLIT_UNKNOWN,
	MB_OOM_SPLIT_LOG, /* the kernel's log of the kill */
	MB_OOM_SPLIT_HISTORY, /* the last tick; what came since was laid on kinds by what processes have more */
};

/* What the named have to do with shared memory. */
enum mb_oom_how { MB_OOM_OWNS, MB_OOM_MAPS, MB_OOM_WROTE };

struct mb_oom_culprit {
	enum mb_oom_verdict verdict;
	const char *missing; /* UNKNOWN: what; a string that stays */
	const struct mb_oom_task_event *task; /* the largest grower; NULL: none */
	uint32_t processes; /* of its name, that grew by no less than a 64th of that; growth is of all of them */
	enum mb_memcg_kind kind; /* of the memory that grew most; the growth is of this kind */
	enum mb_oom_how how;
	int64_t growth_pages; /* of the culprit, or where no process is named, of the kind */
	int64_t all_growth_pages; /* of all kinds that grew, as the kernel counts them */
	uint64_t used_pages; /* the usage at the kill */
	uint64_t growth_ns; /* in which the culprit grew by that */
	uint64_t window_ns; /* before the kill */
	enum mb_oom_split_from from;
	struct mb_memcg_split at; /* the kill */
	struct mb_memcg_split before; /* the window; all unknown: no history */
	int64_t kind_growth_pages[MB_MEMCG_KINDS]; /* of ANON with what is in swap */
	struct mb_oom_grower growers[MB_OOM_GROWERS]; /* most first */
	uint32_t n_growers;
};

/* Processes of one name, in a window. */
struct mb_oom_name_sum {
	char comm[MB_COMM_LEN];
	const struct mb_oom_task_event *largest; /* by growth of its own memory, of page tables, of mapped shmem */
	const struct mb_oom_task_event *largest_tables, *largest_shmem;
	int64_t growth, of_largest, shmem_growth, shmem_of_largest;
	uint64_t tables, tables_of_largest, tables_born; /* pages at the kill; of those born in the window */
	uint64_t from_ns; /* of the one that began first */
	uint32_t mappers;
};

/* The kernel may charge above a limit by what it holds ready for its CPUs, or for what must not fail. */
#define MB_OOM_CHARGED_AHEAD 1024u

#define MB_OOM_NAMES 512u /* names of a window; the one that grew least gives way */
#define MB_OOM_MMS 32768u /* twice the tasks: a hash with room */

/* What finding a culprit takes; here, as there may be no memory then. */
struct mb_oom_scratch {
	struct mb_oom_name_sum names[MB_OOM_NAMES];
	uint32_t n_names;
	bool forks; /* what a process has from its parent is not its own growth */
	uint32_t mms[MB_OOM_MMS]; /* index of a task + 1 */
	bool shares[MB_OOM_TASKS]; /* by index: another process stands for its memory */
};

struct mb_oom {
	struct mb_model *model; /* that it observes */
	struct mb_observer observer;
	struct mb_oom_kill kills[MB_OOM_KILLS];
	struct mb_oom_task_event tasks[MB_OOM_TASKS]; /* a ring */
	uint64_t n_tasks;
	uint32_t order[MB_OOM_TASKS]; /* mb_oom_sort() */
	struct mb_oom_scratch scratch; /* mb_oom_find_culprit() */
	struct mb_oom_kill *logged; /* the kill of which the log spoke last */
	char dump[MB_OOM_LOG_BYTES]; /* lines of a kill that the log has not named yet */
	uint32_t dump_len, dump_lines_left_out;
	uint32_t dump_caller;
	bool in_dump;
	bool has_log; /* the log is read */
	uint64_t kills_left_out; /* no room: more than MB_OOM_KILLS within MB_OOM_SETTLE_NS */
	uint64_t not_kept; /* reports that could not be written to the state folder */
};

/* An account of kills that goes along with a model, and is freed with it; NULL: no memory. */
struct mb_oom *mb_oom_new(struct mb_model *m);

/* That of a model; NULL: none goes along. */
struct mb_oom *mb_oom_of(const struct mb_model *m);

/* An event of the oom family. m: to tell whether memory is short, which a SIGKILL counts in only. */
void mb_oom_event(struct mb_model *m, const struct mb_event *e);

/* log.c: one line of the kernel's log, without its prefix; caller: who wrote it, 0 where that is not known. */
void mb_oom_log_line(struct mb_oom *o, uint32_t caller, const char *text, size_t len);

/* The number behind those words in a text; false: they are not there. */
bool mb_oom_number_after(const char *text, size_t len, const char *words, uint64_t *n);

/* What an address of a kill's stack is called; the path of a cgroup; text of memory.stat. */
void mb_oom_symbol(struct mb_oom *o, uint64_t kill_t_ns, enum mb_oom_stack_of of, uint32_t frame,
		   const char *name);
void mb_oom_path(struct mb_oom *o, uint64_t kill_t_ns, uint64_t cgroup, const char *path);
void mb_oom_stat(struct mb_oom *o, uint64_t kill_t_ns, const char *text, size_t len);

/* The kill with a victim of that time; NULL: there is none (any more). */
struct mb_oom_kill *mb_oom_find(struct mb_oom *o, uint64_t t_ns);

/* The latest kill of that process, and the process in it; NULL: there is none. */
struct mb_oom_kill *mb_oom_find_victim(struct mb_oom *o, uint32_t tgid, struct mb_oom_victim **victim);

/* A kill whose names nobody has told yet; NULL: none. The caller sets looked_up. */
struct mb_oom_kill *mb_oom_needs_lookup(struct mb_oom *o);

/*
 * The oldest kill that is complete, or has waited long enough, and has not been shown; or one that was shown
 * and has changed since. NULL: none. The caller sets shown, and clears changed. now_ns: CLOCK_BOOTTIME,
 * UINT64_MAX: nothing more will come.
 */
struct mb_oom_kill *mb_oom_ready(struct mb_model *m, uint64_t now_ns);

/* When to ask again, if nothing comes before; 0: not needed. */
uint64_t mb_oom_next_ns(const struct mb_oom *o, uint64_t now_ns);

/* Is it a kill by a process, not by the kernel? */
bool mb_oom_is_by_process(const struct mb_oom_kill *k);

/*
 * Was it killed? Or was it ending already, so that the kernel marked it to get the reserves only? The log has a
 * line for each that is killed, and so has the trigger's stack the function that does it.
 */
enum mb_oom_kill_outcome { MB_OOM_KILLED, MB_OOM_WAS_ENDING, MB_OOM_OUTCOME_NOT_KNOWN };

enum mb_oom_kill_outcome mb_oom_kill_outcome(const struct mb_oom *o, const struct mb_oom_kill *k);

/* A task of a kill; NULL: its place has been taken by a later kill's. */
const struct mb_oom_task_event *mb_oom_task(const struct mb_oom *o, const struct mb_oom_kill *k, uint32_t i);

/* score.c: what the kernel compares (oom_badness() of mm/oom_kill.c), in pages; false: it may not be killed. */
bool mb_oom_badness(const struct mb_oom_task_event *t, uint64_t total_pages, int64_t *badness);

/*
 * Sort a kill's tasks, the one first that the kernel would choose first: o->order has their indexes for
 * mb_oom_task(), until the next call. Returns their number.
 */
uint32_t mb_oom_sort(struct mb_oom *o, const struct mb_oom_kill *k);

/* As /proc/PID/oom_score (fs/proc/base.c, proc_oom_score()); machine_pages: memory and swap. */
uint64_t mb_oom_score(const struct mb_oom_task_event *t, uint64_t machine_pages);

/* The path of a cgroup, as far as the report or the model knows; NULL. */
const char *mb_oom_cgroup_path(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t cgroup);

/* The same for a task: by its own process first, as looking through all of them for each takes long. */
const char *mb_oom_task_path(const struct mb_model *m, const struct mb_oom_kill *k,
			     const struct mb_oom_task_event *t);

/* Free pages of all zones at the kill. */
uint64_t mb_oom_free_pages(const struct mb_oom_kill *k);

/* culprit.c: whose growth used up the memory. */
void mb_oom_find_culprit(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_oom_culprit *c);

/*
 * Does a report's account add up? Nothing that is named grew by more than there is, kinds add up to the usage, and
 * what is clear is most of the growth. NULL, or what does not hold; for tests of every report made.
 */
const char *mb_oom_check(const struct mb_oom_kill *k, const struct mb_oom_culprit *c);

/*
 * split.c: how the memory was split at the kill, as near to it as is known: of the cgroup at its limit, or of the
 * machine.
 */
enum mb_oom_split_from mb_oom_split(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_memcg_split *s);

/* Which processes stand for their memory: of several with one, the oldest. For mb_oom_owns(), until the next call. */
void mb_oom_find_owners(const struct mb_model *m, const struct mb_oom_kill *k);

/* The i-th task of a kill, if its memory counts with it; NULL. */
const struct mb_oom_task_event *mb_oom_owner(const struct mb_oom *o, const struct mb_oom_kill *k, uint32_t i);

/* Is there a function in the trigger's kernel stack whose name begins so? */
bool mb_oom_in_kernel_stack(const struct mb_oom_kill *k, const char *name);

/* headline.c: the whole in one sentence for a person; buf of size. */
void mb_oom_sentence(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c,
		     char *buf, size_t size);

/* "memcg" and so on; NULL: not known, or no kill of the kernel's. */
const char *mb_oom_constraint_name(const struct mb_oom_kill *k);

/*
 * The flags of an allocation by name, as the kernel's log has them (include/trace/events/mmflags.h,
 * show_gfp_flags); buf of size.
 */
const char *mb_oom_gfp_names(uint32_t gfp, char *buf, size_t size);

#endif
