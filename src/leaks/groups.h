/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Groups of outstanding memory by process and stack, on four levels. Each group has a history from
 * which its verdict is made. Plain data; src/leaks/leaks.c fills it.
 */
#ifndef MB_LEAKS_GROUPS_H
#define MB_LEAKS_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "leaks/heap_net.h"
#include "leaks/trend.h"
#include "memblame/abi.h"

/*
 * Maximum number of groups over all levels. When all are in use, the group that has been empty
 * longest is evicted; if none is empty, the new group becomes a rest (struct mb_leak_rest).
 */
#define MB_LEAK_GROUPS 16384u
/* Maximum number of rests (120 bytes each): two for each possible stack. Further ones are counted as lost. */
#define MB_LEAK_RESTS 131072u
#define MB_LEAK_STACKS 65536u
#define MB_STACK_FRAMES 128u

/* The views of memory that are accounted separately; the same memory can be in several of them. */
enum mb_leak_level {
	MB_LEAK_REGION, /* mapped address space, by the stack that mapped it */
	MB_LEAK_PAGE, /* resident pages, by the stack that touched them first */
	MB_LEAK_ALLOC, /* allocator blocks, by the stack that allocated them */
	MB_LEAK_KERNEL, /* kernel objects, by call site */
	MB_LEAK_LEVELS,
};

/* A call stack: addresses in one process or in the kernel, innermost first. */
struct mb_leak_stack {
	uint32_t id; /* starts at 1; 0: no stack */
	uint32_t n;
	bool whole; /* complete up to the outermost frame */
	bool recorded; /* its names were looked up for a recording */
	UT_hash_handle hh;
	const uint64_t *ips; /* the n addresses of the first stack that had this key */
	uint64_t key[]; /* address space (mm; 0: kernel), then n frames (see code.h), then n addresses */
};

/* Identifies a group. No padding, as keys are compared as bytes. */
struct mb_leak_key {
	uint64_t start_ns; /* start time of the process */
	uint32_t tgid;
	uint32_t stack; /* stack id; 0: not known, or from before tracing */
	uint32_t level;
	/* kernel: the cache (mb_leak_kernel_name); region: its kind; page: MB_REGION_SHARED or 0; else 0 */
	uint32_t kind;
};

/* Outstanding memory of one process and stack on one level, and its history. */
struct mb_leak_group {
	struct mb_leak_key key;
	char comm[MB_COMM_LEN];
	bool ended; /* the process has ended: the series gets no more points */
	bool was_rest; /* it was a rest at first: the sizes of its first blocks are not known */
	uint64_t sampled_1_in;
	int64_t bytes; /* outstanding, scaled up from the sample */
	double count; /* outstanding blocks, scaled up; not an integer, since sample weights are not */
	int64_t least; /* lowest value of bytes since the last tick */
	uint64_t total_bytes; /* all bytes ever added, scaled up */
	double variance, count_variance; /* variance of bytes and count, from scaling up samples */
	/* level alloc only: blocks by size class; owned. NULL: none, or out of memory */
	struct mb_heap_known *blocks;
	/* 0 .. 1: share of bytes that is growth of the whole heap; 1 for other levels */
	double share;
	double unknown_variance; /* variance of that share, from freed blocks that belong to no known group */
	int64_t first_bytes, second_bytes; /* at the two points in time that are compared */
	/* it was a view of another group's memory at the later of the two points where it had memory */
	bool is_view;
	struct mb_leak_key view_of; /* key of that group */
	uint64_t emptied_ns; /* time since which the group is empty; 0: not empty */
	struct mb_leak_group *prev, *next; /* in the list of empty groups */
	struct mb_trend_series series;
	uint32_t row; /* index of its row in the view that is being built */
	UT_hash_handle hh;
};

/*
 * What is known of a group for which there was no room. It has no history, but its amounts are
 * correct if it becomes a group later.
 */
struct mb_leak_rest {
	struct mb_leak_key key;
	int64_t bytes;
	double count, variance, count_variance;
	UT_hash_handle hh;
};

/* All groups, rests and stacks of a session. */
struct mb_leaks {
	struct mb_leak_group *groups;
	struct mb_leak_rest *rests;
	struct mb_leak_group *empty; /* list of empty groups, the one that has been empty longest first */
	struct mb_leak_stack *stacks;
	struct mb_leak_stack **stack_by_id;
	uint32_t *free_ids; /* ids of stacks that were dropped */
	uint32_t n_stacks, n_free_ids; /* number of ids assigned, and of ids returned */
	/* two points in time are compared: groups that had memory at one of them are not evicted */
	bool compares;
	uint64_t rests_left_out, stacks_left_out; /* events of rests, and stacks, for which there was no room */
	uint64_t tick_ns; /* time of the last tick */
};

