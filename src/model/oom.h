/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Kills by the OOM killer, put together: the event of the kill, those that could have been chosen, the
 * kernel's own log lines, names of addresses, and from the history whose growth it was. All memory is taken
 * at the start; nothing here allocates later, as there may be none.
 */
#ifndef MB_MODEL_OOM_H
#define MB_MODEL_OOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"

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

/* A path of a cgroup that a report needs and no process of the model has. */
struct mb_oom_path {
	uint64_t cgroup;
	char path[MB_PATH_LEN];
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
	bool told; /* all tasks and zones have come */
	bool stack_told;
	bool settled; /* nothing more will come */
	uint32_t number; /* under which it is kept; 0: it is not */
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

/* Who grew, and by how much, in a window of time before the kill. */
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
	MB_OOM_CULPRIT_NOT_PROCESSES, /* what fills the memory is not that of processes: files, kernel */
	MB_OOM_CULPRIT_NO_GROWTH, /* it grew before tracing began, or too slowly to be seen */
	MB_OOM_CULPRIT_NOT_KNOWN, /* whom it could have hit is not known here */
};

struct mb_oom_culprit {
	enum mb_oom_verdict verdict;
	const struct mb_oom_task_event *task; /* the largest grower; NULL: none */
	uint32_t processes; /* of its name, that grew by no less than a 64th of that; growth is of all of them */
	int64_t growth_pages;
	int64_t all_growth_pages; /* of all that grew */
	uint64_t used_pages; /* by all processes */
	uint64_t growth_ns; /* in which the culprit grew by that */
	uint64_t window_ns; /* before the kill */
	struct mb_oom_grower growers[MB_OOM_GROWERS]; /* most first */
	uint32_t n_growers;
};

struct mb_oom {
	struct mb_oom_kill kills[MB_OOM_KILLS];
	struct mb_oom_task_event tasks[MB_OOM_TASKS]; /* a ring */
	uint64_t n_tasks;
	uint32_t order[MB_OOM_TASKS]; /* mb_oom_sort() */
	struct mb_oom_kill *logged; /* the kill of which the log spoke last */
	char dump[MB_OOM_LOG_BYTES]; /* lines of a kill that the log has not named yet */
	uint32_t dump_len, dump_lines_left_out;
	uint32_t dump_caller;
	bool in_dump;
	bool has_log; /* the log is read */
	uint64_t kills_left_out; /* no room: more than MB_OOM_KILLS within MB_OOM_SETTLE_NS */
	uint64_t not_kept; /* reports that could not be written to the state folder */
};

/* NULL: no memory. */
struct mb_oom *mb_oom_new(void);
void mb_oom_free(struct mb_oom *o);

/* An event of the oom family. m: to tell whether memory is short, which a SIGKILL counts in only. */
void mb_oom_event(struct mb_model *m, const struct mb_event *e);

/* oom_log.c: one line of the kernel's log, without its prefix; caller: who wrote it, 0 where that is not known. */
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
struct mb_oom_kill *mb_oom_unknown(struct mb_oom *o);

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
enum mb_oom_fate { MB_OOM_KILLED, MB_OOM_WAS_ENDING, MB_OOM_FATE_NOT_KNOWN };

enum mb_oom_fate mb_oom_fate(const struct mb_oom *o, const struct mb_oom_kill *k);

/* A task of a kill; NULL: its place has been taken by a later kill's. */
const struct mb_oom_task_event *mb_oom_task(const struct mb_oom *o, const struct mb_oom_kill *k, uint32_t i);

/* oom_score.c: what the kernel compares (oom_badness() of mm/oom_kill.c), in pages; false: it may not be killed. */
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

/* oom_culprit.c: whose growth used up the memory. */
void mb_oom_find_culprit(const struct mb_model *m, const struct mb_oom_kill *k, struct mb_oom_culprit *c);

/* oom_sentence.c: the whole in one sentence for a person; buf of size. */
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
