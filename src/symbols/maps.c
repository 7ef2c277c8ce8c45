// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Code mappings of one process. */
#include "symbols/maps.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/live_thread.h"
#include "symbols/open.h"

#define MAX_MAPPINGS (64u << 10)
#define MAX_PAST 256

/*
 * Is the open file the mapped one? Compares the inode only, since on some file systems the device
 * differs from that in maps.
 */
static int checked(int fd, const struct stat *st, const struct mb_mapping *m)
{
	if (fd >= 0 && st->st_ino != m->ino) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * Open by the path as the process sees it, else as memblame sees it: for a process in a chroot,
 * maps contains the latter.
 */
static int open_path(uint32_t pid, const struct mb_mapping *m, struct stat *st)
{
	int fd = -1, root = mb_open_root(pid);

	if (root >= 0) {
		fd = checked(mb_open_in(root, m->path, true, st), st, m);
		close(root);
	}
	if (fd < 0 && (root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		fd = checked(mb_open_in(root, m->path, true, st), st, m);
		close(root);
	}
	return fd;
}

/* The links in map_files refer to the mapped file itself, even if it is deleted, but need a capability. */
static int open_mapped(uint32_t pid, const struct mb_mapping *m, struct stat *st)
{
	char link[96];
	int fd;

	snprintf(link, sizeof(link), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, mb_live_thread(pid), m->start,
		 m->end);
	fd = mb_open_link(link, st);
	if (fd < 0)
		fd = open_path(pid, m, st);
	if (fd < 0) {
		snprintf(link, sizeof(link), "/proc/%u/exe", mb_live_thread(pid));
		fd = checked(mb_open_link(link, st), st, m);
	}
	return fd;
}

static struct mb_mapping *add(struct mb_maps *maps, size_t limit)
{
	if (maps->n == maps->room) {
		size_t room = maps->room ? maps->room * 2 : 32;
		struct mb_mapping *bigger = NULL;

		if (maps->n < limit)
			bigger = realloc(maps->list, room * sizeof(*bigger));
		if (!bigger)
			return NULL;
		maps->list = bigger;
		maps->room = room;
	}
	maps->list[maps->n] = (struct mb_mapping){ 0 };
	return &maps->list[maps->n++];
}

static void strip_deleted(char *path)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(path);

	if (len > sizeof(mark) - 1 && !strcmp(path + len - (sizeof(mark) - 1), mark))
		path[len - (sizeof(mark) - 1)] = '\0';
}

/* Parse one line of maps. Returns false if it is not code, or malformed. */
static bool parse(char *line, struct mb_mapping *m, char **path)
{
	unsigned int major, minor;
	char perms[5];
	int at = 0;

	*m = (struct mb_mapping){ 0 };
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &m->start, &m->end,
		   perms, &m->offset, &major, &minor, &m->ino, &at) < 7 ||
	    !at || strlen(perms) != 4 || perms[2] != 'x' || m->end <= m->start)
		return false;
	if (m->start >> 63) /* [vsyscall] */
		return false;
	m->dev = makedev(major, minor);
	*path = line + at;
	(*path)[strcspn(*path, "\n")] = '\0';
	strip_deleted(*path);
	return true;
}

/* Get the module of a mapping: that of the same mapping in the old list, or open the file. */
static void attach(struct mb_mapping *m, const struct mb_maps *old, struct mb_modules *all, uint32_t pid)
{
	const struct mb_mapping *was = mb_maps_find(old, m->start);
	struct stat st;
	int fd;

	if (was && was->module && was->start == m->start && was->ino == m->ino && was->dev == m->dev &&
	    was->path == m->path) {
		m->module = mb_module_share(was->module);
		return;
	}
	fd = open_mapped(pid, m, &st);
	if (fd >= 0)
		m->module = mb_module_get(all, fd, &st, m->path);
}

static bool read_new(struct mb_maps *maps, const struct mb_maps *old, struct mb_modules *m, uint32_t pid)
{
	char name[64], *line = NULL;
	size_t room = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%u/maps", mb_live_thread(pid));
	f = fopen(name, "re");
	if (!f)
		return false;
	while (getline(&line, &room, f) > 0) {
		struct mb_mapping one, *to;
		char *path;

		if (!parse(line, &one, &path))
			continue;
		/* skip mappings out of order: the kernel lists them sorted, so these are from a later state */
		if (maps->n && one.start < maps->list[maps->n - 1].end)
			continue;
		to = add(maps, MAX_MAPPINGS);
		if (!to)
			break;
		one.path = *path ? mb_strings_keep(mb_modules_strings(m), path) : NULL;
		if (one.path && *path == '/' && one.ino)
			attach(&one, old, m, pid);
		if (!one.module)
			maps->anonymous = true;
		*to = one;
	}
	free(line);
	fclose(f);
	return true;
}

