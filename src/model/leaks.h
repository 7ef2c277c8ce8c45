/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What grows: memory outstanding by process and stack, on four levels of depth, each group with its history of
 * which a verdict is made. Plain data; src/leaks.c fills it.
 */
#ifndef MB_MODEL_LEAKS_H
#define MB_MODEL_LEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "memblame/abi.h"
#include "model/trend.h"

/* Groups of all levels; the one that has been empty longest goes first, then what comes is counted as lost. */
#define MB_LEAK_GROUPS 16384u
#define MB_LEAK_STACKS 65536u
#define MB_STACK_FRAMES 128u

enum mb_leak_level {
	MB_LEAK_REGION, /* mapped address space, by who mapped it */
	MB_LEAK_PAGE, /* resident pages, by who touched them first */
	MB_LEAK_ALLOC, /* blocks of an allocator, by who allocated them */
	MB_LEAK_KERNEL, /* objects of the kernel, by call site */
	MB_LEAK_LEVELS,
};

/* Where something was asked for: addresses in one process (or the kernel), innermost first. */
struct mb_leak_stack {
	uint32_t id; /* from 1 on; 0 is no stack */
	uint32_t n;
	bool whole; /* up to the outermost frame */
	UT_hash_handle hh;
	uint64_t key[]; /* whose addresses (mm; 0: the kernel's), then the n addresses */
};

struct mb_leak_key {
	uint64_t start_ns; /* of the process */
	uint32_t tgid;
	uint32_t stack; /* 0: not known, or from before tracing */
	uint32_t level;
	uint32_t what; /* kernel: the cache (mb_leak_kernel_name); else 0 */
};

struct mb_leak_group {
	struct mb_leak_key key;
	char comm[MB_COMM_LEN];
	uint64_t sampled_1_in;
	int64_t bytes, count; /* outstanding, scaled up */
	int64_t least; /* bytes, since the last tick */
	uint64_t total_bytes; /* that ever came, scaled up */
	double variance; /* of bytes, as they are scaled up from samples */
	int64_t first_bytes, second_bytes; /* at the two moments that are compared */
	uint64_t emptied_ns; /* since when it has been empty; 0: it is not */
	struct mb_trend_series series;
	UT_hash_handle hh;
};

struct mb_leaks {
	struct mb_leak_group *groups;
	struct mb_leak_stack *stacks;
	struct mb_leak_stack **stack_by_id;
	uint32_t *free_ids; /* of stacks that were dropped */
	uint32_t n_stacks, n_free_ids; /* ids given out, and those given back */
	uint64_t groups_left_out, stacks_left_out;
	uint64_t tick_ns; /* of the last one */
};

/* NULL: no memory. Free with mb_leaks_free. */
struct mb_leaks *mb_leaks_new(void);
void mb_leaks_free(struct mb_leaks *l);

/* The id of a stack; it is kept. 0: there is no room for more. */
uint32_t mb_leaks_stack(struct mb_leaks *l, uint64_t space, const uint64_t *ips, uint32_t n, bool whole);

/* Drop the stacks of all address spaces that are gone: no group may be left that has one. */
void mb_leaks_drop_stacks(struct mb_leaks *l, bool (*is_there)(void *arg, uint64_t space), void *arg);

/* Are more than half of all ids in use? */
bool mb_leaks_stacks_crowded(const struct mb_leaks *l);

/* The stack of an id, or NULL. */
const struct mb_leak_stack *mb_leaks_stack_of(const struct mb_leaks *l, uint32_t id);

/*
 * Memory has come to a group, or gone from it (bytes, count < 0); scaled up by the caller. variance: that of
 * bytes: a sample of size s that was chosen with probability p stands for s / p bytes, of variance
 * s^2 (1 - p) / p^2 (Horvitz and Thompson); negative where it goes. A group that is new is made; without room for
 * it, it is counted.
 */
void mb_leaks_add(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, uint64_t sampled_1_in,
		  int64_t bytes, int64_t count, double variance);

/* Memory that was there before we looked, exactly so much: the group's history begins with it. */
void mb_leaks_found(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, int64_t bytes, int64_t count);

/* The process has ended, and so has what it had; but not what the kernel keeps for it. */
void mb_leaks_forget(struct mb_leaks *l, uint32_t tgid, uint64_t start_ns);

/* A tick: each group's value goes to its history. */
void mb_leaks_tick(struct mb_leaks *l, uint64_t t_ns);

/* This is the first, or the second, of two moments that are compared. */
void mb_leaks_mark(struct mb_leaks *l, bool second);

/* What a group's history says; see mb_trend_of(). */
void mb_leaks_trend(const struct mb_leak_group *g, struct mb_trend *out);

/* Standard error of a group's bytes, where they are scaled up. */
uint64_t mb_leaks_error(const struct mb_leak_group *g);

#endif
