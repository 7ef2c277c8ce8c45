/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Blame: who stood in whose way. A stall on a device is laid upon the processes whose pages were dirty on
 * it then, a stall in reclaim upon those that had taken the memory. Plain data and arithmetic, like the model that it
 * observes; docs/families/writeback.md and reclaim.md have the formulas.
 */
#ifndef MB_BLAME_BLAME_H
#define MB_BLAME_BLAME_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "memblame/abi.h"
#include "model/ingest.h"
#include "model/observer.h"

/* Bounds. What is over them is counted in mb_blame.evicted, or put under "(others)". */
#define MB_BLAME_FILES 4096u /* names; the oldest goes */
#define MB_BLAME_DEVICES 32u
#define MB_BLAME_HISTORY 4096u /* entries per device; the oldest goes */
#define MB_BLAME_PENDING 16384u /* stalls of one tick */
#define MB_BLAME_VICTIMS 1024u
#define MB_BLAME_CULPRITS 24u /* per victim; the last is "(others)" */
#define MB_BLAME_CULPRIT_FILES 6u /* per culprit; the last is "(others)" */
#define MB_BLAME_EVICTIONS 2048u
#define MB_BLAME_WRITTEN_FILES 64u /* per device; the last is "(others)" */
#define MB_BLAME_TICKS 64u /* how far back allocations are remembered */

struct mb_file_key {
	uint64_t bdi;
	uint64_t ino; /* 0: files of few pages, see MB_DIRTY_RUN_FILE */
	uint32_t dev;
	uint32_t pad;
};

struct mb_file {
	struct mb_file_key key;
	char path[MB_FILE_NAMES_LEN]; /* from the root of its file system; "": not known */
	UT_hash_handle hh;
};

/* Pages that a process dirtied of a file in one tick. */
struct mb_dirtied {
	struct mb_process_ref ref;
	struct mb_file_key file;
	uint64_t from_ns, to_ns; /* the tick */
	uint64_t pages;
};

/* An entry of a short list of files; of a full one, the last is all others. */
struct mb_file_sum {
	struct mb_file_key file; /* ino 0: several */
	double sum; /* pages, or pages times the ns for which they stood in the way */
};

struct mb_device {
	struct mb_bdi_state worst; /* when most was dirty */
	uint64_t worst_t_ns;
	char name[MB_BDI_NAME_LEN];
	uint64_t bdi;
	uint64_t dirtied_pages, written_pages; /* written: by flushers and sync(2) */
	uint64_t stalls, stalled_ns;
	struct mb_file_sum written[MB_BLAME_WRITTEN_FILES]; /* pages, by flushers and sync(2) */
	uint32_t n_written;
	struct mb_dirtied *history; /* a ring of MB_BLAME_HISTORY */
	uint32_t first, n;
	UT_hash_handle hh;
};

/* What a victim waited for; on a device up to MB_BLAME_FSYNC, in reclaim from MB_BLAME_DIRECT on. */
enum mb_stall_cause {
	MB_BLAME_PAUSE,
	MB_BLAME_WAIT,
	MB_BLAME_FSYNC,
	MB_BLAME_DIRECT,
	MB_BLAME_MEMCG,
	MB_BLAME_COMPACTION,
	MB_BLAME_THROTTLE,
	MB_BLAME_HIGH,
	MB_BLAME_ASKED, /* memcg reclaim that the process asked for: no limit held it up */
	MB_STALL_CAUSES
};

struct mb_culprit {
	struct mb_process_ref ref;
	double ns; /* of the victim's time */
	double pages_ns; /* its pages in the way, times that long */
	struct mb_file_sum files[MB_BLAME_CULPRIT_FILES]; /* pages_ns */
	uint32_t n_files;
};

struct mb_victim_key {
	uint64_t start_ns;
	uint64_t bdi; /* 0 in reclaim */
	uint32_t tgid;
	uint32_t cause; /* in reclaim; 0 on a device, where all kinds are together */
};

/* Watermarks of the zone that was shortest of memory. */
struct mb_watermarks {
	bool known;
	uint64_t free_pages, min_pages, low_pages, high_pages;
	int32_t node;
	char zone[16];
};

struct mb_victim {
	struct mb_victim_key key;
	struct mb_process_ref ref;
	uint64_t count[MB_STALL_CAUSES];
	uint64_t ns[MB_STALL_CAUSES];
	struct mb_culprit culprits[MB_BLAME_CULPRITS];
	uint32_t n_culprits;
	struct mb_watermarks marks; /* at the end of the tick in which it stalled last */
	struct mb_process_ref woke_kswapd; /* last; tgid 0: nobody, or not known */
	char *limit_path; /* owned; the cgroup at whose limit it stalled last; NULL: it was the machine, or not known */
	struct mb_cgroup_limits limits; /* of that cgroup, when the most of it was used */
	UT_hash_handle hh;
};

struct mb_eviction_pair {
	struct mb_eviction_key key;
	struct mb_process_ref owner, by;
	uint64_t pages;
	UT_hash_handle hh;
};

/* One answer: of an interval, or of the whole time. */
struct mb_blame_table {
	struct mb_victim *victims;
	struct mb_eviction_pair *evictions;
};

struct mb_pending_stall {
	struct mb_process_ref victim;
	struct mb_bdi_state on;
	enum mb_stall_cause cause;
	uint64_t from_ns, to_ns, ns;
};

struct mb_alloc_task;
struct mb_limited;

/* Where the reclaim family keeps its numbers of a process: slots of mb_process.values. */
struct mb_reclaim_slots {
	unsigned int stall[MB_BLAME_ASKED]; /* from MB_BLAME_DIRECT on; ns is the next slot */
	unsigned int allocated_pages;
	unsigned int kswapd_wakeups;
	unsigned int limit_up; /* as in struct mb_reclaim_ledger */
};

