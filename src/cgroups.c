// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Memory cgroups by number and by path, on v1 and v2 hierarchies. */
#include "cgroups.h"

#include <errno.h>
#include <ftw.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>

#include "memblame/family.h"

struct entry {
	uint64_t id;
	UT_hash_handle hh;
	char path[];
};

struct mb_cgroups {
	char *root;
	struct entry *by_id; /* in the order in which they were seen last */
	unsigned int seen; /* in this search */
	bool searched; /* in this tick */
	bool whole; /* root is that of the hierarchy, so that the kernel's paths are ours */
};

/*
 * What is remembered of cgroups that are gone: the last word of a process can come after its cgroup was removed,
 * and what it did is told for as long as it is in the model.
 */
#define GONE_MAX 4096u

#define ROOT_ID 1 /* of each hierarchy's root (fs/kernfs) */

/* The memory controller's own (v1) hierarchy where there is one, else the unified (v2) one. */
static char *find_root(void)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	char *root = NULL;

	while (f && (m = getmntent(f))) {
		bool v1 = strcmp(m->mnt_type, "cgroup") == 0 && hasmntopt(m, "memory");
		bool v2 = strcmp(m->mnt_type, "cgroup2") == 0;

		if (!v1 && !(v2 && !root))
			continue;
		free(root);
		root = strdup(m->mnt_dir);
		if (v1)
			break;
	}
	if (f)
		endmntent(f);
	return root;
}

struct mb_cgroups *mb_cgroups_open(void)
{
	struct mb_cgroups *c = calloc(1, sizeof(*c));
	struct stat st;

	if (!c)
		return NULL;
	c->root = find_root();
	if (!c->root) {
		free(c);
		return NULL;
	}
	c->whole = !stat(c->root, &st) && st.st_ino == ROOT_ID;
	return c;
}

const char *mb_cgroups_root(const struct mb_cgroups *c)
{
	return c ? c->root : NULL;
}

static void forget(struct mb_cgroups *c)
{
	struct entry *e, *tmp;

	HASH_ITER(hh, c->by_id, e, tmp)
	{
		HASH_DEL(c->by_id, e);
		free(e);
	}
}

void mb_cgroups_close(struct mb_cgroups *c)
{
	if (!c)
		return;
	forget(c);
	free(c->root);
	free(c);
}

/* The latest seen is the last to be forgotten. A number is used again only after its directory is gone. */
static bool remember(struct mb_cgroups *c, uint64_t id, const char *path)
{
	struct entry *e;

	HASH_FIND(hh, c->by_id, &id, sizeof(id), e);
	if (e) {
		HASH_DEL(c->by_id, e);
		free(e);
	}
	e = malloc(sizeof(*e) + strlen(path) + 1);
	if (!e)
		return false;
	e->id = id;
	strcpy(e->path, path);
	HASH_ADD(hh, c->by_id, id, sizeof(e->id), e);
	return true;
}

/* nftw has no argument for its callback */
static struct mb_cgroups *walking;

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *below = path + strlen(walking->root);

	(void)ftw;
	if (type != FTW_D)
		return 0;
	walking->seen++;
	return !remember(walking, st->st_ino, *below ? below : "/");
}

static void search(struct mb_cgroups *c)
{
	struct entry *e;

	c->searched = true;
	c->seen = 0;
	walking = c;
	/* cut short (no memory, no descriptor), it has not seen what is there: then nothing is gone for sure */
	if (nftw(c->root, on_entry, 16, FTW_PHYS | FTW_MOUNT))
		return;
	while (HASH_COUNT(c->by_id) > c->seen + GONE_MAX) {
		e = c->by_id; /* gone longest */
		HASH_DEL(c->by_id, e);
		free(e);
	}
}

const char *mb_cgroups_path(struct mb_cgroups *c, uint64_t id)
{
	struct entry *e;

	if (!c || !id)
		return NULL;
	HASH_FIND(hh, c->by_id, &id, sizeof(id), e);
	if (!e && !c->searched) {
		search(c);
		HASH_FIND(hh, c->by_id, &id, sizeof(id), e);
	}
	return e ? e->path : NULL;
}

bool mb_cgroups_take(struct mb_cgroups *c, const void *data, size_t len)
{
	const struct mb_cgroup_event *e = data;

	if (len < sizeof(*e) || e->h.family != MB_FAM_task || e->h.type != MB_TASK_EVENT_CGROUP)
		return false;
	/* a path that is cut would be another's */
	if (c && c->whole && strnlen(e->path, sizeof(e->path)) < sizeof(e->path) - 1)
		remember(c, e->cgroup, e->path);
	return true;
}

void mb_cgroups_tick(struct mb_cgroups *c)
{
	if (!c)
		return;
	c->searched = false;
	/* of those made since the last search, some may be there, so only another one tells what can go */
	if (HASH_COUNT(c->by_id) > c->seen + 2 * GONE_MAX)
		search(c);
}

int mb_cgroups_lookup(struct mb_cgroups *c, const char *name, uint64_t *id, struct mb_err *e)
{
	char path[4096];
	struct stat st;

	if (!c)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "no cgroup hierarchy is mounted");
	if (strncmp(name, c->root, strlen(c->root)) == 0)
		snprintf(path, sizeof(path), "%s", name);
	else
		snprintf(path, sizeof(path), "%s/%s", c->root, name + (name[0] == '/'));
	if (stat(path, &st))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "no memory cgroup '%s' (looked for %s)",
				  name, path);
	if (!S_ISDIR(st.st_mode))
		return mb_err_set(e, MB_EXIT_FAILED, ENOTDIR, "'%s' is not a cgroup", path);
	*id = st.st_ino;
	return 0;
}
