/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The flight history: memory, faults and stalls of each process and cgroup, per tick for the last
 * minutes and in coarse steps for the last hours. It is always on and has a fixed size: one memory
 * area, divided into equal series, each a ring of fine and a ring of coarse points. When all series
 * are in use, the series of the process that ended longest ago is reused.
 */
#ifndef MB_MODEL_HISTORY_H
#define MB_MODEL_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

struct mb_model;
struct mb_process;

struct mb_history_config {
	uint64_t fine_step_ns; /* minimum distance between points */
	uint64_t coarse_step_ns;
	uint32_t fine, coarse; /* points per series */
	size_t bytes; /* of all series together */
};

/* 3 minutes in steps of a second, 3 hours in steps of a minute, for 4,600 processes and cgroups. */
extern const struct mb_history_config mb_history_default;

/*
 * Parse "MINUTES,HOURS,MIB": how far back fine and coarse points reach, and the total memory.
 * Returns 0, or -EINVAL if malformed or out of bounds (1..60, 1..48, 1..4096).
 */
int mb_history_parse(const char *text, struct mb_history_config *c);

/* One step. A point equal to the previous one is omitted: a point is valid until the next one. */
struct mb_point {
	uint64_t t_ns; /* end of the step */
	uint32_t rss_pages[4]; /* at the end of the step: file, anon, swap entries, shmem (enum mm_counter) */
	uint32_t peak_pages; /* peak resident pages within the step, from the kernel's high-water mark */
	uint32_t faults; /* within the step */
	uint32_t stalled_us; /* within the step */
	uint32_t pad;
};

struct mb_series;

/* Sum over the processes of a cgroup and its descendants. "" is the whole machine. */
struct mb_cgroup_history {
	char *path;
	struct mb_series *series;
	uint64_t rss_pages[4], peak_pages, faults, stalled_us; /* of the step that is being accumulated */
	uint64_t seen_tick;
	UT_hash_handle hh;
};

struct mb_history {
	struct mb_history_config config;
	char *series; /* config.bytes of mmapped memory; pages are touched on first use */
	size_t series_size;
	uint32_t n_series, n_touched;
	struct mb_series *unused; /* free list of returned series */
	struct mb_series *ended; /* series of ended processes, longest ago first */
	struct mb_cgroup_history *cgroups;
	unsigned int *stall_slots; /* slots of the stalls' ns in mb_process.values */
	unsigned int n_stall_slots;
	uint64_t first_ns; /* the first step; nothing before it is known */
	uint64_t last_ns; /* the last step */
	uint64_t evicted; /* series of ended processes that were reused */
	uint64_t left_out; /* times that a process got no series */
};

/* Returns NULL if out of memory. Free with mb_history_free, after the model. */
struct mb_history *mb_history_new(const struct mb_history_config *c);
void mb_history_free(struct mb_history *h);

/* Lock memory of the history that is touched from now on. Returns 0 or -errno (not permitted). */
int mb_history_lock(struct mb_history *h);

/*
 * A process leaves the model before the next tick: account its end and its last activity to its
 * cgroups.
 */
void mb_history_end_process(struct mb_model *m, struct mb_process *p);

/* End of a tick at t_ns: add a point for each process and cgroup if a step has passed. */
void mb_history_tick(struct mb_model *m, uint64_t t_ns);

/* Record a process's memory at a time between two steps. Allocates a series if the process has none. */
void mb_history_note(struct mb_model *m, struct mb_process *p, uint64_t t_ns, const uint64_t rss_pages[4]);

/* The process has left the model: return its series. */
void mb_history_forget(struct mb_history *h, struct mb_series *s);

/* Number of points of a series, and point number i, oldest first. s: NULL has none. */
uint32_t mb_series_points(const struct mb_series *s);
const struct mb_point *mb_series_point(const struct mb_series *s, uint32_t i);

/* The point that was valid at t_ns; NULL: the series begins later. */
const struct mb_point *mb_series_at(const struct mb_series *s, uint64_t t_ns);

/*
 * Total pages of a process at *from_ns. If the process was born later: 0, and *from_ns becomes its
 * birth. If its history begins later: the first known value, and *from_ns becomes its time. Without
 * any history: now_pages.
 */
uint64_t mb_series_pages_at(const struct mb_series *s, uint64_t start_ns, uint64_t now_pages, uint64_t *from_ns);

/*
 * Growth of a process in pages over the last minute, or since its birth or the start of its
 * history; *ns: the length of that period.
 */
int64_t mb_history_growth(const struct mb_process *p, uint64_t now_ns, uint64_t *ns);

/* Total pages of a point, including pages in swap. */
uint64_t mb_point_pages(const struct mb_point *p);

/* The history of a cgroup ("" or "/": the machine); NULL: unknown. */
const struct mb_series *mb_history_cgroup(const struct mb_history *h, const char *path);

#endif
