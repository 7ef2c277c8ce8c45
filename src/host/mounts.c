// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Mount points of file systems and the names of their devices, from /proc/self/mountinfo and
 * /sys/dev/block.
 */
#include "host/mounts.h"

#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Half of the model's entries, because devices that are used but not mounted need entries too. */
#define MOUNTED_MAX (MB_DEVICES_NAMED / 2)
#define MOUNTS_MAX 1024u /* file systems whose mount points are examined */

struct mb_mounts {
	FILE *mountinfo;
	char *line; /* buffer of getline() */
	size_t room;
	bool read; /* has been read at least once */
	struct mb_device_name found[MOUNTED_MAX];
	uint32_t n_found;
	uint32_t seen[MOUNTS_MAX]; /* device numbers of file systems */
	uint32_t n_seen;
};

struct mb_mounts *mb_mounts_open(void)
{
	struct mb_mounts *m = calloc(1, sizeof(*m));

	if (m)
		m->mountinfo = fopen("/proc/self/mountinfo", "re");
	return m;
}

void mb_mounts_close(struct mb_mounts *m)
{
	if (!m)
		return;
	if (m->mountinfo)
		fclose(m->mountinfo);
	free(m->line);
	free(m);
}

static void first_line(struct mb_mounts *m)
{
	if (m->mountinfo)
		rewind(m->mountinfo);
}

/* Reads the next valid line. Returns false if there are no more. */
static bool next_line(struct mb_mounts *m, struct mb_mount_line *l)
{
	while (m->mountinfo && getline(&m->line, &m->room, m->mountinfo) > 0) {
		if (mb_mount_line_parse(m->line, l))
			return true;
	}
	return false;
}

/* ---- devices ---- */

/* Finds the name of a block device as in /dev; "": not a block device. */
static void block_name(uint32_t dev, char *name, size_t size)
{
	char link[64], target[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", dev >> 20, dev & 0xfffff);
	n = readlink(link, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	snprintf(name, size, "%.*s", MB_DEVICE_LEN - 1, n < 0 ? "" : basename(target));
}

/* Returns the disk of a partition, or dev itself. Dirty limits apply per disk. */
static uint32_t disk_of(uint32_t dev)
{
	unsigned int major = dev >> 20, minor = dev & 0xfffff;
	char path[80];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major, minor);
	if (access(path, F_OK))
		return dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major, minor);
	f = fopen(path, "re");
	if (f && fscanf(f, "%u:%u", &major, &minor) == 2)
		dev = major << 20 | minor;
	if (f)
		fclose(f);
	return dev;
}

/* Finds or adds the entry of a disk; NULL: no room. */
static struct mb_device_name *found_disk(struct mb_mounts *m, uint32_t disk)
{
	struct mb_device_name name = { .bdi = "" };

	snprintf(name.bdi, sizeof(name.bdi), "%u:%u", disk >> 20, disk & 0xfffff);
	for (uint32_t i = 0; i < m->n_found; i++) {
		if (!strcmp(m->found[i].bdi, name.bdi))
			return &m->found[i];
	}
	if (m->n_found == MOUNTED_MAX)
		return NULL;
	block_name(disk, name.device, sizeof(name.device));
	m->found[m->n_found] = name;
	return &m->found[m->n_found++];
}

/* Returns true the first time that it sees a file system. */
static bool is_new(struct mb_mounts *m, uint32_t dev)
{
	for (uint32_t i = 0; i < m->n_seen; i++) {
		if (m->seen[i] == dev)
			return false;
	}
	if (m->n_seen == MOUNTS_MAX)
		return false;
	m->seen[m->n_seen++] = dev;
	return true;
}

/*
 * Finds one mount point of each file system. whole: considers only mounts of the file system's
 * root.
 */
static void find_mounted(struct mb_mounts *m, bool whole)
{
	struct mb_mount_line l;

	first_line(m);
	while (next_line(m, &l)) {
		struct mb_device_name *d;

		/* major 0: the file system has no block device */
		if (!(l.dev >> 20) || (whole && strcmp(l.root, "/") != 0) || !is_new(m, l.dev))
			continue;
		d = found_disk(m, disk_of(l.dev));
		if (d)
			mb_device_add_mount(d, l.path);
	}
}

