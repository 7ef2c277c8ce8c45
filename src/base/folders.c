// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Private directories. */
#include "base/folders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int make(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

int mb_make_folders(const char *path)
{
	char *copy = strdup(path);
	int err = copy ? 0 : -ENOMEM;

	for (char *at = copy ? copy + 1 : NULL; at && *at && !err; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		err = make(copy);
		*at = '/';
	}
	free(copy);
	return err ? err : make(path);
}
