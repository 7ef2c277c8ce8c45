/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Human-readable names and mount points of writeback devices (bdi). Plain data. */
#ifndef MB_MODEL_DEVICE_NAMES_H
#define MB_MODEL_DEVICE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"

#define MB_DEVICES_NAMED 256u /* capacity; the oldest entry is dropped */
#define MB_DEVICE_MOUNTS_LEN 512

struct mb_device_name {
	char bdi[MB_BDI_NAME_LEN]; /* as in /sys/class/bdi */
	/* "vda"; without a block device type and source, "nfs4 host:/export"; "": unknown */
	char device[MB_DEVICE_LEN];
	/*
	 * current or last mount points of the device or its partitions: NUL-terminated strings,
	 * ended by ""
	 */
	char mounts[MB_DEVICE_MOUNTS_LEN];
};

struct mb_device_entry {
	struct mb_device_name name;
	uint32_t dev; /* of a file system on the device; 0: unknown */
	bool looked_for;
};

struct mb_device_names {
	struct mb_device_entry *list; /* in order of arrival; owned */
	uint32_t n;
	uint64_t evicted; /* entries dropped for lack of space */
};

/* Free the list; d itself belongs to the caller. */
void mb_device_names_free(struct mb_device_names *d);

/*
 * Register a device that is in use, so that its name gets looked up. dev: of a file system on it,
 * or 0.
 */
void mb_device_note(struct mb_device_names *d, const char *bdi, uint32_t dev);

/* Store what is currently known of a device. Old mount points are retained after an unmount. */
void mb_device_named(struct mb_device_names *d, const struct mb_device_name *name);

/* The name of a bdi; NULL: not looked up yet. Valid until the next one is added. */
const struct mb_device_name *mb_device_name_of(const struct mb_device_names *d, const char *bdi);

/* Add a mount point. Returns false if there is no space for it. */
bool mb_device_add_mount(struct mb_device_name *d, const char *path);

/* Mount point number i; NULL: no more. */
const char *mb_device_mount(const struct mb_device_name *d, size_t i);

/* Human-readable: "vda (/, /home)", or the bdi if no name is known. Returns buf, of size bytes. */
const char *mb_device_text(const struct mb_device_names *d, const char *bdi, char *buf,
			   size_t size);

/* A line of /proc/self/mountinfo. */
struct mb_mount_line {
	uint32_t dev; /* major << 20 | minor */
	char root[MB_PATH_LEN]; /* directory of the file system that is mounted */
	char path[MB_PATH_LEN]; /* mount point */
	char type[32];
	char source[MB_PATH_LEN];
};

/* Parse a line of mountinfo. Returns false if the line is malformed or a path is too long. */
bool mb_mount_line_parse(const char *line, struct mb_mount_line *m);

/* Set the name of a file system without a block device: its type and source. */
void mb_device_name_mounted(struct mb_device_name *d, const struct mb_mount_line *m);

#endif
