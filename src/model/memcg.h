/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a memory cgroup, or the machine, was charged by kind, in the kernel's own figures, and how that was
 * tick by tick. A conclusion about its growth is held against these: what processes map cannot be added up.
 */
#ifndef MB_MODEL_MEMCG_H
#define MB_MODEL_MEMCG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mb_model;
struct mb_system_state;

/* Kinds do not overlap: with what is unaccounted they add up to the usage. */
enum mb_memcg_kind {
	MB_MEMCG_ANON,
	MB_MEMCG_FILE, /* page cache, less shmem */
	MB_MEMCG_SHMEM, /* tmpfs, memfd, System V, shared anonymous mappings */
	MB_MEMCG_PAGE_TABLES,
	MB_MEMCG_KERNEL_STACK,
	MB_MEMCG_SLAB,
	MB_MEMCG_SOCK,
	MB_MEMCG_HUGETLB,
	MB_MEMCG_KERNEL, /* of the kernel, and none of those above */
	MB_MEMCG_UNACCOUNTED, /* in the usage, and in none of the figures */
	MB_MEMCG_KINDS
};

/* Pages; MB_UNKNOWN: this kernel has no such figure, what it counts is in KERNEL or UNACCOUNTED. */
struct mb_memcg_split {
	uint64_t t_ns; /* not before it was so */
	uint64_t usage_pages;
	uint64_t swap_pages; /* beside the usage */
	uint64_t pages[MB_MEMCG_KINDS];
};

/* A split of one cgroup, as a record. */
/* Without the split, a record says that the cgroup has not changed. */
struct mb_memcg_same_record {
	uint64_t cgroup, t_ns;
};

struct mb_memcg_record {
	uint64_t cgroup;
	struct mb_memcg_split split;
};

/* Bounds: cgroups with a history, and points of one; the cgroup without news for longest gives way. */
#define MB_MEMCG_SERIES 256u
#define MB_MEMCG_POINTS 192u

struct mb_memcg_series;

struct mb_memcgs {
	struct mb_memcg_series *series[MB_MEMCG_SERIES];
	uint32_t n;
	struct mb_memcg_series *machine;
	uint64_t evicted; /* series given to other cgroups */
};

void mb_memcgs_free(struct mb_memcgs *m);

/* All unknown. */
void mb_memcg_init(struct mb_memcg_split *s);

/*
 * Take the kinds from a text with lines "name bytes", as memory.stat (v1 or v2) and the kernel's log of a kill have
 * them; other lines are passed over. usage_pages has to be there before, and for v1 kernel_pages, what the cgroup's
 * kernel memory is (MB_UNKNOWN: not known). False: there is no such line, and nothing has changed.
 */
bool mb_memcg_parse(struct mb_memcg_split *s, const char *text, size_t len, uint64_t kernel_pages);

/* The machine's, from /proc/meminfo; false: it is not known. */
bool mb_memcg_of_machine(struct mb_memcg_split *s, const struct mb_system_state *system);

/* What is in no kind becomes UNACCOUNTED. */
void mb_memcg_add_up(struct mb_memcg_split *s);

/* Take a point of a cgroup (0: the machine). One with nothing new is left out: the last one holds. */
void mb_memcg_note(struct mb_memcgs *m, uint64_t cgroup, const struct mb_memcg_split *s);

/* A cgroup was looked at again at t_ns, and has not changed. */
void mb_memcg_same(struct mb_memcgs *m, uint64_t cgroup, uint64_t t_ns);

/* A tick of the model is over: a point of the machine. */
void mb_memcg_tick(struct mb_model *m, uint64_t t_ns);

/* The history of a cgroup (0: the machine); NULL: there is none. */
const struct mb_memcg_series *mb_memcg_find(const struct mb_memcgs *m, uint64_t cgroup);

/* Its points, oldest first: their number, and the one of index i. s: NULL has none. */
uint32_t mb_memcg_points(const struct mb_memcg_series *s);
void mb_memcg_point(const struct mb_memcg_series *s, uint32_t i, struct mb_memcg_split *out);

/* The split that held at t_ns; false: the history begins later, out is its first point then (none: unknown). */
bool mb_memcg_at(const struct mb_memcg_series *s, uint64_t t_ns, struct mb_memcg_split *out);

/*
 * The split of a cgroup (0: the machine) that held at t_ns; its t_ns becomes the latest moment before before_ns at which
 * somebody looked and it was so. False: the history begins later, out is its first point then (none: unknown).
 */
bool mb_memcg_known(const struct mb_memcgs *m, uint64_t cgroup, uint64_t t_ns, uint64_t before_ns,
		    struct mb_memcg_split *out);

/* "anon" and so on, as in JSON; and in words for a person. */
const char *mb_memcg_kind_name(enum mb_memcg_kind kind);
const char *mb_memcg_kind_words(enum mb_memcg_kind kind);

#endif
