/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Leak detection of a session or a replay. It observes the model: events with stacks are queued until the next tick,
 * sorted by time, unwound and added to groups (leaks/groups.h). The tick also checks mappings and resident
 * pages against /proc. A recording contains the events and what was read (leaks/source.h).
 */
#ifndef MB_LEAKS_LEAKS_H
#define MB_LEAKS_LEAKS_H

#include "leaks/groups.h"
#include "leaks/outlook.h"
#include "leaks/source.h"
#include "leaks/whole.h"
#include "model/pages.h"
#include "model/regions.h"
#include "kern/kern.h"
#include "leaks/config.h"
#include "memblame/sink.h"
#include "model/observer.h"
#include "symbols/address_space.h"

/* One address space. Processes can share it (vfork), and the kernel can reuse its mm address after it is freed. */
struct mb_leak_space {
	struct mb_leaks_session *session;
	uint64_t mm;
	uint64_t key; /* mm; if the process has ended and the address is in use again: a unique odd number */
	uint32_t tgid;
	uint64_t start_ns; /* start time of the process */
	char comm[MB_COMM_LEN];
	struct mb_regions regions;
	struct mb_pages pages;
	struct mb_address_space *code; /* code mappings; NULL: no stack has been unwound yet */
	bool code_changed; /* code was mapped since they were last read */
	/* stack frames in code generated at run time; those that had no name when the stack was recorded */
	uint64_t made_frames, made_nameless;
	bool execs; /* dropped and recreated because of an exec: the counters of its heap continue */
	bool pages_known; /* pages from before tracing have been searched for */
	bool touched; /* pages were touched since the last tick */
	/* consecutive stacks that frame pointers would have unwound completely */
	uint32_t whole_by_frame_pointers;
	bool ended; /* the process has ended; its last state is retained */
	uint64_t ended_bytes; /* mapped when the pages of a process that has ended were last compared with its mappings */
	struct mb_outlook outlook; /* of a process that has ended: as of its last tick */
	bool frame_pointers; /* the kernel side was set to use frame pointers */
	struct mb_blocks *blocks; /* allocator blocks; NULL: none seen */
	uint64_t about_hash; /* of what a recording contains of mb_leak_about() */
	bool allocators_due; /* code was mapped since allocators were last searched for */
	uint64_t allocated, freed; /* number of all blocks since its allocator was probed */
	struct mb_heap_known known; /* blocks of its groups at the last tick */
	struct mb_heap_lows lows;
	struct mb_heap_shares shares; /* what the whole heap says about these blocks */
	struct mb_leak_whole whole;
	UT_hash_handle hh;
	UT_hash_handle by_start; /* only used during mb_leak_heap_tick() */
};

/* Everything that leak detection holds for a session or a replay. */
struct mb_leaks_session {
	const struct mb_leaks_config *cfg;
	struct mb_leaks_config recorded_cfg; /* replay: cfg, with how the session traced */
	struct mb_kern *kern; /* NULL: a replay, or the kernel side is closed */
	struct mb_model *model;
	struct mb_observer observer;
	struct mb_leak_source source;
	struct mb_leak_lookup *lookup; /* see lookup.h */
	bool begun; /* replay: the recording contains leak detection */
	uint32_t kmem_sample_1_in;
	uint64_t code_left_out; /* files with code and functions for which there was no room */
	struct mb_leaks *leaks;
	struct mb_modules *modules;
	struct mb_leak_codes *codes; /* see code.c */
	struct mb_leak_made *made; /* see made.c */
	uint64_t now_ns; /* time of the event that is being processed */
	struct mb_leak_space *spaces;
	struct mb_kallsyms *kallsyms;
	struct mb_leak_limits *limits; /* memory limits, see limits.c */
	char *cgroups[MB_MAX_CGROUPS]; /* paths of the selected cgroups; owned */
	uint32_t n_cgroups;
	char *queue; /* queued events, one after the other */
	size_t queued, queue_room;
	uint64_t heap_lost; /* lost events of the heap family when check_blocks() last looked */
	uint64_t queue_full; /* events that did not fit into the queue */
	uint64_t ticks;
	bool keep_ended; /* retain processes that were selected after they end */
	uint32_t n_retained, n_moved; /* spaces that have ended; those of them whose mm address is in use again */
	uint64_t last_moved; /* number of keys assigned to such spaces so far */
	uint64_t ended_left_out; /* processes that have ended and are not shown */
	uint64_t start_ns;
	bool marked, marked_to; /* the two points in time that are compared have passed */
	uint64_t marked_ns, marked_to_ns; /* relative to the start */
	uint64_t stacks_whole, stacks_cut; /* stacks unwound up to the outermost frame, and not */
	struct mb_leak_seen_process *seen; /* see seen.c: since when the blocks of each process are traced */
	struct mb_leak_kernel *kernel; /* see kernel.c; NULL: no event yet */
};

