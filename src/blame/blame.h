/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The blame table says which process delayed which. The time of a stall on a device is charged to
 * the processes whose pages were dirty on that device at that time, the time of a stall in reclaim
 * to the processes that had allocated the memory. Contains data and arithmetic only, without I/O.
 * docs/families/writeback.md and reclaim.md have the formulas.
 */
#ifndef MB_BLAME_BLAME_H
#define MB_BLAME_BLAME_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "memblame/abi.h"
#include "model/ingest.h"
#include "model/observer.h"

/* Limits. What exceeds them is counted in mb_blame.evicted, or added to the entry "(others)". */
#define MB_BLAME_FILES 4096u /* file names; the oldest is dropped */
#define MB_BLAME_DEVICES 32u
#define MB_BLAME_HISTORY 4096u /* entries per device; the oldest is dropped */
#define MB_BLAME_PENDING 16384u /* stalls per tick */
#define MB_BLAME_VICTIMS 1024u
#define MB_BLAME_CULPRITS 24u /* per victim; the last entry is "(others)" */
#define MB_BLAME_CULPRIT_FILES 6u /* per culprit; the last entry is "(others)" */
#define MB_BLAME_EVICTIONS 2048u
#define MB_BLAME_WRITTEN_FILES 64u /* per device; the last entry is "(others)" */
#define MB_BLAME_TICKS 64u /* number of ticks for which allocations are remembered */

struct mb_file_key {
	uint64_t bdi;
	uint64_t ino; /* 0: files with few pages each, see MB_DIRTY_RUN_FILE */
	uint32_t dev;
	uint32_t pad;
};

struct mb_file {
	struct mb_file_key key;
	char path[MB_FILE_NAMES_LEN]; /* from the root of its file system; "": not known */
	UT_hash_handle hh;
};

/* Pages of a file that a process dirtied in one tick. */
struct mb_dirtied {
	struct mb_process_ref ref;
	struct mb_file_key file;
	uint64_t from_ns, to_ns; /* start and end of the tick */
	uint64_t pages;
};

/*
 * An entry of a short list of files. If the list is full, its last entry is the sum of all other
 * files.
 */
struct mb_file_sum {
	struct mb_file_key file; /* ino 0: several files */
	double sum; /* pages, or pages times the ns of the stalls that they caused */
};

struct mb_device {
	struct mb_bdi_state worst; /* state when the most pages were dirty */
	uint64_t worst_t_ns;
	char name[MB_BDI_NAME_LEN];
	uint64_t bdi;
	uint64_t dirtied_pages, written_pages; /* written: by flushers and sync(2) */
	uint64_t stalls, stalled_ns;
	struct mb_file_sum written[MB_BLAME_WRITTEN_FILES]; /* pages written by flushers and sync(2) */
	uint32_t n_written;
	struct mb_dirtied *history; /* a ring of MB_BLAME_HISTORY entries; allocated */
	uint32_t first, n;
	UT_hash_handle hh;
};

/*
 * What a victim waited for: on a device up to MB_BLAME_FSYNC, in reclaim from MB_BLAME_DIRECT on.
 */
enum mb_stall_cause {
	MB_BLAME_PAUSE,
	MB_BLAME_WAIT,
	MB_BLAME_FSYNC,
	MB_BLAME_DIRECT,
	MB_BLAME_MEMCG,
	MB_BLAME_COMPACTION,
	MB_BLAME_THROTTLE,
	MB_BLAME_HIGH,
	MB_BLAME_ASKED, /* memcg reclaim that the process itself requested; no limit was involved */
	MB_STALL_CAUSES
};

struct mb_culprit {
	struct mb_process_ref ref;
	double ns; /* part of the victim's time */
	double pages_ns; /* its pages that caused the stalls, times the ns of the stalls */
	struct mb_file_sum files[MB_BLAME_CULPRIT_FILES]; /* sums of pages_ns */
	uint32_t n_files;
};

struct mb_victim_key {
	uint64_t start_ns;
	uint64_t bdi; /* 0 for reclaim */
	uint32_t tgid;
	uint32_t cause; /* enum mb_stall_cause for reclaim; 0 on a device, where all causes share one entry */
};

