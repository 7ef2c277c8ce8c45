/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Code that stacks lead through, by what it is: a file (struct mb_file_id) and an offset in it. The files of a session
 * are numbered here and stay open, so that a library has names when it is mapped no more, deleted, or replaced by
 * another one at the same address or of the same path.
 */
#ifndef MB_LEAKS_CODE_H
#define MB_LEAKS_CODE_H

#include "leaks/leaks.h"
#include "symbols/mapping.h"

/* Files of a session; frames in those beyond have addresses only, and the files are counted. */
#define MB_LEAK_CODES 4096u

/* A frame of a stack's key: the file's number and an offset, or an address in code of no known file. */
#define MB_LEAK_FRAME_FILE (1ull << 63)
#define MB_LEAK_FRAME_OFFSET ((1ull << 48) - 1)

struct mb_leak_code;
struct mb_leak_code_due;

struct mb_leak_codes {
	struct mb_leak_code *by_id;
	struct mb_leak_code *list[MB_LEAK_CODES]; /* by number, from 1 on */
	uint32_t n;
	struct mb_leak_code_due *due; /* events that have been taken and not worked off: as many as the queue holds */
	size_t n_due, room_due;
	uint64_t left_out; /* mappings of files that found no room */
	struct {
		uint64_t t_ns;
		uint32_t tid, code;
	} next; /* what the region event of this time and thread maps */
};

/* NULL is fine. */
void mb_leak_codes_free(struct mb_leak_codes *c);

/* The event has been taken: open the file while it is there. */
void mb_leak_code_seen(struct mb_leaks_session *l, const struct mb_region_code_event *e);

/* An event is worked off: which file the region event behind it maps. */
void mb_leak_code_event(struct mb_leaks_session *l, const struct mb_region_code_event *e);

/* Events before that time have been worked off. */
void mb_leak_code_done(struct mb_leaks_session *l, uint64_t until_ns);

/* A region event is worked off: the code of the address space follows. True: the file that it maps is known. */
bool mb_leak_code_region(struct mb_leak_space *sp, const struct mb_region_event *e);

/* The key of a stack, of its addresses, as of the event that is worked off. */
void mb_leak_code_frames(struct mb_leak_space *sp, const uint64_t *ips, uint32_t n, uint64_t *frames);

/* What a frame is called, as by mb_address_space_resolve(). sp NULL: it is not known any more. */
unsigned int mb_leak_code_resolve(struct mb_leaks_session *l, struct mb_leak_space *sp, uint64_t frame, uint64_t ip,
				  bool is_return, struct mb_source_frame *places, unsigned int max);

/* For mb_address_space_follow(): may a mapping that was read now have been there when the event that is worked off was? */
bool mb_leak_code_was_there(void *arg, const struct mb_mapping *m);

#endif