/*
 * Create the leak detection of a model that has no records yet, and subscribe it; the model frees it. cfg must stay
 * valid. Until mb_leaks_trace() is called, it replays a recording. Returns NULL if out of memory.
 */
struct mb_leaks_session *mb_leaks_observe(struct mb_model *m, const struct mb_leaks_config *cfg);

/* The leak detection of a model; NULL: it has none. */
struct mb_leaks_session *mb_leaks_of(const struct mb_model *m);

/*
 * It is part of a session: use the kernel side k, until mb_leaks_closed(). cgroup_root: mount point of the cgroup
 * hierarchy, or NULL. ingest: of a session that is recorded, else NULL. Returns 0 or -ENOMEM.
 */
int mb_leaks_trace(struct mb_leaks_session *l, struct mb_kern *k, const char *cgroup_root, struct mb_ingest *ingest);

/* The model knows what its numbers mean (MB_INGEST_SETUP): ingest how the session traces. */
void mb_leaks_traced(struct mb_leaks_session *l);

/* The kernel side is closed, with everything that it tracked. */
void mb_leaks_closed(struct mb_leaks_session *l);

/* All events are ingested: ingest what only a recording needs at the end. */
void mb_leaks_end_record(struct mb_leaks_session *l);

/*
 * Call when all probes are attached: reads the state of processes that already exist. pids: the
 * selected processes; n == 0: processes are added when they first cause an event. keep_ended: also
 * show processes that have ended (not for a whole machine, which has too many).
 */
void mb_leaks_begin(struct mb_leaks_session *l, const uint32_t *pids, size_t n, bool keep_ended);

/*
 * Follow the limit of a selected cgroup, even if its processes map and touch nothing: they can write
 * to tmpfs, or use kernel memory. At most MB_MAX_CGROUPS; path is copied.
 */
void mb_leaks_follow(struct mb_leaks_session *l, const char *path);

/* A process has mapped code and is stopped until this returns: probe its allocators before they run. */
void mb_leaks_held(struct mb_leaks_session *l, uint32_t tgid);

/*
 * A tick at t_ns, called after the events of all rings were consumed and the model knows which
 * processes have ended. complete_ns: all events before this time have been consumed; later ones may
 * be incomplete and wait for the next tick.
 */
void mb_leaks_ticked(struct mb_leaks_session *l, uint64_t complete_ns, uint64_t t_ns);

/* Process all queued events before until_ns; later ones stay in the queue. */
void mb_leaks_work_off(struct mb_leaks_session *l, uint64_t until_ns);

/* Look up an address space by its mm. Returns NULL if there is none. */
struct mb_leak_space *mb_leak_space_at(const struct mb_leaks_session *l, uint64_t mm);

/*
 * Get the address space of an event; creates it if it is new. Returns NULL if its process has
 * ended, or if out of memory.
 */
struct mb_leak_space *mb_leak_space_of(struct mb_leaks_session *l, uint64_t mm, uint32_t tgid);

/* The key of a group of this process: for a level and a stack, or for a page. */
struct mb_leak_key mb_leak_key_of(const struct mb_leak_space *sp, enum mb_leak_level level, uint32_t stack);
struct mb_leak_key mb_leak_key_of_page(const struct mb_leak_space *sp, const struct mb_page *page);

#endif
