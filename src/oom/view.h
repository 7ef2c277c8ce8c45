/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Code that the text and JSON formats of OOM reports share. */
#ifndef MB_OOM_VIEW_H
#define MB_OOM_VIEW_H

#include "memblame/sink.h"
#include "oom/oom.h"

#define MB_OOM_SENTENCE_LEN 768
#define MB_OOM_LEAST_NS (60 * 1000 * 1000 * 1000ull) /* minimum length of history that is shown */

/* Writes the report of a kill and its culprit in the format of a sink. */
void mb_oom_show(const struct mb_sink *sink, struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		 const struct mb_oom_culprit *c);

/* json.c, text.c: the format-specific parts of mb_oom_show(). */
void mb_json_oom(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		 const struct mb_oom_culprit *c);
void mb_text_oom(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		 const struct mb_oom_culprit *c);

/* Time of the kill in RFC 3339; "": not known. buf: 32 bytes. */
const char *mb_oom_time(const struct mb_snapshot *s, const struct mb_oom_kill *k, char *buf);

/* "reaped", "skipped"; NULL: the OOM reaper has reported nothing. */
const char *mb_oom_reaper_name(const struct mb_oom_victim *v);

/*
 * The process that an event of a kill names. start_ns 0: the latest process with that tgid. NULL:
 * not in the model.
 */
const struct mb_process *mb_oom_process(const struct mb_model *m, uint32_t tgid, uint64_t start_ns);

/*
 * The full path of a cgroup, for finding its container. p: a process in that cgroup, NULL: not
 * known. Returns NULL if the path is not known or has been cut (records have room for MB_PATH_LEN
 * bytes only), because a cut path could name another container.
 */
const char *mb_oom_whole_path(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t cgroup,
			      const struct mb_process *p);

/* Index of the first stack frame that is not part of memblame's own BPF programs. */
uint32_t mb_oom_first_frame(const struct mb_oom_kill *k, enum mb_oom_stack_of of);

/*
 * Copies the log line of a kill that begins at *at (start with 0) to buf of MB_OOM_LINE_LEN bytes,
 * cut if it is longer, and advances *at to the next line. Returns false if there are no more lines.
 */
#define MB_OOM_LINE_LEN 1024
bool mb_oom_log_next(const struct mb_oom_kill *k, uint32_t *at, char *buf);

/* "clear" and so on; NULL for MB_OOM_CULPRIT_NOT_KNOWN. */
const char *mb_oom_verdict_name(enum mb_oom_verdict v);

/*
 * mb_oom_grew(): did a kind of memory grow? mb_oom_how_name(): the culprit's relation to that
 * memory, "owns", "maps" or "wrote"; NULL: no culprit.
 */
bool mb_oom_grew(const struct mb_oom_culprit *c);
const char *mb_oom_how_name(const struct mb_oom_culprit *c);

/* Memory plus swap of the machine, in pages; 0: not known. */
uint64_t mb_oom_machine_pages(const struct mb_model *m);

/*
 * Pages of a memory cgroup that are in swap. The v1 counter includes memory, which this function
 * subtracts.
 */
uint64_t mb_oom_memcg_swap_pages(const struct mb_oom_event *e);

/*
 * The history of all processes that share the memory: of the cgroup at its limit, or of the
 * machine; NULL: none.
 */
const struct mb_series *mb_oom_scope(const struct mb_model *m, const struct mb_oom_kill *k);

/*
 * The points of a series to show: first <= i < end, in steps of step. At most 120 points, covering
 * at least the last minute.
 */
struct mb_oom_points {
	uint32_t first, end, step;
};

struct mb_oom_points mb_oom_points(const struct mb_oom_kill *k, const struct mb_oom_culprit *c,
				   const struct mb_series *s);

#endif