/* Has the mount table changed? The kernel reports each change to a process that polls the file. */
static bool has_changed(struct mb_mounts *m)
{
	struct pollfd p = { .events = POLLPRI };

	if (!m->mountinfo)
		return false;
	p.fd = fileno(m->mountinfo);
	return poll(&p, 1, 0) > 0 && p.revents & (POLLPRI | POLLERR);
}

static void ingest_mounted(struct mb_mounts *m, struct mb_ingest *ingest)
{
	m->n_found = m->n_seen = 0;
	find_mounted(m, true);
	find_mounted(m, false);
	for (uint32_t i = 0; i < m->n_found; i++) {
		const struct mb_device_name *known =
			mb_device_name_of(&ingest->model->devices, m->found[i].bdi);

		if (!known || memcmp(known, &m->found[i], sizeof(*known)) != 0)
			mb_ingest(ingest, MB_INGEST_DEVICE, &m->found[i], sizeof(m->found[i]));
	}
}

/* ---- names that the model asks for ---- */

/*
 * Finds the mount of a file system, preferably that of its root. Returns false if it is not mounted
 * in memblame's mount namespace.
 */
static bool find_mount(struct mb_mounts *m, uint32_t dev, struct mb_mount_line *best)
{
	struct mb_mount_line l;
	bool found = false;

	first_line(m);
	while (next_line(m, &l)) {
		if (l.dev != dev || (found && strcmp(l.root, "/") != 0))
			continue;
		*best = l;
		found = true;
		if (!strcmp(l.root, "/"))
			break;
	}
	return found;
}

/*
 * File names in the model begin at the root of the file system. If only a part of it is mounted,
 * the mount point cannot be combined with them, so it is not passed on.
 */
static void ingest_mount(struct mb_mounts *m, struct mb_ingest *ingest, uint32_t dev)
{
	struct mb_mount mount = { .dev = dev };
	struct mb_mount_line l;

	if (find_mount(m, dev, &l) && !strcmp(l.root, "/"))
		snprintf(mount.path, sizeof(mount.path), "%s", l.path);
	mb_ingest(ingest, MB_INGEST_MOUNT, &mount, sizeof(mount));
}

/*
 * Names a device that is not mounted, or that has no block device of its own: network file systems,
 * file systems on several disks.
 */
static void ingest_device(struct mb_mounts *m, struct mb_ingest *ingest, const struct mb_device_entry *d)
{
	struct mb_device_name name = { .bdi = "" };
	unsigned int major, minor;
	struct mb_mount_line l;

	memcpy(name.bdi, d->name.bdi, sizeof(name.bdi));
	if (sscanf(name.bdi, "%u:%u", &major, &minor) == 2 && major)
		block_name(major << 20 | minor, name.device, sizeof(name.device));
	else if (!d->dev)
		return; /* its file system becomes known with the first file name */
	if (!name.device[0] && d->dev && find_mount(m, d->dev, &l)) {
		mb_device_name_mounted(&name, &l);
		mb_device_add_mount(&name, l.path);
	}
	mb_ingest(ingest, MB_INGEST_DEVICE, &name, sizeof(name));
}

void mb_mounts_ingest(struct mb_mounts *m, struct mb_ingest *ingest)
{
	const struct mb_device_names *devices = &ingest->model->devices;
	const struct mb_mount_points *mounts = &ingest->model->mounts;

	if (has_changed(m) || !m->read)
		ingest_mounted(m, ingest);
	m->read = true;
	for (uint32_t i = 0; i < devices->n; i++) {
		if (!devices->list[i].looked_for)
			ingest_device(m, ingest, &devices->list[i]);
	}
	for (uint32_t i = 0; i < mounts->n; i++) {
		if (!mounts->list[i].known)
			ingest_mount(m, ingest, mounts->list[i].dev);
	}
}
