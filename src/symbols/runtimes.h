/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Run times that compile code while they run, and how each is made to write the names of it. */
#ifndef MB_SYMBOLS_RUNTIMES_H
#define MB_SYMBOLS_RUNTIMES_H

#include <stdbool.h>

struct mb_runtime {
	const char *file; /* of the file with its code: how the name begins */
	const char *name; /* what people call it */
	const char *hint; /* what to do for names */
	bool interprets; /* its functions are not even frames of their own */
};

/* The run time that a file is, by its path; NULL: none that is known. */
const struct mb_runtime *mb_runtime_of(const char *path);

/* For those that are not known. */
extern const char mb_runtime_hint[];

#endif
