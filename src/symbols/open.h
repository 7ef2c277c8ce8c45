/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Opens files whose paths other users control. Only regular files are opened for reading, since
 * opening a device or a pipe can have side effects or block, and symbolic links cannot lead outside
 * the process's own root.
 */
#ifndef MB_SYMBOLS_OPEN_H
#define MB_SYMBOLS_OPEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Open the root directory of a process. Returns -1 if the process is gone or access is denied. */
int mb_open_root(uint32_t pid);

/*
 * Open a regular file below root, with a path as the process sees it, and fill in *st. follow:
 * follow a symbolic link at the end of the path. Returns -1 if there is no such file.
 */
int mb_open_in(int root, const char *path, bool follow, struct stat *st);

/* Open the regular file that a link in /proc points to, whatever its path. Returns -1 if there is none. */
int mb_open_link(const char *path, struct stat *st);

/* Read the numbers of a line such as "Uid:" from /proc/PID/status. Returns how many were read, at most max. */
unsigned int mb_status_numbers(uint32_t pid, const char *key, uint32_t *numbers, unsigned int max);

/*
 * Start time of a process in clock ticks; distinguishes it from another process with the same pid.
 * 0: the process is gone.
 */
uint64_t mb_start_time(uint32_t pid);

#endif
