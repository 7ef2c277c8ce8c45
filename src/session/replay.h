/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Replays a recording: the same records produce the same model, which any view can show. */
#ifndef MB_SESSION_REPLAY_H
#define MB_SESSION_REPLAY_H

#include "record/reader.h"
#include "session/driver.h"

struct mb_replay_config {
	struct mb_show_config show;
	uint64_t interval_ns; /* top: print one table per interval; 0: none */
	bool own_pace; /* between two ticks, wait as long as the recorded session did; else do not wait */
};

/*
 * Replay one chunk of records, as mb_reader_chunk() reads it; for the fuzzer. Returns -EINVAL if the data is not
 * valid records.
 */
int mb_replay_chunk(const void *data, size_t size, const struct mb_replay_config *cfg,
		    struct mb_out *out);

/*
 * Replay the whole recording into out, which the caller owns. *status is the exit status of the recorded command, or
 * 0. Returns 0 or -errno with *e set.
 */
int mb_replay(struct mb_reader *r, const struct mb_replay_config *cfg, struct mb_out *out, int *status,
	      struct mb_err *e);

#endif
