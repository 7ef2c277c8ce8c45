// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Memory cgroups by ID and by path, in v1 and v2 hierarchies. */
#include "host/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/longpath.h"
#include "memblame/family.h"

struct entry {
	uint64_t id;
	UT_hash_handle hh;
	char path[];
};

struct mb_cgroups {
	char *root;
	struct entry *by_id; /* least recently seen first */
	unsigned int seen; /* number of cgroups in the last search */
	bool searched; /* a search has been done in this tick */
	bool whole; /* root is the root of the hierarchy, so paths of kernel events apply unchanged */
};

/*
 * Paths of removed cgroups are retained, because the last event of a process may arrive after its
 * cgroup was removed, and the process is shown as long as the model contains it.
 */
#define GONE_MAX 4096u

#define ROOT_ID 1 /* inode number of each hierarchy's root (fs/kernfs) */

/*
 * Finds the mount point of the memory controller's own (v1) hierarchy if there is one, otherwise of
 * the unified (v2) hierarchy.
 */
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

/*
 * Stores a path as the most recently seen one, which is dropped last. An inode number is reused
 * only after its directory is gone, so it replaces the old path.
 */
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

/*
 * A depth-first search. It does not use nftw() or fts, because paths can be longer and deeper than
 * those support.
 */
struct walk {
	struct mb_cgroups *c;
	dev_t dev;
	char *path; /* relative to the root */
	size_t len, room;
};

/* Names of subdirectories, each terminated by NUL. */
struct names {
	char *text;
	size_t len, room;
};

static bool append(char **to, size_t *len, size_t *room, const char *text, size_t n)
{
	if (*len + n + 1 > *room) {
		size_t more = 2 * (*len + n + 1);
		char *p = realloc(*to, more);

		if (!p)
			return false;
		*to = p;
		*room = more;
	}
	memcpy(*to + *len, text, n);
	*len += n;
	(*to)[*len] = '\0';
	return true;
}

/* Stores the subdirectories of fd, whose path is in w, and lists their names. */
static bool list(struct walk *w, int fd, struct names *names)
{
	size_t len = w->len;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	bool ok = d != NULL;

	if (!d && copy >= 0)
		close(copy);
	while (ok && (e = readdir(d))) {
		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		w->c->seen++;
		ok = append(&w->path, &w->len, &w->room, "/", 1) &&
		     append(&w->path, &w->len, &w->room, e->d_name, strlen(e->d_name)) &&
		     remember(w->c, e->d_ino, w->path) &&
		     append(&names->text, &names->len, &names->room, e->d_name, strlen(e->d_name) + 1);
		w->len = len;
	}
	if (d)
		closedir(d);
	return ok;
}

static bool descend(struct walk *w, int fd, int *up);

/*
 * Searches one subdirectory of *fd. Only one directory is open at a time: *fd is closed and
 * reopened by "..".
 */
