/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Memory cgroups by ID (inode number) and by path, in v1 and v2 hierarchies. */
#ifndef MB_HOST_CGROUPS_H
#define MB_HOST_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct mb_cgroups;

/*
 * Finds the hierarchy. Returns NULL if there is none: every lookup then fails. The caller owns the
 * result (mb_cgroups_close(), which accepts NULL).
 */
struct mb_cgroups *mb_cgroups_open(void);
void mb_cgroups_close(struct mb_cgroups *c);

/* The mount point of the hierarchy; NULL if c is NULL. */
const char *mb_cgroups_root(const struct mb_cgroups *c);

/*
 * The path, relative to the hierarchy's root ("/" for the root), of the cgroup whose directory has
 * this inode number; NULL if no such cgroup has been seen. Paths of removed cgroups are retained:
 * at least of the 4,096 seen last, at most of twice as many. Owned by c, valid until the next call.
 * c may be NULL.
 */
const char *mb_cgroups_path(struct mb_cgroups *c, uint64_t id);

/* Called for each cgroup with its ID and its path relative to the hierarchy's root. */
typedef void (*mb_cgroups_fn)(void *arg, uint64_t id, const char *path);

/* Searches the hierarchy and calls fn for all known cgroups. c may be NULL. */
void mb_cgroups_each(struct mb_cgroups *c, mb_cgroups_fn fn, void *arg);

/*
 * Calls fn for the cgroup with this path and for its ancestors up to the root; omits those that do
 * not exist any more.
 */
void mb_cgroups_above(const struct mb_cgroups *c, const char *path, mb_cgroups_fn fn, void *arg);

/*
 * Finds the ID of a cgroup named by the user: a path relative to the hierarchy's root ("/a/b",
 * "a/b") or the absolute path of its directory. Returns 0, or -errno with *e set.
 */
int mb_cgroups_lookup(struct mb_cgroups *c, const char *name, uint64_t *id, struct mb_err *e);

/*
 * Handles the event that a cgroup was created, which has its path. The paths reach the model as
 * identities of processes. Returns false for any other event. c may be NULL.
 */
bool mb_cgroups_take(struct mb_cgroups *c, const void *data, size_t len);

/* Begins a new tick: one failing lookup per tick may search the hierarchy again. c may be NULL. */
void mb_cgroups_tick(struct mb_cgroups *c);

#endif