/* Watermarks of the zone with the least free memory in relation to its high watermark. */
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
	struct mb_watermarks marks; /* at the end of the tick of its latest stall */
	struct mb_process_ref woke_kswapd; /* the latest process that woke kswapd; tgid 0: none, or not known */
	char *limit_path; /* owned; cgroup at whose limit it stalled last; NULL: the machine was short, or not known */
	struct mb_cgroup_limits limits; /* of that cgroup, when its usage was highest */
	UT_hash_handle hh;
};

struct mb_eviction_pair {
	struct mb_eviction_key key;
	struct mb_process_ref owner, by;
	uint64_t pages;
	UT_hash_handle hh;
};

/* One blame table: of an interval, or of the whole time. */
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

/* Slots of mb_process.values that contain the reclaim family's numbers of a process. */
struct mb_reclaim_slots {
	unsigned int stall[MB_BLAME_ASKED]; /* used from MB_BLAME_DIRECT on; the slot after each has its ns */
	unsigned int allocated_pages;
	unsigned int kswapd_wakeups;
	unsigned int limit_up; /* as in struct mb_reclaim_ledger */
};

struct mb_blame {
	struct mb_model *model; /* the observed model */
	struct mb_observer observer;
	struct mb_reclaim_slots slots;
	struct mb_file *files;
	struct mb_device *devices;
	struct mb_pending_stall *pending;
	uint32_t n_pending;
	struct mb_dirtied *current; /* pages dirtied in the current tick */
	uint32_t n_current;
	struct mb_blame_table total, interval;
	struct mb_alloc_task *alloc_tasks; /* see reclaim.c */
	struct mb_limited *limited;
	struct mb_process_ref woke_kswapd;
	uint64_t shortage_tick; /* the last tick at whose end memory was not short */
	uint64_t tick_ns; /* end of the last tick */
	uint64_t evicted; /* stalls, pages and names that did not fit */
};

/*
 * Creates a blame table that observes the model and is freed with it. Returns NULL without memory.
 */
struct mb_blame *mb_blame_new(struct mb_model *m);

/* The blame table of a model; NULL: the model has none. */
struct mb_blame *mb_blame_of(const struct mb_model *m);

/* Frees everything in b, but not b. */
void mb_blame_clear(struct mb_blame *b);

/* Clears the interval's blame table; a new interval begins. */
void mb_blame_interval(struct mb_blame *b);

/* Records the name of a file. The event has the names as described at struct mb_file_event. */
void mb_blame_file(struct mb_blame *b, const struct mb_file_event *e);

/*
 * Records pages that were dirtied or written. ref: the process that dirtied them; NULL if it is not
 * traced.
 */
void mb_blame_dirtied(struct mb_blame *b, const struct mb_process_ref *ref, const struct mb_dirtied_event *e);

/*
 * Records a victim's stall on a device. e->h.t_ns is its start. mb_blame_tick() charges it to
 * culprits at the end of the tick.
 */
void mb_blame_stall(struct mb_blame *b, const struct mb_process_ref *victim, const struct mb_writeback_event *e);

/* Records mapped pages of owner that by reclaimed. */
void mb_blame_eviction(struct mb_blame *b, const struct mb_process_ref *owner, const struct mb_process_ref *by,
		       const struct mb_eviction_event *e);

/* Ends the tick at t_ns: charges its stalls on devices to the processes whose pages were dirty. */
void mb_blame_tick(struct mb_blame *b, uint64_t t_ns);

/*
 * reclaim.c: mb_blame_reclaim() ends the tick for reclaim, mb_blame_reclaim_free() frees the state
 * of reclaim.c.
 */
void mb_blame_reclaim(struct mb_blame *b);
void mb_blame_reclaim_free(struct mb_blame *b);

/*
 * Path of the i-th cgroup at whose limit a process stalled in this tick or the last one; NULL:
 * there are no more. Owned by b.
 */
const char *mb_blame_limited(const struct mb_blame *b, size_t i);

/* Records limits and usage of a cgroup from mb_blame_limited(). l is copied. */
void mb_blame_limits(struct mb_blame *b, const char *path, const struct mb_cgroup_limits *l);

