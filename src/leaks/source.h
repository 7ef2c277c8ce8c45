/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What leak detection learns from the running system besides events: mappings, pages, call chains, limits. In a
 * session it is read when it is needed, and ingested (MB_INGEST_LEAKS), so that a recording contains it. In a replay
 * the next record is what was read. Everything else is computed, in the same steps, so a replay comes to the same
 * result.
 */
#ifndef MB_LEAKS_SOURCE_H
#define MB_LEAKS_SOURCE_H

#include "model/ingest.h"

/* Kinds of struct mb_leaks_record. */
enum mb_leak_fact {
	/* steps: a replay does them when the record arrives; what was read for them arrives before */
	MB_LEAK_FACT_BEGIN = 1, /* struct mb_leak_begin: the first record */
	MB_LEAK_FACT_FOLLOW, /* the path of a selected cgroup */
	MB_LEAK_FACT_SELECT, /* key: keep_ended; the pids of the selected processes (mb_leaks_begin) */
	MB_LEAK_FACT_WORK, /* the queue of events is full: process them now */
	MB_LEAK_FACT_TICK, /* struct mb_leak_tick */
	/* what was read for a step, in the order in which the step needs it */
	MB_LEAK_FACT_MAPS, /* key: tgid; struct mb_leak_maps, then its regions */
	MB_LEAK_FACT_PAGES, /* key: tgid; the state of each followed page (enum mb_pagemap_state), one byte each */
	MB_LEAK_FACT_FOUND, /* key: tgid; addresses of resident pages that were not followed */
	MB_LEAK_FACT_PEAK, /* key: tgid; peak resident memory before */
	MB_LEAK_FACT_CHAIN, /* key: time of the event; its call chain */
	MB_LEAK_FACT_HEAP_NET, /* key: mm; struct mb_leak_net */
	MB_LEAK_FACT_BLOCK, /* key: address; is the block still tracked? */
	MB_LEAK_FACT_CACHE, /* key: address; name of a slab cache */
	MB_LEAK_FACT_KERNEL_CHAIN, /* key: stack id; a call chain of the kernel */
	MB_LEAK_FACT_COUNTER_LINES, /* key: number of the file; its lines (struct mb_kmemfs_line) */
	MB_LEAK_FACT_CGROUP_OPEN, /* does the cgroup exist, and does its parent limit it? */
	MB_LEAK_FACT_CGROUP, /* memory of the cgroup */
	MB_LEAK_FACT_PROCESS_LIMITS, /* key: tgid */
	MB_LEAK_FACT_PROCESS_DATA, /* key: tgid; VmData */
	/* what is looked up when something is shown; see lookup.h */
	MB_LEAK_FACT_NAME,
	MB_LEAK_FACT_PROCESS,
};

/* Maximum size of a record's data, about half of a recorder's chunk; longer data is ingested in several pieces. */
#define MB_LEAK_PIECE (128u << 10)

/* How the session traces. */
struct mb_leak_begin {
	uint64_t start_ns;
	uint64_t page_sample_1_in, heap_sample_bytes;
	uint32_t kmem_sample_1_in;
	uint32_t heap, kernel; /* as in struct mb_leaks_config */
	uint32_t has_cgroups; /* there is a cgroup hierarchy */
};

struct mb_leak_tick {
	uint64_t complete_ns, t_ns; /* see mb_leaks_ticked() */
	uint64_t code_left_out; /* files with code and functions for which there was no room so far */
};

/* All zero: a session that is not recorded. */
struct mb_leak_source {
	struct mb_ingest *ingest; /* session: where to ingest what was read; NULL: it is not recorded */
	bool replays; /* nothing is read; the records say what was read */
	/* replay: records for the next step, one after the other; at: where the first that is not used yet begins */
	char *records;
	size_t len, at, last, room; /* last: where the last one begins */
	bool continues; /* the last of them continues in the next record */
	bool out_of_step; /* a record was missing: what follows up to the end of the step cannot be trusted */
	uint64_t missing; /* steps to which this happened */
};

/* Frees what s owns. */
void mb_leak_source_free(struct mb_leak_source *s);

/* Session: ingest a record, in several pieces if it is long. Does nothing in a replay, or if nothing is recorded. */
void mb_leak_source_tell(const struct mb_leak_source *s, enum mb_leak_fact kind, uint64_t key, const void *data,
			 size_t len);

/*
 * A value that was read. Session: ingests *value. Replay: sets *value to what was read then. Returns false, and
 * *value is all zero, if the record is missing.
 */
bool mb_leak_source_value(struct mb_leak_source *s, enum mb_leak_fact kind, uint64_t key, void *value, size_t size);

/*
 * A list that was read, of *n items of size bytes. Session: ingests it. Replay: sets *list to a new list, aligned as
 * by malloc(), which the caller frees, and *n. Returns false, and *list is NULL, if the record is missing.
 */
bool mb_leak_source_list(struct mb_leak_source *s, enum mb_leak_fact kind, uint64_t key, void **list, size_t *n,
			 size_t size);

/* Replay: a record that the next step will use has arrived. */
void mb_leak_source_arrived(struct mb_leak_source *s, const struct mb_leaks_record *head, const void *data, size_t len);

/* Replay: a step is done. The records that it did not use are dropped. */
void mb_leak_source_step_done(struct mb_leak_source *s);

#endif
