/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The flight history: how much memory each process and cgroup had, tick by tick for the last minutes and in
 * coarse steps for the last hours, with its faults and stalls. Always on and of a fixed size: one piece of
 * memory, cut into equal series, each a ring of fine and a ring of coarse points. When all are in
 * use, the process that ended longest ago gives its own.
 */
#ifndef MB_MODEL_HISTORY_H
#define MB_MODEL_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

struct mb_model;
struct mb_process;

struct mb_history_config {
	uint64_t fine_step_ns; /* points are at least this far apart */
	uint64_t coarse_step_ns;
	uint32_t fine, coarse; /* points of a series */
	size_t bytes; /* of all series together */
};

/* 3 minutes by the second, 3 hours by the minute, for 4,600 processes and cgroups. */
extern const struct mb_history_config mb_history_default;

/*
 * "MINUTES,HOURS,MIB" to a configuration: how far back fine and coarse points reach, and the memory for
 * all. Returns 0, or -EINVAL where it is none or out of bounds (1..60, 1..48, 1..4096).
 */
int mb_history_parse(const char *text, struct mb_history_config *c);

/* One step. A point that would equal the one before is left out: it holds until the next. */
struct mb_point {
	uint64_t t_ns; /* the end of the step */
	uint32_t rss_pages[4]; /* at its end: file, anon, swap entries, shmem (enum mm_counter) */
	uint32_t peak_pages; /* most resident within it, by the kernel's own high-water mark */
	uint32_t faults; /* within it */
	uint32_t stalled_us; /* within it */
	uint32_t pad;
};

struct mb_series;

/* A cgroup's sum over its processes, and over those of the cgroups below it. "" is the whole machine. */
struct mb_cgroup_history {
	char *path;
	struct mb_series *series;
	uint64_t rss_pages[4], peak_pages, faults, stalled_us; /* of the step that is being summed up */
	uint64_t seen_tick;
	UT_hash_handle hh;
};

struct mb_history {
	struct mb_history_config config;
	char *series; /* config.bytes of memory, mapped; touched when first used */
	size_t series_size;
	uint32_t n_series, n_touched;
	struct mb_series *unused; /* gone back */
	struct mb_series *ended; /* longest ago first */
	struct mb_cgroup_history *cgroups;
	unsigned int *stall_slots; /* of the stalls' ns, in mb_process.values */
	unsigned int n_stall_slots;
	uint64_t first_ns; /* the first step: what was before is not known */
	uint64_t last_ns; /* the last step */
	uint64_t evicted; /* series of ended processes given to others */
	uint64_t left_out; /* times that a process had to do without one */
};

/* NULL: no memory. Free with mb_history_free, after the model. */
struct mb_history *mb_history_new(const struct mb_history_config *c);
void mb_history_free(struct mb_history *h);

/* What is touched of it from now on stays in memory. Returns 0 or -errno: not permitted. */
int mb_history_lock(struct mb_history *h);

/* A process leaves the model before the next tick: its end, and what it did last, go to its cgroups. */
void mb_history_end_process(struct mb_model *m, struct mb_process *p);

/* A tick of the model is over, at t_ns: take a point of each process and cgroup, if it is time for one. */
void mb_history_tick(struct mb_model *m, uint64_t t_ns);

/* What a process has at a moment between two steps. One without a series gets one. */
void mb_history_note(struct mb_model *m, struct mb_process *p, uint64_t t_ns, const uint64_t rss_pages[4]);

/* The process is gone from the model: its series goes back. */
void mb_history_forget(struct mb_history *h, struct mb_series *s);

/* Points of a series, oldest first: their number, and the one of index i. s: NULL has none. */
uint32_t mb_series_points(const struct mb_series *s);
const struct mb_point *mb_series_point(const struct mb_series *s, uint32_t i);

/* The point that held at t_ns; NULL: the series begins later. */
const struct mb_point *mb_series_at(const struct mb_series *s, uint64_t t_ns);

/*
 * All pages that a process had at *from_ns. Born later: none, and *from_ns becomes its birth. Known only from
 * later on: the first that is known, and *from_ns becomes that time; not known at all: now_pages.
 */
uint64_t mb_series_pages_at(const struct mb_series *s, uint64_t start_ns, uint64_t now_pages, uint64_t *from_ns);

/* What a process has grown by in the last minute, or since its birth or what is known, *ns ago. */
int64_t mb_history_growth(const struct mb_process *p, uint64_t now_ns, uint64_t *ns);

/* All pages of a point, those in swap included. */
uint64_t mb_point_pages(const struct mb_point *p);

/* The history of a cgroup ("" or "/": the machine); NULL: not known. */
const struct mb_series *mb_history_cgroup(const struct mb_history *h, const char *path);

#endif