/* The limit in bytes that a victim in reclaim had reached; MB_UNKNOWN: not known. */
uint64_t mb_victim_limit_bytes(const struct mb_victim *v);

/*
 * Finds the process with the largest share of the blame for a reclaim stall of process tgid, as
 * known at the end of the last tick. limit_up: as in struct mb_reclaim_ledger. Sets *ref and *share
 * (0 to 1). Returns false if there is none.
 */
bool mb_blame_reclaim_first(struct mb_blame *b, uint32_t tgid, enum mb_stall_cause cause, uint32_t limit_up,
			    struct mb_process_ref *ref, double *share);

/*
 * Finds the process with the largest share of the blame for this stall on a device, as known now.
 * Sets *ref, *share (0 to 1, of all dirty pages) and the file with most of its pages. Returns false
 * if there is none.
 */
bool mb_blame_first(struct mb_blame *b, const struct mb_writeback_event *e, struct mb_process_ref *ref,
		    double *share, struct mb_file_key *file);

/*
 * Adds to the file's entry of a list of at most max entries. If the list is full, adds to its last
 * entry, the sum of all other files.
 */
void mb_file_sum_add(struct mb_file_sum *list, uint32_t *n, uint32_t max, const struct mb_file_key *file, double more);

/* The name of a device as in /sys/class/bdi; NULL: not known. */
const char *mb_blame_device_name(const struct mb_blame *b, uint64_t bdi);

/*
 * Writes the path of a file, including its mount point if known, to buf of MB_PATH_LEN bytes and
 * returns buf; "": not known.
 */
const char *mb_blame_path(const struct mb_blame *b, const struct mb_file_key *key, char *buf);

/*
 * Finds or creates the victim of this key in table m. Returns NULL if the table is full, which is
 * counted.
 */
struct mb_victim *mb_blame_victim(struct mb_blame *b, struct mb_blame_table *m, const struct mb_victim_key *key,
				  const struct mb_process_ref *ref);

/*
 * Charges ns of a victim's time to a culprit, and adds its pages_ns. Returns the culprit's entry,
 * which may be "(others)".
 */
struct mb_culprit *mb_blame_charge(struct mb_victim *v, const struct mb_process_ref *ref, double ns,
				   double pages_ns);

/* A culprit that combines the processes of one program (same comm) to blame for the same stalls. */
#define MB_BLAME_PROGRAMS (MB_BLAME_CULPRITS + 1)

struct mb_program {
	struct mb_culprit sum; /* sum over all members; ref: the member with the largest share */
	const struct mb_culprit *members[MB_BLAME_CULPRITS]; /* largest share first */
	uint32_t n;
};

/*
 * Combines a victim's culprits by program, largest share first. out has room for MB_BLAME_CULPRITS
 * entries. Call mb_blame_sort() first. Returns the number of entries.
 */
uint32_t mb_victim_programs(const struct mb_victim *v, struct mb_program *out);

/*
 * A victim's culprits by program, most to blame first; out has room for MB_BLAME_PROGRAMS. Call after mb_blame_sort().
 * Where some are known and their time is less than the victim's, the last one is "(unknown)" and has the rest: what was
 * short was not known for those stalls (the cgroup's path or whose limit it was), so nobody was charged.
 */
uint32_t mb_victim_programs(const struct mb_victim *v, struct mb_program *out);

/* Is the victim itself the only culprit of its stalls? */
bool mb_victim_is_culprit(const struct mb_victim *v, const struct mb_program *programs, uint32_t n);

/* Sum of a victim's stall times, in ns. */
uint64_t mb_victim_ns(const struct mb_victim *v);

/* Sorts the written files of a device by pages, most first; "(others)" stays last. */
void mb_device_sort(struct mb_device *d);

/*
 * Sorts a table in the order in which it is shown: victims by lost time, culprits by share,
 * evictions by pages.
 */
void mb_blame_sort(struct mb_blame_table *m);

/* The name of a cause as in JSON. */
const char *mb_stall_cause_name(enum mb_stall_cause cause);

#endif
