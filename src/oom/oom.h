/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Collects everything about OOM kills into reports: the event of the kill, the candidates, the
 * kernel's log lines and the names of addresses; then finds in the history which process grew. All
 * memory is allocated at the start. Nothing here allocates later, because there may be no memory
 * left at a kill.
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

/* Limits. What exceeds them is counted in the report. */
#define MB_OOM_KILLS 64u /* unfinished reports */
#define MB_OOM_VICTIMS 256u /* per report */
#define MB_OOM_TASKS 16384u /* of all unfinished reports together */
#define MB_OOM_ZONES 32u
#define MB_OOM_LOG_BYTES 24576u
#define MB_OOM_SYMBOL_LEN 80
#define MB_OOM_STAT_BYTES 6144u
#define MB_OOM_GROWERS 10u

/*
 * MB_OOM_WAIT_NS: how long a report waits for its data. MB_OOM_LOG_WAIT_NS: how long it waits for
 * the kernel's log line on a busy machine. MB_OOM_SETTLE_NS: how long data that arrives later is
 * still added.
 */
#define MB_OOM_WAIT_NS (60 * 1000 * 1000ull)
#define MB_OOM_LOG_WAIT_NS (200 * 1000 * 1000ull)
/* wait for the candidates on a machine that is so short of memory that hardly any task runs */
#define MB_OOM_TASKS_WAIT_NS (2 * 1000 * 1000 * 1000ull)
#define MB_OOM_SETTLE_NS (5 * 1000 * 1000 * 1000ull)

enum mb_oom_stack_of { MB_OOM_OF_TRIGGER_KERNEL, MB_OOM_OF_TRIGGER, MB_OOM_OF_VICTIM, MB_OOM_STACKS };

struct mb_oom_victim {
	uint64_t start_ns, total_vm_pages, rss_pages[4], pgtables_bytes, cgroup;
	uint64_t t_ns; /* time of its kill */
	uint32_t tgid, inner_tgid, uid;
	int32_t oom_score_adj;
	uint32_t known; /* 0: only tgid is valid */
	uint32_t reaper; /* enum mb_oom_reaper */
	uint32_t logged; /* the kernel log contains the line about its kill */
	char comm[MB_COMM_LEN];
};

/* Which memory was short when a process killed another. */
enum mb_oom_short {
	MB_OOM_NOT_SHORT,
	MB_OOM_SHORT_CGROUP, /* that of the fullest cgroup above the victim */
	MB_OOM_SHORT_MACHINE, /* little memory of the machine is available */
	MB_OOM_SHORT_PRESSURE, /* processes stall on memory (PSI) and not much is available */
};

#define MB_OOM_PATH_LEN 4096u

/* Path of a cgroup that a report needs and that no process of the model belongs to. */
struct mb_oom_path {
	uint64_t cgroup;
	char path[MB_OOM_PATH_LEN]; /* shortened by mb_shorten() if longer */
};

#define MB_OOM_PATHS 3u /* trigger, victim, memory cgroup */

struct mb_oom_kill {
	struct mb_oom_event first; /* event of the first victim, the one that was chosen */
	struct mb_oom_victim victims[MB_OOM_VICTIMS];
	uint32_t n_victims, victims_left_out;
	bool used;
	bool looked_up; /* the lookup of names has been done */
	bool shown;
	bool changed; /* since the report was shown */
	bool candidates_complete; /* all tasks and zones have arrived */
	bool stack_complete; /* the user stack of the victim has arrived */
	bool settled; /* no more data will be added */
	bool counted; /* counted as a kill, or found not to be one */
	uint32_t number; /* number of the stored report; 0: not stored */
	enum mb_oom_short was_short; /* for a kill by a process */
	uint64_t available_pages; /* of the machine at the kill; MB_UNKNOWN */
	uint64_t pressure_bp; /* PSI "some" avg10 at the kill, in basis points; MB_UNKNOWN */
	uint64_t last_ns; /* when the last victim was added */
	uint64_t first_task; /* sequence number in mb_oom.tasks, counted since the start */
	uint32_t n_tasks, tasks_left_out;
	struct mb_oom_zone_event zones[MB_OOM_ZONES];
	uint32_t n_zones;
	__u64 victim_stack[MB_OOM_STACK];
	char symbols[MB_OOM_STACKS][MB_OOM_STACK][MB_OOM_SYMBOL_LEN]; /* "": not known */
	struct mb_oom_path paths[MB_OOM_PATHS];
	char stat[MB_OOM_STAT_BYTES]; /* memory.stat, read shortly after the kill */
	char log[MB_OOM_LOG_BYTES]; /* lines, each with its newline */
	uint32_t log_len, log_lines_left_out;
};

