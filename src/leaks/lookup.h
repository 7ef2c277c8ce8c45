/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What is looked up when something is shown: the names of stack frames, and what is known of a process besides its
 * numbers. A recorded session looks it up at each tick, as far as it is new, and ingests it for the replay.
 */
#ifndef MB_LEAKS_LOOKUP_H
#define MB_LEAKS_LOOKUP_H

#include "leaks/leaks.h"
#include "leaks/view.h"

struct mb_leak_lookup;

/* Returns NULL if out of memory. */
struct mb_leak_lookup *mb_leak_lookup_new(void);
void mb_leak_lookup_free(struct mb_leak_lookup *k); /* NULL is fine */

/*
 * The functions at frame i of a stack, innermost first: there are several if functions are inlined into each other.
 * Returns how many were filled in, at least 1; max must be at least 1. Strings live as long as l.
 */
unsigned int mb_leak_resolve(struct mb_leaks_session *l, const struct mb_leak_stack *s, uint32_t i,
			     struct mb_source_frame *sources, unsigned int max);

/* What is known of a process besides its numbers. */
struct mb_leak_about {
	struct mb_leak_heap_seen seen;
	bool code_known; /* a stack of it was unwound; else the members below are zero */
	bool has_names; /* it writes a perf map */
	uint64_t unread_name_bytes; /* of the perf map */
	const char *runtime_path; /* file of a run time (mb_runtime_of()); NULL: none known */
};

/* Fill in *out. Strings live as long as l. */
void mb_leak_about(const struct mb_leaks_session *l, const struct mb_leak_space *sp, struct mb_leak_about *out);

/*
 * Recorded session: look up what is new since the last call, and ingest it. at_end: look again for names that may have
 * appeared since.
 */
void mb_leak_record_lookups(struct mb_leaks_session *l, bool at_end);

/* Replay: a record of kind MB_LEAK_FACT_NAME or MB_LEAK_FACT_PROCESS. Invalid ones are ignored. */
void mb_leak_replay_name(struct mb_leaks_session *l, const void *data, size_t len);
void mb_leak_replay_process(struct mb_leaks_session *l, const void *data, size_t len);

#endif
