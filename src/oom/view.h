/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the sinks' reports of OOM kills have in common. */
#ifndef MB_OOM_VIEW_H
#define MB_OOM_VIEW_H

#include "memblame/sink.h"
#include "oom/oom.h"

#define MB_OOM_SENTENCE_LEN 768
#define MB_OOM_LEAST_NS (60 * 1000 * 1000 * 1000ull) /* of history that is shown */

/* A kill by the OOM killer, and whose fault it was: in the format of a sink. */
void mb_oom_show(const struct mb_sink *sink, struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		 const struct mb_oom_culprit *c);

/* json.c, text.c: the same */
void mb_json_oom(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		 const struct mb_oom_culprit *c);
void mb_text_oom(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		 const struct mb_oom_culprit *c);

/* When it was, RFC 3339; "": not known. buf of 32. */
const char *mb_oom_time(const struct mb_snapshot *s, const struct mb_oom_kill *k, char *buf);

/* "reaped", "skipped"; NULL: the reaper has said nothing. */
const char *mb_oom_reaper_name(const struct mb_oom_victim *v);

/* The process that an event of a kill names; start_ns 0: the latest of that number. NULL: not in the model. */
const struct mb_process *mb_oom_process(const struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/*
 * The path of a cgroup in which p (NULL: not known) was, from which its container can be told: one that was cut,
 * as frames have room for MB_PATH_LEN bytes only, would name another. NULL: not known.
 */
const char *mb_oom_whole_path(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t cgroup,
			      const struct mb_process *p);

/* The first frame of a stack that is not memblame's own. */
uint32_t mb_oom_first_frame(const struct mb_oom_kill *k, enum mb_oom_stack_of of);

/*
 * The line of a kill's log that begins at *at (0 at first), in buf of MB_OOM_LINE_LEN, cut where it is longer; *at
 * becomes the next one's. False: there is none.
 */
#define MB_OOM_LINE_LEN 1024
bool mb_oom_log_next(const struct mb_oom_kill *k, uint32_t *at, char *buf);

/* "clear" and so on. */
const char *mb_oom_verdict_name(enum mb_oom_verdict v);

/* Is there a kind of memory that grew? And what the culprit has to do with it: "owns", "maps", "wrote"; NULL. */
bool mb_oom_grew(const struct mb_oom_culprit *c);
const char *mb_oom_how_name(const struct mb_oom_culprit *c);

/* Memory and swap of the machine; 0: not known. */
uint64_t mb_oom_machine_pages(const struct mb_model *m);

/* What of a memory cgroup's memory is in swap: v1 counts it with memory. */
uint64_t mb_oom_memcg_swap_pages(const struct mb_oom_event *e);

/* The history of all processes that share the memory: of the cgroup at its limit, or of the machine; NULL. */
const struct mb_series *mb_oom_scope(const struct mb_model *m, const struct mb_oom_kill *k);

/* The points of a series to show: first <= i < end, each step; at most 120, the last minute at least. */
struct mb_oom_points {
	uint32_t first, end, step;
};

struct mb_oom_points mb_oom_points(const struct mb_oom_kill *k, const struct mb_oom_culprit *c,
				   const struct mb_series *s);

#endif
