/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The code mapped in a process's address space: which file is mapped where, how to unwind a stack
 * through it, and how to resolve an address. Files are shared by all processes that map them
 * (struct mb_modules) and stay open, so addresses of a process that has ended can still be
 * resolved.
 *
 * Unwinding is cheap (a few microseconds for a known call chain): the call-frame information for
 * each address of a file is looked up once. Resolving is expensive: symbols, files and lines are
 * looked up only when something is shown, never when an event arrives.
 */
#ifndef MB_SYMBOLS_ADDRESS_SPACE_H
#define MB_SYMBOLS_ADDRESS_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"
#include "symbols/frame.h"

/*
 * All files with code that have been seen. Each stays open; their number is also limited to half of
 * RLIMIT_NOFILE. When the limit is reached, the file that has been unused longest is closed. For
 * use by one thread at a time, together with all address spaces that use it.
 */
struct mb_modules;

struct mb_modules *mb_modules_new(void); /* returns NULL if out of memory */
void mb_modules_free(struct mb_modules *m); /* free all address spaces first; NULL is fine */

struct mb_address_space;

/*
 * Read which files a process has mapped from /proc/PID/maps. Files are opened through
 * /proc/PID/root or map_files, so other mount namespaces and deleted files work. Returns NULL if
 * there is no such process, or if out of memory.
 */
struct mb_address_space *mb_address_space_new(struct mb_modules *m, uint32_t pid);
void mb_address_space_free(struct mb_address_space *s); /* NULL is fine */

/*
 * Read the maps again, e.g. after an exec. At most once in 100 ms, including
 * mb_address_space_new(): an earlier call returns false, and the next unwind or resolve catches up.
 * Also returns false if the process is gone; what was known is retained. Unwinding and resolving
 * call this themselves for an address that is in no known file. Code that is no longer mapped stays
 * known until something else is mapped at its address.
 */
bool mb_address_space_refresh(struct mb_address_space *s);

/*
 * Unwind a copied stack into a call chain, innermost first: ips[0] is regs->ip, the others are
 * return addresses. stack: copy of the stack from regs->sp on. Uses the call-frame information of
 * each function, or frame pointers where there is none (JIT code). Returns the number of ips (at
 * least 1 unless max is 0). *whole: the outermost frame of the thread was reached.
 */
unsigned int mb_address_space_unwind(struct mb_address_space *s, const struct mb_user_regs *regs,
				     const struct mb_stack *stack, uint64_t *ips, unsigned int max, bool *whole);

/* One function at an address; there are several if functions are inlined into each other. */
struct mb_source_frame {
	uint64_t ip;
	const char *symbol; /* demangled; NULL: not known */
	const char *module; /* path of the file as the process sees it, "[jit]", "[vdso]"; NULL: not in any */
	const char *file; /* source file; NULL: not known */
	unsigned int line; /* 0: not known */
	bool inlined; /* inlined into the next entry of the list */
	uint32_t code; /* distinguishes files with the same path; 0: not set */
	uint64_t module_offset; /* offset of ip in the file as objdump shows it; 0: not in any file */
};

/*
 * Resolve an address, innermost function first. is_return: ip is a return address, so the call
 * before it is looked up. Returns the number of places filled in (at least 1 unless max is 0; one
 * without names if nothing is known). Strings belong to the modules and live as long as they do.
 */
unsigned int mb_address_space_resolve(struct mb_address_space *s, uint64_t ip, bool is_return, struct mb_source_frame *places,
				      unsigned int max);

/*
 * The functions below are for a caller that tracks mappings event by event and asks about the past:
 * the state is that after the last event that was passed in. Reading the maps then only adds
 * mappings where nothing else is known.
 */
struct mb_mapping;

/* Like mb_address_space_new(), but only adds mappings for which admit() returns true. */
struct mb_address_space *mb_address_space_follow(struct mb_modules *m, uint32_t pid,
						 bool (*admit)(void *arg, const struct mb_mapping *m), void *arg);

/* Record that code was mapped, or that everything in a range was unmapped. */
void mb_address_space_map(struct mb_address_space *s, const struct mb_mapping *m);
void mb_address_space_unmap(struct mb_address_space *s, uint64_t start, uint64_t end);

/* The mapping that contains an address, or NULL. Valid until the next call of a function of this file. */
const struct mb_mapping *mb_address_space_at(struct mb_address_space *s, uint64_t address);

/*
 * Resolve an offset in the file of a mapping, see mb_address_space_resolve(). pid: process in whose
 * root directory debug files are searched.
 */
unsigned int mb_mapping_resolve(const struct mb_mapping *m, uint32_t pid, uint64_t offset, bool is_return,
				struct mb_source_frame *places, unsigned int max);

/* Returns true for memory that can hold code generated at run time, whatever its name in maps. */
bool mb_mapping_is_made(const struct mb_mapping *m);

/* Record the current size of the process's perf map. bytes: how many bytes of it may be read from now on. */
void mb_address_space_look(struct mb_address_space *s, uint64_t bytes);

/*
 * Read the perf map up to the next recorded size, if that was recorded by t_ns. Returns false if
 * there is none, or if no more bytes may be read.
 */
bool mb_address_space_read_names(struct mb_address_space *s, uint64_t t_ns);

/*
 * The name of JIT code as of t_ns, which must never go back. Returns NULL if not known. *other: see
 * mb_jit_find(). Both strings are valid until the next call of a function of this file.
 */
const char *mb_address_space_made_name(struct mb_address_space *s, uint64_t address, uint64_t t_ns, const char **other);

/* Is there a perf map? And the number of bytes of it that have not been read. */
bool mb_address_space_has_names(const struct mb_address_space *s);
uint64_t mb_address_space_unread_names(const struct mb_address_space *s);

/* The first mapping for which is_it() returns true, or NULL. */
const struct mb_mapping *mb_address_space_find(const struct mb_address_space *s, bool (*is_it)(const struct mb_mapping *m));

/* Returns true if any known code mapping overlaps the range. */
bool mb_address_space_has_code(const struct mb_address_space *s, uint64_t start, uint64_t end);

#endif
