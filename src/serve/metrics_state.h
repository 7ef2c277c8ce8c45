/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the parts of the metrics share: metrics.c adds up, metrics_top.c ranks, metrics_write.c shows. */
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
 * Some numbers are what is left of others and can shrink by a little, once (rest() in families/fault.c).
 * What is told does not: what it would have to lose is a debt, which the next gains pay.
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
	char *labels; /* and its key: paths that look the same in the text are one */
	char *path;
	uint64_t idle_ns; /* when it last had a live process, or gained something */
	uint64_t processes, threads, rss_pages[4]; /* of this tick */
	uint64_t kills[MB_KILLS];
	struct mb_sum *sums; /* by column; a gauge's value is signed and of this tick */
	uint32_t tracks; /* that point here */
	bool special; /* (other), (unknown), (gone): never folded */
	UT_hash_handle hh;
};

enum mb_quantity { MB_Q_MINOR, MB_Q_MAJOR, MB_Q_STALLED, MB_Q_RESIDENT, MB_Q_DIRTIED, MB_QUANTITIES };

struct mb_topk_slot {
	bool taken;
	uint64_t since_ns;
	struct mb_sum sum; /* since then */
};

struct mb_track_key {
	uint64_t start_ns;
	uint32_t tgid;
	uint32_t pad;
};

/* One process: in the model, or gone with a seat left. */
struct mb_track {
	struct mb_track_key key;
	struct mb_cgroup_series *group; /* NULL: to be looked up */
	unsigned int path_hash; /* of one in (other), and the groups that there had been then */
	uint32_t made;
	uint64_t seen; /* the tick it was seen in */
	uint64_t ended_ns; /* 0: it has not */
	bool in_model;
	char comm[MB_COMM_LEN];
	char *labels; /* of its seats; NULL: has none */
	uint64_t rss_pages;
	uint32_t topk_slots;
	float smooth[MB_QUANTITIES];
	uint8_t ahead[MB_QUANTITIES]; /* ticks in a row */
	struct mb_topk_slot topk_slot[MB_QUANTITIES];
	UT_hash_handle hh;
};

/* Where a quantity comes from: columns of a process's values that are added up. */
struct mb_quantity_source {
	unsigned int slots[32];
	const struct mb_prom_column *columns[32];
	unsigned int n;
	struct mb_sum other; /* of all without a seat */
	unsigned int topk_slots; /* taken */
};

struct mb_hist_source {
	const struct mb_family *family;
	const struct mb_field *field;
	const struct mb_prom_column *time; /* of stalls: their exact time; NULL */
	uint64_t gone[MB_HIST_BUCKETS]; /* of processes that have left the model */
};

struct mb_metrics {
	struct mb_metrics_config config;
	uint64_t (*clock)(void);
	uint64_t now_ns;
	double dt_s, alpha; /* of this tick: how long, and how much of a new rate goes into the smoothed one */
	uint64_t ticks;
	uint64_t events;
	struct mb_prom_column *columns;
	size_t n_columns;
	unsigned int slots; /* of a process */
	struct mb_cgroup_series *groups; /* by labels, the special ones among them */
	struct mb_cgroup_series *other, *unknown, *gone;
	uint32_t n_groups; /* without the special ones */
	uint32_t made; /* groups so far */
	bool wanted_room; /* in this tick a cgroup had to go to (other) */
	struct mb_track *tracks;
	struct mb_quantity_source quantities[MB_QUANTITIES];
	struct mb_hist_source hists[MB_METRICS_HISTS];
	unsigned int n_hists;
	uint64_t folded_cgroup_series, folded_topk_slots;
};

void mb_sum_add(struct mb_sum *s, int64_t more);
void mb_sum_fold(struct mb_sum *to, const struct mb_sum *s);

/* metrics_cgroup_series.c: the cgroup of that path, made if there is room; NULL path: not known. */
bool mb_cgroup_series_all_init(struct mb_metrics *m);
struct mb_cgroup_series *mb_cgroup_series_get(struct mb_metrics *m, const char *path);

/* The process is in that cgroup now; NULL: in none that is known. */
void mb_cgroup_series_hold(struct mb_cgroup_series *g, struct mb_track *t);
void mb_cgroup_series_all_begin_tick(struct mb_metrics *m);
void mb_cgroup_series_all_fold(struct mb_metrics *m);
void mb_cgroup_series_all_configure(struct mb_metrics *m);
void mb_cgroup_series_all_free(struct mb_metrics *m);

/*
 * metrics_top.c: what a process gained goes to its seats, or to (other). t NULL: it was never seen in a tick.
 */
void mb_top_init(struct mb_metrics *m);
void mb_top_add(struct mb_metrics *m, struct mb_track *t, const struct mb_process *p);

/* The tick's rates into the smoothed ones; changed: p has gained something. */
void mb_top_smooth(const struct mb_metrics *m, struct mb_track *t, const struct mb_process *p, bool changed);

/* All processes have been seen: give and take seats. */
void mb_top_rank(struct mb_metrics *m);
void mb_top_configure(struct mb_metrics *m);

/* It has left the model, or comes from it under another name or in another cgroup. */
void mb_track_leave(struct mb_metrics *m, struct mb_track *t);
void mb_track_relabel(struct mb_track *t);
void mb_track_free(struct mb_metrics *m, struct mb_track *t);

/* metrics_self.c: memblame's own and the machine's. */
void mb_metrics_write_self(struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s,
			   const struct mb_metrics_self *self);

#endif