/* Create an empty set of groups. Returns NULL if out of memory. Free with mb_leaks_free(). */
struct mb_leaks *mb_leaks_new(void);
/* Free l and all groups, rests and stacks. */
void mb_leaks_free(struct mb_leaks *l);

/* Get the id of a stack; a new one is stored. space: the mm, or 0 for the kernel. Returns 0 if there is no room. */
uint32_t mb_leaks_stack(struct mb_leaks *l, uint64_t space, const uint64_t *ips, uint32_t n, bool whole);

/* Like mb_leaks_stack(), for frames that differ from the addresses (see code.h). */
uint32_t mb_leaks_stack_by(struct mb_leaks *l, uint64_t space, const uint64_t *frames, const uint64_t *ips, uint32_t n,
			   bool whole);

/* Drop the stacks of all address spaces for which is_there() returns false. No group may still use such a stack. */
void mb_leaks_drop_stacks(struct mb_leaks *l, bool (*is_there)(void *arg, uint64_t space), void *arg);

/* Returns true if more than half of all stack ids are in use. */
bool mb_leaks_stacks_crowded(const struct mb_leaks *l);

/* Look up a stack by id. Returns NULL if there is none. */
const struct mb_leak_stack *mb_leaks_stack_of(const struct mb_leaks *l, uint32_t id);

/*
 * Add memory to a group, or remove it (bytes and count < 0); the caller scales the values up.
 * variance is that of bytes: a sample of size s that was selected with probability p stands for s /
 * p bytes, with variance s^2 (1 - p) / p^2 (Horvitz-Thompson estimator); negative on removal.
 * Creates the group if it is new; if there is no room for it, the values go to a rest. All blocks
 * of one call are assumed to have the same size: the variance of count is that of bytes / s^2.
 */
void mb_leaks_add(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, uint64_t sampled_1_in,
		  int64_t bytes, double count, double variance);

/*
 * Add blocks of one size to a group of level alloc, or remove them (count < 0). Call in addition to
 * mb_leaks_add(). bytes: requested size of one block.
 */
void mb_leaks_add_blocks(struct mb_leaks *l, const struct mb_leak_key *key, double count,
			 uint64_t bytes);

/*
 * Bytes outstanding in rests, scaled up. Returns the level with the largest sum, since several
 * levels describe the same memory.
 */
uint64_t mb_leaks_rest_bytes(const struct mb_leaks *l);

/* Compute g->share and g->unknown_variance of a group from the shares of its process's heap. */
void mb_leaks_set_share(struct mb_leak_group *g, const struct mb_heap_shares *s);

/* Add memory that existed before tracing began; the amount is exact. The group's history starts with it. */
void mb_leaks_found(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, int64_t bytes, int64_t count);

/*
 * The process has ended but its groups are retained: their series get no more points. Kernel
 * objects outlive the process and are not affected.
 */
void mb_leaks_end(struct mb_leaks *l, uint32_t tgid, uint64_t start_ns);

/* The process has ended: remove its groups and rests, except those of kernel objects. */
void mb_leaks_forget(struct mb_leaks *l, uint32_t tgid, uint64_t start_ns);

/* A tick: append each group's value to its history. */
void mb_leaks_tick(struct mb_leaks *l, uint64_t t_ns);

/*
 * Save the bytes of all groups for the first or the second point in time that is compared.
 * Processes that have ended by then have 0.
 */
void mb_leaks_mark(struct mb_leaks *l, bool second);

/*
 * Standard error of a group's series: of its share of bytes, plus the effect of freed blocks that
 * belong to no known group.
 */
uint64_t mb_leaks_series_error(const struct mb_leak_group *g);

/* Evaluate a group's history; see mb_trend_of(). */
void mb_leaks_trend(const struct mb_leak_group *g, struct mb_trend *out);

/* Standard error of a group's bytes; 0 if they are exact. */
uint64_t mb_leaks_error(const struct mb_leak_group *g);

/* Number of outstanding blocks, and its standard error if they are scaled up from a sample. */
uint64_t mb_leaks_count(const struct mb_leak_group *g);
uint64_t mb_leaks_count_error(const struct mb_leak_group *g);

#endif
