/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What people call a device of writeback (a bdi), and where it is mounted. Plain data. */
#ifndef MB_MODEL_DEVICE_NAMES_H
#define MB_MODEL_DEVICE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"

#define MB_DEVICES_NAMED 256u /* the oldest goes */
#define MB_DEVICE_MOUNTS_LEN 512

struct mb_device_name {
	char bdi[MB_BDI_NAME_LEN]; /* as in /sys/class/bdi */
	char device[MB_DEVICE_LEN]; /* "vda"; without a block device type and source, "nfs4 host:/export"; "": not known */
	/* where it, or partitions of it, are mounted or were last: NUL-terminated, one after the other, "" ends them */
	char mounts[MB_DEVICE_MOUNTS_LEN];
};

struct mb_device_entry {
	struct mb_device_name name;
	uint32_t dev; /* of a file system on it; 0: not known */
	bool looked_for;
};

struct mb_device_names {
	struct mb_device_entry *list; /* in the order in which they came; owned */
	uint32_t n;
	uint64_t evicted; /* for want of room */
};

void mb_device_names_free(struct mb_device_names *d);

/* A device is in use: somebody should look for its name. dev: of a file system on it, or 0. */
void mb_device_note(struct mb_device_names *d, const char *bdi, uint32_t dev);

/* What is known of a device now. Where it was mounted stays when it is not mounted any more. */
void mb_device_named(struct mb_device_names *d, const struct mb_device_name *name);

/* The name of a bdi; NULL: it has not been looked for. Valid until the next is added. */
const struct mb_device_name *mb_device_name_of(const struct mb_device_names *d, const char *bdi);

/* Add a mount point. False: there is no room for it. */
bool mb_device_add_mount(struct mb_device_name *d, const char *path);

/* The mount point of index i; NULL: there are no more. */
const char *mb_device_mount(const struct mb_device_name *d, size_t i);

/* For people: "vda (/, /home)", or the bdi where no name is known. Returns buf, of size bytes. */
const char *mb_device_text(const struct mb_device_names *d, const char *bdi, char *buf,
			   size_t size);

/* A line of /proc/self/mountinfo. */
struct mb_mount_line {
	uint32_t dev; /* major << 20 | minor */
	char root[MB_PATH_LEN]; /* which folder of the file system is mounted */
	char path[MB_PATH_LEN]; /* where */
	char type[32];
	char source[MB_PATH_LEN];
};

/* False: the line is none of that file, or has a path that is too long. */
bool mb_mount_line_parse(const char *line, struct mb_mount_line *m);

/* The name of a file system that has no block device: its type and its source. */
void mb_device_name_mounted(struct mb_device_name *d, const struct mb_mount_line *m);

#endif
