/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Metrics of a session without end: counters that only grow, per cgroup and for the processes with the largest
 * values, and the text that a scrape returns. docs/metrics.md lists them.
 *
 * Cgroups. What a process adds in a tick is counted for its cgroup at that time. At most `cgroups` cgroups have their
 * own series; all others are summed in cgroup="(other)", or in "(unknown)" if the path is not known. A cgroup without
 * live processes for 5 minutes is folded into "(gone)"; after 1 minute if there is no room for another cgroup. So the
 * sum over all cgroups never decreases and covers everything seen. A cgroup that comes back starts at 0.
 *
 * Processes. For each of five quantities (minor faults, major faults, stalled time, resident memory, dirtied bytes)
 * the `top` processes have their own series, the rest is pid="(other)". Processes are ranked by a rate (memory: by a
 * level) that is smoothed with a half-life of 30 s:
 * - A process that has been 1.3 times larger than the smallest process that may leave, for 5 ticks, gets its top-K
 *   slot. Any rate is enough for a free slot. Per tick and quantity, at most one slot changes hands.
 * - A process may lose its slot after 5 minutes. A process that has ended leaves 1 minute after its end, when its
 *   last counts have been scraped. So a slot changes hands at most once a minute.
 * - A series counts from the promotion of its process; earlier counts stay in "(other)". The counts of a demoted
 *   process are folded into "(other)". So the sum is always right and never decreases. A process that is promoted
 *   again starts at 0.
 */
#ifndef MB_SERVE_METRICS_H
#define MB_SERVE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/sink.h"
#include "sinks/prom.h"

#define MB_METRICS_TOP_MAX 100u /* upper limit of the configuration */
#define MB_METRICS_CGROUPS_MAX 5000u
#define MB_METRICS_CODES 16u
#define MB_METRICS_HOOKS 64u

struct mb_metrics_config {
	uint32_t top; /* processes with their own series, per quantity; 0: only the sum */
	uint32_t cgroups; /* cgroups with their own series */
	bool processes; /* false: no metrics of processes at all */
};

struct mb_metrics;

/*
 * Create the metrics; values above _MAX are reduced to it. Returns NULL if there is no memory. mb_metrics_free()
 * accepts NULL.
 */
struct mb_metrics *mb_metrics_new(const struct mb_metrics_config *c);
void mb_metrics_free(struct mb_metrics *m);

/* Change the configuration. Series that do not fit any more are folded into "(other)". */
void mb_metrics_configure(struct mb_metrics *m, const struct mb_metrics_config *c);

/* Use another clock than mb_now_ns(); for tests and replay. */
void mb_metrics_set_clock(struct mb_metrics *m, uint64_t (*now_ns)(void));

/*
 * A tick of the model is complete (mb_model_tick): add all changes since the last mb_model_interval(). The caller
 * must call mb_model_interval() next, before a process can leave the model (mb_model_forget_ended) and before the
 * next event; otherwise changes are added twice.
 */
void mb_metrics_tick(struct mb_metrics *m, const struct mb_model *model);

/*
 * A process leaves the model (for mb_model.on_forget, which must be set from the start): add its changes since the
 * last mb_model_interval(), and retain its histograms.
 */
void mb_metrics_forget(struct mb_metrics *m, const struct mb_model *model, const struct mb_process *p);

/*
 * Count an OOM kill, once per victim, with its cgroup (NULL: not known) and mb_oom_constraint_name() (NULL: not
 * known; "process": killed by a process). Other names count as "unknown".
 */
void mb_metrics_oom(struct mb_metrics *m, const char *cgroup_path, const char *constraint);

/* The hook that answers a question on this kernel. The strings belong to the caller and must stay valid. */
struct mb_metrics_hook {
	const char *family, *question;
	const char *hook; /* NULL: no hook works */
	enum mb_quality quality;
};

struct mb_metrics_code {
	uint32_t code; /* HTTP status; 0: end of the list */
	uint64_t requests;
};

/* State of memblame itself, filled in by serve. MB_UNKNOWN or NULL means not known; then the series is omitted. */
struct mb_metrics_self {
	uint64_t bpf_ns, cpu_ns; /* since the start: time in BPF programs, and CPU time of this process */
	uint64_t overhead_ppm; /* recent sum of both, in millionths of one CPU */
	uint64_t budget_ppm; /* the budget, in the same unit */
	uint64_t level; /* from 0 (everything is traced) to 3 (as little as possible) */
	const char *level_name;
	uint64_t level_ups, level_downs; /* changes to less tracing, and back to more */
	uint64_t tick_ns; /* duration of the last tick */
	uint64_t recording_bytes;
	uint64_t recording_oldest_s; /* Unix time */
	uint64_t recording_failed; /* 1: a recording is configured, but nothing can be recorded */
	uint64_t rss_bytes, open_fds, max_fds;
	uint64_t start_ms; /* start of this process, Unix time in ms */
	struct mb_metrics_hook hooks[MB_METRICS_HOOKS];
	uint32_t n_hooks;
	struct mb_metrics_code http[MB_METRICS_CODES];
};

/* Set all members to "not known". */
void mb_metrics_self_init(struct mb_metrics_self *self);

/* Count one request with that status. If the list is full, it is counted with the last status. */
void mb_metrics_self_http(struct mb_metrics_self *self, uint32_t code);

/*
 * Read the file descriptors, memory, CPU time and start of this process from /proc/self. Values that cannot be read
 * stay unknown.
 */
void mb_metrics_self_process(struct mb_metrics_self *self);

/*
 * Write the text of a scrape into w (mb_prom.text, .len), which the caller can reuse for the next scrape. s is a
 * snapshot of the model as of the last tick. Returns 0, or -ENOMEM: then nothing may be sent.
 */
int mb_metrics_write(struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s,
		     const struct mb_metrics_self *self, bool openmetrics);

#endif
