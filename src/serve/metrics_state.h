/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Shared by the files of the metrics: metrics.c adds up, metrics_top.c ranks processes, metrics_write.c writes the
 * text.
 */
#ifndef MB_SERVE_METRICS_STATE_H
#define MB_SERVE_METRICS_STATE_H

#include <uthash.h>

#include "base/hist.h"
#include "serve/metrics.h"

#define MB_GROUP_FOLD_NS (300 * 1000000000ull)
#define MB_GROUP_FULL_FOLD_NS (60 * 1000000000ull)
#define MB_TOPK_STAYS_NS (300 * 1000000000ull)
#define MB_TOPK_ENDED_NS (60 * 1000000000ull)
#define MB_TOPK_TICKS 5u
#define MB_TOPK_LARGER 1.3
#define MB_RATE_HALF_LIFE_S 30.0
#define MB_METRICS_HISTS 32u

/*
 * A counter that never decreases. Some numbers are computed as the rest of others and can decrease by a little, once
 * (rest() in families/fault.c). Such a decrease is recorded as a debt, which the next increases pay off.
 */
struct mb_sum {
	uint64_t value;
	uint64_t debt;
};

/* OOM kills by constraint; the last one is "unknown". */
enum {
	MB_KILLS_MEMCG,
	MB_KILLS_GLOBAL,
	MB_KILLS_CPUSET,
	MB_KILLS_MEMPOLICY,
	MB_KILLS_PROCESS,
	MB_KILLS_UNKNOWN,
	MB_KILLS
};

extern const char *const mb_kills_names[MB_KILLS];

struct mb_cgroup_series {
	char *labels; /* also the hash key: paths with the same escaped text share a series */
	char *path;
	uint64_t idle_ns; /* when it last had a live process or an increase */
	uint64_t processes, threads, rss_pages[4]; /* of this tick */
	uint64_t kills[MB_KILLS];
	struct mb_sum *sums; /* by column; the value of a gauge is signed and of this tick */
	uint32_t tracks; /* number of tracks that point to this series */
	bool special; /* (other), (unknown), (gone): never folded */
	UT_hash_handle hh;
};

enum mb_quantity { MB_Q_MINOR, MB_Q_MAJOR, MB_Q_STALLED, MB_Q_RESIDENT, MB_Q_DIRTIED, MB_QUANTITIES };

struct mb_topk_slot {
	bool used;
	uint64_t since_ns;
	struct mb_sum sum; /* since since_ns */
};

struct mb_track_key {
	uint64_t start_ns;
	uint32_t tgid;
	uint32_t pad;
};

/* One process: in the model, or ended but still in a top-K slot. */
struct mb_track {
	struct mb_track_key key;
	struct mb_cgroup_series *group; /* NULL: to be looked up */
	unsigned int path_hash; /* if in (other): hash of its cgroup path, and value of mb_metrics.made at that time */
	uint32_t made;
	uint64_t seen; /* the last tick in which it was seen */
	uint64_t ended_ns; /* 0: it has not ended */
	bool in_model;
	char comm[MB_COMM_LEN];
	char *labels; /* of its top-K series; NULL: it has no slot */
	uint64_t rss_pages;
	uint32_t topk_slots;
	float smooth[MB_QUANTITIES];
	uint8_t ahead[MB_QUANTITIES]; /* consecutive ticks ahead of the smallest slot */
	struct mb_topk_slot topk_slot[MB_QUANTITIES];
	UT_hash_handle hh;
};

/* The source of a quantity: the columns of a process's values that are summed. */
struct mb_quantity_source {
	unsigned int slots[32];
	const struct mb_prom_column *columns[32];
	unsigned int n;
	struct mb_sum other; /* sum of all processes without a top-K slot */
	unsigned int topk_slots; /* used top-K slots */
};

struct mb_hist_source {
	const struct mb_family *family;
	const struct mb_field *field;
	const struct mb_prom_column *time; /* of stalls: the column with their exact time; else NULL */
	uint64_t gone[MB_HIST_BUCKETS]; /* sum over processes that have left the model */
};

struct mb_metrics {
	struct mb_metrics_config config;
	uint64_t (*clock)(void);
	uint64_t now_ns;
	double dt_s, alpha; /* of this tick: its length, and the weight of a new rate in the smoothed rate */
	uint64_t ticks;
	uint64_t events;
	struct mb_prom_column *columns;
	size_t n_columns;
	unsigned int slots; /* number of slots of a process */
	struct mb_cgroup_series *groups; /* hash by labels, including the special ones */
	struct mb_cgroup_series *other, *unknown, *gone;
	uint32_t n_groups; /* not counting the special ones */
	uint32_t made; /* cgroup series created so far */
	bool wanted_room; /* in this tick a cgroup did not fit and was counted in (other) */
	struct mb_track *tracks;
	struct mb_quantity_source quantities[MB_QUANTITIES];
	struct mb_hist_source hists[MB_METRICS_HISTS];
	unsigned int n_hists;
	uint64_t folded_cgroup_series, folded_topk_slots;
};

/* Add an increase, or a decrease, which becomes a debt. */
void mb_sum_add(struct mb_sum *s, int64_t more);

/* Add one sum, including its debt, to another. */
void mb_sum_fold(struct mb_sum *to, const struct mb_sum *s);

/* metrics_cgroup_series.c: create the special series. Returns false if there is no memory. */
bool mb_cgroup_series_init(struct mb_metrics *m);

/* Get the series of a cgroup path, creating it if there is room, else (other). path NULL: not known, so (unknown). */
struct mb_cgroup_series *mb_cgroup_series_get(struct mb_metrics *m, const char *path);

/* The process is now in that cgroup; g is NULL if its cgroup is not known. */
void mb_cgroup_series_hold(struct mb_cgroup_series *g, struct mb_track *t);

/* A tick starts: reset the gauges of all series. */
void mb_cgroup_series_begin_tick(struct mb_metrics *m);

/* End of a tick: fold series without live processes into (gone), when they have been idle for long enough. */
void mb_cgroup_series_fold(struct mb_metrics *m);

/* Apply a changed limit: fold the newest series into (other). */
void mb_cgroup_series_configure(struct mb_metrics *m);
void mb_cgroup_series_free(struct mb_metrics *m);

/* metrics_top.c: find the columns of each quantity. */
void mb_top_init(struct mb_metrics *m);

/* Add what a process gained to its top-K slots, or to (other). t is NULL if the process was never seen in a tick. */
void mb_top_add(struct mb_metrics *m, struct mb_track *t, const struct mb_process *p);

/* Update the smoothed rates with this tick. changed: p has gained something. */
void mb_top_smooth(const struct mb_metrics *m, struct mb_track *t, const struct mb_process *p, bool changed);

/* All processes of the tick have been added: reassign the top-K slots. */
void mb_top_rank(struct mb_metrics *m);

/* Apply a changed limit: the smallest processes lose their slots. */
void mb_top_configure(struct mb_metrics *m);

/* The process has left the model. Frees t unless it holds a top-K slot. */
void mb_track_leave(struct mb_metrics *m, struct mb_track *t);

/* Make the labels of t again, after its name or cgroup has changed. */
void mb_track_relabel(struct mb_track *t);

/* Remove t from the hash and free it. */
void mb_track_free(struct mb_metrics *m, struct mb_track *t);

/* metrics_self.c: write the metrics of memblame itself and of the machine. */
void mb_metrics_write_self(struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s,
			   const struct mb_metrics_self *self);

#endif
