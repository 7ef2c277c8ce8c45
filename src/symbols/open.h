/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Opening files that other users name: only regular files are ever opened for reading (opening a device or
 * a pipe may do something, or wait), and links lead nowhere outside the process's own root.
 */
#ifndef MB_SYMBOLS_OPEN_H
#define MB_SYMBOLS_OPEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* The root directory of a process, to open files in; -1: gone, or not allowed. */
int mb_open_root(uint32_t pid);

/* A regular file below that directory, as the process sees the path. -1: there is none. */
int mb_open_in(int root, const char *path, bool follow, struct stat *st);

/* A regular file that a link in /proc leads to, whatever its path is. -1: there is none. */
int mb_open_link(const char *path, struct stat *st);

/* Read a line such as "Uid:" of /proc/PID/status into a list of numbers; returns how many, at most max. */
unsigned int mb_status_numbers(uint32_t pid, const char *key, uint32_t *numbers, unsigned int max);

/* When a process started, in ticks: tells it from another of the same number. 0: gone. */
uint64_t mb_start_time(uint32_t pid);

#endif
