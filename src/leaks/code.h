/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Identifies the code that stack frames point into by file (struct mb_file_id) and offset. The
 * files of a session are numbered here and stay open, so that the frames of a library can still be
 * resolved after it was unmapped, deleted, or replaced by another file at the same address or path.
 */
#ifndef MB_LEAKS_CODE_H
#define MB_LEAKS_CODE_H

#include "leaks/leaks.h"
#include "symbols/mapping.h"

/*
 * Maximum number of files per session. Frames in further files are known by address only, and those
 * files are counted.
 */
#define MB_LEAK_CODES 4096u

/* A frame in a stack's key: file number and offset, or an address in code of no known file. */
#define MB_LEAK_FRAME_FILE (1ull << 63)
#define MB_LEAK_FRAME_OFFSET ((1ull << 48) - 1)

struct mb_leak_code;
struct mb_leak_code_due;

/* The numbered files with code of a session. */
struct mb_leak_codes {
	struct mb_leak_code *by_id;
	struct mb_leak_code *list[MB_LEAK_CODES]; /* by file number, starting at 1 */
	uint32_t n;
	struct mb_leak_code_due *due; /* events consumed but not yet processed: as many as the queue holds */
	size_t n_due, room_due;
	uint64_t left_out; /* file mappings that were not recorded because a table was full */
	struct {
		uint64_t t_ns;
		uint32_t tid, code;
	} next; /* the file that the region event with this time and thread maps */
};

/* Free c and release its files. NULL is fine. */
void mb_leak_codes_free(struct mb_leak_codes *c);

/* Call when the event is consumed: opens the file while it still exists. */
void mb_leak_code_seen(struct mb_leaks_session *l, const struct mb_region_code_event *e);

/* Process a queued event: remember which file the region event after it maps. */
void mb_leak_code_event(struct mb_leaks_session *l, const struct mb_region_code_event *e);

/* All events before until_ns have been processed: drop their entries. */
void mb_leak_code_done(struct mb_leaks_session *l, uint64_t until_ns);

/* Process a region event: update the code mappings of the address space. Returns true if the mapped file is known. */
bool mb_leak_code_region(struct mb_leak_space *sp, const struct mb_region_event *e);

/* Convert the n addresses of a stack to the frames of its key, as of the event that is being processed. */
void mb_leak_code_frames(struct mb_leak_space *sp, const uint64_t *ips, uint32_t n, uint64_t *frames);

/* Resolve a frame, see mb_address_space_resolve(). sp NULL: the address space no longer exists. */
unsigned int mb_leak_code_resolve(struct mb_leaks_session *l, struct mb_leak_space *sp, uint64_t frame, uint64_t ip,
				  bool is_return, struct mb_source_frame *sources, unsigned int max);

/*
 * Callback for mb_address_space_follow(): can a mapping that was read from /proc just now have
 * existed at the time of the event that is being processed?
 */
bool mb_leak_code_was_there(void *arg, const struct mb_mapping *m);

#endif
