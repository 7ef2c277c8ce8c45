/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Parts that all JSON documents share; for the files of the JSON sink. */
#ifndef MB_SINKS_JSON_H
#define MB_SINKS_JSON_H

#include "memblame/sink.h"

/* Write a number; null if it is MB_UNKNOWN. */
void mb_json_known(struct mb_out *o, const char *name, uint64_t v);

/* Write the start of a document: schema and kind. */
void mb_json_put_kind(struct mb_out *o, const char *kind);

/* Write the members from kernel to duration_ns; then lost and overhead. */
void mb_json_put_head(struct mb_out *o, const struct mb_snapshot *s);
void mb_json_put_lost(struct mb_out *o, const struct mb_lost *l);
void mb_json_put_overhead(struct mb_out *o, const struct mb_snapshot *s);

/* Write what is known of the container of a cgroup (NULL: not known). p is a process in it (NULL: none is known). */
void mb_json_put_container(struct mb_out *o, const char *cgroup_path, const struct mb_process *p);

/* json_cgroups.c: write the stalls per cgroup. */
void mb_json_put_cgroups(struct mb_out *o, const struct mb_snapshot *s);

#endif
