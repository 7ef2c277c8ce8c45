/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Names of code generated at run time, from the perf map that run times write: /tmp/perf-PID.map,
 * with a line "START SIZE NAME" for each function, numbers in hexadecimal. Anyone could create that
 * file, so it is used only if it is a regular file owned by the process's user or by root, and at
 * most as many bytes are read as the caller allows (mb_jit_allow()).
 *
 * JIT code reuses addresses of older code. The file records the order of functions but no times:
 * mb_jit_look() records the size of the file at a point in time, and mb_jit_at() reads up to the
 * size it had by then. Replaced functions are dropped, so memory use is bounded by the code that
 * currently exists.
 */
#ifndef MB_SYMBOLS_JIT_H
#define MB_SYMBOLS_JIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MB_JIT_LEVELS 24u
#define MB_JIT_SAMPLES 64u

/* Maximum number of functions per process known at once, and of bytes of their names: 16 and 32 MiB. */
#define MB_JIT_FUNCTIONS (1u << 20)
#define MB_JIT_NAMES (32u << 20)

/* Functions sorted by address; they do not overlap. */
struct mb_jit_list {
	struct mb_jit_function *list;
	size_t n;
};

/* The perf map of one process. */
struct mb_jit {
	int fd; /* -1: not open */
	uint64_t read; /* bytes read so far, in whole lines */
	uint64_t size; /* file size at the last look */
	uint64_t allowed; /* bytes that may still be read */
	struct mb_jit_list levels[MB_JIT_LEVELS]; /* a later list is newer and shorter */
	size_t n_levels, n_functions;
	struct mb_jit_list batch; /* functions written between two looks */
	uint64_t batch_ns; /* time of the second look */
	struct {
		uint64_t t_ns, size;
	} samples[MB_JIT_SAMPLES]; /* looks up to which the file has not been read yet */
	size_t n_samples;
	char *names;
	size_t names_len, names_room, names_live;
	bool full; /* no room for more functions or names */
};

/* Initialise j, with no file open. */
void mb_jit_init(struct mb_jit *j);
/* Close the file and free everything j owns. */
void mb_jit_free(struct mb_jit *j);

/*
 * Open the perf map of a process if it is not open yet; it stays readable after the process is
 * gone. Returns true if it is open.
 */
bool mb_jit_open(struct mb_jit *j, uint32_t pid);

/* Set the number of bytes that may be read from now on. */
void mb_jit_allow(struct mb_jit *j, uint64_t bytes);

/*
 * Record the file size as of now_ns. A file that has become shorter was rewritten and is read again
 * from its beginning. Does not read the file.
 */
void mb_jit_look(struct mb_jit *j, uint64_t now_ns);

/* Read on, as far as allowed, until the names as of t_ns are known. t_ns must never go back. */
void mb_jit_at(struct mb_jit *j, uint64_t t_ns);

/*
 * Name of the function at an address as of the last mb_jit_at(). Returns NULL if not known. If one
 * function replaced another between the two looks around that time, it can be either: *other is
 * then the older name ("" if not known), else NULL. Both strings are valid until the next call of a
 * function of this file.
 */
const char *mb_jit_find(const struct mb_jit *j, uint64_t address, const char **other);

/* Time of the oldest look up to which the file has not been read completely; 0: everything is read. */
uint64_t mb_jit_behind(const struct mb_jit *j);

/* Number of bytes of the file that have not been read. */
uint64_t mb_jit_unread(const struct mb_jit *j);

#endif
