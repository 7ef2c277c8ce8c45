// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A short list of file systems and their mount points. */
#include "model/mount_points.h"

#include <stdio.h>
#include <string.h>

const struct mb_mount *mb_mount_of(const struct mb_mount_points *m, uint32_t dev)
{
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->list[i].dev == dev)
			return &m->list[i];
	}
	return NULL;
}

void mb_mount_note(struct mb_mount_points *m, uint32_t dev)
{
	if (mb_mount_of(m, dev))
		return;
	if (m->n == MB_MOUNT_POINTS) {
		memmove(m->list, m->list + 1, (MB_MOUNT_POINTS - 1) * sizeof(m->list[0]));
		m->n--;
		m->evicted++;
	}
	m->list[m->n++] = (struct mb_mount){ .dev = dev };
}

void mb_mount_found(struct mb_mount_points *m, uint32_t dev, const char *path)
{
	struct mb_mount *found;

	mb_mount_note(m, dev);
	found = (struct mb_mount *)mb_mount_of(m, dev);
	found->known = 1;
	snprintf(found->path, sizeof(found->path), "%s", path);
}
