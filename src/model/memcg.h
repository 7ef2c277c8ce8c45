/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Charges of a memory cgroup, or of the machine, by kind: the kernel's own counters, and their
 * history tick by tick. Conclusions about growth are checked against these counters, because the
 * mapped memory of processes cannot be added up (shared pages).
 */
#ifndef MB_MODEL_MEMCG_H
#define MB_MODEL_MEMCG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mb_model;
struct mb_system_state;

/* Kinds do not overlap. Including UNACCOUNTED they add up to the usage. */
enum mb_memcg_kind {
	MB_MEMCG_ANON,
	MB_MEMCG_FILE, /* page cache without shmem */
	MB_MEMCG_SHMEM, /* tmpfs, memfd, System V, shared anonymous mappings */
	MB_MEMCG_PAGE_TABLES,
	MB_MEMCG_KERNEL_STACK,
	MB_MEMCG_SLAB,
	MB_MEMCG_SOCK,
	MB_MEMCG_HUGETLB,
	MB_MEMCG_KERNEL, /* kernel memory that is in no other kind */
	MB_MEMCG_UNACCOUNTED, /* part of the usage that is in none of the counters */
	MB_MEMCG_KINDS
};

/* Pages; MB_UNKNOWN: this kernel has no such counter, its charges are in KERNEL or UNACCOUNTED. */
struct mb_memcg_split {
	uint64_t t_ns; /* time at or after which the values were read */
	uint64_t usage_pages;
	uint64_t swap_pages; /* in addition to the usage */
	uint64_t pages[MB_MEMCG_KINDS];
};

/* Record: the cgroup was read, and has not changed since its last split. */
struct mb_memcg_same_record {
	uint64_t cgroup, t_ns;
};

/* Record: a split of one cgroup. */
struct mb_memcg_record {
	uint64_t cgroup;
	struct mb_memcg_split split;
};

/*
 * Bounds: cgroups with a history, and points per cgroup. The cgroup that was updated least recently
 * is replaced.
 */
#define MB_MEMCG_SERIES 256u
#define MB_MEMCG_POINTS 192u

struct mb_memcg_series;

struct mb_memcgs {
	struct mb_memcg_series *series[MB_MEMCG_SERIES];
	uint32_t n;
	struct mb_memcg_series *machine;
	uint64_t evicted; /* series reassigned to other cgroups */
};

/* Free all series; m itself belongs to the caller. */
void mb_memcgs_free(struct mb_memcgs *m);

/* Set all values to MB_UNKNOWN. */
void mb_memcg_init(struct mb_memcg_split *s);

/*
 * Parse the kinds from text with lines "name bytes", as in memory.stat (v1 or v2) and in the kernel
 * log of an OOM kill; other lines are ignored. Set usage_pages before the call. kernel_pages is for
 * v1: the cgroup's kernel memory (MB_UNKNOWN: unknown). Returns false if no line matches; then *s
 * is unchanged.
 */
bool mb_memcg_parse(struct mb_memcg_split *s, const char *text, size_t len, uint64_t kernel_pages);

/* The machine's split, from /proc/meminfo. Returns false if unknown. */
bool mb_memcg_of_machine(struct mb_memcg_split *s, const struct mb_system_state *system);

/* Compute UNACCOUNTED: the part of the usage that is in no kind. */
void mb_memcg_add_up(struct mb_memcg_split *s);

/*
 * Add a point for a cgroup (0: the machine). A point without changes is omitted: the last one stays
 * valid.
 */
void mb_memcg_note(struct mb_memcgs *m, uint64_t cgroup, const struct mb_memcg_split *s);

/* The cgroup was read again at t_ns and has not changed. */
void mb_memcg_same(struct mb_memcgs *m, uint64_t cgroup, uint64_t t_ns);

/* End of a tick: add a point for the machine. */
void mb_memcg_tick(struct mb_model *m, uint64_t t_ns);

/* The history of a cgroup (0: the machine); NULL: none. */
const struct mb_memcg_series *mb_memcg_find(const struct mb_memcgs *m, uint64_t cgroup);

/* Number of points of a series, and point number i, oldest first. s: NULL has none. */
uint32_t mb_memcg_points(const struct mb_memcg_series *s);
void mb_memcg_point(const struct mb_memcg_series *s, uint32_t i, struct mb_memcg_split *out);

/*
 * The split that was valid at t_ns. Returns false if the history begins later; then *out is the
 * first point (no points: unknown).
 */
bool mb_memcg_at(const struct mb_memcg_series *s, uint64_t t_ns, struct mb_memcg_split *out);

/*
 * The split of a cgroup (0: the machine) that was valid at t_ns. out->t_ns becomes the latest time
 * before before_ns at which a reading confirmed the split. Returns false if the history begins
 * later; then *out is the first point (no points: unknown).
 */
bool mb_memcg_known(const struct mb_memcgs *m, uint64_t cgroup, uint64_t t_ns, uint64_t before_ns,
		    struct mb_memcg_split *out);

/* Name of a kind as in JSON ("anon" etc.), and as text for a person. */
const char *mb_memcg_kind_name(enum mb_memcg_kind kind);
const char *mb_memcg_kind_words(enum mb_memcg_kind kind);

#endif
