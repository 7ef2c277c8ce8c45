/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * How much memory processes and their cgroups may still use, and how soon that is used up. At each
 * tick, this records what grows towards each limit: a process's own memory and address space, a
 * cgroup with all its processes, the whole machine.
 */
#ifndef MB_LEAKS_LIMITS_H
#define MB_LEAKS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaks/outlook.h"
#include "leaks/source.h"
#include "model/model.h"

/* Maximum number of cgroups followed at once, including their ancestors. */
#define MB_LEAK_LIMITS_CGROUPS 64u

struct mb_leak_limits;

/*
 * root: mount point of the cgroup hierarchy, or NULL. source: ingests what is read; in a replay (of a session with
 * has_cgroups) nothing is read, and root does not matter. Returns NULL if out of memory.
 */
struct mb_leak_limits *mb_leak_limits_open(const char *root, struct mb_leak_source *source, bool has_cgroups);
/* Is there a cgroup hierarchy? */
bool mb_leak_limits_has_cgroups(const struct mb_leak_limits *h);
void mb_leak_limits_close(struct mb_leak_limits *h);

/*
 * A tick: call begin, then once for each process of interest, then end. Cgroups that none of these
 * processes is in are dropped.
 */
void mb_leak_limits_begin(struct mb_leak_limits *h, uint64_t t_ns);
void mb_leak_limits_process(struct mb_leak_limits *h, const struct mb_process *m);
/* Between begin and end: follows the cgroup of this path as well, even if no such process is in it. */
void mb_leak_limits_follow(struct mb_leak_limits *h, const char *path);
void mb_leak_limits_end(struct mb_leak_limits *h, const struct mb_model *m);

/*
 * Which limit a process reaches first: of its cgroup and that cgroup's ancestors, RLIMIT_AS,
 * RLIMIT_DATA, and the memory of the machine. Nothing is known about a process that was not passed
 * in at the last tick. A path in *o is valid until the next tick.
 */
void mb_leak_limits_of(struct mb_leak_limits *h, uint32_t tgid, uint64_t start_ns, struct mb_outlook *o);

/*
 * Path and outlook of the cgroup with index i. Returns false if there are no more. path is valid
 * until the next tick.
 */
bool mb_leak_limits_cgroup(struct mb_leak_limits *h, size_t i, const char **path, struct mb_outlook *o);

/* Number of times a cgroup was not followed because the table was full. */
uint64_t mb_leak_limits_left_out(const struct mb_leak_limits *h);

#endif
