/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What grows: memory outstanding by process and stack, on four levels of depth, each group with its history of
 * which a verdict is made. Plain data; src/leaks/leaks.c fills it.
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

/* Groups of all levels. Where there is no more room the one that has been empty longest goes; else what comes is a rest. */
#define MB_LEAK_GROUPS 16384u
/* Rests, of 120 bytes: two for each stack that there can be. More are counted as lost. */
#define MB_LEAK_RESTS 131072u
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
	const uint64_t *ips; /* the n addresses, of the first that had this key */
	uint64_t key[]; /* whose frames (mm; 0: the kernel's), then the n of them (code.h), then the addresses */
};

struct mb_leak_key {
	uint64_t start_ns; /* of the process */
	uint32_t tgid;
	uint32_t stack; /* 0: not known, or from before tracing */
	uint32_t level;
	uint32_t kind; /* kernel: the cache (mb_leak_kernel_name); region: its kind; page: MB_REGION_SHARED or 0; else 0 */
};

struct mb_leak_group {
	struct mb_leak_key key;
	char comm[MB_COMM_LEN];
	bool ended; /* its process has: the series goes no further */
	bool was_rest; /* of its first blocks it is not known how large they were */
	uint64_t sampled_1_in;
	int64_t bytes; /* outstanding, scaled up */
	double count; /* the same of blocks: weights of samples are no whole numbers */
	int64_t least; /* bytes, since the last tick */
	uint64_t total_bytes; /* that ever came, scaled up */
	double variance, count_variance; /* of both, as they are scaled up from samples */
	struct mb_heap_known *blocks; /* alloc: by size; owned. NULL: none, or no memory */
	double share; /* 0 .. 1: of bytes, what the growth of the whole heap leaves of them; 1 elsewhere */
	double unknown_variance; /* of that, for blocks freed that are of no known group */
	int64_t first_bytes, second_bytes; /* at the two moments that are compared */
	bool is_view; /* it was one of another group's memory at the later of these at which it had any */
	struct mb_leak_key view_of; /* that group */
	uint64_t emptied_ns; /* since when it has been empty; 0: it is not */
	struct mb_leak_group *prev, *next; /* among those that are empty */
	struct mb_trend_series series;
	uint32_t row; /* of the view that is being made */
	UT_hash_handle hh;
};

/* What a group has for which there is no room: it has no history, but is right when it gets one. */
struct mb_leak_rest {
	struct mb_leak_key key;
	int64_t bytes;
	double count, variance, count_variance;
	UT_hash_handle hh;
};

struct mb_leaks {
	struct mb_leak_group *groups;
	struct mb_leak_rest *rests;
	struct mb_leak_group *empty; /* the one that has been so longest first */
	struct mb_leak_stack *stacks;
	struct mb_leak_stack **stack_by_id;
	uint32_t *free_ids; /* of stacks that were dropped */
	uint32_t n_stacks, n_free_ids; /* ids given out, and those given back */
	bool compares; /* two moments: what was there at one of them stays */
	uint64_t rests_left_out, stacks_left_out; /* events of the one, stacks */
	uint64_t tick_ns; /* of the last one */
};

/* NULL: no memory. Free with mb_leaks_free. */
struct mb_leaks *mb_leaks_new(void);
void mb_leaks_free(struct mb_leaks *l);

/* The id of a stack; it is kept. 0: there is no room for more. */
uint32_t mb_leaks_stack(struct mb_leaks *l, uint64_t space, const uint64_t *ips, uint32_t n, bool whole);

/* The same, of frames that are not the addresses themselves. */
uint32_t mb_leaks_stack_by(struct mb_leaks *l, uint64_t space, const uint64_t *frames, const uint64_t *ips, uint32_t n,
			   bool whole);

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
 * it, this is added to a rest. The blocks of one call are taken to be of one size: the variance of count is that of
 * bytes / s^2.
 */
void mb_leaks_add(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, uint64_t sampled_1_in,
		  int64_t bytes, double count, double variance);

/* Blocks of a size have come to a group of level alloc, or gone; beside mb_leaks_add(). bytes: of one, as asked for. */
void mb_leaks_add_blocks(struct mb_leaks *l, const struct mb_leak_key *key, double count,
			 uint64_t bytes);

/* What all rests of a level have outstanding, scaled up: of that which has most, as several are of the same memory. */
uint64_t mb_leaks_rest_bytes(const struct mb_leaks *l);

/* What the shares of its process's heap leave of a group: g->share. */
void mb_leaks_set_share(struct mb_leak_group *g, const struct mb_heap_shares *s);

/* Memory that was there before we looked, exactly so much: the group's history begins with it. */
void mb_leaks_found(struct mb_leaks *l, const struct mb_leak_key *key, const char *comm, int64_t bytes, int64_t count);

/* The process has ended, but its groups stay: their series get no more points. Not those of kernel objects, which outlive it. */
void mb_leaks_end(struct mb_leaks *l, uint32_t tgid, uint64_t start_ns);

/* The process has ended, and so has what it had; but not what the kernel keeps for it. */
void mb_leaks_forget(struct mb_leaks *l, uint32_t tgid, uint64_t start_ns);

/* A tick: each group's value goes to its history. */
void mb_leaks_tick(struct mb_leaks *l, uint64_t t_ns);

/* This is the first, or the second, of two moments that are compared. Who has ended by then has nothing. */
void mb_leaks_mark(struct mb_leaks *l, bool second);

/* Standard error of a group's history: of its share of bytes, and for blocks freed that are of no known group. */
uint64_t mb_leaks_series_error(const struct mb_leak_group *g);

/* What a group's history says; see mb_trend_of(). */
void mb_leaks_trend(const struct mb_leak_group *g, struct mb_trend *out);

/* Standard error of a group's bytes, where they are scaled up. */
uint64_t mb_leaks_error(const struct mb_leak_group *g);

/* How many blocks it has outstanding, and the standard error of that where they are scaled up. */
uint64_t mb_leaks_count(const struct mb_leak_group *g);
uint64_t mb_leaks_count_error(const struct mb_leak_group *g);

#endif