/*
 * A process that grew in a time window before the kill, and by how much. Counts its own anonymous
 * memory, including what is swapped out.
 */
struct mb_oom_grower {
	const struct mb_oom_task_event *task;
	const struct mb_series *series; /* NULL: none */
	int64_t growth_pages; /* since from_ns */
	uint64_t from_ns; /* start of the window, of the process, or of its known history, whichever is latest */
	double slope_bytes_per_s;
};

enum mb_oom_verdict {
	MB_OOM_CULPRIT_CLEAR, /* one process, or several of the same name */
	MB_OOM_CULPRIT_SEVERAL, /* many processes grew, none much more than the others */
	MB_OOM_CULPRIT_NOT_PROCESSES, /* the memory that grew does not belong to processes: files, kernel */
	MB_OOM_CULPRIT_NO_GROWTH, /* it grew before tracing began, or too slowly to be seen */
	MB_OOM_CULPRIT_UNKNOWN, /* data is missing: see mb_oom_culprit.missing */
	MB_OOM_CULPRIT_NOT_KNOWN, /* no analysis: not a kill by the kernel, no candidates, or no history */
};

/* Source of the split of memory by kind at the kill. */
enum mb_oom_split_from {
	MB_OOM_SPLIT_UNKNOWN,
	MB_OOM_SPLIT_LOG, /* the kernel's log of the kill */
	MB_OOM_SPLIT_HISTORY, /* the last tick; growth since then is assigned to kinds by the growth of the processes */
};

/* Relation of the named processes to the memory that grew. */
enum mb_oom_how { MB_OOM_OWNS, MB_OOM_MAPS, MB_OOM_WROTE };

struct mb_oom_culprit {
	enum mb_oom_verdict verdict;
	const char *missing; /* UNKNOWN: what is missing; SEVERAL: what speaks against the task, or NULL; a static string */
	const struct mb_oom_task_event *task; /* the process that grew most; NULL: none */
	/*
	 * processes of its name that grew by at least 1/64 of its growth; growth_pages is the sum
	 * over all of that name
	 */
	uint32_t processes;
	enum mb_memcg_kind kind; /* kind of memory that grew most; growth_pages is of this kind */
	enum mb_oom_how how;
	int64_t growth_pages; /* growth of the culprit, or of the kind if no process is named */
	int64_t all_growth_pages; /* sum over all kinds that grew, as the kernel counts them */
	uint64_t used_pages; /* usage at the kill */
	uint64_t growth_ns; /* time in which the culprit grew by growth_pages */
	uint64_t window_ns; /* length of the window before the kill */
	enum mb_oom_split_from from;
	struct mb_memcg_split at; /* at the kill */
	struct mb_memcg_split before; /* at the start of the window; all fields unknown: no history */
	int64_t kind_growth_pages[MB_MEMCG_KINDS]; /* ANON includes swapped-out memory */
	struct mb_oom_grower growers[MB_OOM_GROWERS]; /* largest growth first */
	uint32_t n_growers;
	/* SEVERAL: the process that grew most over a longer time, if it is another one; NULL: none did */
	const struct mb_oom_task_event *steady;
	int64_t steady_growth_pages;
	uint64_t steady_ns; /* the longer time */
};

/* Sum over the processes of one name in a window. Sizes are in pages. */
struct mb_oom_name_sum {
	char comm[MB_COMM_LEN];
	/* process with the most growth of its own memory; of page tables; of mapped shmem */
	const struct mb_oom_task_event *largest;
	const struct mb_oom_task_event *largest_tables, *largest_shmem;
	int64_t growth, of_largest, shmem_growth, shmem_of_largest;
	/* at the kill; of the processes that started within the window */
	uint64_t tables, tables_of_largest, tables_born;
	uint64_t from_ns; /* start of the earliest measured period */
	uint32_t mappers;
};

/*
 * Pages by which the kernel may charge above a limit: per-CPU stocks of charges, and allocations
 * that must not fail.
 */