static bool overlaps(const struct mb_maps *maps, size_t n, const struct mb_mapping *m)
{
	size_t low = 0, high = n;

	while (low < high) { /* find the first mapping that ends after its start */
		size_t mid = low + (high - low) / 2;

		if (maps->list[mid].end <= m->start)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && maps->list[low].start < m->end;
}

static int by_start(const void *a, const void *b)
{
	const struct mb_mapping *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Retain old mappings where nothing else is mapped now. */
static void keep_past(struct mb_maps *maps, const struct mb_maps *old)
{
	size_t n = maps->n, past = 0;

	for (size_t i = 0; i < old->n && past < MAX_PAST; i++) {
		const struct mb_mapping *m = &old->list[i];
		struct mb_mapping *to;

		if (!m->module || overlaps(maps, n, m) || !(to = add(maps, MAX_MAPPINGS + MAX_PAST)))
			continue;
		*to = *m;
		to->past = true;
		mb_module_share(to->module);
		past++;
	}
	if (past)
		qsort(maps->list, maps->n, sizeof(*maps->list), by_start);
}

bool mb_maps_read(struct mb_maps *maps, struct mb_modules *m, uint32_t pid)
{
	struct mb_maps fresh = { 0 };

	if (!read_new(&fresh, maps, m, pid))
		return false;
	if (!fresh.n && maps->n) { /* the process has ended and is a zombie: its maps are empty */
		mb_maps_free(&fresh);
		return false;
	}
	keep_past(&fresh, maps);
	mb_maps_free(maps);
	*maps = fresh;
	return true;
}

static struct mb_mapping *insert(struct mb_maps *maps, size_t i, const struct mb_mapping *m)
{
	struct mb_mapping one = *m;

	if (!add(maps, MAX_MAPPINGS + MAX_PAST))
		return NULL;
	memmove(maps->list + i + 1, maps->list + i, (maps->n - 1 - i) * sizeof(*maps->list));
	maps->list[i] = one;
	if (one.module)
		mb_module_share(one.module);
	return &maps->list[i];
}

static size_t first_behind(const struct mb_maps *maps, uint64_t address)
{
	size_t low = 0, high = maps->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (maps->list[mid].end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Cut off the part before start. */
static void move_start(struct mb_mapping *m, uint64_t start)
{
	m->offset += start - m->start;
	m->start = start;
}

void mb_maps_cut(struct mb_maps *maps, uint64_t start, uint64_t end)
{
	size_t i = first_behind(maps, start);

	if (start >= end)
		return;
	while (i < maps->n && maps->list[i].start < end) {
		struct mb_mapping *m = &maps->list[i], rest = *m;

		if (m->end > end) { /* keep the part after end */
			move_start(&rest, end);
			if (m->start >= start) {
				*m = rest;
				return;
			}
			m->end = start;
			insert(maps, i + 1, &rest);
			return;
		}
		if (m->start < start) {
			m->end = start;
			i++;
			continue;
		}
		mb_module_put(m->module);
		memmove(m, m + 1, (maps->n - i - 1) * sizeof(*m));
		maps->n--;
	}
}

void mb_maps_put(struct mb_maps *maps, const struct mb_mapping *m)
{
	if (m->start >= m->end)
		return;
	mb_maps_cut(maps, m->start, m->end);
	insert(maps, first_behind(maps, m->start), m);
}

/* Add the parts of a mapping where nothing is known. */
static void fill_gaps(struct mb_maps *maps, const struct mb_mapping *m)
{
	struct mb_mapping rest = *m, part;

	while (rest.start < rest.end) {
		size_t i = first_behind(maps, rest.start);
		uint64_t next = i < maps->n && maps->list[i].start < rest.end ? maps->list[i].start : rest.end;

		part = rest;
		part.end = next;
		if (part.start < part.end && !insert(maps, i, &part))
			return;
		i = first_behind(maps, next);
		if (next >= rest.end || i >= maps->n)
			return;
		move_start(&rest, maps->list[i].end);
	}
}

bool mb_maps_add(struct mb_maps *maps, struct mb_modules *m, uint32_t pid,
		 bool (*admit)(void *arg, const struct mb_mapping *m), void *arg)
{
	struct mb_maps fresh = { 0 };
	bool is_there = read_new(&fresh, maps, m, pid);

	for (size_t i = 0; i < fresh.n; i++) {
		if (!admit || admit(arg, &fresh.list[i]))
			fill_gaps(maps, &fresh.list[i]);
	}
	maps->anonymous |= fresh.anonymous;
	mb_maps_free(&fresh);
	return is_there;
}

static bool is_file(const struct stat *st, const struct mb_file_id *id)
{
	return st->st_ino == id->ino && (uint64_t)st->st_size == id->bytes &&
	       (uint64_t)st->st_mtim.tv_sec == id->mtime_s && (uint64_t)st->st_mtim.tv_nsec == id->mtime_ns;
}

/*
 * Find and open a file by its inode in the maps of a process, for a file that is mapped under
 * another name or deleted.
 */
static int open_by_number(uint32_t pid, const struct mb_file_id *id, struct stat *st)
{
	char name[64], *line = NULL;
	size_t room = 0;
	int fd = -1;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%u/maps", mb_live_thread(pid));
	f = fopen(name, "re");
	while (f && fd < 0 && getline(&line, &room, f) > 0) {
		struct mb_mapping one;
		char *path;

		if (!parse(line, &one, &path) || one.ino != id->ino)
			continue;
		one.path = path;
		fd = open_mapped(pid, &one, st);
	}
	free(line);
	if (f)
		fclose(f);
	return fd;
}

struct mb_module *mb_maps_open(struct mb_modules *m, uint32_t pid, const char *path, const struct mb_file_id *id)
{
	struct mb_mapping one = { .ino = id->ino, .path = path };
	struct stat st;
	int fd = open_path(pid, &one, &st);

	if (fd >= 0 && !is_file(&st, id)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		fd = open_by_number(pid, id, &st);
	if (fd >= 0 && !is_file(&st, id)) {
		close(fd);
		fd = -1;
	}
	return fd >= 0 ? mb_module_get(m, fd, &st, path) : NULL;
}

void mb_maps_free(struct mb_maps *maps)
{
	for (size_t i = 0; i < maps->n; i++)
		mb_module_put(maps->list[i].module);
	free(maps->list);
	*maps = (struct mb_maps){ 0 };
}

const struct mb_mapping *mb_maps_find(const struct mb_maps *maps, uint64_t address)
{
	size_t low = first_behind(maps, address);

	return low < maps->n && maps->list[low].start <= address ? &maps->list[low] : NULL;
}