static bool visit(struct walk *w, int *fd, const char *name)
{
	size_t len = w->len;
	int child = openat(*fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bool ok;

	if (child < 0) /* removed since it was listed */
		return errno == ENOENT;
	if (fstat(child, &st) || st.st_dev != w->dev) {
		close(child);
		return true;
	}
	close(*fd);
	*fd = -1;
	ok = append(&w->path, &w->len, &w->room, "/", 1) &&
	     append(&w->path, &w->len, &w->room, name, strlen(name)) && descend(w, child, fd);
	w->len = len;
	return ok;
}

/* Searches the tree below fd and closes fd. *up: its parent directory, opened again. */
static bool descend(struct walk *w, int fd, int *up)
{
	struct names names = { 0 };
	bool ok = list(w, fd, &names);

	for (size_t at = 0; ok && at < names.len; at += strlen(names.text + at) + 1)
		ok = visit(w, &fd, names.text + at);
	free(names.text);
	if (ok && up) {
		*up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		ok = *up >= 0;
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

/*
 * Searches the whole hierarchy. Returns false if the search is incomplete (no memory, no
 * descriptor).
 */
static bool walk(struct mb_cgroups *c)
{
	struct walk w = { .c = c };
	int fd = open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	bool ok;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) || !append(&w.path, &w.len, &w.room, "", 0)) {
		close(fd);
		return false;
	}
	w.dev = st.st_dev;
	c->seen = 1;
	ok = remember(c, st.st_ino, "/") && descend(&w, fd, NULL);
	free(w.path);
	return ok;
}

static void search(struct mb_cgroups *c)
{
	struct entry *e;

	c->searched = true;
	/* after an incomplete search, a cgroup that was not seen may still exist */
	if (!walk(c))
		return;
	while (HASH_COUNT(c->by_id) > c->seen + GONE_MAX) {
		e = c->by_id; /* the one removed the longest time ago */
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

/*
 * Handles a cgroup whose path is too long for the event: combines the path of its parent, if known,
 * with its name.
 */
static void remember_below(struct mb_cgroups *c, const struct mb_cgroup_event *e)
{
	size_t n = strnlen(e->below.name, sizeof(e->below.name)), len;
	struct entry *parent;
	char *path;

	HASH_FIND(hh, c->by_id, &e->below.parent, sizeof(e->below.parent), parent);
	if (!parent || n == sizeof(e->below.name))
		return;
	len = strlen(parent->path);
	path = malloc(len + n + 2);
	if (!path)
		return;
	memcpy(path, parent->path, len);
	path[len] = '/';
	memcpy(path + len + 1, e->below.name, n + 1);
	remember(c, e->cgroup, path);
	free(path);
}

bool mb_cgroups_take(struct mb_cgroups *c, const void *data, size_t len)
{
	const struct mb_cgroup_event *e = data;

	if (len < sizeof(*e) || e->h.family != MB_FAM_task || e->h.type != MB_TASK_EVENT_CGROUP)
		return false;
	if (!c || !c->whole)
		return true;
	if (!e->path[0])
		remember_below(c, e);
	else if (strnlen(e->path, sizeof(e->path)) < sizeof(e->path))
		remember(c, e->cgroup, e->path);
	return true;
}

void mb_cgroups_tick(struct mb_cgroups *c)
{
	if (!c)
		return;
	c->searched = false;
	/*
	 * some cgroups created since the last search may still exist; only a new search shows which
	 * can be dropped
	 */
	if (HASH_COUNT(c->by_id) > c->seen + 2 * GONE_MAX)
		search(c);
}

void mb_cgroups_each(struct mb_cgroups *c, mb_cgroups_fn fn, void *arg)
{
	struct entry *e, *tmp;

	if (!c)
		return;
	search(c);
	HASH_ITER(hh, c->by_id, e, tmp)
	{
		fn(arg, e->id, e->path);
	}
}

void mb_cgroups_above(const struct mb_cgroups *c, const char *path, mb_cgroups_fn fn, void *arg)
{
	char below[4096], dir[8192];
	struct stat st;
	char *slash;

	if (snprintf(below, sizeof(below), "%s", path) >= (int)sizeof(below))
		return;
	while (below[0] == '/' && below[1]) {
		snprintf(dir, sizeof(dir), "%s%s", c->root, below);
		if (!stat(dir, &st))
			fn(arg, st.st_ino, below);
		slash = strrchr(below, '/');
		*slash = '\0';
	}
}

int mb_cgroups_lookup(struct mb_cgroups *c, const char *name, uint64_t *id, struct mb_err *e)
{
	bool absolute;
	struct stat st;
	int fd;

	if (!c)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "no cgroup hierarchy is mounted");
	absolute = strncmp(name, c->root, strlen(c->root)) == 0;
	fd = mb_long_open(absolute ? NULL : c->root, name, O_PATH);
	if (fd < 0)
		return mb_err_set(e, MB_EXIT_FAILED, -fd, "no memory cgroup '%s' (looked for %s%s%s)", name,
				  absolute ? "" : c->root, absolute || name[0] == '/' ? "" : "/", name);
	if (fstat(fd, &st) || !S_ISDIR(st.st_mode)) {
		close(fd);
		return mb_err_set(e, MB_EXIT_FAILED, ENOTDIR, "'%s' is not a cgroup", name);
	}
	close(fd);
	*id = st.st_ino;
	return 0;
}