#define MB_OOM_CHARGED_AHEAD 1024u

#define MB_OOM_NAMES 512u /* names in a window; the name with the least growth is replaced */
#define MB_OOM_MMS 32768u /* twice the number of tasks, so that the hash has free slots */

/*
 * Working memory for finding a culprit. It is allocated in advance, because there may be no memory
 * left at a kill.
 */
struct mb_oom_scratch {
	struct mb_oom_name_sum names[MB_OOM_NAMES];
	uint32_t n_names;
	bool forks; /* memory that a process inherited from its parent does not count as its growth */
	uint32_t mms[MB_OOM_MMS]; /* index of a task + 1 */
	bool shares[MB_OOM_TASKS]; /* by index of the task: another process counts for the shared address space */
};

struct mb_oom {
	struct mb_model *model; /* the observed model */
	struct mb_observer observer;
	struct mb_oom_kill kills[MB_OOM_KILLS];
	struct mb_oom_task_event tasks[MB_OOM_TASKS]; /* a ring */
	uint64_t n_tasks;
	uint32_t order[MB_OOM_TASKS]; /* result of mb_oom_sort() */
	struct mb_oom_scratch scratch; /* used by mb_oom_find_culprit() */
	struct mb_oom_kill *logged; /* kill to which the last log line about a kill belongs */
	char dump[MB_OOM_LOG_BYTES]; /* lines of a kill whose victim the log has not named yet */
	uint32_t dump_len, dump_lines_left_out;
	uint32_t dump_caller;
	bool in_dump;
	bool has_log; /* at least one line of the kernel log has been read */
	uint64_t kills_left_out; /* not recorded: more than MB_OOM_KILLS within MB_OOM_SETTLE_NS */
	uint64_t not_saved; /* reports that could not be written to the state folder */
};

/*
 * Creates an account of OOM kills that observes the model and is freed with it. Returns NULL
 * without memory.
 */
struct mb_oom *mb_oom_new(struct mb_model *m);

/* The account of a model; NULL: the model has none. */
struct mb_oom *mb_oom_of(const struct mb_model *m);

/*
 * Handles an event of the oom family. Reads the model to find out whether memory is short: a
 * SIGKILL is reported only then.
 */
void mb_oom_event(struct mb_model *m, const struct mb_event *e);

/*
 * log.c: handles one line of the kernel log, without its prefix. caller: ID of the task or CPU that
 * wrote it, 0 if not known.
 */
void mb_oom_log_line(struct mb_oom *o, uint32_t caller, const char *text, size_t len);

/*
 * Reads the decimal number that follows these words in a text. Returns false if the text does not
 * contain the words.
 */
bool mb_oom_number_after(const char *text, size_t len, const char *words, uint64_t *n);

/*
 * Adds looked-up data to the kill with a victim of that time: the name of an address in a stack,
 * the path of a cgroup, the text of memory.stat. All strings are copied.
 */
void mb_oom_symbol(struct mb_oom *o, uint64_t kill_t_ns, enum mb_oom_stack_of of, uint32_t frame,
		   const char *name);
void mb_oom_path(struct mb_oom *o, uint64_t kill_t_ns, uint64_t cgroup, const char *path);
void mb_oom_stat(struct mb_oom *o, uint64_t kill_t_ns, const char *text, size_t len);

/* Finds the kill that has a victim with that time. NULL: there is none, or it has been replaced. */
struct mb_oom_kill *mb_oom_find(struct mb_oom *o, uint64_t t_ns);

/*
 * Finds the latest kill of a process and sets *victim to the process within it. NULL: there is
 * none.
 */
struct mb_oom_kill *mb_oom_find_victim(struct mb_oom *o, uint32_t tgid, struct mb_oom_victim **victim);

/* A kill whose names have not been looked up yet; NULL: none. The caller sets looked_up. */
struct mb_oom_kill *mb_oom_needs_lookup(struct mb_oom *o);

/*
 * The oldest kill that is complete, or has waited long enough, and has not been shown; or a kill
 * that was shown and has changed since. NULL: none. The caller sets shown and clears changed.
 * now_ns: CLOCK_BOOTTIME; UINT64_MAX: no more data will arrive.
 */
struct mb_oom_kill *mb_oom_ready(struct mb_model *m, uint64_t now_ns);

