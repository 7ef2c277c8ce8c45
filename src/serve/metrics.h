/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Metrics of a session without end: accumulators that only grow, by cgroup and for the processes with the most of
 * something, and the text that a scrape gets. docs/metrics.md lists them.
 *
 * Cgroups. What a process gains in a tick goes to the cgroup it is in then. At most `cgroups` of them are told
 * singly; what others gain goes to cgroup="(other)", or to "(unknown)" where the path is not known. A cgroup
 * without live processes for 5 minutes is folded into "(gone)"; after 1 minute already where there is no room for
 * another. So the sum over all cgroups never falls and is everything seen. A cgroup that comes back begins at 0.
 *
 * Processes. For each of five quantities (minor faults, major faults, stalled time, resident memory, dirtied bytes)
 * the `top` ones are told singly, the rest as pid="(other)". Which, is decided by a rate (memory: a level) that is
 * smoothed with a half-life of 30 s:
 *   - who has been 1.3 times larger than the smallest incumbent that may leave, for 5 ticks, takes its seat; for a
 *     free seat any rate does. In a tick at most one seat of a quantity changes hands.
 *   - an incumbent may leave after 5 minutes; one that has ended, 1 minute after its end, when its last counts have
 *     been scraped; then it does leave. So a seat changes hands once a minute at most.
 *   - a series counts from its process's promotion on, what it had before stays in "(other)"; what a demoted one
 *     had is folded into "(other)". So the sum is right at any time and nothing goes backwards. One that is promoted
 *     again begins at 0.
 */
#ifndef MB_SERVE_METRICS_H
#define MB_SERVE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/sink.h"
#include "sinks/prom.h"

#define MB_METRICS_TOP_MAX 100u /* no configuration may ask for more */
#define MB_METRICS_CGROUPS_MAX 5000u
#define MB_METRICS_CODES 16u
#define MB_METRICS_HOOKS 64u

struct mb_metrics_config {
	uint32_t top; /* processes told singly, of each quantity; 0: only their sum */
	uint32_t cgroups; /* cgroups told singly */
	bool processes; /* false: no metrics of processes at all */
};

struct mb_metrics;

/* What is over the _MAX is taken as that. NULL: no memory. Free with mb_metrics_free, which accepts NULL. */
struct mb_metrics *mb_metrics_new(const struct mb_metrics_config *c);
void mb_metrics_free(struct mb_metrics *m);

/* Another configuration, now; what there is no more room for is folded into "(other)". */
void mb_metrics_configure(struct mb_metrics *m, const struct mb_metrics_config *c);

/* Where the time is taken from instead of mb_now_ns(); for tests, and for what is played back. */
void mb_metrics_set_clock(struct mb_metrics *m, uint64_t (*now_ns)(void));

/*
 * A tick of the model is over (mb_model_tick): add what changed since the last mb_model_interval(). The caller
 * calls mb_model_interval() next, before any process can leave the model (mb_model_forget_ended) and before the
 * next event, as what changed would be added again.
 */
void mb_metrics_tick(struct mb_metrics *m, const struct mb_model *model);

/*
 * A process leaves the model (for mb_model.on_forget, which must be set from the start on): add what it has gained
 * since the last mb_model_interval(), and keep its histograms.
 */
void mb_metrics_forget(struct mb_metrics *m, const struct mb_model *model, const struct mb_process *p);

/*
 * An OOM kill: once per victim, with its cgroup (NULL: not known) and mb_oom_constraint_name() (NULL: not known;
 * "process": by a process). Names that are no constraint count as "unknown".
 */
void mb_metrics_oom(struct mb_metrics *m, const char *cgroup_path, const char *constraint);

/* What answers a question on this kernel; names are the caller's and stay. */
struct mb_metrics_hook {
	const char *family, *question;
	const char *hook; /* NULL: none works */
	enum mb_quality quality;
};

struct mb_metrics_code {
	uint32_t code; /* HTTP status; 0: no more */
	uint64_t requests;
};

/* memblame itself, as serve knows it. MB_UNKNOWN, NULL: not known, and then there is no such series. */
struct mb_metrics_self {
	uint64_t bpf_ns, cpu_ns; /* since the start: in our programs, and of this process */
	uint64_t overhead_ppm; /* both together lately, of one CPU, in millionths */
	uint64_t budget_ppm; /* what they may be */
	uint64_t level; /* 0: everything is traced, to 3: as little as there is */
	const char *level_name;
	uint64_t level_ups, level_downs; /* changes to less tracing, and back */
	uint64_t tick_ns; /* the last tick took */
	uint64_t recording_bytes;
	uint64_t recording_oldest_s; /* Unix time */
	uint64_t recording_failed; /* 1: nothing is recorded any more, though it should be */
	uint64_t rss_bytes, open_fds, max_fds;
	uint64_t start_ms; /* Unix time of our start, in ms */
	struct mb_metrics_hook hooks[MB_METRICS_HOOKS];
	uint32_t n_hooks;
	struct mb_metrics_code http[MB_METRICS_CODES];
};

/* Nothing is known yet. */
void mb_metrics_self_init(struct mb_metrics_self *self);

/* One more request with that status; where the list is full it counts with the last one. */
void mb_metrics_self_http(struct mb_metrics_self *self, uint32_t code);

/* The file descriptors, memory, CPU time and start of this process, from /proc/self; what cannot be read is unknown. */
void mb_metrics_self_process(struct mb_metrics_self *self);

/*
 * The text of a scrape into w (mb_prom.text, .len), which the caller keeps for the next one. s: of the model
 * that was ticked last. Returns 0, or -ENOMEM: there is nothing to be sent.
 */
int mb_metrics_write(struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s,
		     const struct mb_metrics_self *self, bool openmetrics);

#endif
