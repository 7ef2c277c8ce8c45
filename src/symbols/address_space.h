/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A process's address space as far as code is concerned: which file is mapped where, how to unwind a stack
 * through it, and what an address is called. Files are shared by all processes that have them mapped
 * (struct mb_modules), and stay open: a process that has ended can still be resolved.
 *
 * Unwinding is cheap (a few microseconds for a known chain of functions): call-frame information of a file
 * is looked up once for each address. Resolving is not: names, files and lines are looked for when
 * something is shown, never when an event comes in.
 */
#ifndef MB_SYMBOLS_ADDRESS_SPACE_H
#define MB_SYMBOLS_ADDRESS_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/abi.h"
#include "symbols/frame.h"

/*
 * All files with code that have been seen, each kept open; bounded by half of RLIMIT_NOFILE as well, the one
 * unused longest goes first. For one thread at a time, as are the spaces of it.
 */
struct mb_modules;

struct mb_modules *mb_modules_new(void); /* NULL: no memory */
void mb_modules_free(struct mb_modules *m); /* after all spaces; NULL is fine */

struct mb_address_space;

/*
 * Read which files a process has mapped (/proc/PID/maps, files by /proc/PID/root or map_files, so that other
 * mount namespaces and deleted files do). NULL: there is no such process, or no memory.
 */
struct mb_address_space *mb_address_space_new(struct mb_modules *m, uint32_t pid);
void mb_address_space_free(struct mb_address_space *s); /* NULL is fine */

/*
 * Read the maps again: after an exec. At most once in 100 ms, mb_address_space_new included; what comes earlier is
 * answered false and made up for by the next unwinding or resolving. False as well for a process that is gone
 * (what was known stays). Unwinding and resolving do it by themselves when an address is in no file known.
 * Code that is mapped no more is known as long as nothing else takes its place.
 */
bool mb_address_space_refresh(struct mb_address_space *s);

/*
 * The chain of calls of a stack copy, innermost first: ips[0] is regs->ip, those after it are return addresses.
 * stack: a copy of it from regs->sp on. By the call-frame information of each function, by frame
 * pointers where there is none (code made at run time). Returns the number of ips (at least 1 where max
 * is), *whole tells whether the outermost frame of the thread was reached.
 */
unsigned int mb_address_space_unwind(struct mb_address_space *s, const struct mb_user_regs *regs,
				     const struct mb_stack *stack, uint64_t *ips, unsigned int max, bool *whole);

/* One function at an address; several where functions are inlined into each other. */
struct mb_source_frame {
	uint64_t ip;
	const char *symbol; /* demangled; NULL: not known */
	const char *module; /* path of the file as the process sees it, "[jit]", "[vdso]"; NULL: not in any */
	const char *file; /* of the source; NULL: not known */
	unsigned int line; /* 0: not known */
	bool inlined; /* into the next place of the list */
	uint32_t code; /* tells files of one path apart; 0: it does not */
	uint64_t module_offset; /* of ip in the file, as objdump shows it; 0: not in any */
};

/*
 * What is at an address, innermost function first. is_return: ip is where a call returns to; the call itself is
 * looked up. Returns the number of places (at least 1 where max is; one without names where nothing is
 * known). Strings belong to the modules and live as long as they.
 */
unsigned int mb_address_space_resolve(struct mb_address_space *s, uint64_t ip, bool is_return, struct mb_source_frame *places,
				      unsigned int max);

/*
 * The rest is for a caller that follows what the process maps, event by event, and asks for the past: what is known
 * is as of the event that was told last. Reading the maps then adds only what is nowhere else.
 */
struct mb_mapping;

/* As mb_address_space_new(), but only what admit says was there. */
struct mb_address_space *mb_address_space_follow(struct mb_modules *m, uint32_t pid,
						 bool (*admit)(void *arg, const struct mb_mapping *m), void *arg);

/* Code is mapped, or whatever was there goes. */
void mb_address_space_map(struct mb_address_space *s, const struct mb_mapping *m);
void mb_address_space_unmap(struct mb_address_space *s, uint64_t start, uint64_t end);

/* The mapping of an address, or NULL. Valid until the next call of another function here. */
const struct mb_mapping *mb_address_space_at(struct mb_address_space *s, uint64_t address);

/* What is at an offset of the file of a mapping, as mb_address_space_resolve() has it. pid: in whose root debug files are. */
unsigned int mb_mapping_resolve(const struct mb_mapping *m, uint32_t pid, uint64_t offset, bool is_return,
				struct mb_source_frame *places, unsigned int max);

/* Code that a process wrote for itself, whatever the memory is called. */
bool mb_mapping_is_made(const struct mb_mapping *m);

/* It is time to see how long the file of names of such code is; from now on so many bytes of it may be read. */
void mb_address_space_look(struct mb_address_space *s, uint64_t bytes);

/* Read the file up to the next look that is not after t_ns; false: there is none, or nothing more is allowed. */
bool mb_address_space_read_names(struct mb_address_space *s, uint64_t t_ns);

/*
 * The name of such code as of t_ns, which never goes back; NULL: not known. *other: as for mb_jit_find(). Both are valid
 * until the next call of another function here.
 */
const char *mb_address_space_made_name(struct mb_address_space *s, uint64_t address, uint64_t t_ns, const char **other);

/* Is there a file of names? Bytes of it that have not been read. */
bool mb_address_space_has_names(const struct mb_address_space *s);
uint64_t mb_address_space_unread_names(const struct mb_address_space *s);

/* The first mapping of which is_it says so, or NULL. */
const struct mb_mapping *mb_address_space_find(const struct mb_address_space *s, bool (*is_it)(const struct mb_mapping *m));

/* Is code mapped anywhere there, as far as is known? */
bool mb_address_space_has_code(const struct mb_address_space *s, uint64_t start, uint64_t end);

#endif
