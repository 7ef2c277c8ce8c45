/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Ended processes that the model has no space for: their accounts are folded into one row per
 * program name and cgroup, so that sums over all rows stay exact.
 */
#ifndef MB_MODEL_ENDED_H
#define MB_MODEL_ENDED_H

#include <stddef.h>
#include <stdint.h>

struct mb_model;
struct mb_process;

#define MB_ENDED_ROWS 256u /* capacity; further processes go to the row "(other ended)" */
#define MB_ENDED_RECENT 16384u /* number of processes whose row is remembered; a power of two */

/* The row that a process's account was folded into, for data about the process that arrives later. */
struct mb_ended_of {
	uint64_t start_ns;
	uint32_t tgid;
	uint32_t pad;
	struct mb_process *row;
};

struct mb_ended {
	struct mb_process *rows; /* is_sum; each has tgid 0 and a unique start_ns */
	struct mb_process *other; /* the row "(other ended)"; one of rows */
	uint32_t n_rows;
	uint64_t processes; /* number of folded processes in all rows */
	struct mb_ended_of *recent; /* MB_ENDED_RECENT entries, hashed; NULL: no process was folded yet */
};

/*
 * Add p's account to the row of its program. processes: 1, or 0 if the account is that of a single
 * thread. Returns the row, or NULL if out of memory. The caller keeps ownership of p.
 */
struct mb_process *mb_ended_fold(struct mb_model *m, struct mb_process *p, uint32_t processes);

/*
 * The row that holds this process's account; "(other ended)" if unknown; NULL: no process was
 * folded.
 */
struct mb_process *mb_ended_find(struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/* The row with this start_ns; NULL: none. */
struct mb_process *mb_ended_row(struct mb_model *m, uint64_t start_ns);

/*
 * The path of a cgroup (by its inode number in this boot) from a row; NULL: in no row. Owned by the
 * row.
 */
const char *mb_ended_cgroup_path(const struct mb_model *m, uint64_t cgroup);

/* Free all rows. */
void mb_ended_free(struct mb_model *m);

/*
 * Display name of a process: its comm, plus "(ended)" for a row of ended processes. buf:
 * MB_ENDED_NAME_LEN bytes; returned.
 */
#define MB_ENDED_NAME_LEN 32
const char *mb_process_name(const struct mb_process *p, char *buf);

#endif
