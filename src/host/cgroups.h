/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Memory cgroups by number and by path, on v1 and v2 hierarchies. */
#ifndef MB_HOST_CGROUPS_H
#define MB_HOST_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct mb_cgroups;

/* Find the hierarchy. NULL where there is none: every look-up then fails. */
struct mb_cgroups *mb_cgroups_open(void);
void mb_cgroups_close(struct mb_cgroups *c);

/* Where the hierarchy is mounted; c NULL: NULL. */
const char *mb_cgroups_root(const struct mb_cgroups *c);

/*
 * Path below the hierarchy's root ("/" for the root) of the cgroup with this directory inode
 * number; NULL if none has been seen. Paths of cgroups that are gone are kept: at least those of the 4,096 that
 * were seen last, at most of twice as many. Owned by c, valid until the next call.
 */
const char *mb_cgroups_path(struct mb_cgroups *c, uint64_t id);

/* Called for each cgroup with its number and its path below the hierarchy's root. */
typedef void (*mb_cgroups_fn)(void *arg, uint64_t id, const char *path);

/* Search the hierarchy, and call fn for all cgroups that there are. c may be NULL. */
void mb_cgroups_each(struct mb_cgroups *c, mb_cgroups_fn fn, void *arg);

/* Call fn for the cgroup with that path and for all above it, up to the root; those that are gone are left out. */
void mb_cgroups_above(const struct mb_cgroups *c, const char *path, mb_cgroups_fn fn, void *arg);

/*
 * Number of the cgroup the user named: a path below the hierarchy's root ("/a/b", "a/b") or an
 * absolute path of its directory. Returns 0 or -errno with *e set.
 */
int mb_cgroups_lookup(struct mb_cgroups *c, const char *name, uint64_t *id, struct mb_err *e);

/*
 * Take an event that is of use here: that a cgroup was made, and its path. What comes of it is fed to the model
 * as identities. Returns false for others.
 */
bool mb_cgroups_take(struct mb_cgroups *c, const void *data, size_t len);

/* A new tick: a look-up that fails may search the hierarchy once more. */
void mb_cgroups_tick(struct mb_cgroups *c);

#endif
