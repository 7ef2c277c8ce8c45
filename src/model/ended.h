/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Processes that have ended and for which the model has no room any more: their accounts are folded into one row per
 * program name and cgroup, so that sums over all rows stay exact.
 */
#ifndef MB_MODEL_ENDED_H
#define MB_MODEL_ENDED_H

#include <stddef.h>
#include <stdint.h>

struct mb_model;
struct mb_process;

#define MB_ENDED_ROWS 256u /* what is over them goes to the row "(other ended)" */
#define MB_ENDED_RECENT 16384u /* processes of which the row is remembered, a power of two */

/* Where the account of a process has gone, for what is still to come of it. */
struct mb_ended_of {
	uint64_t start_ns;
	uint32_t tgid;
	uint32_t pad;
	struct mb_process *row;
};

struct mb_ended {
	struct mb_process *rows; /* is_sum, each with tgid 0 and a start_ns that tells it from the others */
	struct mb_process *other; /* the one of them that has the rest */
	uint32_t n_rows;
	uint64_t processes; /* folded in, all rows together */
	struct mb_ended_of *recent; /* MB_ENDED_RECENT, by a hash; NULL: none was folded yet */
};

/*
 * Add p's account to the row of its program; processes: 1, or 0 where it is that of a thread only. Returns the row, or
 * NULL: there is no memory for it. p stays the caller's.
 */
struct mb_process *mb_ended_fold(struct mb_model *m, struct mb_process *p, uint32_t processes);

/* The row that has the account of this process, "(other ended)" where that is not known; NULL: none was folded. */
struct mb_process *mb_ended_find(struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/* The row with this start_ns; NULL: there is none. */
struct mb_process *mb_ended_row(struct mb_model *m, uint64_t start_ns);

/* The path of a cgroup (its number of this boot), as a row has it; NULL: none does. Owned by the row. */
const char *mb_ended_cgroup_path(const struct mb_model *m, uint64_t cgroup);

/* Free all rows. */
void mb_ended_free(struct mb_model *m);

/* What a table calls a process: its program, and "(ended)" for a row of such. buf: of MB_ENDED_NAME_LEN; returned. */
#define MB_ENDED_NAME_LEN 32
const char *mb_process_name(const struct mb_process *p, char *buf);

#endif
