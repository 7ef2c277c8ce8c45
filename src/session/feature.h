/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a session and a replay know of a feature (OOM reports, leaks, blame). They go through the table of features and
 * know none by name. A new feature is a folder of its own and a row in features.c.
 */
#ifndef MB_SESSION_FEATURE_H
#define MB_SESSION_FEATURE_H

#include "session/driver.h"

struct mb_session;

/*
 * Each callback may be NULL. state is what open() has set. Those that return int return 0, or -errno with *e set, which
 * ends the session.
 */
struct mb_feature {
	const char *name;

	/* ---- in a session and in a replay ---- */

	/* Is it part of this session or replay? Else no other callback is called. */
	bool (*wanted)(const struct mb_show_config *cfg);
	/* Subscribes to the model, before its first record. cfg stays valid. Returns 0 or -ENOMEM. */
	int (*subscribe)(struct mb_model *m, const struct mb_show_config *cfg);
	/* Is it shown instead of the accounts? Then show() writes an interval, or the total. */
	bool (*shown)(const struct mb_show_config *cfg);
	int (*show)(void *state, const struct mb_driver *d, const struct mb_snapshot *snap, struct mb_err *e);

	/* ---- in a replay ---- */

	/* A record was applied to the model. */
	void (*replayed)(const struct mb_driver *d, enum mb_ingest_type type, const void *data);

	/* ---- in a session, in the order of its life ---- */

	/* The kernel side and the output are open. Sets *state, also if it fails. */
	int (*open)(struct mb_session *s, void **state, struct mb_err *e);
	/* Everything is open, and privileges are not dropped yet. */
	void (*opened)(struct mb_session *s, void *state);
	/* The hooks are attached, and the first ticks are done. */
	void (*attached)(struct mb_session *s, void *state);
	/* The command has mapped code, and is stopped until this returns. */
	void (*held)(void *state, uint32_t tgid);
	/* A record of a ring. Returns true if it is for this feature alone: then it is not ingested. */
	bool (*take)(void *state, const void *data, size_t len);
	/* The record of a tick is about to be ingested: ingest what else it needs. */
	void (*before_tick)(struct mb_session *s, void *state);
	/* The tick at t_ns was ingested; all events from before drained_ns have been taken. */
	void (*ticked)(struct mb_session *s, void *state, uint64_t drained_ns, uint64_t t_ns);
	/* A turn of the loop. */
	int (*turn)(struct mb_session *s, void *state, struct mb_err *e);
	/* A descriptor that wakes the loop; -1: none. */
	int (*fd)(const void *state);
	/* When the next turn is due at the latest; 0: not at a time of its own. */
	uint64_t (*due_ns)(const struct mb_session *s, const void *state, uint64_t now_ns);
	/* All events are ingested, and the summary is about to be. */
	int (*end)(struct mb_session *s, void *state, struct mb_err *e);
	/* Frees the state. The kernel side is closed. */
	void (*close)(void *state);
};

/* The number of features, and the table. */
#define MB_FEATURES 3u
extern const struct mb_feature *const mb_features[MB_FEATURES];

extern const struct mb_feature mb_feature_oom;

/* The state of a feature in a session; NULL: it is not part of it. */
void *mb_session_state(const struct mb_session *s, const struct mb_feature *f);

#endif
