/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A folder of a unit test that holds files only. */
#ifndef MB_TESTS_SCRATCH_H
#define MB_TESTS_SCRATCH_H

#include <glob.h>
#include <stdio.h>
#include <unistd.h>

/* Removes its files. */
static inline void scratch_empty(const char *dir)
{
	char pattern[128];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*", dir);
	if (!glob(pattern, 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
}

/* Removes it. Returns 0, or -1. */
static inline int scratch_remove(const char *dir)
{
	scratch_empty(dir);
	return rmdir(dir);
}

#endif
