/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * How much processes and their cgroups may still take, and how soon that is used up. Followed tick by tick is what
 * grows towards each limit: a process's own memory and address space, a cgroup with all that is in it, the machine.
 */
#ifndef MB_LEAKS_LIMITS_H
#define MB_LEAKS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaks/outlook.h"
#include "model/model.h"

/* Cgroups followed at once, those that contain others included. */
#define MB_LEAK_LIMITS_CGROUPS 64u

struct mb_leak_limits;

/* root: where the cgroup hierarchy is mounted, or NULL. NULL: no memory. */
struct mb_leak_limits *mb_leak_limits_open(const char *root);
void mb_leak_limits_close(struct mb_leak_limits *h);

/* A tick: each process that is of interest, between begin and end. What none of them is in is forgotten. */
void mb_leak_limits_begin(struct mb_leak_limits *h, uint64_t t_ns);
void mb_leak_limits_process(struct mb_leak_limits *h, const struct mb_process *m);
void mb_leak_limits_end(struct mb_leak_limits *h, const struct mb_model *m);

/*
 * What lies ahead of a process: of its cgroup and those above it, RLIMIT_AS, RLIMIT_DATA and the machine's memory, the
 * limit that is reached first. Nothing is known of one that was not followed at the last tick. A path in *o is valid until
 * the next tick.
 */
void mb_leak_limits_of(struct mb_leak_limits *h, uint32_t tgid, uint64_t start_ns, struct mb_outlook *o);

/* The cgroup of index i, by path, and what lies ahead of it. False: there are no more. path is valid until the next tick. */
bool mb_leak_limits_cgroup(struct mb_leak_limits *h, size_t i, const char **path, struct mb_outlook *o);

/* Times that a cgroup was not followed for want of room. */
uint64_t mb_leak_limits_left_out(const struct mb_leak_limits *h);

#endif