/*
 * Time at which to call mb_oom_ready() again if no event arrives before (CLOCK_BOOTTIME); 0: not
 * needed.
 */
uint64_t mb_oom_next_ns(const struct mb_oom *o, uint64_t now_ns);

/* Is it a kill by a process, not by the kernel? */
bool mb_oom_is_by_process(const struct mb_oom_kill *k);

/*
 * Was the victim killed, or was it already exiting, so that the kernel only gave it access to
 * memory reserves? Only a real kill has a line in the kernel log and the killing function in the
 * trigger's kernel stack.
 */
enum mb_oom_kill_outcome { MB_OOM_KILLED, MB_OOM_WAS_ENDING, MB_OOM_OUTCOME_NOT_KNOWN };

enum mb_oom_kill_outcome mb_oom_kill_outcome(const struct mb_oom *o, const struct mb_oom_kill *k);

/* The i-th task of a kill. NULL: a later kill has reused its slot. */
const struct mb_oom_task_event *mb_oom_task(const struct mb_oom *o, const struct mb_oom_kill *k, uint32_t i);

/*
 * score.c: the value that the kernel compares (oom_badness() in mm/oom_kill.c), in pages. Returns
 * false if the task may not be killed.
 */
bool mb_oom_badness(const struct mb_oom_task_event *t, uint64_t total_pages, int64_t *badness);

/*
 * Sorts the tasks of a kill in the order in which the kernel would choose them. o->order then has
 * their indexes for mb_oom_task(), valid until the next call. Returns their number.
 */
uint32_t mb_oom_sort(struct mb_oom *o, const struct mb_oom_kill *k);

/*
 * The score as in /proc/PID/oom_score (proc_oom_score() in fs/proc/base.c). machine_pages: memory
 * plus swap.
 */
uint64_t mb_oom_score(const struct mb_oom_task_event *t, uint64_t machine_pages);

/* The path of a cgroup from the report or the model; NULL: not known. */
const char *mb_oom_cgroup_path(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t cgroup);

/*
 * The same for the cgroup of a task. Tries the task's own process first, because searching all
 * processes for each task takes long.
 */
const char *mb_oom_task_path(const struct mb_model *m, const struct mb_oom_kill *k,
			     const struct mb_oom_task_event *t);

/* Free pages of all zones at the kill. */
uint64_t mb_oom_free_pages(const struct mb_oom_kill *k);

/* culprit.c: finds out whose growth used up the memory and fills *c. */
void mb_oom_find_culprit(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_oom_culprit *c);

/*
 * Checks that the numbers of a report are consistent: nothing named grew by more than there is, the
 * kinds add up to the usage, and a clear culprit has most of the growth. Returns NULL, or a static
 * string that says what is wrong. Tests call this for every report.
 */
const char *mb_oom_check(const struct mb_oom_kill *k, const struct mb_oom_culprit *c);

/*
 * split.c: the split of memory by kind at the kill, as exactly as it is known: of the cgroup at its
 * limit, or of the machine.
 */
enum mb_oom_split_from mb_oom_split(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_memcg_split *s);

/*
 * Chooses the process that each address space counts for: the oldest of those that share it. The
 * result is for mb_oom_owner() and valid until the next call.
 */
void mb_oom_find_owners(const struct mb_model *m, const struct mb_oom_kill *k);

/* The i-th task of a kill if its address space counts for it; otherwise NULL. */
const struct mb_oom_task_event *mb_oom_owner(const struct mb_oom *o, const struct mb_oom_kill *k, uint32_t i);

/* Does the trigger's kernel stack contain a function whose name begins with this text? */
bool mb_oom_in_kernel_stack(const struct mb_oom_kill *k, const char *name);

/* headline.c: writes the whole report as one sentence for a person into buf of size bytes. */
void mb_oom_sentence(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c,
		     char *buf, size_t size);

/* "global", "cpuset", "mempolicy" or "memcg"; NULL: not known, or not a kill by the kernel. */
const char *mb_oom_constraint_name(const struct mb_oom_kill *k);

/*
 * Writes the names of allocation flags as in the kernel log (show_gfp_flags in
 * include/trace/events/mmflags.h) into buf of size bytes and returns buf.
 */
const char *mb_oom_gfp_names(uint32_t gfp, char *buf, size_t size);

#endif