struct mb_blame {
	struct mb_model *model; /* that it observes */
	struct mb_observer observer;
	struct mb_reclaim_slots slots;
	struct mb_file *files;
	struct mb_device *devices;
	struct mb_pending_stall *pending;
	uint32_t n_pending;
	struct mb_dirtied *current; /* of the tick that is not over yet */
	uint32_t n_current;
	struct mb_blame_table total, interval;
	struct mb_alloc_task *alloc_tasks; /* reclaim.c */
	struct mb_limited *limited;
	struct mb_process_ref woke_kswapd;
	uint64_t shortage_tick; /* the last tick at whose end memory was not short */
	uint64_t tick_ns; /* when the last tick ended */
	uint64_t evicted; /* stalls, pages and names for which there was no room */
};

/* A blame that goes along with a model, and is freed with it; NULL: no memory. */
struct mb_blame *mb_blame_new(struct mb_model *m);

/* That of a model; NULL: none goes along. */
struct mb_blame *mb_blame_of(const struct mb_model *m);

/* Free what is in it. */
void mb_blame_clear(struct mb_blame *b);

/* Forget the interval's matrix; a new interval begins. */
void mb_blame_interval(struct mb_blame *b);

/* A file has been told by name: the names as in struct mb_file_event. */
void mb_blame_file(struct mb_blame *b, const struct mb_file_event *e);

/* Pages were dirtied or written; who: NULL where it is not traced. */
void mb_blame_dirtied(struct mb_blame *b, const struct mb_process_ref *ref, const struct mb_dirtied_event *e);

/* A victim has stalled on a device; t_ns: the start. Laid upon culprits when the tick is over. */
void mb_blame_stall(struct mb_blame *b, const struct mb_process_ref *victim, const struct mb_writeback_event *e);

/* A reclaimer took mapped pages. */
void mb_blame_eviction(struct mb_blame *b, const struct mb_process_ref *owner, const struct mb_process_ref *by,
		       const struct mb_eviction_event *e);

/*
 * The tick that ends at t_ns is over: lay its stalls on a device upon those whose pages were dirty.
 */
void mb_blame_tick(struct mb_blame *b, uint64_t t_ns);

/* reclaim.c: the same for reclaim. */
void mb_blame_reclaim(struct mb_blame *b);
void mb_blame_reclaim_free(struct mb_blame *b);

/* Path of the cgroup of index i of those at whose limit somebody has just stalled; NULL: there are no more. */
const char *mb_blame_limited(const struct mb_blame *b, size_t i);

/* What that cgroup may have and has. */
void mb_blame_limits(struct mb_blame *b, const char *path, const struct mb_cgroup_limits *l);

/* The limit that a victim in reclaim was at; MB_UNKNOWN: not known. */
uint64_t mb_victim_limit_bytes(const struct mb_victim *v);

/*
 * Who would be blamed most for a stall in reclaim of that process, by what was known when the last tick
 * ended; limit_up: as in struct mb_reclaim_ledger. False: nobody.
 */
bool mb_blame_reclaim_first(struct mb_blame *b, uint32_t tgid, enum mb_stall_cause cause, uint32_t limit_up,
			    struct mb_process_ref *ref, double *share);

/* Who would be blamed most now for a stall on this device; false: nobody. share: of all pages. */
bool mb_blame_first(struct mb_blame *b, const struct mb_writeback_event *e, struct mb_process_ref *ref,
		    double *share, struct mb_file_key *file);

/* Add to the file's entry of a list of at most max; of a full one, the last is all others. */
void mb_file_sum_add(struct mb_file_sum *list, uint32_t *n, uint32_t max, const struct mb_file_key *file, double more);

/* The name of a device, as in /sys/class/bdi; NULL: not known. */
const char *mb_blame_device_name(const struct mb_blame *b, uint64_t bdi);

/* The path of a file, with its mount point where that is known; "": not known. buf of MB_PATH_LEN. */
const char *mb_blame_path(const struct mb_blame *b, const struct mb_file_key *key, char *buf);

/* The victim of this key, made where it is new; NULL: no room, which is counted. */
struct mb_victim *mb_blame_victim(struct mb_blame *b, struct mb_blame_table *m, const struct mb_victim_key *key,
				  const struct mb_process_ref *ref);

/* Lay ns of a victim's time upon a culprit, with its pages in the way; returns the culprit. */
struct mb_culprit *mb_blame_charge(struct mb_victim *v, const struct mb_process_ref *ref, double ns,
				   double pages_ns);

/* Processes of one program (by its name) that are to blame for the same stalls are one culprit. */
struct mb_program {
	struct mb_culprit sum; /* of all; who: the one most to blame */
	const struct mb_culprit *members[MB_BLAME_CULPRITS]; /* most to blame first */
	uint32_t n;
};

/* A victim's culprits by program, most to blame first; out has room for MB_BLAME_CULPRITS. For after mb_blame_sort(). */
uint32_t mb_victim_programs(const struct mb_victim *v, struct mb_program *out);

/* Is the victim alone to blame for its stalls? */
bool mb_victim_is_culprit(const struct mb_victim *v, const struct mb_program *programs, uint32_t n);

/* Sum of a victim's stalls, in ns and in number. */
uint64_t mb_victim_ns(const struct mb_victim *v);

/* The file of which flushers have written most, and so on; "(others)" is last. */
void mb_device_sort(struct mb_device *d);

/* Sort what is shown first to the front: most time lost, most blamed, most pages. */
void mb_blame_sort(struct mb_blame_table *m);

/* Name of what a victim waited for, as JSON has it. */
const char *mb_stall_cause_name(enum mb_stall_cause cause);

#endif
