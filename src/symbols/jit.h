/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Names of code made at run time, from the file that run times write for perf: /tmp/perf-PID.map, with a line
 * "START SIZE NAME" in hexadecimal for each function. Anyone may put such a file there: only a regular file of
 * the process's owner or of root counts, and it is read in portions that the caller allows (mb_jit_allow).
 *
 * Code is made where other code was. The file says in which order, not when: mb_jit_look() notes how long the file
 * was at a time, and mb_jit_at() goes on to what had been written by then. Of what has been replaced nothing is kept,
 * so memory is bounded by the code that is there.
 */
#ifndef MB_SYMBOLS_JIT_H
#define MB_SYMBOLS_JIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MB_JIT_LEVELS 24u
#define MB_JIT_SAMPLES 64u

/* Most functions of one process that are known at once, and bytes of their names: 16 and 32 MiB. */
#define MB_JIT_FUNCTIONS (1u << 20)
#define MB_JIT_NAMES (32u << 20)

/* Functions by address that do not overlap. */
struct mb_jit_list {
	struct mb_jit_function *list;
	size_t n;
};

struct mb_jit {
	int fd; /* -1: not open */
	uint64_t read; /* bytes of it, whole lines */
	uint64_t size; /* when it was looked at last */
	uint64_t allowed; /* bytes that may still be read */
	struct mb_jit_list
		levels[MB_JIT_LEVELS]; /* the newer, the later in the file and the shorter */
	size_t n_levels, n_functions;
	struct mb_jit_list batch; /* what was written between two looks */
	uint64_t batch_ns; /* the second of them */
	struct {
		uint64_t t_ns, size;
	} samples[MB_JIT_SAMPLES]; /* looks whose part of the file has not been read */
	size_t n_samples;
	char *names;
	size_t names_len, names_room, names_live;
	bool full; /* no room for more functions or names */
};

void mb_jit_init(struct mb_jit *j);
void mb_jit_free(struct mb_jit *j);

/* Open the file of a process if that has not been done; it can be read when the process is gone. True: it is open. */
bool mb_jit_open(struct mb_jit *j, uint32_t pid);

/* So many bytes may be read from now on. */
void mb_jit_allow(struct mb_jit *j, uint64_t bytes);

/* It is now_ns: how long is the file? One that has become shorter is written anew, and read so. Reads nothing. */
void mb_jit_look(struct mb_jit *j, uint64_t now_ns);

/* Read on, as far as is allowed, until the names as of t_ns are known. t_ns never goes back. */
void mb_jit_at(struct mb_jit *j, uint64_t t_ns);

/*
 * The name of the function at an address, as of mb_jit_at(). NULL: not known. Where one function replaced another
 * between the two looks around that time, it can be either, and *other is the one of before ("" if that is not known);
 * else *other is NULL. Both are valid until the next call of another function here.
 */
const char *mb_jit_find(const struct mb_jit *j, uint64_t address, const char **other);

/* When was the oldest look whose part of the file has not been read whole? 0: all have. */
uint64_t mb_jit_behind(const struct mb_jit *j);

/* Bytes of the file that have not been read. */
uint64_t mb_jit_unread(const struct mb_jit *j);

#endif
