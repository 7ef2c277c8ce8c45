/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Playing a recording again: the same records make the same model, which any view can show. */
#ifndef MB_SESSION_REPLAY_H
#define MB_SESSION_REPLAY_H

#include "memblame/sink.h"
#include "oom/oom.h"
#include "record/reader.h"

struct mb_replay_config {
	const struct mb_sink *sink;
	uint64_t interval_ns; /* top: one table for each; 0: none */
	uint32_t families; /* trace: bit per family whose events are shown */
	bool events; /* trace */
	bool own_events; /* those of the memblame that recorded, too */
	bool blame; /* show who is to blame, not accounts */
	bool oom; /* show OOM kills, not accounts */
	void (*check_kill)(const struct mb_oom_kill *k, const struct mb_oom_culprit *c); /* tests: each that is shown; or NULL */
	bool own_pace; /* wait between two ticks for as long as the session did; else never */
};

/* Play one chunk of records, as mb_reader_chunk takes it: for the fuzzer. -EINVAL: no records of ours. */
int mb_replay_chunk(const void *data, size_t size, const struct mb_replay_config *cfg,
		    struct mb_out *out);

/*
 * Play all of it into out, which stays the caller's. *status is the exit status of the command that was
 * recorded, or 0. Returns 0 or -errno with *e set.
 */
int mb_replay(struct mb_reader *r, const struct mb_replay_config *cfg, struct mb_out *out, int *status,
	      struct mb_err *e);

#endif
