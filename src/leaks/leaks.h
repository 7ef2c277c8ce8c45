/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Leaks within a session: events with stacks are kept until the next tick, put in order, unwound and added up to
 * what grows (leaks/groups.h). What a process has mapped and resident is checked against /proc there.
 */
#ifndef MB_LEAKS_LEAKS_H
#define MB_LEAKS_LEAKS_H

#include "leaks/groups.h"
#include "leaks/outlook.h"
#include "leaks/whole.h"
#include "model/pages.h"
#include "model/regions.h"
#include "kern/kern.h"
#include "leaks/config.h"
#include "memblame/sink.h"
#include "symbols/address_space.h"

/* One address space. Its process may share it (vfork), its address may be used again when it is gone. */
struct mb_leak_space {
	struct mb_leaks_session *session;
	uint64_t mm;
	uint64_t key; /* mm; of one that has ended and whose address is in use again: an odd number of its own */
	uint32_t tgid;
	uint64_t start_ns; /* of the process */
	char comm[MB_COMM_LEN];
	struct mb_regions regions;
	struct mb_pages pages;
	struct mb_address_space *code; /* NULL: no stack was unwound yet */
	bool code_changed; /* code was mapped since */
	uint64_t made_frames, made_nameless; /* of stacks, in code made at run time; without a name when they were taken */
	bool execs; /* it is dropped and made again, as the program begins: what its heap counts goes on */
	bool pages_known; /* those from before tracing have been looked for */
	bool touched; /* pages were, since the last tick */
	uint32_t whole_by_frame_pointers; /* stacks in a row that frame pointers would have shown whole */
	bool ended; /* its process has; what it had at the end stays */
	struct mb_outlook outlook; /* of one that has ended: at its last tick */
	bool frame_pointers; /* the kernel side has been told that they do */
	struct mb_blocks *blocks; /* of its allocator; NULL: none seen */
	bool allocators_due; /* code was mapped since allocators were looked for */
	uint64_t allocated, freed; /* blocks, all of them, since its allocator was probed */
	struct mb_heap_known known; /* blocks of its groups, at the last tick */
	struct mb_heap_lows lows;
	struct mb_heap_shares shares; /* what the heap as a whole says of those */
	struct mb_leak_whole whole;
	UT_hash_handle hh;
	UT_hash_handle by_start; /* within mb_leak_heap_tick() */
};

struct mb_leaks_session {
	const struct mb_leaks_config *cfg;
	struct mb_kern *kern;
	struct mb_model *model;
	struct mb_leaks *leaks;
	struct mb_modules *modules;
	struct mb_leak_codes *codes; /* code.c */
	struct mb_leak_made *made; /* made.c */
	uint64_t now_ns; /* when the event that is worked off was */
	struct mb_leak_space *spaces;
	struct mb_kallsyms *kallsyms;
	struct mb_leak_limits *limits; /* how far the limits are */
	char *queue; /* events that wait, one behind the other */
	size_t queued, queue_room;
	uint64_t heap_lost; /* events of blocks that were, as check_blocks() last saw it */
	uint64_t queue_full; /* events that found no room */
	uint64_t ticks;
	bool keep_ended; /* of processes that were selected: what they had */
	uint32_t n_kept, n_moved; /* spaces that have ended; of those, whose address is in use again */
	uint64_t last_moved; /* keys given to such spaces so far */
	uint64_t ended_left_out; /* processes that have ended and are not shown */
	uint64_t start_ns;
	bool marked, marked_to; /* the two moments that are compared have been */
	uint64_t marked_ns, marked_to_ns; /* since the start */
	uint64_t stacks_whole, stacks_cut; /* unwound up to the outermost frame, and not */
	struct mb_leak_seen_process *seen; /* seen.c: since when the blocks of each process are */
	struct mb_leak_kernel *kernel; /* kernel.c; NULL: nothing yet */
};

/* NULL: no memory. k and m are those of the session; cgroup_root: where cgroups are mounted, or NULL. */
struct mb_leaks_session *mb_leaks_open(const struct mb_leaks_config *cfg, struct mb_kern *k, struct mb_model *m,
				       const char *cgroup_root);
void mb_leaks_close(struct mb_leaks_session *l);

/*
 * All is attached: what do the processes have that are there already? pids: those selected; none: as they show up.
 * keep_ended: what those have that end is shown, too (the machine's are too many).
 */
void mb_leaks_begin(struct mb_leaks_session *l, const uint32_t *pids, size_t n, bool keep_ended);

/* A process has mapped code, and is held until we return: its allocators are probed before they run. */
void mb_leaks_held(struct mb_leaks_session *l, uint32_t tgid);

/* Keep an event, if it is one for this. False: it is not. */
bool mb_leaks_take(struct mb_leaks_session *l, const void *data, size_t len);

/*
 * A tick at t_ns, after the events of all rings have been taken and the model knows who has ended. complete_ns: all
 * events before it have been taken; those from then on may not be all there yet and wait for the next tick.
 */
void mb_leaks_ticked(struct mb_leaks_session *l, uint64_t complete_ns, uint64_t t_ns);

/* The address space that is known by this mm, or NULL. */
struct mb_leak_space *mb_leak_space_at(const struct mb_leaks_session *l, uint64_t mm);

/* The address space of an event, made if it is new; NULL: its process has ended, or there is no memory. */
struct mb_leak_space *mb_leak_space_of(struct mb_leaks_session *l, uint64_t mm, uint32_t tgid);

/* The id of the stack (struct mb_user_stack) behind an event's own size bytes; 0: it has none. */
uint32_t mb_leak_stack_of(struct mb_leak_space *sp, const struct mb_event *e, size_t size);

/* The key of a group of this process. */
struct mb_leak_key mb_leak_key_of(const struct mb_leak_space *sp, enum mb_leak_level level, uint32_t stack);
struct mb_leak_key mb_leak_key_of_page(const struct mb_leak_space *sp, const struct mb_page *page);

#endif
